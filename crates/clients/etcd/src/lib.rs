//! A client of etcd, by its protocol of version 3: reading, following and writing.
//!
//! [`Cluster`] holds the connections. [`Cluster::ask`] sends a request to one node after the other
//! until a node answers; a request is a closure over an [`etcd_client::Client`] of one node.
//! `Cluster` signs in, renews tokens, reads replaced certificates and changes to another node by
//! itself. [`mod@write`] contains the changes of a store: puts, deletes, transactions and leases.
//!
//! The modules: `node` parses addresses, `connect` connects to a node, `failure` classifies failed
//! requests, `cluster` chooses the node, `list` lists keys, `write` makes changes.

mod cluster;
mod connect;
mod failure;
mod list;
mod node;
pub mod write;

#[cfg(test)]
mod tests;

use std::fmt;

use nodes::proxy::Proxies;

pub use cluster::{Answerer, Cluster, within};
pub use failure::Failure;

/// The name in errors and log lines.
pub const NAME: &str = "etcd";

/// Where etcd is, and with which credentials it is asked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The nodes, one in each string: `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. The
    /// first form uses TLS if `https` is true, or if `tls` has a CA, or a certificate with its key.
    /// The default port is 2379.
    pub nodes: Vec<String>,
    /// Whether the nodes are the default ones, because the user gave none. Errors then say so.
    pub nodes_are_default: bool,
    /// Whether an address without a scheme uses TLS.
    pub https: bool,
    /// The options of TLS, for the nodes that use it.
    pub tls: tls::Options,
    /// The proxies of the machine. As in Go, that for https is used for every node.
    pub proxies: Proxies,
    /// User name and password. They are not used if the server has no users.
    pub user: Option<(String, String)>,
}

impl fmt::Debug for Options {
    /// Shows everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("nodes", &self.nodes)
            .field("nodes_are_default", &self.nodes_are_default)
            .field("https", &self.https)
            .field("tls", &self.tls)
            .field("proxies", &self.proxies)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish_non_exhaustive()
    }
}
