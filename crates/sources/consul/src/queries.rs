//! Answers queries, and follows their answers.
//!
//! Each query is asked once. Its answer is then followed by a blocking query of its own, or
//! together with others ([`plan`]), so that a limited number of connections serves any number of
//! queries. An answer is compared with the last one, so only differences are news. A query that
//! fails keeps its answer and is asked again, with growing delays.
//!
//! The modules: `entry` holds the state of a query, `plan` chooses the blocking queries, `feed`
//! holds the state of each of these, `budget` limits searches, `guards` notices deletions of keys, `answers` processes what they are answered, `detection` finds
//! the answers that have changed in a place, `asker` sends requests, `wire` reads answers.

mod answers;
mod asker;
mod budget;
mod detection;
mod entry;
mod feed;
mod guards;
mod plan;
mod wire;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use catalog::{Data, Place, Query};
use client_consul::Options;
use futures_util::future::{Abortable, BoxFuture, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use source::queries::{News, Queries, QueryError, Settings};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use crate::guard::State as GuardState;

use self::asker::{Answered, Asker, Beyond, Since};
use self::detection::{Detection, Search};
use self::entry::{Entry, State};
use self::feed::{Feed, Got, Running, Watched};

/// The most requests at the same time, and therefore the most connections. Consul accepts 200 from
/// one address.
const CONNECTIONS: usize = 28;

/// The requests among them that do not wait for changes, so that a waiting query never delays an
/// answer.
const SHORT: usize = 4;

/// The longest time for which a blocking query waits while others wait for a connection.
const ROUND: Duration = Duration::from_secs(1);

/// The longest time for which news is kept back because other answers are on their way. A template
/// that asks for many things is then rendered once for all of them.
const GATHERED: Duration = Duration::from_millis(50);

/// The time after which a search counts as ended although answers that it asked for are missing.
const LONGEST_SEARCH: Duration = Duration::from_secs(5);

/// The connections below which it is not tried to do with fewer.
const FEWEST: usize = SHORT + 2;

/// Follows queries at one datacenter.
pub(crate) struct Engine {
    asker: Arc<Asker>,
    settings: Settings,
    /// The most requests at the same time; less than [`CONNECTIONS`] if Consul accepts fewer.
    most: usize,
    numbers: BTreeMap<Query, u64>,
    entries: BTreeMap<u64, Entry>,
    feeds: BTreeMap<u64, Feed>,
    places: BTreeMap<Place, Detection>,
    /// Keys that cannot be listed with others.
    alone: BTreeSet<Query>,
    /// The greatest number of an entry or a feed so far. None is used again.
    last: u64,
    /// Entries that are asked for as soon as there is a connection.
    ready: VecDeque<u64>,
    /// Entries whose index is asked for when nothing else is to be asked.
    searched: VecDeque<u64>,
    /// Entries that are asked again later.
    delayed: BinaryHeap<Reverse<(Instant, u64)>>,
    /// How many entries are in the state [`State::Asking`], and in [`State::Searched`].
    asking: usize,
    searching: usize,
    running: FuturesUnordered<Abortable<BoxFuture<'static, Outcome>>>,
    /// By the number of the entry, and whether it is a failure.
    news: BTreeMap<(u64, bool), News>,
    /// Since when there has been news.
    since: Option<Instant>,
}

/// The end of a request.
struct Outcome {
    /// The number of the entry or feed.
    number: u64,
    got: Result<Content, QueryError>,
}

enum Content {
    /// The answer of a feed.
    Feed(Answered<Got>),
    /// The answer of an entry.
    Answer(Answered<Data>),
    /// The index of an entry's answer.
    Index(Option<u64>),
    /// What is known of a key that guards a listing.
    Guard(GuardState),
}

impl Engine {
    /// Makes an engine. It connects to nothing before there is a query.
    pub(crate) fn new(options: Options, settings: Settings) -> Self {
        let most = options.transport.most.unwrap_or(CONNECTIONS).clamp(FEWEST, CONNECTIONS);
        Engine {
            asker: Arc::new(Asker::new(options, settings.refuse_hidden)),
            settings,
            most,
            numbers: BTreeMap::new(),
            entries: BTreeMap::new(),
            feeds: BTreeMap::new(),
            places: BTreeMap::new(),
            alone: BTreeSet::new(),
            last: 0,
            ready: VecDeque::new(),
            searched: VecDeque::new(),
            delayed: BinaryHeap::new(),
            asking: 0,
            searching: 0,
            running: FuturesUnordered::new(),
            news: BTreeMap::new(),
            since: None,
        }
    }

    /// The most blocking queries.
    fn most_blocking(&self) -> usize {
        self.most.saturating_sub(SHORT).max(1)
    }

    fn next_number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Chooses the blocking queries for the entries there are. Those that stay keep their position.
    /// A single run follows nothing.
    fn replan(&mut self) {
        if self.settings.once {
            return;
        }
        let entries = self.entries.values().filter(|entry| entry.state != State::Over);
        let queries = entries.map(|entry| &entry.query);
        let plan = plan::plan(queries, &self.alone, self.most_blocking());
        let connections: usize = plan.feeds.iter().map(Watched::connections).sum();
        let is_crowded = connections > self.most_blocking();
        let mut before = std::mem::take(&mut self.feeds);
        for watched in plan.feeds {
            let same = before.iter().find(|(_, feed)| feed.watched == watched);
            let (number, mut feed) = match same.map(|(number, _)| *number) {
                Some(number) => match before.remove_entry(&number) {
                    Some(same) => same,
                    None => continue,
                },
                None => (self.next_number(), Feed::new(watched)),
            };
            if is_crowded {
                // A query that waits for long would not share its connection.
                feed.interrupt_longer(ROUND);
            }
            self.feeds.insert(number, feed);
        }
        self.places.retain(|place, _| plan.places.contains(place));
        for place in &plan.places {
            self.places.entry(place.clone()).or_default();
        }
        let mut joining = Vec::new();
        for (number, entry) in &mut self.entries {
            let place = plan::place_of(&entry.query).filter(|place| plan.places.contains(place));
            if place.is_some() && entry.place != place {
                joining.push(*number);
            }
            entry.place = place;
        }
        // Between its own blocking query and those of the place, a change may have happened.
        joining.into_iter().for_each(|number| self.want(number));
        self.rest_followed();
    }

    /// Ends the requests for the entries that have a blocking query each: their answers might be older
    /// than the one of the blocking query, and arrive later.
    fn rest_followed(&mut self) {
        for feed in self.feeds.values() {
            let Watched::Query(query) = &feed.watched else { continue };
            let entry = self.numbers.get(query).and_then(|number| self.entries.get_mut(number));
            let Some(entry) = entry else { continue };
            match entry.rest() {
                Some(State::Asking) => self.asking -= 1,
                Some(State::Searched) => self.searching -= 1,
                _ => {}
            }
        }
    }

    /// Asks for the answer to an entry.
    fn want(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.state == State::Searched {
            self.searching -= 1;
        }
        if entry.want() {
            self.ready.push_back(number);
        }
    }

    /// Starts the requests that are due, as far as there are connections.
    fn start(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((due, number))) = self.delayed.peek().copied()
            && due <= now
        {
            self.delayed.pop();
            self.ready.push_back(number);
        }
        if self.searching == 0 {
            let is_asking = self.asking > 0 || !self.ready.is_empty();
            for place in self.places.values_mut() {
                place.note_indexes(now);
                let is_long = |since: Instant| now.duration_since(since) > LONGEST_SEARCH;
                if !is_asking || place.searches_since().is_some_and(is_long) {
                    place.end_search(now);
                }
            }
        }
        self.begin_searches(now);
        self.start_feeds(now, false);
        self.start_entries();
        self.start_feeds(now, true);
        self.start_guards();
    }

    /// Starts feeds: those that are answered at once, or those that wait for changes.
    fn start_feeds(&mut self, now: Instant, waiting: bool) {
        self.feeds.values_mut().for_each(|feed| feed.end_settling(now));
        let due = self
            .feeds
            .iter()
            .filter(|(_, feed)| feed.may_start(now) && feed.index.is_some() == waiting);
        let mut due: Vec<(Instant, u64)> = due.map(|(number, feed)| (feed.sent, *number)).collect();
        // The feed that has waited for the longest time is next.
        due.sort_unstable();
        let most = if waiting { self.most_blocking() } else { self.most };
        let open = self.feeds.values().filter(|feed| waiting && feed.is_waiting).count();
        let longest = self.asker.options().wait;
        let wait = if self.connections() > most { longest.min(ROUND) } else { longest };
        for (_, number) in due.into_iter().take(most.saturating_sub(open)) {
            if self.running.len() >= self.most {
                return;
            }
            let Some(feed) = self.feeds.get_mut(&number) else { continue };
            let settles = feed.settles(now);
            let wait = settles.map_or(wait, |longest| wait.min(longest));
            let from_events = settles.is_none();
            let beyond = feed.beyond().map(|index| Beyond { index, wait, from_events });
            let since = Since { beyond, known: feed.known, from_leader: feed.asks_leader() };
            let (asker, watched) = (Arc::clone(&self.asker), feed.watched.clone());
            let request = async move {
                let got = watched.ask(&asker, since).await.map(Content::Feed);
                Outcome { number, got }
            };
            feed.start(launch(&self.running, request), wait);
        }
    }

    /// Starts requests for entries.
    fn start_entries(&mut self) {
        // The queries of a place are asked as soon as every later change of the place is reported.
        let is_held = |place: &Place| {
            let is_of_place = |feed: &&Feed| feed.watched.detects() == Some(place);
            let is_armed = self.places.get(place).is_none_or(Detection::is_armed);
            !is_armed && self.feeds.values().filter(is_of_place).all(|feed| feed.failed == 0)
        };
        let held: BTreeSet<Place> =
            self.places.keys().filter(|place| is_held(place)).cloned().collect();
        let mut later = VecDeque::new();
        while self.running.len() < self.most
            && let Some(number) = self.ready.pop_front()
        {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            if entry.state != State::Ready {
                continue;
            }
            if entry.place.as_ref().is_some_and(|place| held.contains(place)) {
                later.push_back(number);
                continue;
            }
            let from_leader = std::mem::take(&mut entry.from_leader);
            let since = Since { beyond: None, known: entry.index, from_leader };
            let (asker, query) = (Arc::clone(&self.asker), entry.query.clone());
            let request = async move {
                let got = asker.ask(&query, since).await.map(Content::Answer);
                Outcome { number, got }
            };
            entry.state = State::Asking;
            entry.running = Some(launch(&self.running, request));
            self.asking += 1;
        }
        later.append(&mut self.ready);
        self.ready = later;
        while self.running.len() < self.most
            && let Some(number) = self.searched.pop_front()
        {
            let Some(entry) = self.entries.get_mut(&number) else { continue };
            if entry.state != State::Searched {
                continue;
            }
            let (asker, query) = (Arc::clone(&self.asker), entry.query.clone());
            let request = async move {
                let got = asker.index(&query).await.map(Content::Index);
                Outcome { number, got }
            };
            entry.running = Some(launch(&self.running, request));
        }
    }

    /// Begins the searches that are due.
    fn begin_searches(&mut self, now: Instant) {
        for (place, detection) in &mut self.places {
            if detection.due().is_none_or(|due| due > now) {
                continue;
            }
            let search = detection.begin_search(now);
            let mut searched = Vec::new();
            for (number, entry) in &mut self.entries {
                if entry.place.as_ref() != Some(place) {
                    continue;
                }
                // The agent's own node is asked for its name first.
                let has_index = !matches!(entry.query, Query::Node { name: None, .. });
                match (entry.state, search) {
                    (State::Idle, Search::Indexes) if has_index => {
                        entry.state = State::Searched;
                        self.searching += 1;
                        searched.push((Reverse(entry.index), *number));
                    }
                    (State::Idle, _) => {
                        if entry.want() {
                            self.ready.push_back(*number);
                        }
                        // The leader knows what is searched for.
                        (entry.from_leader, entry.is_reported) = (true, false);
                    }
                    // The running request may have been answered before the change.
                    (State::Asking, _) => entry.again = true,
                    _ => {}
                }
            }
            // What has changed last is the most likely to change again.
            searched.sort_unstable();
            self.searched.extend(searched.into_iter().map(|(_, number)| number));
        }
    }

    /// When something is due although no request ends.
    fn due(&self) -> Option<Instant> {
        let now = Instant::now();
        let feeds = self.feeds.values().filter(|feed| feed.running.is_none() && !feed.is_over);
        // What is due already waits for a connection.
        let feeds = feeds.map(|feed| feed.due).filter(|due| *due > now);
        let searches = self.places.values().filter_map(Detection::due);
        let delayed = self.delayed.peek().map(|Reverse((due, _))| *due);
        let news = self.since.map(|since| since + GATHERED);
        feeds.chain(searches).chain(delayed).chain(news).min()
    }

    /// Whether answers are on their way, for which news is kept back.
    fn is_gathering(&self) -> bool {
        let gives_answers = |feed: &Feed| !matches!(feed.watched, Watched::History(_));
        let is_first = |feed: &Feed| {
            !feed.is_known && feed.failed == 0 && feed.running.is_some() && gives_answers(feed)
        };
        !self.ready.is_empty() || self.asking > 0 || self.feeds.values().any(is_first)
    }
}

#[async_trait]
impl Queries for Engine {
    fn follow(&mut self, wanted: &[Query]) {
        let wanted: BTreeSet<&Query> = wanted.iter().collect();
        let gone: Vec<Query> =
            self.numbers.keys().filter(|query| !wanted.contains(query)).cloned().collect();
        let new = wanted.into_iter().filter(|query| !self.numbers.contains_key(query));
        let new: Vec<Query> = new.cloned().collect();
        if gone.is_empty() && new.is_empty() {
            return;
        }
        for query in gone {
            self.alone.remove(&query);
            let Some(number) = self.numbers.remove(&query) else { continue };
            self.news.remove(&(number, false));
            self.news.remove(&(number, true));
            let state = self.entries.get(&number).map(|entry| entry.state);
            self.end(number);
            self.entries.remove(&number);
            match state {
                Some(State::Asking) => self.asking -= 1,
                Some(State::Searched) => self.searching -= 1,
                _ => {}
            }
        }
        for query in new {
            let number = self.next_number();
            self.numbers.insert(query.clone(), number);
            self.entries.insert(number, Entry::new(query));
            if self.settings.once {
                self.want(number);
            }
        }
        self.replan();
    }

    async fn next(&mut self) -> Vec<News> {
        // All progress is kept in `self` before each wait, because the future may be dropped at
        // every wait.
        loop {
            while let Some(Some(ended)) = self.running.next().now_or_never() {
                if let Ok(outcome) = ended {
                    self.take(outcome);
                }
            }
            // The HTTP client first takes back the connections of the requests that have ended.
            yield_now().await;
            yield_now().await;
            self.start();
            let is_late = self.since.is_some_and(|since| since.elapsed() >= GATHERED);
            if !self.news.is_empty() && (is_late || !self.is_gathering()) {
                self.since = None;
                return std::mem::take(&mut self.news).into_values().collect();
            }
            let due = self.due();
            tokio::select! {
                ended = self.running.next(), if !self.running.is_empty() => {
                    if let Some(Ok(outcome)) = ended {
                        self.take(outcome);
                    }
                }
                () = until(due) => {}
            }
        }
    }
}

/// Waits until a moment, or for ever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Adds a request to those that are running.
fn launch(
    running: &FuturesUnordered<Abortable<BoxFuture<'static, Outcome>>>,
    request: impl Future<Output = Outcome> + Send + 'static,
) -> Running {
    let (request, handle) = abortable(request.boxed());
    running.push(request);
    Running(handle)
}
