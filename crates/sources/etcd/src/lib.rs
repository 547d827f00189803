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
use client_etcd::{Answerer, Cluster, Failure, Options};
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Snapshot};

use self::range::Range;
use self::read::{FirstPage, Reading, Refused};

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
    /// Reads all pairs in `ranges`, as of one revision that is not older than the call. Adds what the
    /// store refuses to `refusals`.
    async fn read(&self, ranges: &[&Range], refusals: &mut Refusals) -> Result<Reading, Error> {
        let read = |client| read::read(client, ranges, &self.first_page);
        let (node, reading) = self.cluster.ask(read).await?;
        self.note(node, ranges, &reading.refused, refusals);
        Ok(reading)
    }

    /// Reads all pairs in `ranges`, as of `revision`; `None` if the history does not go back to it. Adds
    /// what the store refuses to `refusals`.
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

    /// Adds what a node refuses to `refusals`.
    fn note(&self, node: Answerer, ranges: &[&Range], refused: &Refused, refusals: &mut Refusals) {
        for (index, reason) in refused {
            let error = self.cluster.ended(node, Failure::Refused(reason.clone()));
            refusals.add(ranges[*index].key().clone(), error.into());
        }
    }
}

#[async_trait]
impl Source for Etcd {
    /// All snapshots are the same one: the pairs of all scopes that are not refused, as of one revision.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let scopes = &interest.scopes;
        let mut refusals = Refusals::default();
        let mut snapshot = Snapshot::new(Coverage::Subtree);
        let mut read: Vec<Range> = Vec::new();
        loop {
            let wanted = Range::of(refusals.allowed(scopes));
            let is_read = |range: &Range| read.iter().any(|read| read.serves(range));
            // A range that was refused may have been in the place of ranges of other scopes.
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

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd")
            .field("options", self.store.cluster.options())
            .finish_non_exhaustive()
    }
}
