//! Follows an interest, with one blocking query for each group of prefixes, and one for a key of
//! the group that guards it (see `guard`).
//!
//! Each answer has all pairs of a group. It is compared with the known pairs, and the differences
//! are the change. The next query waits for a change after the index of the answer. A query without
//! an index reads again. It is sent after anything that may mean a different history: a failed
//! query, an index that has fallen (the server was wiped or restored from a backup, or a reread has
//! overtaken the query), an index of zero.
//!
//! A reread (a regular reading, in case a change was missed) lists one group after the other, beside
//! the blocking queries. These stay open: Consul keeps a blocking query, and counts its connection,
//! until the wait of the query is over, also if the client closes the connection. If each reread
//! opened new blocking queries, the old queries could use all connections that Consul accepts.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable, Aborted, BoxFuture, abortable};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use source::{Error, Interest, Refusals, Tracked, Update, Watch};
use store::{Coverage, Key, Snapshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::cluster::{Cluster, Listed};
use super::group::{self, Group};
use super::guard::{Guard, State};

/// The delay of a query after a query that returned early without a difference: at first, and at
/// most. Consul also answers after changes of neighbours of an empty prefix, and of listed keys
/// that no scope asks for.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_millis(500);

/// A query that fails within this time counts as refused because of too many connections. The
/// longest delay is shorter.
const AT_ONCE: Duration = Duration::from_secs(1);

/// An interest that is followed.
pub(super) struct Following {
    cluster: Arc<Cluster>,
    interest: Interest,
    refusals: Refusals,
    /// The prefixes that are asked for and not refused: see [`group::asked`].
    wanted: Vec<Key>,
    /// The most groups.
    most: usize,
    groups: Vec<Followed>,
    /// The greatest number of a group so far.
    last_id: u64,
    pairs: Tracked,
    /// The prefixes of the last reported state; `None` before the first.
    given: Option<Vec<Key>>,
    /// Whether a state must be reported although no value has changed.
    is_due: bool,
    /// The running reread of a group.
    rereading: Option<Query>,
    /// The running queries. They continue if the future that waits for them is dropped.
    queries: FuturesUnordered<Abortable<BoxFuture<'static, Outcome>>>,
}

/// A group and the state of its query.
struct Followed {
    /// Its number. Numbers are never used again.
    id: u64,
    group: Arc<Group>,
    /// The index for the next query; `None` if the next query must read again.
    index: Option<u64>,
    /// The index of the last answer, of a query or of a reread, with which an older answer is compared.
    answered: Option<u64>,
    /// Whether its content is known.
    known: bool,
    /// The running query.
    query: Option<Query>,
    /// The key that guards the group, and its running query; `None` as long as the group has no key.
    guard: Option<(Guard, Option<Query>)>,
    /// Whether the last query failed.
    failed: bool,
    /// Whether the last query, or the last one for the guard, failed immediately.
    turned_away: bool,
    /// The delay before the next query.
    rest: Duration,
    /// Whether it must be listed once more, beside its query.
    is_to_be_reread: bool,
}

/// A running query. Dropping this ends the query.
struct Query {
    since: Instant,
    handle: AbortHandle,
}

impl Drop for Query {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// The result of a query.
struct Outcome {
    /// The number of its group.
    group: u64,
    sent: Instant,
    end: End,
}

/// What a query was for, and its result.
enum End {
    Listed(Result<Listed, nodes::Error>),
    Reread(Result<Listed, nodes::Error>),
    Guard(Result<State, nodes::Error>),
}

impl Following {
    pub(super) fn new(cluster: Arc<Cluster>, interest: &Interest) -> Self {
        let mut following = Following {
            cluster,
            interest: interest.clone(),
            refusals: Refusals::default(),
            wanted: Vec::new(),
            most: group::FOLLOWED,
            groups: Vec::new(),
            last_id: 0,
            pairs: Tracked::new(Snapshot::new(Coverage::Text)),
            given: None,
            is_due: true,
            rereading: None,
            queries: FuturesUnordered::new(),
        };
        following.want();
        following
    }

    /// Selects the prefixes that are asked for and not refused, and forgets all other pairs.
    fn want(&mut self) {
        self.wanted = group::asked(self.refusals.allowed(&self.interest.scopes));
        let keys = self.pairs.snapshot().iter().map(|(key, _)| key);
        let is_gone = |key: &&Bytes| !group::covers(&self.wanted, key);
        let gone: Vec<Bytes> = keys.filter(is_gone).cloned().collect();
        gone.iter().for_each(|key| self.pairs.delete(key));
        self.regroup();
        self.is_due = true;
    }

    /// Groups the selected prefixes. A group that stays keeps its query. A new group whose prefixes
    /// are known continues from their index, so nothing is read again unless something has changed.
    fn regroup(&mut self) {
        let mut before = std::mem::take(&mut self.groups);
        for group in Group::of(self.wanted.clone(), self.most) {
            let same = before.iter().position(|followed| *followed.group == group);
            let followed = match same {
                Some(index) => before.swap_remove(index),
                None => {
                    self.last_id += 1;
                    Followed::new(self.last_id, group, &before)
                }
            };
            self.groups.push(followed);
        }
    }

    /// Whether all selected prefixes are known, and every query after the last failure has
    /// succeeded.
    fn is_complete(&self) -> bool {
        self.groups.iter().all(|followed| followed.known && !(self.is_due && followed.failed))
    }

    /// Starts a query for each group that has none. While a prefix is unknown, no query waits for
    /// changes: waiting queries could use the last connections that Consul accepts.
    fn ask(&mut self) {
        let is_complete = self.is_complete();
        for followed in &mut self.groups {
            let is_doubtful = !followed.known || followed.failed;
            if followed.query.is_none() && (is_complete || is_doubtful) {
                let (query, handle) = abortable(followed.query(&self.cluster));
                followed.query = Some(Query { since: Instant::now(), handle });
                self.queries.push(query);
            }
        }
        if is_complete {
            self.guard_groups();
        }
        let mut rereads = self.groups.iter().filter(|followed| followed.is_to_be_reread);
        if is_complete
            && self.rereading.is_none()
            && let Some(followed) = rereads.next()
        {
            let (query, handle) = abortable(followed.reread(&self.cluster));
            self.rereading = Some(Query { since: Instant::now(), handle });
            self.queries.push(query);
        }
    }

    /// Starts a query for the guard of each group that has pairs and waits for a change.
    fn guard_groups(&mut self) {
        for followed in &mut self.groups {
            let Some(index) = followed.index.filter(|_| followed.query.is_some()) else { continue };
            if followed.guard.is_none() {
                let keys = self.pairs.snapshot().beginning_with(&followed.group.head);
                let keys = keys.map(|(key, _)| key).filter(|key| followed.group.covers(key));
                let guard = Guard::of(keys.map(|key| key.strip_prefix(b"/").unwrap_or(key)));
                followed.guard = guard.map(|guard| (guard, None));
            }
            if let Some((guard, running @ None)) = &mut followed.guard {
                let (id, cluster) = (followed.id, Arc::clone(&self.cluster));
                let (key, index, pause) = (guard.key().clone(), guard.index(index), guard.pause());
                let query = async move {
                    sleep_until(Instant::now() + pause).await;
                    let sent = Instant::now();
                    let end = End::Guard(cluster.wait_for_key(&key, index).await);
                    Outcome { group: id, sent, end }
                };
                let (query, handle) = abortable(query.boxed());
                *running = Some(Query { since: Instant::now(), handle });
                self.queries.push(query);
            }
        }
    }

    /// Processes the result of a query.
    fn take(&mut self, Outcome { group, sent, end }: Outcome) -> Result<(), Error> {
        match end {
            End::Listed(listed) => self.take_listed(group, sent, listed),
            End::Reread(listed) => {
                self.rereading = None;
                self.take_reread(group, listed)
            }
            End::Guard(state) => {
                self.take_guard(group, sent, state);
                Ok(())
            }
        }
    }

    fn take_listed(
        &mut self,
        group: u64,
        sent: Instant,
        listed: Result<Listed, nodes::Error>,
    ) -> Result<(), Error> {
        let is_its = |followed: &&mut Followed| followed.id == group;
        let Some(followed) = self.groups.iter_mut().find(is_its) else { return Ok(()) };
        followed.query = None;
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => {
                followed.read_again();
                followed.failed = true;
                self.note_failure(group, sent, &error);
                return Err(error.into());
            }
        };
        followed.turned_away = false;
        if !listed.refused.is_empty() {
            return self.take_refused(group, listed);
        }
        if followed.index.is_some() && followed.answered > Some(listed.index) {
            debug!(
                "consul: an answer for {} is older than the known one, or the index went backwards: it is \
                 read anew",
                followed.group.name()
            );
            followed.read_again();
            followed.rest = (followed.rest * 2).clamp(FIRST_REST, LONGEST_REST);
            return Ok(());
        }
        let differs = replace(&mut self.pairs, &followed.group, &listed.pairs);
        self.pairs.at_revision(listed.index.max(self.pairs.snapshot().revision()));
        followed.guard.take_if(|(guard, _)| !is_listed(&listed.pairs, guard.key()));
        let early = followed.known && sent.elapsed() < self.cluster.options().wait / 2;
        followed.rest = match (early, differs) {
            (true, false) => (followed.rest * 2).clamp(FIRST_REST, LONGEST_REST),
            _ => Duration::ZERO,
        };
        followed.index = Some(listed.index).filter(|index| *index > 0);
        followed.answered = Some(listed.index);
        (followed.known, followed.failed) = (true, false);
        Ok(())
    }

    /// Notes that a query failed, and makes do with fewer queries if Consul accepts no more.
    fn note_failure(&mut self, group: u64, sent: Instant, error: &nodes::Error) {
        let is_its = |followed: &&mut Followed| followed.id == group;
        let Some(followed) = self.groups.iter_mut().find(is_its) else { return };
        let turned_away_before = followed.turned_away;
        followed.turned_away = sent.elapsed() < AT_ONCE;
        let again = turned_away_before && followed.turned_away;
        // Consul often closes a connection over the limit without a reason. It is the limit, not an
        // outage, if our other queries stay open.
        let mut others = self.groups.iter().filter_map(|other| other.query.as_ref());
        let others_wait = others.any(|query| query.since + AT_ONCE < sent);
        if error.is_too_many_connections() || again && others_wait {
            self.make_do();
        }
    }

    /// Processes what is known of a guard.
    fn take_guard(&mut self, group: u64, sent: Instant, state: Result<State, nodes::Error>) {
        let is_its = |followed: &&mut Followed| followed.id == group;
        let Some(followed) = self.groups.iter_mut().find(is_its) else { return };
        let Some((guard, running)) = &mut followed.guard else { return };
        *running = None;
        match state {
            Ok(state) => {
                guard.answered(&state);
                if let State::Missing = state {
                    (followed.index, followed.query) = (None, None);
                    followed.rest = Duration::ZERO;
                }
            }
            // If the node has failed, the group's query reports that.
            Err(error) => {
                guard.failed();
                debug!("consul: a key of {} did not answer: {error}", followed.group.name());
                self.note_failure(group, sent, &error);
            }
        }
    }

    /// Processes the result of a reread.
    fn take_reread(
        &mut self,
        group: u64,
        listed: Result<Listed, nodes::Error>,
    ) -> Result<(), Error> {
        let is_its = |followed: &&mut Followed| followed.id == group;
        let Some(followed) = self.groups.iter_mut().find(is_its) else { return Ok(()) };
        followed.is_to_be_reread = false;
        match listed {
            // If the node has failed, the group's query reports that.
            Err(error) => debug!("consul: {} could not be reread: {error}", followed.group.name()),
            Ok(listed) if !listed.refused.is_empty() => {
                followed.query = None;
                return self.take_refused(group, listed);
            }
            // Either the store has a different history, or the group's query was answered after the
            // reread. The next query shows which.
            Ok(listed) if followed.index.is_none_or(|index| listed.index < index) => {
                followed.read_again();
                followed.query = None;
            }
            Ok(listed) => {
                replace(&mut self.pairs, &followed.group, &listed.pairs);
                followed.answered = Some(listed.index);
                self.pairs.at_revision(listed.index.max(self.pairs.snapshot().revision()));
            }
        }
        Ok(())
    }

    /// Continues without the refused prefixes of a group.
    ///
    /// # Errors
    ///
    /// Every prefix is refused. The known pairs are kept, and all prefixes are asked for again.
    fn take_refused(&mut self, group: u64, listed: Listed) -> Result<(), Error> {
        for (key, error) in listed.refused {
            self.refusals.add(key, error.into());
        }
        let was_due = self.is_due;
        let checked = self.refusals.check_any_allowed(&self.interest.scopes);
        if let Some(followed) = self.groups.iter_mut().find(|followed| followed.id == group) {
            // The rest of the group is asked for again.
            followed.read_again();
            followed.failed = true;
        }
        self.want();
        // If every prefix is refused, the error is the report.
        self.is_due = checked.is_ok() || was_due;
        checked
    }

    /// Halves the number of queries, because other programs may also need the connections that
    /// Consul accepts from this address.
    fn make_do(&mut self) {
        let half = self.groups.len() / 2;
        if half > 0 {
            debug!("consul: {half} queries have to do");
            self.most = half;
            self.regroup();
        }
    }

    /// The state to report, if there is one.
    fn update(&mut self) -> Option<Update> {
        if !self.is_complete() {
            return None;
        }
        let mut changed = self.pairs.take_changed();
        let changed = self.given.as_ref().map(|given| {
            changed.retain(|key| group::covers(given, key) && group::covers(&self.wanted, key));
            changed
        });
        if !self.is_due && changed.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        if std::mem::take(&mut self.is_due) {
            self.given = Some(self.wanted.clone());
        }
        let answers = self.refusals.answers(&self.interest.scopes, self.pairs.snapshot());
        Some(Update { answers, changed })
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // All progress is kept in `self` before each wait, because the future may be dropped at
        // every wait.
        loop {
            // Queries that have ended in the meantime are processed first.
            while let Some(Some(outcome)) = self.queries.next().now_or_never() {
                let Ok(outcome) = outcome else { continue };
                if let Err(error) = self.take(outcome) {
                    debug!("consul: asked again after: {error}");
                }
            }
            if let Some(update) = self.update() {
                return Ok(update);
            }
            self.ask();
            match self.queries.next().await {
                None => return std::future::pending().await,
                Some(Ok(outcome)) => self.take(outcome)?,
                // The query is not needed any more.
                Some(Err(Aborted)) => {}
            }
        }
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.interest = interest.clone();
        self.refusals.clear();
        self.want();
    }

    fn reread(&mut self) {
        self.groups.iter_mut().for_each(|followed| followed.is_to_be_reread = true);
    }
}

impl Followed {
    /// A group that continues from earlier groups, if these knew all of its prefixes.
    fn new(id: u64, group: Group, before: &[Followed]) -> Self {
        let knows = |key: &Key| {
            let known = before.iter().filter(|followed| followed.known);
            known.into_iter().find(|followed| followed.group.covers(key.as_bytes()))
        };
        let sources: Option<Vec<&Followed>> = group.asked().iter().map(knows).collect();
        let known = sources.is_some();
        let sources = sources.unwrap_or_default();
        Followed {
            id,
            index: sources.iter().map(|followed| followed.index).min().flatten(),
            answered: sources.iter().map(|followed| followed.answered).min().flatten(),
            failed: sources.iter().any(|followed| followed.failed),
            known,
            group: Arc::new(group),
            query: None,
            guard: None,
            turned_away: false,
            rest: Duration::ZERO,
            is_to_be_reread: sources.iter().any(|followed| followed.is_to_be_reread),
        }
    }

    /// Makes the next query read again, because the history may be different.
    fn read_again(&mut self) {
        (self.index, self.guard) = (None, None);
    }

    fn query(&self, cluster: &Arc<Cluster>) -> BoxFuture<'static, Outcome> {
        let (id, cluster, group) = (self.id, Arc::clone(cluster), Arc::clone(&self.group));
        let (index, answered, rest) = (self.index, self.answered, self.rest);
        Box::pin(async move {
            match rest.is_zero() {
                false => sleep_until(Instant::now() + rest).await,
                // The caller first gets the time to process the change. The next query also takes
                // time, and its index makes sure that no change is lost.
                true => yield_now().await,
            }
            let sent = Instant::now();
            let listed = match index {
                Some(index) => cluster.list_beyond(&group, index).await,
                None => cluster.list(&group, answered).await,
            };
            Outcome { group: id, sent, end: End::Listed(listed) }
        })
    }

    /// Lists the group, beside its query.
    fn reread(&self, cluster: &Arc<Cluster>) -> BoxFuture<'static, Outcome> {
        let (id, cluster, group) = (self.id, Arc::clone(cluster), Arc::clone(&self.group));
        let answered = self.answered;
        Box::pin(async move {
            let sent = Instant::now();
            let listed = cluster.list(&group, answered).await;
            Outcome { group: id, sent, end: End::Reread(listed) }
        })
    }
}

/// Whether a key, without the slash at its beginning, is in a list that is sorted by key.
fn is_listed(pairs: &[(Bytes, Bytes)], key: &[u8]) -> bool {
    pairs
        .binary_search_by(|(listed, _)| listed.strip_prefix(b"/").unwrap_or(listed).cmp(key))
        .is_ok()
}

/// Replaces the known pairs of a group; both lists are sorted by key. Returns whether a pair
/// differs.
fn replace(known: &mut Tracked, group: &Group, pairs: &[(Bytes, Bytes)]) -> bool {
    let mut listed = pairs.iter().map(|(key, _)| key).peekable();
    let is_gone = |key: &&Bytes| {
        while listed.next_if(|listed| listed < key).is_some() {}
        listed.peek() != Some(key)
    };
    let before = known.snapshot().beginning_with(&group.head).map(|(key, _)| key);
    let before = before.filter(|key| group.covers(key));
    let gone: Vec<Bytes> = before.filter(is_gone).cloned().collect();
    let mut differs = !gone.is_empty();
    for key in gone {
        known.delete(&key);
    }
    for (key, value) in pairs {
        if known.snapshot().get(key) != Some(value) {
            known.put(key.clone(), value.clone());
            differs = true;
        }
    }
    differs
}
