//! etcd, by its protocol of version 3, as a source of keys.
//!
//! A key stands for itself and all below it: `/app` also gets `/app/x`, and not `/apple`. All
//! scopes are read as of one revision, and followed by one stream of events, which patch the
//! snapshot: after a change nothing is read. Values are bytes.
//!
//! One module a question: `range` which keys are asked for, `read` what is there, `position` as of
//! when, `watch` what happens from then on. The crate `client-etcd` talks to the nodes.

#[cfg(test)]
mod conformance;
mod position;
mod range;
mod read;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use client_etcd::{Cluster, Options};
use source::{Error, Source, Watch};
use store::{Coverage, Scope, Snapshot};

use self::range::Range;
use self::read::FirstPage;

/// A cluster of etcd.
pub struct Etcd {
    store: Arc<Store>,
}

/// The cluster, and what is known about reading it.
struct Store {
    cluster: Cluster,
    first_page: FirstPage,
}

impl Etcd {
    /// A source with these options. Nothing is connected, or read from files, before the first
    /// question.
    pub fn new(options: Options) -> Self {
        let (cluster, first_page) = (Cluster::new(options), FirstPage::default());
        Etcd { store: Arc::new(Store { cluster, first_page }) }
    }
}

impl Store {
    /// Reads all pairs in `ranges`, as of one revision that is not older than the call.
    async fn read(&self, ranges: &[Range]) -> Result<read::Reading, Error> {
        let read = |client| read::read(client, ranges, &self.first_page);
        let (_, reading) = self.cluster.ask(read).await?;
        Ok(reading)
    }
}

#[async_trait]
impl Source for Etcd {
    /// All snapshots are the same one: the pairs of all scopes, as of one revision.
    async fn read(&self, scopes: &[Scope]) -> Result<Vec<Snapshot>, Error> {
        let ranges = Range::of(scopes);
        let snapshot = match ranges.is_empty() {
            true => Snapshot::new(Coverage::Subtree),
            false => self.store.read(&ranges).await?.snapshot,
        };
        Ok(vec![snapshot; scopes.len()])
    }

    async fn watch(&self, scopes: &[Scope]) -> Result<Option<Box<dyn Watch>>, Error> {
        let store = Arc::clone(&self.store);
        Ok(Some(Box::new(watch::Following::new(store, scopes))))
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("options", self.store.cluster.options())
            .finish_non_exhaustive()
    }
}
