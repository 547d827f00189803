//! Consul's key/value store as a source of keys.
//!
//! A key stands for everything that begins with it, as in confd: `/app` also gets `/app/x` and
//! `/apple`. Keys have no leading slash in Consul, and get one here. Each prefix is listed by one
//! recursive request, and followed by one blocking query, which is answered when something in it
//! changes, with all that it holds then.
//!
//! One module a question: `group` which prefixes are listed together, `query` what is asked and what
//! an answer means, `cluster` which node is asked, `watch` what happens after the first listing. The
//! crate `client-consul` talks to the nodes.

mod cluster;
#[cfg(test)]
mod conformance;
mod group;
mod query;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use client_consul::Options;
use futures_util::future::try_join_all;
use source::{Error, Source, Watch};
use store::{Coverage, Scope, Snapshot};

use self::cluster::Cluster;
use self::group::Group;

/// How many prefixes are listed at once where nobody follows them.
const AT_ONCE: usize = 8;

/// A datacenter of Consul.
pub struct Consul {
    cluster: Arc<Cluster>,
}

impl Consul {
    /// A source with these options. Nothing is connected, or read from files, before the first
    /// question.
    pub fn new(options: Options) -> Self {
        Consul { cluster: Arc::new(Cluster::new(options)) }
    }
}

#[async_trait]
impl Source for Consul {
    /// All snapshots are the same one: the pairs of all scopes. Each prefix is as of one index;
    /// Consul cannot promise it for several.
    async fn read(&self, scopes: &[Scope]) -> Result<Vec<Snapshot>, Error> {
        let groups = Group::of(scopes, group::MOST);
        let mut listings = Vec::new();
        for groups in groups.chunks(AT_ONCE) {
            listings
                .extend(try_join_all(groups.iter().map(|group| self.cluster.list(group))).await?);
        }
        let index = listings.iter().map(|listing| listing.index).max().unwrap_or_default();
        let pairs = listings.into_iter().flat_map(|listing| listing.pairs);
        let snapshot = Snapshot::from_pairs(Coverage::Text, pairs).at_revision(index);
        Ok(vec![snapshot; scopes.len()])
    }

    async fn watch(&self, scopes: &[Scope]) -> Result<Option<Box<dyn Watch>>, Error> {
        let cluster = Arc::clone(&self.cluster);
        Ok(Some(Box::new(watch::Following::new(cluster, scopes))))
    }
}

impl fmt::Debug for Consul {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consul").field("options", self.cluster.options()).finish_non_exhaustive()
    }
}
