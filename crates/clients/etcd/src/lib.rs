//! A client of etcd, by its protocol of version 3: reading, following and writing.
//!
//! [`Cluster`] holds the connections. [`Cluster::ask`] puts a question to one node after the other
//! until one answers; a question is a closure over an [`etcd_client::Client`] of one node. Signing in,
//! renewing a token, certificates that are replaced on disk and the change to another node happen
//! below it. [`mod@write`] has what changes a store: puts, deletes, transactions and leases.
//!
//! One module a question: `node` where a node is, `connect` how it is talked to, `failure` what a
//! failed request means, `cluster` which node is asked, `write` what changes the store.

mod cluster;
mod connect;
mod failure;
mod node;
pub mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub use cluster::{Answerer, Cluster, within};
pub use failure::Failure;

/// What errors and log lines call it.
pub const NAME: &str = "etcd";

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
