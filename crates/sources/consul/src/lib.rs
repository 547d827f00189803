//! Consul's key/value store as a source of keys.
//!
//! A key stands for everything that begins with it, as in confd: `/app` also gets `/app/x` and
//! `/apple`. Keys in Consul have no leading slash; this source adds it. Each prefix is listed by
//! one recursive request and followed by one blocking query. Consul answers a query when a key
//! below the prefix changes, with all pairs below the prefix.
//!
//! The modules: `description` has the options, `group` chooses the prefixes that are listed
//! together, `guard` chooses a key by which deletions are noticed, `query` makes requests and reads
//! answers, `cluster` chooses the node, `watch` follows keys, `queries` answers queries.
//! The crate `client-consul` sends the requests.

mod cluster;
#[cfg(test)]
mod conformance;
mod decode;
mod description;
mod group;
mod guard;
mod queries;
mod query;
mod watch;

#[cfg(test)]
mod tests;

pub use description::DESCRIPTION;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use client_consul::Options;
use futures_util::future::try_join_all;
use source::queries::{Queries, Settings};
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Key, Snapshot};

use self::cluster::Cluster;
use self::group::Group;

/// The most prefixes that are listed at the same time without following.
const AT_ONCE: usize = 8;

/// A datacenter of Consul.
pub struct Consul {
    cluster: Arc<Cluster>,
}

impl Consul {
    /// Makes a source with these options. It connects to nothing and reads no file before the first
    /// request.
    pub fn new(options: Options) -> Self {
        Consul { cluster: Arc::new(Cluster::new(options)) }
    }
}

/// Opens a datacenter for queries. It connects to nothing and reads no file before the first
/// request.
pub fn queries(options: Options, settings: Settings) -> Box<dyn Queries> {
    Box::new(queries::Engine::new(options, settings))
}

#[async_trait]
impl Source for Consul {
    /// All snapshots are the same: the pairs of all scopes that are not refused. The pairs of one
    /// prefix have one index; Consul cannot promise that for several prefixes.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let scopes = &interest.scopes;
        let mut refusals = Refusals::default();
        let (mut index, mut pairs) = (0, Vec::new());
        let mut read: BTreeSet<Key> = BTreeSet::new();
        loop {
            // A prefix that was refused may have covered prefixes of other scopes.
            let mut asked = group::asked(refusals.allowed(scopes));
            asked.retain(|key| !read.contains(key));
            if asked.is_empty() {
                let snapshot = Snapshot::from_pairs(Coverage::Text, pairs).at_revision(index);
                return Ok(refusals.answers(scopes, &snapshot));
            }
            read.extend(asked.iter().cloned());
            for groups in Group::of(asked, group::MOST).chunks(AT_ONCE) {
                let lists = groups.iter().map(|group| self.cluster.list(group, None));
                for listed in try_join_all(lists).await? {
                    index = listed.index.max(index);
                    pairs.extend(listed.pairs);
                    for (key, error) in listed.refused {
                        refusals.add(key, error.into());
                    }
                }
            }
            refusals.check_any_allowed(scopes)?;
        }
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let cluster = Arc::clone(&self.cluster);
        Ok(Some(Box::new(watch::Following::new(cluster, interest))))
    }
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consul").field("options", self.cluster.options()).finish_non_exhaustive()
    }
}
