//! Scopes that are followed: one blocking query for each group of prefixes.
//!
//! Each answer is all that a group holds, so an answer is compared with what is known, and what
//! differs is the change. The index of an answer says only where the next query goes on. It starts
//! anew, without an index, after anything that may mean another history: a failed query, an index
//! that has gone backwards (the server was wiped, or restored from a backup), an index of zero.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use source::{Error, Tracked, Update, Watch};
use store::{Coverage, Scope, Snapshot};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::cluster::Cluster;
use super::group::{self, Group};
use super::query::Listing;

/// How long a query rests after one that was answered early without a difference: at first, and at
/// most. Consul also answers for neighbours of an empty prefix, and for what is listed and not
/// asked for.
const FIRST_REST: Duration = Duration::from_millis(10);
const LONGEST_REST: Duration = Duration::from_millis(500);

/// How soon a query fails whose connection is not taken. The longest rest is shorter.
const AT_ONCE: Duration = Duration::from_secs(1);

/// Scopes that are followed.
pub(super) struct Following {
    cluster: Arc<Cluster>,
    scopes: Vec<Scope>,
    groups: Vec<Followed>,
    pairs: Tracked,
    /// Whether the first state was given.
    begun: bool,
    /// The queries that are being answered. Here they outlive the future that waits for them.
    queries: FuturesUnordered<BoxFuture<'static, Outcome>>,
}

/// A group, and where it stands.
struct Followed {
    group: Arc<Group>,
    /// Where the next query goes on; `None` if it is to ask for what there is now.
    index: Option<u64>,
    /// Whether what it holds is known.
    known: bool,
    /// Since when a query is on its way, if one is.
    asked: Option<Instant>,
    /// Whether the last query failed as soon as it was sent.
    turned_away: bool,
    /// How long the next query rests before it is sent.
    rest: Duration,
}

/// What became of a query.
struct Outcome {
    /// Which group it was for.
    group: usize,
    sent: Instant,
    listing: Result<Listing, nodes::Error>,
}

impl Following {
    pub(super) fn new(cluster: Arc<Cluster>, scopes: &[Scope]) -> Self {
        Following {
            cluster,
            scopes: scopes.to_vec(),
            groups: Followed::of(scopes, group::MOST),
            pairs: Tracked::new(Snapshot::new(Coverage::Text)),
            begun: false,
            queries: FuturesUnordered::new(),
        }
    }

    /// Sends a query for each group that has none. Before the first state nobody waits for changes:
    /// the connections of those who do may be the last that Consul takes.
    fn ask(&mut self) {
        for (number, followed) in self.groups.iter_mut().enumerate() {
            if followed.asked.is_none() && (self.begun || !followed.known) {
                followed.asked = Some(Instant::now());
                self.queries.push(followed.query(number, &self.cluster));
            }
        }
    }

    /// Takes in what became of a query.
    fn take(&mut self, outcome: Outcome) -> Result<(), Error> {
        let followed = &mut self.groups[outcome.group];
        followed.asked = None;
        let listing = match outcome.listing {
            Ok(listing) => listing,
            Err(error) => {
                followed.index = None;
                // Fewer queries would ask for what is refused together with what is not, and Consul
                // then hides it without a word.
                if error.is_refusal() {
                    return Err(error.into());
                }
                let turned_away_before = followed.turned_away;
                followed.turned_away = outcome.sent.elapsed() < AT_ONCE;
                let again = turned_away_before && followed.turned_away;
                // Who is turned away is often not told why: then others of ours wait undisturbed.
                // Where the network or the server is gone they do not.
                let mut asked = self.groups.iter().filter_map(|other| other.asked);
                let others_wait = asked.any(|asked| asked + AT_ONCE < outcome.sent);
                if error.is_too_many_connections() || again && others_wait {
                    self.regroup();
                }
                return Err(error.into());
            }
        };
        followed.turned_away = false;
        let differs = replace(&mut self.pairs, &followed.group, &listing.pairs);
        self.pairs.at_revision(listing.index.max(self.pairs.snapshot().revision()));
        let early = followed.known && outcome.sent.elapsed() < self.cluster.options().wait / 2;
        followed.rest = match (early, differs) {
            (true, false) => (followed.rest * 2).clamp(FIRST_REST, LONGEST_REST),
            _ => Duration::ZERO,
        };
        if followed.index > Some(listing.index) {
            debug!(
                "consul: the index of {} went backwards: it is read anew",
                followed.group.name()
            );
            followed.index = None;
        } else {
            followed.index = Some(listing.index).filter(|index| *index > 0);
        }
        followed.known = true;
        Ok(())
    }

    /// Makes do with half as many queries, since others may need the connections that Consul takes
    /// from one address as well. What is known stays known, and is compared.
    fn regroup(&mut self) {
        let half = self.groups.len() / 2;
        if half > 0 {
            debug!("consul: {half} queries have to do");
            self.queries.clear();
            self.groups = Followed::of(&self.scopes, half);
        }
    }

    /// What there is to tell, if there is something.
    fn update(&mut self) -> Option<Update> {
        if !self.begun {
            if !self.groups.iter().all(|followed| followed.known) {
                return None;
            }
            self.begun = true;
            self.pairs.take_changed();
            return Some(Update { snapshots: self.snapshots(), changed: None });
        }
        let changed = self.pairs.take_changed();
        let some = !changed.is_empty();
        some.then(|| Update { snapshots: self.snapshots(), changed: Some(changed) })
    }

    fn snapshots(&self) -> Vec<Snapshot> {
        vec![self.pairs.snapshot().clone(); self.scopes.len()]
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // Whatever is waited for below, what was learnt before is in `self`: the future may be
        // dropped anywhere.
        loop {
            // What ended while nobody waited, for good or ill, is taken in first.
            while let Some(Some(outcome)) = self.queries.next().now_or_never() {
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
                Some(outcome) => self.take(outcome)?,
            }
        }
    }
}

impl Followed {
    /// Everything that the scopes ask for, in so many groups at most.
    fn of(scopes: &[Scope], most: usize) -> Vec<Self> {
        let new = |group| Followed {
            group: Arc::new(group),
            index: None,
            known: false,
            asked: None,
            turned_away: false,
            rest: Duration::ZERO,
        };
        Group::of(scopes, most).into_iter().map(new).collect()
    }

    fn query(&self, number: usize, cluster: &Arc<Cluster>) -> BoxFuture<'static, Outcome> {
        let (cluster, group) = (Arc::clone(cluster), Arc::clone(&self.group));
        let (index, rest) = (self.index, self.rest);
        Box::pin(async move {
            match rest.is_zero() {
                false => sleep_until(Instant::now() + rest).await,
                // Whoever has just been told of a change acts on it first: asking for the next takes
                // time too, and the index sees to it that nothing is lost meanwhile.
                true => yield_now().await,
            }
            let sent = Instant::now();
            let listing = match index {
                Some(index) => cluster.list_beyond(&group, index).await,
                None => cluster.list(&group).await,
            };
            Outcome { group: number, sent, listing }
        })
    }
}

/// Puts the pairs of a group in the place of those known of it, both sorted by key. Says whether
/// any was another.
fn replace(known: &mut Tracked, group: &Group, pairs: &[(Bytes, Bytes)]) -> bool {
    let mut listed = pairs.iter().map(|(key, _)| key).peekable();
    let is_gone = |key: &&Bytes| {
        while listed.next_if(|listed| listed < key).is_some() {}
        listed.peek() != Some(key)
    };
    let before = known.snapshot().beginning_with(&group.head).map(|(key, _)| key);
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
