//! Redis and Valkey as a source of keys: a server alone, behind Sentinel, or a cluster.
//!
//! A key stands for a string, for the fields of a hash, or for all strings below it: see `asked`.
//! Redis has no revisions. The values of up to 5,000 strings of one server are read at one moment,
//! by one command; names below a key are looked for before that.
//!
//! The modules: `description` has the options, `address` parses the nodes, `resp` is the protocol,
//! `connection` a connection, `links` finds servers and connects to them, `cluster` and `slot` know where
//! a cluster has a key, `asked` spells keys, `read` reads what they stand for, with `values` for strings,
//! `watch` follows them, with what is `held`, by events of a `subscription`, if `notifications` says that
//! there are some; `failure` explains errors.

mod address;
mod asked;
mod cluster;
#[cfg(test)]
mod conformance;
mod connection;
mod description;
mod failure;
mod held;
mod links;
mod notifications;
mod read;
mod resp;
mod slot;
mod subscription;
mod values;
mod watch;

#[cfg(test)]
mod tests;

pub use description::DESCRIPTION;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Key, Scope, Snapshot};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::address::Login;
use crate::asked::{Asked, Spelling};
use crate::connection::Limits;
use crate::failure::Failure;
use crate::held::Held;
use crate::links::{Finder, Links};
use crate::read::Content;

/// How often a cluster is asked where its keys are, before it is an error that they are elsewhere.
pub(crate) const MOVES: usize = 10;

/// The pause before that: the members of a cluster learn of a move one after the other.
pub(crate) const MOVING: Duration = Duration::from_millis(200);

/// What the user chose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// The addresses of the nodes.
    nodes: Vec<String>,
    /// Whether the user has chosen no node.
    nodes_are_default: bool,
    /// Whether an address without a scheme uses TLS.
    tls_is_default: bool,
    tls: tls::Options,
    /// Who logs in where the address of the node does not say it.
    login: Option<Login>,
    /// The name of the master, if the nodes are Sentinels.
    sentinel: Option<String>,
    spelling: Spelling,
    limits: Limits,
    /// The time between two readings if the server reports no changes.
    poll: Duration,
}

/// The servers of Redis that have the keys.
pub struct Redis {
    finder: Arc<Finder>,
    /// The connections of the last reading.
    links: Mutex<Option<Links>>,
}

impl Redis {
    /// Makes a source with these options. It connects to nothing and reads no file before the first
    /// request.
    pub(crate) fn new(options: Options) -> Self {
        Redis { finder: Arc::new(Finder::new(options)), links: Mutex::new(None) }
    }

    /// Reads what each of these keys stands for.
    async fn contents(
        &self,
        asked: &[(&Asked, bool)],
    ) -> Result<Vec<Result<Option<Content>, nodes::Error>>, Error> {
        let mut kept = self.links.lock().await;
        let spelling = &self.finder.options.spelling;
        // The server may have closed the connections of the last reading, and a cluster may have
        // moved keys.
        if let Some(mut links) = kept.take()
            && let Ok(contents) = read::read(&mut links, spelling, asked).await
        {
            *kept = Some(links);
            return Ok(contents);
        }
        let mut tries = 0;
        loop {
            let mut links = self.finder.connect().await?;
            match read::read(&mut links, spelling, asked).await {
                Ok(contents) => {
                    *kept = Some(links);
                    return Ok(contents);
                }
                Err((_, Failure::Moved(_))) if tries < MOVES => {
                    tries += 1;
                    sleep_until(Instant::now() + MOVING).await;
                }
                Err(failed) => {
                    self.finder.leave(&links);
                    return Err(links.error(failed).into());
                }
            }
        }
    }
}

#[async_trait]
impl Source for Redis {
    /// Each scope has a snapshot of its own, of exactly what its keys stand for.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let keys: Vec<&Key> = distinct(&interest.scopes);
        if keys.is_empty() {
            return Ok(interest.scopes.iter().map(|_| Ok(no_pairs())).collect());
        }
        let spelling = &self.finder.options.spelling;
        let asked: Vec<Asked> = keys.iter().map(|key| spelling.asked(key)).collect();
        let asked: Vec<(&Asked, bool)> = asked.iter().map(|asked| (asked, false)).collect();
        let contents = self.contents(&asked).await?;
        let mut refusals = Refusals::default();
        let mut read: BTreeMap<&Key, Held> = BTreeMap::new();
        for (key, content) in keys.into_iter().zip(contents) {
            match content {
                Ok(content) => read.extend(content.map(|content| (key, Held::new(content)))),
                Err(error) => refusals.add(key.clone(), error.into()),
            }
        }
        refusals.check_any_allowed(&interest.scopes)?;
        let answer = |scope| answer(scope, &refusals, |key| read.get(key).map(Held::snapshot));
        Ok(interest.scopes.iter().map(answer).collect())
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let finder = Arc::clone(&self.finder);
        Ok(Some(Box::new(watch::Following::new(finder, interest))))
    }
}

/// The keys of all scopes, each once.
fn distinct<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Vec<&'a Key> {
    let mut keys: Vec<&Key> = scopes.into_iter().flat_map(Scope::iter).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// The answer to a scope, from the pairs of each of its keys.
fn answer<'a>(
    scope: &Scope,
    refusals: &Refusals,
    of: impl Fn(&Key) -> Option<&'a Snapshot>,
) -> Answer {
    let mut all: Vec<&Snapshot> = scope.iter().filter_map(of).collect();
    // The largest one is shared, and the others are added to it.
    all.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.len()));
    let mut all = all.into_iter();
    let mut snapshot = all.next().cloned().unwrap_or_else(no_pairs);
    for pairs in all {
        for (key, value) in pairs.iter() {
            snapshot.insert(key.clone(), value.clone());
        }
    }
    refusals.answers(std::slice::from_ref(scope), &snapshot).swap_remove(0)
}

/// A snapshot without pairs. What a key stands for depends on its type, so a snapshot has exactly what
/// its scope asks for.
fn no_pairs() -> Snapshot {
    Snapshot::new(Coverage::Exact).advising(
        "of Redis, confd reads strings, and the fields of a hash that `keys` names itself",
    )
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("options", &self.finder.options).finish_non_exhaustive()
    }
}
