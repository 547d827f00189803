//! etcd, by its protocol of version 3, as a source of keys.
//!
//! A key stands for itself and all below it: `/app` also gets `/app/x`, and not `/apple`. All
//! scopes are read as of one revision, and followed by one stream of events, which patch the
//! snapshot: after a change nothing is read. Values are bytes.
//!
//! One module a question: `node` where a node is, `connect` how it is talked to, `failure` what a
//! failed request means, `cluster` which node is asked, `range` for which keys, `read` what is
//! there, `position` as of when, `watch` what happens from then on.

mod cluster;
mod connect;
mod failure;
mod node;
mod position;
mod range;
mod read;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use store::{Coverage, Scope, Snapshot};

use self::cluster::Cluster;
use self::range::Range;
use crate::{Backend, Error, Watch, tls};

/// What errors and log lines call it.
const NAME: &str = "etcd";

/// Where etcd is, and who asks.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The nodes: `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`, each by itself. The
    /// first form is TLS if `tls` has a CA, or a certificate with its key. Without a port it is
    /// 2379.
    pub nodes: Vec<String>,
    /// How TLS is done, with the nodes that it is done with.
    pub tls: tls::Options,
    /// User name and password. A server without users is asked all the same.
    pub user: Option<(String, String)>,
}

impl fmt::Debug for Options {
    /// All but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("nodes", &self.nodes)
            .field("tls", &self.tls)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish_non_exhaustive()
    }
}

/// A cluster of etcd.
pub struct Etcd {
    cluster: Arc<Cluster>,
}

impl Etcd {
    /// A source with these options. Nothing is connected, or read from files, before the first
    /// question.
    pub fn new(options: Options) -> Self {
        Etcd { cluster: Arc::new(Cluster::new(options)) }
    }
}

#[async_trait]
impl Backend for Etcd {
    /// All snapshots are the same one: the pairs of all scopes, as of one revision.
    async fn read(&self, scopes: &[Scope]) -> Result<Vec<Snapshot>, Error> {
        let ranges = Range::of(scopes);
        let snapshot = match ranges.is_empty() {
            true => Snapshot::new(Coverage::Subtree),
            false => {
                let first_page = &self.cluster.first_page;
                let read = |client| read::read(client, &ranges, first_page);
                let (_, reading) = self.cluster.ask(read).await?;
                reading.snapshot
            }
        };
        Ok(vec![snapshot; scopes.len()])
    }

    async fn watch(&self, scopes: &[Scope]) -> Result<Option<Box<dyn Watch>>, Error> {
        let cluster = Arc::clone(&self.cluster);
        Ok(Some(Box::new(watch::Following::new(cluster, scopes))))
    }
}

impl fmt::Debug for Etcd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcd").field("options", self.cluster.options()).finish_non_exhaustive()
    }
}
