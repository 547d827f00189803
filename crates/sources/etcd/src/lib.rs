//! etcd, by its protocol of version 3, as a source of keys.
//!
//! A key stands for itself and all keys below it: `/app` also gets `/app/x`, but not `/apple`. All
//! scopes are read at one revision, and followed by one stream of events, which patch the snapshot:
//! after a change nothing is read again. Values are bytes.
//!
//! The modules: `description` has the options, `range` computes the ranges that are asked for,
//! `read` reads them, `position` verifies a revision, `watch` follows. The crate `client-etcd` sends
//! the requests.

#[cfg(test)]
mod conformance;
mod description;
mod position;
mod range;
mod read;
mod watch;

#[cfg(test)]
mod tests;

pub use description::DESCRIPTION;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use client_etcd::{Answerer, Cluster, Failure, Options};
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Snapshot};

use self::range::Range;
use self::read::{FirstPage, Reading, Refused};

/// A cluster of etcd.
pub struct Etcd {
    store: Arc<Store>,
}

/// The cluster, and settings that are learnt while reading.
struct Store {
    cluster: Cluster,
    first_page: FirstPage,
}

impl Etcd {
    /// Makes a source with these options. It connects to nothing and reads no file before the first
    /// request.
    pub fn new(options: Options) -> Self {
        let (cluster, first_page) = (Cluster::new(options), FirstPage::default());
        Etcd { store: Arc::new(Store { cluster, first_page }) }
    }
}

impl Store {
    /// Reads all pairs in `ranges` at one revision that is not older than the call. Adds refused
    /// ranges to `refusals`.
    async fn read(&self, ranges: &[&Range], refusals: &mut Refusals) -> Result<Reading, Error> {
        let read = |client| read::read(client, ranges, &self.first_page);
        let (node, reading) = self.cluster.ask(read).await?;
        self.note(node, ranges, &reading.refused, refusals);
        Ok(reading)
    }

    /// Reads all pairs in `ranges` at `revision`; `None` if that revision is compacted. Adds
    /// refused ranges to `refusals`.
    async fn read_at(
        &self,
        ranges: &[&Range],
        revision: i64,
        refusals: &mut Refusals,
    ) -> Result<Option<Reading>, Error> {
        let read =
            async |client| match read::read_at(client, ranges, revision, &self.first_page).await {
                Err(Failure::OutOfHistory(_)) => Ok(None),
                reading => reading.map(Some),
            };
        let (node, reading) = self.cluster.ask(read).await?;
        if let Some(reading) = &reading {
            self.note(node, ranges, &reading.refused, refusals);
        }
        Ok(reading)
    }

    /// Adds ranges that a node refused to `refusals`.
    fn note(&self, node: Answerer, ranges: &[&Range], refused: &Refused, refusals: &mut Refusals) {
        for (index, reason) in refused {
            let error = self.cluster.ended(node, Failure::Refused(reason.clone()));
            refusals.add(ranges[*index].key().clone(), error.into());
        }
    }
}

#[async_trait]
impl Source for Etcd {
    /// All snapshots are the same: the pairs of all scopes that are not refused, at one revision.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let scopes = &interest.scopes;
        let mut refusals = Refusals::default();
        let mut snapshot = no_pairs();
        let mut read: Vec<Range> = Vec::new();
        loop {
            let wanted = Range::of(refusals.allowed(scopes));
            let is_read = |range: &Range| read.iter().any(|read| read.serves(range));
            // A range that was refused may have covered ranges of other scopes.
            if wanted.iter().all(is_read) {
                return Ok(refusals.answers(scopes, &snapshot));
            }
            let ranges: Vec<&Range> = wanted.iter().collect();
            snapshot = self.store.read(&ranges, &mut refusals).await?.snapshot;
            if refusals.is_empty() {
                return Ok(refusals.answers(scopes, &snapshot));
            }
            refusals.check_any_allowed(scopes)?;
            read = wanted;
        }
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let store = Arc::clone(&self.store);
        Ok(Some(Box::new(watch::Following::new(store, interest))))
    }
}

/// A snapshot without pairs.
fn no_pairs() -> Snapshot {
    Snapshot::new(Coverage::Subtree).advising("confd reads only keys of etcd that begin with /")
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("options", self.store.cluster.options())
            .finish_non_exhaustive()
    }
}
