//! A source that is followed for as long as it is needed: all failures are tried again.

use std::{
    panic::resume_unwind,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use store::Scope;
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::debug;

use crate::{
    Answer, Error, Interest, Refusal, Source, Update, Watch,
    backoff::{Backoff, Growth, jittered},
};

/// The delays between retries after a failure of the source.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// The time after which a refused scope is asked for again.
const RECHECK: Duration = Duration::from_secs(60);

/// Follows the scopes of all resources, on a task of its own: a reading goes on while the caller
/// does something else.
///
/// A source that cannot report changes is read after each interval, or earlier if it wants to be
/// ([`Source::next_reading`]). A source that can is also read
/// completely after each [`Pauses::reconcile`], in case its watch has missed a change.
#[derive(Debug)]
pub struct Feed {
    scopes: Vec<Scope>,
    /// Whether a scope was refused in the last state.
    has_refusals: bool,
    requests: mpsc::UnboundedSender<Request>,
    timing: Arc<Timing>,
    states: mpsc::Receiver<Result<State, Error>>,
    /// The task, which ends when the feed is dropped.
    task: JoinSet<()>,
}

/// What a feed is asked to do.
#[derive(Debug)]
enum Request {
    /// Follow these scopes.
    Follow(Vec<Scope>),
    /// Read everything once more.
    Reread,
}

/// The times between two complete readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pauses {
    /// Of a source that must be polled.
    pub interval: Duration,
    /// Of a source that reports changes.
    pub reconcile: Duration,
}

/// When the task asks the source.
#[derive(Debug)]
struct Timing {
    pauses: Mutex<Pauses>,
    /// Ends the pause before the next reading of a source that must be polled.
    poll: Notify,
}

impl Timing {
    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn interval(&self) -> Duration {
        self.pauses().interval
    }

    fn reconcile(&self) -> Duration {
        self.pauses().reconcile
    }
}

/// A state of the source, with the scopes that its answers are for.
#[derive(Debug)]
pub struct State {
    /// In the order of the answers. These are not the newest scopes if they have changed while the
    /// source was read.
    pub scopes: Vec<Scope>,
    /// The answers.
    pub update: Update,
}

impl State {
    /// Whether one of several backends does not answer now, so that some scopes have no answer.
    pub fn is_partial(&self) -> bool {
        let is_cut_off = |answer: &Answer| answer.as_ref().is_err_and(Refusal::is_transient);
        self.update.answers.iter().any(is_cut_off)
    }

    /// The answer to `scope`; `None` if the source was not asked for it.
    pub fn answer(&self, scope: &Scope) -> Option<&Answer> {
        let place = self.scopes.binary_search(scope).ok()?;
        self.update.answers.get(place)
    }
}

impl Feed {
    /// A feed of `scopes`, which must be sorted. It starts at once.
    pub fn new(source: Arc<dyn Source>, scopes: Vec<Scope>, pauses: Pauses) -> Self {
        let (requests, received) = mpsc::unbounded_channel();
        // With room for one state, the source is asked for no more than the caller takes.
        let (states, given) = mpsc::channel(1);
        let timing = Arc::new(Timing { pauses: Mutex::new(pauses), poll: Notify::new() });
        let connection = Connection::new(source, scopes.clone(), Arc::clone(&timing));
        let mut task = JoinSet::new();
        task.spawn(connection.follow(received, states));
        Feed { scopes, has_refusals: false, requests, timing, states: given, task }
    }

    /// Follows these scopes, which must be sorted, from now on. The source is asked only for new
    /// scopes, and for scopes that it refused.
    pub fn set_scopes(&mut self, scopes: Vec<Scope>) {
        if self.scopes == scopes && !self.has_refusals {
            return;
        }
        self.has_refusals = false;
        self.scopes.clone_from(&scopes);
        // The task ends only by a panic, which the next call of `next` continues.
        let _ = self.requests.send(Request::Follow(scopes));
    }

    /// Reads everything once more, in case a change was missed. A difference gives a state like any
    /// other change.
    pub fn reread(&self) {
        let _ = self.requests.send(Request::Reread);
    }

    /// Uses these pauses from now on. A running wait or watch keeps its end.
    pub fn reschedule(&self, pauses: Pauses) {
        *self.timing.pauses() = pauses;
    }

    /// Reads a source that must be polled now, and does not wait for the end of the interval.
    pub fn poll_now(&self) {
        self.timing.poll.notify_one();
    }

    /// Returns the next state. Dropping the future loses nothing, and does not stop a reading.
    ///
    /// # Errors
    ///
    /// Why there is no state now. The feed tries again, after a delay that grows with each failure.
    pub async fn next(&mut self) -> Result<State, Error> {
        let state = match self.states.recv().await {
            Some(state) => state?,
            None => match self.task.join_next().await {
                Some(Err(ended)) if ended.is_panic() => resume_unwind(ended.into_panic()),
                // The runtime is shut down.
                _ => std::future::pending().await,
            },
        };
        self.has_refusals = state.update.answers.iter().any(Result::is_err);
        Ok(state)
    }
}

/// The part of a feed that runs on the task.
struct Connection {
    source: Arc<dyn Source>,
    interest: Interest,
    timing: Arc<Timing>,
    line: Line,
    /// The time when refused scopes are asked for again; `None` if no scope was refused in the last
    /// state.
    recheck: Option<Instant>,
    /// The source is not asked before this time.
    rest_until: Option<Instant>,
    backoff: Backoff,
}

/// How the source is followed.
enum Line {
    /// It is not known yet whether the source can be followed.
    Unknown,
    /// The source is followed, and reads everything again at this time.
    Followed(Box<dyn Watch>, Instant),
    /// The source must be read after each interval.
    Polled,
}

/// The end of a wait.
enum Due {
    /// The source must be asked.
    Reading,
    /// A watch has a new state.
    State(Update),
    /// There is nothing to do yet.
    Nothing,
}

impl Connection {
    fn new(source: Arc<dyn Source>, scopes: Vec<Scope>, timing: Arc<Timing>) -> Self {
        Self {
            source,
            interest: Interest { scopes },
            timing,
            line: Line::Unknown,
            recheck: None,
            rest_until: None,
            backoff: Backoff::new(Growth::doubling(FIRST_DELAY, LAST_DELAY)),
        }
    }

    /// Gives the states to `states` until the feed is dropped.
    ///
    /// A new interest interrupts only a wait. Interrupting a reading would begin it again, and if
    /// the interest changes all the time, no reading would end.
    async fn follow(
        mut self,
        mut requests: mpsc::UnboundedReceiver<Request>,
        states: mpsc::Sender<Result<State, Error>>,
    ) {
        while let Ok(room) = states.reserve().await {
            let given = loop {
                let due = tokio::select! {
                    biased;
                    request = requests.recv() => {
                        match request {
                            Some(Request::Follow(scopes)) => {
                                self.interest.scopes = scopes;
                                self.ask_for_interest();
                            }
                            Some(Request::Reread) => self.reread(),
                            None => return,
                        }
                        continue;
                    }
                    due = self.wait() => due,
                };
                let given = match due {
                    Ok(Due::Nothing) => continue,
                    Ok(Due::State(update)) => Ok(Some(update)),
                    Ok(Due::Reading) => self.read().await,
                    Err(error) => Err(error),
                };
                if let Some(given) = given.transpose() {
                    break given;
                }
            };
            room.send(self.note(given));
        }
    }

    /// Asks the source for new and for refused scopes.
    fn ask_for_interest(&mut self) {
        self.recheck = None;
        match &mut self.line {
            // A watch without scopes would have no states to report.
            Line::Followed(..) if self.interest.scopes.is_empty() => self.line = Line::Unknown,
            Line::Followed(watch, _) => watch.set_interest(&self.interest),
            // The source may be able to follow the new scopes.
            Line::Polled => (self.rest_until, self.line) = (None, Line::Unknown),
            Line::Unknown => {}
        }
    }

    /// Reads everything at the next opportunity.
    fn reread(&mut self) {
        match &mut self.line {
            Line::Followed(watch, until) => {
                watch.reread();
                *until = Instant::now() + jittered(self.timing.reconcile());
            }
            Line::Polled => self.rest_until = None,
            Line::Unknown => {}
        }
    }

    /// Waits until there is something to do. Dropping the future loses nothing.
    async fn wait(&mut self) -> Result<Due, Error> {
        if self.interest.scopes.is_empty() {
            return std::future::pending().await;
        }
        if let Some(moment) = self.rest_until {
            tokio::select! {
                () = sleep_until(moment) => {}
                () = self.timing.poll.notified(), if matches!(self.line, Line::Polled) => {}
            }
            self.rest_until = None;
        }
        let Line::Followed(watch, until) = &mut self.line else { return Ok(Due::Reading) };
        let recheck = async {
            match self.recheck {
                Some(moment) => sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            update = watch.next() => return update.map(Due::State),
            () = sleep_until(*until) => {
                debug!("Reading all keys again, to compare");
                self.reread();
            }
            () = recheck => {
                debug!("Asking again for the keys that were refused");
                self.ask_for_interest();
            }
        }
        Ok(Due::Nothing)
    }

    /// Asks the source. Returns `None` if it has no state, because it is followed from now on or
    /// must be polled.
    async fn read(&mut self) -> Result<Option<Update>, Error> {
        if let Line::Polled = self.line {
            let answers = self.source.read(&self.interest).await?;
            let interval = Instant::now() + self.timing.interval();
            let early = self.source.next_reading();
            self.rest_until = Some(early.map_or(interval, |early| early.min(interval)));
            return Ok(Some(Update { answers, changed: None }));
        }
        self.line = match self.source.watch(&self.interest).await? {
            Some(watch) => {
                Line::Followed(watch, Instant::now() + jittered(self.timing.reconcile()))
            }
            None => Line::Polled,
        };
        Ok(None)
    }

    /// Plans the next request after this result.
    fn note(&mut self, given: Result<Update, Error>) -> Result<State, Error> {
        match given {
            Ok(update) => {
                self.backoff.reset();
                if update.answers.iter().any(Result::is_err) {
                    self.recheck.get_or_insert_with(|| Instant::now() + RECHECK);
                } else {
                    self.recheck = None;
                }
                Ok(State { scopes: self.interest.scopes.clone(), update })
            }
            Err(error) => {
                self.rest_until = Some(Instant::now() + self.backoff.delay());
                // The next state then comes when the source answers again, also without a change.
                if let Line::Followed(watch, _) = &mut self.line {
                    watch.set_interest(&self.interest);
                }
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
