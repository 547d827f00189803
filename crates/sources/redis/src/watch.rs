//! Follows an interest: servers report which keys have changed, and these are read.
//!
//! A state is reported only if no event about its keys has arrived between the beginning of the reading
//! and its end. So it has all changes of a transaction, or none. If keys change without an end, the
//! state is reported after [`ROUNDS`] readings.
//!
//! Whatever ends the connections, everything is read when they are open again, because events are lost
//! meanwhile. Some changes have no event, such as `FLUSHDB`, so that every [`CHECK`] the known keys are
//! counted. A server that does not report all changes is read again and again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::{select_all, try_join_all};
use source::{Error, Interest, Refusals, Update, Watch};
use store::{Key, Scope, Snapshot};
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::asked::Asked;
use crate::failure::Failure;
use crate::held::Held;
use crate::links::{Failed, Finder, Links};
use crate::notifications::Reports;
use crate::read::{self, Kind};
use crate::subscription::Subscription;
use crate::values::{Value, values};
use crate::{MOVES, MOVING, answer, distinct};

/// If the connections are lost within this time, the error is reported before they are opened again.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// The time after which the known keys are counted, and the servers asked whether they still report
/// changes.
const CHECK: Duration = Duration::from_secs(5);

/// Counting a thousand keys takes the server about 0.2 ms; it takes no more than a 250th of its time.
const PER_KEY: Duration = Duration::from_micros(50);

/// The pause before keys are read again that were changed during two readings, so that a key that changes
/// without a pause does not keep the server busy.
const STILL_CHANGING: Duration = Duration::from_millis(10);

/// How often keys are read before they are reported although they still change.
const ROUNDS: usize = 8;

/// An interest that is followed.
pub(crate) struct Following {
    finder: Arc<Finder>,
    interest: Interest,
    refusals: Refusals,
    /// The keys that are asked for and not refused.
    wanted: BTreeMap<Key, Asked>,
    /// What they stand for, as far as it was read.
    known: BTreeMap<Key, Held>,
    /// The keys that must be read.
    unread: BTreeMap<Key, Extent>,
    /// The keys in Redis that may have changed, with the keys that they are below.
    touched: BTreeMap<Bytes, BTreeSet<Key>>,
    line: Option<Line>,
    /// The last reported pairs of each scope; `None` before the first state.
    reported: Option<BTreeMap<Scope, Snapshot>>,
    /// Whether a state must be reported although no value has changed.
    is_due: bool,
    /// Whether the servers report changes, as the log has it.
    reports: Reports,
    /// How often keys were at other servers of a cluster than it said, since everything was known.
    moves: usize,
}

/// How much of a key must be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Extent {
    /// The keys below it are known, unless it has become a string or a hash.
    Type,
    /// Everything.
    Whole,
}

/// The open connections.
struct Line {
    links: Links,
    /// One for each link.
    subscriptions: Vec<Subscription>,
    /// The patterns that are subscribed to, with the keys that they are for.
    patterns: BTreeMap<Bytes, Vec<(Key, Part)>>,
    opened: Instant,
    check: Instant,
    /// How often keys were read since the last state.
    rounds: usize,
}

/// What an event is about: the key itself, or a key below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Own,
    Below,
}

impl Following {
    pub(crate) fn new(finder: Arc<Finder>, interest: &Interest) -> Self {
        let mut following = Following {
            finder,
            interest: interest.clone(),
            refusals: Refusals::default(),
            wanted: BTreeMap::new(),
            known: BTreeMap::new(),
            unread: BTreeMap::new(),
            touched: BTreeMap::new(),
            line: None,
            reported: None,
            is_due: true,
            reports: Reports::All,
            moves: 0,
        };
        following.want();
        following
    }

    /// Selects the keys that are asked for and not refused. Other keys are forgotten.
    fn want(&mut self) {
        let spelling = &self.finder.options.spelling;
        let keys = distinct(self.refusals.allowed(&self.interest.scopes));
        self.wanted = keys.into_iter().map(|key| (key.clone(), spelling.asked(key))).collect();
        self.known.retain(|key, _| self.wanted.contains_key(key));
        self.unread.retain(|key, _| self.wanted.contains_key(key));
        let new = self.wanted.keys().filter(|key| !self.known.contains_key(*key));
        self.unread.extend(new.map(|key| (key.clone(), Extent::Whole)));
        if self.wanted.is_empty() {
            self.line = None;
        }
        self.is_due = true;
    }

    /// Continues without the refused keys, if there are any.
    ///
    /// # Errors
    ///
    /// Every scope is refused.
    fn without_refused(&mut self, refused_before: usize) -> Result<(), Error> {
        if self.refusals.len() == refused_before {
            return Ok(());
        }
        let was_due = self.is_due;
        let checked = self.refusals.check_any_allowed(&self.interest.scopes);
        self.want();
        // If every scope is refused, the error is the report.
        self.is_due = checked.is_ok() || was_due;
        checked
    }

    /// Whether the known pairs are a state.
    fn is_current(&self) -> bool {
        let Some(line) = &self.line else { return self.wanted.is_empty() };
        // After a reading, this is asked before new events are noted.
        let is_read = self.unread.is_empty();
        is_read && (line.rounds >= ROUNDS || self.touched.is_empty() && line.is_settled())
    }

    /// The state to report, if there is one.
    fn update(&mut self) -> Option<Update> {
        let of = |key: &Key| self.known.get(key).map(Held::snapshot);
        let scopes = &self.interest.scopes;
        let answers: Vec<_> =
            scopes.iter().map(|scope| answer(scope, &self.refusals, of)).collect();
        let now = scopes
            .iter()
            .zip(&answers)
            .filter_map(|(scope, answer)| Some((scope.clone(), answer.as_ref().ok()?.clone())));
        let now: BTreeMap<Scope, Snapshot> = now.collect();
        let changed = self.reported.as_ref().map(|before| {
            let both = now.iter().filter_map(|(scope, now)| Some((scope, now, before.get(scope)?)));
            let changed: BTreeSet<Bytes> =
                both.flat_map(|(scope, now, before)| now.changed_since(before, scope)).collect();
            changed.into_iter().collect::<Vec<_>>()
        });
        self.moves = 0;
        if let Some(line) = &mut self.line {
            line.rounds = 0;
        }
        if !self.is_due && changed.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        (self.reported, self.is_due) = (Some(now), false);
        Some(Update { answers, changed })
    }

    /// Opens the connections. Everything must be read then.
    async fn open(&mut self) -> Result<(), Error> {
        let mut links = self.finder.connect().await?;
        let again = links.all.iter().enumerate().map(|(index, link)| {
            let opened = self.finder.again(link);
            async move { opened.await.map_err(|failure| (index, failure)) }
        });
        let opened = match try_join_all(again).await {
            Ok(opened) => opened,
            Err(failed) => return Err(links.error(failed).into()),
        };
        let reports = match Reports::of(&mut links).await {
            Ok(reports) => reports,
            Err(failed) => return Err(links.error(failed).into()),
        };
        self.note(reports);
        let subscriptions = opened.into_iter().zip(&links.all);
        let subscriptions = subscriptions
            .map(|(connection, link)| Subscription::new(connection, link.database()))
            .collect();
        let nodes: Vec<&str> = links.all.iter().map(|link| &*link.shown).collect();
        debug!("redis: following at {}", nodes.join(", "));
        let opened = Instant::now();
        let (patterns, rounds) = (BTreeMap::new(), 0);
        self.line = Some(Line { links, subscriptions, patterns, opened, check: opened, rounds });
        self.plan_check();
        self.read_all();
        Ok(())
    }

    /// Everything must be read.
    fn read_all(&mut self) {
        self.touched.clear();
        self.unread = self.wanted.keys().map(|key| (key.clone(), Extent::Whole)).collect();
    }

    /// Notes whether the servers report changes. The log has a line when that has changed.
    fn note(&mut self, reports: Reports) {
        if reports == self.reports {
            return;
        }
        match &reports {
            Reports::All => info!("redis reports all changes now"),
            missing => {
                let every = self.finder.options.poll;
                warn!("{missing}. Until then all keys are read every {every:?} (-poll-interval)");
            }
        }
        self.reports = reports;
    }

    fn plan_check(&mut self) {
        let pause = match self.reports {
            Reports::All => {
                let keys = self.known.values().map(Held::len).sum::<usize>();
                CHECK.max(PER_KEY.saturating_mul(u32::try_from(keys).unwrap_or(u32::MAX)))
            }
            _ => self.finder.options.poll,
        };
        if let Some(line) = &mut self.line {
            line.check = Instant::now() + pause;
        }
    }

    /// Makes the next step on open connections.
    async fn advance(&mut self) -> Result<(), Failed> {
        let Some(line) = &mut self.line else { return Ok(()) };
        line.subscribe(&self.wanted);
        line.settle().await?;
        if let Some(forbidden) = line.forbidden()
            && !matches!(self.reports, Reports::Forbidden { .. })
        {
            self.note(forbidden);
            self.plan_check();
        }
        self.note_changed()?;
        // While keys change all the time, nothing is waited for below. What was read is reported first.
        let is_due = |line: &Line| line.rounds == 0 && line.check <= Instant::now();
        if self.line.as_ref().is_some_and(is_due) {
            return self.check().await;
        }
        if !self.unread.is_empty() || !self.touched.is_empty() {
            if self.line.as_ref().is_some_and(|line| line.rounds >= 2) {
                sleep_until(Instant::now() + STILL_CHANGING).await;
            }
            return self.read().await;
        }
        let is_current = self.is_current();
        let Some(line) = &mut self.line else { return Ok(()) };
        if is_current && (self.is_due || line.rounds > 0) {
            return Ok(());
        }
        let check = line.check;
        tokio::select! {
            arrived = line.wait() => {
                arrived?;
                self.note_changed()
            }
            () = sleep_until(check) => self.check().await,
        }
    }

    /// Notes which keys must be read, because of the events that have arrived.
    fn note_changed(&mut self) -> Result<(), Failed> {
        let Some(line) = &mut self.line else { return Ok(()) };
        for (index, subscription) in line.subscriptions.iter_mut().enumerate() {
            for changed in subscription.take().map_err(|failure| (index, failure))? {
                for (key, part) in line.patterns.get(&changed.pattern).into_iter().flatten() {
                    let kind = self.known.get(key).map(|held| held.kind);
                    match (part, kind) {
                        (Part::Below, Some(Kind::Below)) => {
                            let keys = self.touched.entry(changed.key.clone()).or_default();
                            keys.insert(key.clone());
                        }
                        // It will be read anyway, or the keys below do not count.
                        (Part::Below, _) | (Part::Own, None) => {}
                        (Part::Own, Some(kind)) => {
                            let extent = match kind {
                                Kind::Below => Extent::Type,
                                Kind::Text | Kind::Hash => Extent::Whole,
                            };
                            let noted = self.unread.entry(key.clone()).or_insert(extent);
                            *noted = (*noted).max(extent);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Reads the keys that must be read, and asks for the events that happened meanwhile.
    async fn read(&mut self) -> Result<(), Failed> {
        let Some(line) = &mut self.line else { return Ok(()) };
        let spelling = &self.finder.options.spelling;
        let asked: Vec<(&Asked, bool)> = self
            .unread
            .iter()
            .filter_map(|(key, extent)| Some((self.wanted.get(key)?, *extent == Extent::Type)))
            .collect();
        let contents = read::read(&mut line.links, spelling, &asked).await?;
        let touched: BTreeSet<Bytes> = self.touched.keys().cloned().collect();
        let strings = values(&mut line.links, &touched).await?;
        // Nothing is waited for from here on.
        line.ask_for_events();
        line.rounds += 1;
        for (key, content) in std::mem::take(&mut self.unread).into_keys().zip(contents) {
            match content {
                Ok(Some(content)) => _ = self.known.insert(key, Held::new(content)),
                Ok(None) => {}
                Err(error) => self.refusals.add(key, error.into()),
            }
        }
        for (own, keys) in std::mem::take(&mut self.touched) {
            let name = spelling.name(&own);
            for key in keys {
                let held = self.known.get_mut(&key).filter(|held| held.kind == Kind::Below);
                let Some(held) = held else { continue };
                match strings.get(&own) {
                    Some(Value::Text(value)) => {
                        held.set(name.clone(), own.clone(), Some(value.clone()));
                    }
                    Some(Value::None) | None => held.set(name.clone(), own.clone(), None),
                    Some(Value::Refused(reason)) => {
                        let error = read::refused(&line.links, &own, reason);
                        self.refusals.add(key, error.into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Looks for changes that have no event.
    async fn check(&mut self) -> Result<(), Failed> {
        let Some(line) = &mut self.line else { return Ok(()) };
        let has_moved = self.finder.has_moved(&mut line.links).await;
        if has_moved.map_err(|failure| (0, failure))? {
            return Err((0, Failure::Moved(nodes::Cause::new("the masters have changed"))));
        }
        let mut reports = Reports::of(&mut line.links).await?;
        if let Some(forbidden) = line.forbidden() {
            reports = forbidden;
        }
        let mut reads_all = reports != Reports::All;
        if !reads_all {
            let known = self.known.iter().filter_map(|(key, held)| {
                let own = &self.wanted.get(key)?.own;
                let keys = match held.kind {
                    Kind::Below => held.keys().collect(),
                    Kind::Text | Kind::Hash => vec![own],
                };
                Some((key, keys))
            });
            match read::missing(&mut line.links, known).await? {
                Some(missing) => {
                    self.unread.extend(missing.into_iter().map(|key| (key, Extent::Whole)));
                }
                None => reads_all = true,
            }
        }
        if let Some(line) = &mut self.line {
            line.ask_for_events();
        }
        self.note(reports);
        if reads_all {
            self.read_all();
        }
        self.plan_check();
        Ok(())
    }

    /// Closes the connections because of a failure.
    ///
    /// # Errors
    ///
    /// They were open for a short time, or the server refuses.
    fn lose(&mut self, failed: Failed) -> Result<(), Error> {
        let Some(line) = self.line.take() else { return Ok(()) };
        if matches!(failed.1, Failure::Moved(_)) && self.moves < MOVES {
            self.moves += 1;
            return Ok(());
        }
        self.finder.leave(&line.links);
        let error = line.links.error(failed);
        debug!("redis: the connections are closed: {error}");
        let is_short = line.opened.elapsed() < SHORT_LIVED;
        if is_short || error.is_refusal() { Err(error.into()) } else { Ok(()) }
    }
}

impl Line {
    /// Whether the servers have answered everything.
    fn is_settled(&self) -> bool {
        self.subscriptions.iter().all(Subscription::is_settled)
    }

    /// Subscribes to the events of exactly these keys.
    fn subscribe(&mut self, wanted: &BTreeMap<Key, Asked>) {
        let mut patterns: BTreeMap<Bytes, Vec<(Key, Part)>> = BTreeMap::new();
        for (key, asked) in wanted {
            let own = (Bytes::from(asked.exactly()), Part::Own);
            for (pattern, part) in [own, (asked.below.clone(), Part::Below)] {
                patterns.entry(pattern).or_default().push((key.clone(), part));
            }
        }
        for subscription in &mut self.subscriptions {
            let new = patterns.keys().filter(|pattern| !self.patterns.contains_key(*pattern));
            new.for_each(|pattern| subscription.add(pattern));
            let old = self.patterns.keys().filter(|pattern| !patterns.contains_key(*pattern));
            old.for_each(|pattern| subscription.remove(pattern));
        }
        self.patterns = patterns;
    }

    /// Asks for the events of everything that was changed until now.
    fn ask_for_events(&mut self) {
        self.subscriptions.iter_mut().for_each(Subscription::ping);
    }

    /// Waits until the servers have answered everything.
    async fn settle(&mut self) -> Result<(), Failed> {
        let settle = self.subscriptions.iter_mut().enumerate().map(|(index, subscription)| {
            subscription.settle().map(move |settled| settled.map_err(|failure| (index, failure)))
        });
        try_join_all(settle).await.map(drop)
    }

    /// Waits until an event arrives.
    async fn wait(&mut self) -> Result<(), Failed> {
        let wait = self.subscriptions.iter_mut().enumerate().map(|(index, subscription)| {
            let arrived = subscription.wait();
            arrived.map(move |arrived| arrived.map_err(|failure| (index, failure))).boxed()
        });
        select_all(wait).await.0
    }

    /// The server that does not let the user subscribe, if there is one.
    fn forbidden(&self) -> Option<Reports> {
        let mut each = self.subscriptions.iter().zip(&self.links.all);
        each.find_map(|(subscription, link)| {
            let reason = subscription.refused()?.to_owned();
            Some(Reports::Forbidden { node: link.shown.clone(), reason })
        })
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // All progress is kept in `self` before each wait, because the future may be dropped at
        // every wait.
        loop {
            if self.is_current()
                && let Some(update) = self.update()
            {
                return Ok(update);
            }
            if self.wanted.is_empty() {
                return std::future::pending().await;
            }
            if self.line.is_none() {
                if self.moves > 0 {
                    sleep_until(Instant::now() + MOVING).await;
                }
                self.open().await?;
                continue;
            }
            let refused = self.refusals.len();
            match self.advance().await {
                Ok(()) => self.without_refused(refused)?,
                Err(failed) => self.lose(failed)?,
            }
        }
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.interest = interest.clone();
        self.refusals.clear();
        self.want();
    }

    fn reread(&mut self) {
        self.read_all();
    }
}
