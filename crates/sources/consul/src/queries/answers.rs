//! What becomes of the answers and failures of requests.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Data, Place, Query, Text};
use client_consul::Consistency;
use source::Error;
use source::queries::{News, QueryError, Retry, Trouble};
use tokio::time::Instant;
use tracing::debug;

use super::asker::Answered;
use super::detection::{Changed, Seen};
use super::entry::{Entry, State};
use super::feed::{Feed, Got, Watched};
use super::wire::is_same;
use super::{Content, Engine, FEWEST, Outcome, plan};

/// The longest delay after a refusal.
const REFUSED: Duration = Duration::from_secs(60);

impl Engine {
    /// Processes the end of a request.
    pub(super) fn take(&mut self, Outcome { number, got }: Outcome) {
        match got {
            Ok(Content::Feed(answered)) => self.take_feed(number, answered),
            Ok(Content::Answer(answered)) => self.take_answer(number, answered),
            Ok(Content::Index(index)) => self.take_index(number, index),
            Ok(Content::Guard(state)) => self.take_guard(number, &state),
            Err(error) => {
                let is_crowded = error.is_too_many_connections() && self.most > FEWEST;
                if !self.fail_guard(number) {
                    self.fail(number, error);
                }
                if is_crowded {
                    self.most = (self.most / 2).max(FEWEST);
                    debug!("consul: {} connections have to do", self.most);
                    self.replan();
                }
            }
        }
    }

    fn take_feed(&mut self, number: u64, answered: Answered<Got>) {
        let Answered { content, index, is_of_events, is_instead, warning } = answered;
        let wait = self.asker.options().wait;
        let Some(feed) = self.feeds.get_mut(&number) else { return };
        if is_of_events && feed.doubts(index) {
            return;
        }
        if feed.is_joining() && is_of_events {
            feed.joined(index);
            if let (Watched::Query(query), Got::Answer(data)) = (feed.watched.clone(), content) {
                self.publish_of(&query, data, warning);
            }
            return;
        }
        let before = feed.index;
        // A query that returns early at the known index was ended because the store was restored.
        let is_early = feed.is_early();
        let was_restored = is_early && index == before;
        let had_gap = was_restored || feed.is_known && before.is_none();
        let had_failed = is_instead || feed.is_known && feed.failed > 0;
        let fell = feed.answered(index, is_of_events, wait);
        if had_failed {
            feed.leave_events(Instant::now());
        }
        if fell || was_restored {
            debug!("consul: the store may have another history, so the answer is read again");
            feed.index = None;
        }
        let watched = feed.watched.clone();
        if had_failed {
            // The agent may have lost its server. Then it begins its events again, and the queries
            // that wait do not end.
            let now = Instant::now();
            self.feeds.values_mut().for_each(|feed| feed.settle_unless_settling(now));
        }
        match (watched, content) {
            (Watched::Query(query), Got::Answer(data)) => {
                if let Data::Pairs(pairs) = &data {
                    self.choose_guard(number, pairs);
                }
                let is_same =
                    self.data_of(&query).is_some_and(|known| is_same(&query, known, &data));
                self.publish_of(&query, data, warning);
                if let Some(feed) = self.feeds.get_mut(&number)
                    && is_early
                    && is_same
                    && !is_of_events
                {
                    // The answer may be older than a restored store.
                    feed.index = None;
                }
            }
            (Watched::Keys { queries, .. }, Got::Pairs(listing)) => {
                self.choose_guard(number, &listing.pairs);
                let mut hidden = Vec::new();
                for query in queries {
                    match plan::answer_of(&query, &listing.pairs) {
                        // The token may hide what seems to be missing.
                        data if plan::is_empty(&data) && listing.filtered => hidden.push(query),
                        data => self.publish_of(&query, data, None),
                    }
                }
                if !hidden.is_empty() {
                    self.alone.extend(hidden);
                    self.replan();
                }
            }
            (Watched::Critical(place), Got::Checks(checks)) => {
                self.take_seen(&place, Seen::Critical(checks), index, before, had_gap);
            }
            (Watched::Warning(place), Got::Checks(checks)) => {
                self.take_seen(&place, Seen::Warning(checks), index, before, had_gap);
            }
            (Watched::Names(place), Got::Services(services)) => {
                let seen = Seen::Names(Arc::clone(&services));
                self.take_seen(&place, seen, index, before, had_gap);
                let query = Query::Services { place };
                match self.numbers.get(&query).copied() {
                    // Its own request says what the token lacks.
                    Some(number) if warning.is_some() => self.want(number),
                    _ => self.publish_of(&query, Data::Services(services), None),
                }
            }
            (Watched::Nodes(place), _) => {
                self.take_seen(&place, Seen::Nodes, index, before, had_gap);
            }
            (Watched::History(place), _) if had_gap => self.settle(&place),
            _ => {}
        }
    }

    /// Reads the instances at a place again that have a blocking query each, because the store may
    /// have been restored.
    fn settle(&mut self, place: &Place) {
        let now = Instant::now();
        for feed in self.feeds.values_mut() {
            if feed.watched.is_of_events() == Some(place) {
                feed.settle(now);
            }
        }
    }

    /// Processes an answer about a place. After a gap, every query of the place is asked again.
    fn take_seen(
        &mut self,
        place: &Place,
        seen: Seen,
        index: Option<u64>,
        before: Option<u64>,
        had_gap: bool,
    ) {
        let Some(detection) = self.places.get_mut(place) else { return };
        let changed = detection.take(seen, index.unwrap_or(0), before, Instant::now());
        if !had_gap && changed == Changed::default() {
            return;
        }
        let is_concerned = |entry: &Entry| {
            entry.place.as_ref() == Some(place) && (had_gap || concerns(&changed, entry))
        };
        let entries = self.entries.iter().filter(|(_, entry)| is_concerned(entry));
        let concerned: Vec<u64> = entries.map(|(number, _)| *number).collect();
        concerned.into_iter().for_each(|number| self.want(number));
    }

    fn take_answer(&mut self, number: u64, answered: Answered<Data>) {
        let Answered { content, index, warning, .. } = answered;
        let Some(entry) = self.entries.get_mut(&number) else { return };
        self.asking -= 1;
        let is_same = entry.data.as_ref() == Some(&content);
        let is_same_index = std::mem::replace(&mut entry.index, index) == index;
        entry.running = None;
        entry.failed = 0;
        entry.state = State::Idle;
        let was_reported = std::mem::take(&mut entry.is_reported);
        if std::mem::take(&mut entry.again) {
            entry.state = State::Ready;
        } else if was_reported
            && is_same
            && is_same_index
            && matches!(self.asker.options().consistency, Consistency::Stale(_))
        {
            // The server that answered may be behind the one that reported the change.
            entry.from_leader = true;
            entry.state = State::Ready;
        }
        if entry.state == State::Ready {
            self.ready.push_back(number);
        }
        // The first answer may contain changes that concern other queries as well.
        let is_changed = entry.data.is_some() && !(is_same && is_same_index);
        let came = match &entry.data {
            Some(before) if !is_same => instances_that_came(before, &content),
            _ => BTreeMap::new(),
        };
        let place = entry.place.clone();
        if is_changed
            && let Some(index) = index
            && let Some(detection) = place.as_ref().and_then(|place| self.places.get_mut(place))
        {
            detection.explain(index);
        }
        self.publish(number, content, index, warning);
        if !came.is_empty() {
            self.ask_old_names(place.as_ref(), &came);
        }
    }

    /// Asks the services again that these instances had the names of. Consul does not raise the
    /// index of a service when an instance of it gets another name.
    fn ask_old_names(&mut self, place: Option<&Place>, came: &BTreeMap<(Text, Text), Text>) {
        let has_old_name = |entry: &Entry| {
            let Some(Data::Instances(known)) = &entry.data else { return false };
            entry.place.as_ref() == place
                && known.iter().any(|known| {
                    let name = came.get(&(known.node.clone(), known.id.clone()));
                    name.is_some_and(|name| *name != known.name)
                })
        };
        let entries = self.entries.iter().filter(|(_, entry)| has_old_name(entry));
        let concerned: Vec<u64> = entries.map(|(number, _)| *number).collect();
        concerned.into_iter().for_each(|number| self.want(number));
    }

    fn take_index(&mut self, number: u64, index: Option<u64>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        if entry.state != State::Searched {
            return;
        }
        self.searching -= 1;
        entry.running = None;
        entry.state = State::Idle;
        if entry.index != index {
            self.want(number);
        }
    }

    /// The last answer to a query.
    fn data_of(&self, query: &Query) -> Option<&Data> {
        self.entries.get(self.numbers.get(query)?)?.data.as_ref()
    }

    /// Makes an answer news, if it differs from the last one.
    fn publish_of(&mut self, query: &Query, data: Data, warning: Option<String>) {
        if let Some(number) = self.numbers.get(query).copied() {
            self.publish(number, data, None, warning);
        }
    }

    fn publish(&mut self, number: u64, data: Data, index: Option<u64>, warning: Option<String>) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        let is_first = entry.answers == 0;
        entry.answers += 1;
        entry.failed = 0;
        let must_exist = matches!(entry.query, Query::Key { must_exist: true, .. });
        if must_exist && data == Data::Value(None) {
            let query = entry.query.clone();
            if self.settings.fail_on_absent && !is_first && entry.data.is_none() {
                let trouble = Trouble { cause: QueryError::Absent, attempt: 1, again: None };
                self.end(number);
                self.report(number, query, Err(trouble), None);
            } else if self.settings.once && !self.is_followed(&query) {
                let mut feed = Feed::new(Watched::Query(query));
                feed.answered(index, false, self.asker.options().wait);
                let number = self.next_number();
                self.feeds.insert(number, feed);
            }
            return;
        }
        let is_same = entry.data.as_ref().is_some_and(|known| is_same(&entry.query, known, &data));
        let was_warned = std::mem::replace(&mut entry.is_warned, warning.is_some());
        let warning = warning.filter(|_| !was_warned);
        if is_same && !entry.is_failing && warning.is_none() {
            return;
        }
        if !is_same {
            entry.data = Some(data.clone());
        }
        let query = entry.query.clone();
        if self.settings.once {
            self.end(number);
        }
        self.report(number, query, Ok(data), warning);
    }

    fn is_followed(&self, query: &Query) -> bool {
        let mut feeds = self.feeds.values();
        feeds.any(|feed| matches!(&feed.watched, Watched::Query(followed) if followed == query))
    }

    /// Asks a query no more.
    pub(super) fn end(&mut self, number: u64) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.state = State::Over;
        let query = &entry.query;
        self.feeds.retain(
            |_, feed| !matches!(&feed.watched, Watched::Query(followed) if followed == query),
        );
    }

    /// Processes a failed attempt, and plans the next one.
    fn fail(&mut self, number: u64, error: QueryError) {
        if self.entries.contains_key(&number) {
            self.fail_entry(number, error);
            return;
        }
        let Some(feed) = self.feeds.get_mut(&number) else { return };
        feed.failed += 1;
        let attempt = feed.failed;
        let again = again(&self.settings.retry, attempt, &error);
        feed.failed(again);
        let concerned: Vec<Query> = match &feed.watched {
            Watched::Query(query) => vec![query.clone()],
            Watched::Keys { queries, .. } => {
                if matches!(error, QueryError::Status { code: 400..=428 | 430..=499, .. }) {
                    // Perhaps only some of the keys are refused.
                    self.alone.extend(queries.iter().cloned());
                    self.replan();
                    return;
                }
                queries.clone()
            }
            // The queries fail as well, and report it.
            Watched::History(_) => Vec::new(),
            // One of the queries of the place stands for all.
            watched => {
                let place = watched.detects();
                let mut entries = self.entries.values();
                let first = entries.find(|entry| entry.place.as_ref() == place);
                first.map(|entry| entry.query.clone()).into_iter().collect()
            }
        };
        let mut error = Some(error);
        let text = error.as_ref().map(ToString::to_string).unwrap_or_default();
        for query in concerned {
            let Some(number) = self.numbers.get(&query).copied() else { continue };
            let cause = error.take().unwrap_or_else(|| QueryError::Repeated(text.clone()));
            self.report(number, query, Err(Trouble { cause, attempt, again }), None);
        }
    }

    fn fail_entry(&mut self, number: u64, error: QueryError) {
        let Some(entry) = self.entries.get_mut(&number) else { return };
        entry.running = None;
        match entry.state {
            State::Asking => self.asking -= 1,
            State::Searched => {
                // The request for its answer reports what is wrong.
                self.searching -= 1;
                entry.state = State::Ready;
                self.ready.push_back(number);
                return;
            }
            _ => {}
        }
        entry.failed += 1;
        (entry.again, entry.is_reported) = (false, true);
        let attempt = entry.failed;
        let again = again(&self.settings.retry, attempt, &error);
        entry.state = match again {
            Some(delay) => {
                self.delayed.push(Reverse((Instant::now() + delay, number)));
                State::Ready
            }
            None => State::Over,
        };
        let query = entry.query.clone();
        self.report(number, query, Err(Trouble { cause: error, attempt, again }), None);
    }

    fn report(
        &mut self,
        number: u64,
        query: Query,
        answer: Result<Data, Trouble>,
        warning: Option<String>,
    ) {
        self.since.get_or_insert_with(Instant::now);
        // A failure does not replace an answer, but an answer ends a failure.
        let is_failure = answer.is_err();
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.is_failing = is_failure;
        }
        if !is_failure {
            self.news.remove(&(number, true));
        }
        // A warning that was not taken yet is given with the newest answer.
        let before = self.news.remove(&(number, is_failure)).and_then(|news| news.warning);
        let warning = warning.or(before);
        self.news.insert((number, is_failure), News { query, answer, warning });
    }
}

/// The delay after an attempt that failed with this error. A thousand queries that Consul refuses must
/// not keep it busy.
fn again(retry: &Retry, attempt: u32, error: &QueryError) -> Option<Duration> {
    match error {
        QueryError::Store(Error::Store(error)) if error.is_refusal() => {
            Retry { max_backoff: retry.max_backoff.map(|most| most.max(REFUSED)), ..retry.clone() }
                .after(attempt)
        }
        _ => retry.after(attempt),
    }
}

/// The nodes, ids and names of the instances that are only in the second of two answers.
fn instances_that_came(before: &Data, now: &Data) -> BTreeMap<(Text, Text), Text> {
    let (Data::Instances(before), Data::Instances(now)) = (before, now) else {
        return BTreeMap::new();
    };
    let known: BTreeSet<(&Text, &Text)> =
        before.iter().map(|instance| (&instance.node, &instance.id)).collect();
    let came = now.iter().filter(|instance| !known.contains(&(&instance.node, &instance.id)));
    came.map(|instance| ((instance.node.clone(), instance.id.clone()), instance.name.clone()))
        .collect()
}

/// Whether a change of a place concerns the answer to an entry.
fn concerns(changed: &Changed, entry: &Entry) -> bool {
    match &entry.query {
        Query::Instances(asked) => {
            // The instances of a proxy are registered under a name of their own.
            asked.mesh
                || changed.services.contains(asked.service.as_bytes())
                || !changed.nodes.is_empty() && entry.is_on(&changed.nodes)
        }
        _ => true,
    }
}
