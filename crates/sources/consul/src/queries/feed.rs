//! Blocking queries: what each follows, and when it may be sent.

use std::sync::Arc;
use std::time::Duration;

use catalog::{Data, Place, Query, Service};
use futures_util::future::AbortHandle;
use source::queries::QueryError;
use tokio::time::Instant;

use super::asker::{Answered, Asker, Listing, Since};
use super::guards::Guarded;
use super::wire::Listed;

/// The pause between two questions to a part of Consul that reports no changes.
const POLL: Duration = Duration::from_secs(15);

/// The longest pause between two executions of a prepared query, which reports no changes either.
const EXECUTION: Duration = Duration::from_secs(10);

/// The requests that may follow each other without a pause, and the pause that each costs after
/// that. Checks that change their state all the time would otherwise keep everybody busy.
const BURST: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// The time after a restoration of the store, or after a failure, in which the servers answer and not
/// the agent, whose events may still be those of the former history.
const SETTLING: Duration = Duration::from_secs(5);

/// What a blocking query follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Watched {
    /// The answer to a query.
    Query(Query),
    /// The answers to queries of keys, which are listed together.
    Keys {
        /// The common beginning of the keys, without a slash at its beginning.
        head: Vec<u8>,
        /// Where they are.
        place: Place,
        /// The queries.
        queries: Vec<Query>,
    },
    /// The critical checks of a place.
    Critical(Place),
    /// The checks with a warning of a place.
    Warning(Place),
    /// The names and tags of the services of a place.
    Names(Place),
    /// Whether the nodes of a place have changed.
    Nodes(Place),
    /// Whether the store of a place was restored. The nodes are asked for: they seldom change.
    History(Place),
}

/// What a feed was answered.
#[derive(Debug)]
pub(super) enum Got {
    Answer(Data),
    Pairs(Listing),
    Checks(Vec<Listed>),
    Services(Arc<[Service]>),
    Nodes,
}

impl Watched {
    /// Asks once.
    pub(super) async fn ask(
        &self,
        asker: &Asker,
        since: Since,
    ) -> Result<Answered<Got>, QueryError> {
        match self {
            Watched::Query(query) => Ok(asker.ask(query, since).await?.map(Got::Answer)),
            Watched::Keys { head, place, .. } => {
                Ok(asker.list(head, place, since).await?.map(Got::Pairs))
            }
            Watched::Critical(place) => Ok(asker.critical(place, since).await?.map(Got::Checks)),
            Watched::Warning(place) => Ok(asker.warning(place, since).await?.map(Got::Checks)),
            Watched::Names(place) => Ok(asker.services(place, since).await?.map(Got::Services)),
            Watched::Nodes(place) | Watched::History(place) => {
                Ok(asker.nodes(place, since).await?.map(|()| Got::Nodes))
            }
        }
    }

    /// Whether Consul reports no changes of it, so that it is asked again and again.
    pub(super) fn is_polled(&self) -> bool {
        use Query::{Datacenters, Partitions, Prepared};
        matches!(self, Watched::Query(Datacenters { .. } | Partitions | Prepared { .. }))
    }

    /// The pause before the next question, if Consul reports no changes. `wait` is the time for which
    /// a blocking query waits.
    ///
    /// A random part is added, so that not all machines ask at the same time.
    fn pause(&self, wait: Duration) -> Duration {
        let pause = match self {
            Watched::Query(Query::Prepared { .. }) => EXECUTION.min(wait),
            _ => POLL,
        };
        pause.mul_f64(1.0 + fastrand::f64() / 16.0)
    }

    /// The place of the instances that are followed, if the agent may answer from events.
    pub(super) fn is_of_events(&self) -> Option<&Place> {
        match self {
            Watched::Query(Query::Instances(asked)) if asked.near.is_none() => Some(&asked.place),
            _ => None,
        }
    }

    /// The place whose changes this detects; `None` if it detects none.
    pub(super) fn detects(&self) -> Option<&Place> {
        match self {
            Watched::Query(_) | Watched::Keys { .. } | Watched::History(_) => None,
            Watched::Critical(place)
            | Watched::Warning(place)
            | Watched::Names(place)
            | Watched::Nodes(place) => Some(place),
        }
    }
}

/// A running request. Dropping this ends the request.
#[derive(Debug)]
pub(super) struct Running(pub(super) AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a blocking query uses the events that an agent gets from its servers.
///
/// The servers give the first answer. An instance that gets another name after that and before the
/// agent asks for events raises no index. So the next answer is that of the agent, as it is then.
///
/// An answer from events whose index is lower than that of the last answer may be older, if the agent
/// is behind its servers, or newer: Consul gives a lower index if the last instance of a service gets
/// another name. So the leader is asked. The agent learns of each later change by an event with an
/// index higher than that of its answer, and the next query waits for such an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Events {
    /// The next query asks the agent for what it knows.
    #[default]
    Join,
    /// That query is running.
    Joining,
    /// The agent has answered from events.
    Joined,
    /// The agent has answered from events at this index, which is lower than that of the last answer.
    /// The next query asks the leader.
    Doubted(u64),
    /// The agent has no events.
    Missing,
}

/// A blocking query and its position.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) watched: Watched,
    /// The index beyond which the next query waits; `None` if it must be answered at once.
    pub(super) index: Option<u64>,
    /// The index of the last answer.
    pub(super) known: Option<u64>,
    /// Whether there was an answer since the feed exists.
    pub(super) is_known: bool,
    /// The attempts that have failed since the last answer.
    pub(super) failed: u32,
    /// Whether nothing is asked any more.
    pub(super) is_over: bool,
    /// The next query is not sent before this moment.
    pub(super) due: Instant,
    /// When the last query was sent.
    pub(super) sent: Instant,
    pub(super) running: Option<Running>,
    /// Whether the running query waits for a change.
    pub(super) is_waiting: bool,
    /// The time for which it waits.
    wait: Duration,
    /// Until when an agent may not answer from the events that its servers send.
    settled: Option<Instant>,
    /// A listed key whose deletion is noticed; `None` if nothing is listed.
    pub(super) guard: Option<Guarded>,
    /// How the agent's events are used.
    events: Events,
    pace: Pace,
}

impl Feed {
    pub(super) fn new(watched: Watched) -> Self {
        let now = Instant::now();
        Feed {
            watched,
            index: None,
            known: None,
            is_known: false,
            failed: 0,
            is_over: false,
            due: now,
            sent: now,
            running: None,
            is_waiting: false,
            wait: Duration::ZERO,
            settled: None,
            guard: None,
            events: Events::default(),
            pace: Pace { tokens: BURST, since: now },
        }
    }

    /// Whether a query may be sent now.
    pub(super) fn may_start(&self, now: Instant) -> bool {
        self.running.is_none() && !self.is_over && self.due <= now
    }

    /// The index beyond which the next query waits. An agent that is asked for what it knows from
    /// events is given an index that it has passed.
    pub(super) fn beyond(&self) -> Option<u64> {
        self.index.map(|index| if self.joins() { 1 } else { index })
    }

    /// Whether the next query asks the agent for what it knows from events.
    fn joins(&self) -> bool {
        self.events == Events::Join
            && self.index.is_some()
            && self.settled.is_none()
            && self.watched.is_of_events().is_some()
    }

    /// Whether the running query asks the agent for what it knows from events.
    pub(super) fn is_joining(&self) -> bool {
        self.events == Events::Joining
    }

    /// Notes what the agent knows from events.
    pub(super) fn joined(&mut self, index: Option<u64>) {
        self.interrupt();
        self.failed = 0;
        self.events = Events::Joined;
        self.index = index.filter(|index| *index > 0);
        self.known = index;
    }

    /// Notes an answer from events at `index`. Returns whether it may be older than the last answer.
    /// Then it does not count, and the leader is asked next.
    pub(super) fn doubts(&mut self, index: Option<u64>) -> bool {
        match (index, self.known) {
            (Some(index), Some(known)) if index < known => {
                self.interrupt();
                self.events = Events::Doubted(index);
                self.index = None;
                true
            }
            _ => false,
        }
    }

    /// Whether the next query asks the leader.
    pub(super) fn asks_leader(&self) -> bool {
        matches!(self.events, Events::Doubted(_))
    }

    /// Notes that a query is sent. If it waits for a change, it does so for the time `wait`.
    pub(super) fn start(&mut self, running: Running, wait: Duration) {
        let now = Instant::now();
        if self.joins() {
            self.events = Events::Joining;
        }
        self.wait = wait;
        self.is_waiting = self.index.is_some();
        self.running = Some(running);
        self.sent = now;
        self.due = self.pace.next(now);
    }

    /// Notes that the store was restored. The next query is answered at once, and for some time by
    /// the servers.
    pub(super) fn settle(&mut self, now: Instant) {
        self.read_again();
        self.events = Events::Join;
        self.settled = Some(now + SETTLING);
    }

    /// Lets the servers answer for some time after a failure. The next query waits for a change.
    pub(super) fn leave_events(&mut self, now: Instant) {
        if self.watched.is_of_events().is_some() {
            self.events = Events::Join;
            self.settled = Some(now + SETTLING);
        }
    }

    /// Like [`settle`](Self::settle), if the agent answers from events. If the servers answer already,
    /// they do so for longer.
    pub(super) fn settle_unless_settling(&mut self, now: Instant) {
        if self.settled.is_some() {
            self.settled = Some(now + SETTLING);
        } else if self.watched.is_of_events().is_some() {
            self.settle(now);
        }
    }

    /// How long the next query may wait at most, if the servers must answer it and not the agent.
    pub(super) fn settles(&self, now: Instant) -> Option<Duration> {
        self.settled.map(|until| until.saturating_duration_since(now).max(PAUSE))
    }

    /// Lets the agent answer again when the time for that has come. The next query is answered at
    /// once.
    pub(super) fn end_settling(&mut self, now: Instant) {
        if self.running.is_none() && self.settled.take_if(|until| *until <= now).is_some() {
            self.index = None;
        }
    }

    /// Whether the running query waits, and less time has passed than it may wait.
    pub(super) fn is_early(&self) -> bool {
        self.is_waiting && self.sent.elapsed() < self.wait * 9 / 10
    }

    /// Notes an answer at `index`. Returns whether the index fell: then the store may have another
    /// history, and the next query is answered at once. Without an index, the next query is sent
    /// after a pause, which depends on the time `wait` of a blocking query.
    pub(super) fn answered(
        &mut self,
        index: Option<u64>,
        is_of_events: bool,
        wait: Duration,
    ) -> bool {
        let fell = match (self.index, index) {
            (Some(before), Some(now)) => now < before,
            _ => false,
        };
        let doubted = match self.events {
            Events::Doubted(index) => Some(index),
            _ => None,
        };
        self.events = match (self.events, is_of_events) {
            (Events::Doubted(_), _) => Events::Joined,
            (Events::Joining, false) => Events::Missing,
            (Events::Joined, false) => Events::Join,
            (Events::Missing, true) => Events::Joined,
            (events, _) => events,
        };
        self.interrupt();
        self.failed = 0;
        self.is_known = true;
        // A query with the index zero would not wait.
        self.index = doubted.or(index).filter(|index| *index > 0 && !fell);
        self.known = index;
        if index.is_none() {
            self.due = Instant::now() + self.watched.pause(wait);
        }
        fell
    }

    /// Ends the running query. The next one begins where it began.
    fn interrupt(&mut self) {
        if self.events == Events::Joining {
            self.events = Events::Join;
        }
        self.running = None;
        self.is_waiting = false;
    }

    /// Ends the running query. The next one is answered at once.
    pub(super) fn read_again(&mut self) {
        self.interrupt();
        self.index = None;
    }

    /// Ends the running query if it waits for a longer time than this.
    pub(super) fn interrupt_longer(&mut self, limit: Duration) {
        if self.is_waiting && self.wait > limit {
            self.interrupt();
        }
    }

    /// Notes a failure. The next query is sent after `delay`, or never.
    pub(super) fn failed(&mut self, delay: Option<Duration>) {
        self.read_again();
        self.guard = None;
        // The next answer may be that of another agent.
        self.events = Events::Join;
        match delay {
            Some(delay) => self.due = Instant::now() + delay,
            None => self.is_over = true,
        }
    }
}

/// Limits how often requests follow each other.
#[derive(Debug)]
struct Pace {
    tokens: u32,
    since: Instant,
}

impl Pace {
    /// Notes a request at `now`, and returns when the next is allowed.
    fn next(&mut self, now: Instant) -> Instant {
        let earned = now.duration_since(self.since).as_millis() / PAUSE.as_millis();
        let earned = u32::try_from(earned).unwrap_or(u32::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(BURST);
            self.since = now;
        }
        match self.tokens {
            0 | 1 => {
                self.tokens = 0;
                self.since = now;
                now + PAUSE
            }
            _ => {
                self.tokens -= 1;
                now
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_there_is_a_pause_between_requests() {
        let mut pace = Pace { tokens: BURST, since: Instant::now() };
        let now = Instant::now();
        let delays: Vec<_> = (0..4).map(|_| pace.next(now) - now).collect();
        assert_eq!(delays, [Duration::ZERO, Duration::ZERO, Duration::ZERO, PAUSE]);
        let later = now + PAUSE;
        assert_eq!(pace.next(later) - later, PAUSE);
        let much_later = later + Duration::from_secs(10);
        assert_eq!(pace.next(much_later), much_later);
    }

    #[test]
    fn a_prepared_query_is_asked_again_after_a_pause_with_a_random_part() {
        let watched = Watched::Query(Query::prepared("front").unwrap());
        for (wait, least) in [(60, 10), (2, 2)] {
            let least = Duration::from_secs(least);
            let pause = watched.pause(Duration::from_secs(wait));
            assert!(pause >= least && pause <= least + least / 16, "{pause:?}");
        }
    }

    #[test]
    fn a_feed_whose_index_falls_or_is_zero_reads_again() {
        let mut feed = Feed::new(Watched::Query(Query::CaRoots));
        assert!(!feed.answered(Some(7), false, POLL));
        assert_eq!(feed.index, Some(7));
        assert!(feed.answered(Some(3), false, POLL));
        assert_eq!(feed.index, None);
        assert!(!feed.answered(Some(0), false, POLL));
        assert_eq!(feed.index, None);
    }
}
