//! A client of etcd, by version 2 of its API: keys over HTTP.
//!
//! Versions 2 and 3 of the API have separate stores in one server: a reader of one does not see the
//! keys of the other. etcd has version 2 up to its release 3.5, where `--enable-v2` switches it on.
//!
//! [`Client`] holds the nodes and their connections. [`Client::list`] reads a key and what is below it.
//! [`Client::wait`] waits for a change, at the node that has answered. [`Client::put`] and
//! [`Client::delete`] change a key.

mod answer;
mod client;
mod node;

use std::fmt;

use nodes::proxy::Proxies;

pub use client::{Client, Listed, Since, Waited};

/// The name in errors and log lines.
pub const NAME: &str = "etcd";

/// Where etcd is, and with which credentials it is asked.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The nodes, one in each string: `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`. The
    /// default port is 2379.
    pub nodes: Vec<String>,
    /// What the user has not given, such as `-node`, so that the nodes are the default ones. Errors
    /// then say so. `None` if the user has chosen the nodes.
    pub not_given: Option<&'static str>,
    /// Whether an address without a scheme uses TLS.
    pub https: bool,
    /// The options of TLS, for the nodes that use it.
    pub tls: tls::Options,
    /// The proxies of the machine.
    pub proxies: Proxies,
    /// User name and password.
    pub user: Option<(String, String)>,
    /// The advice if a node asks for a user and none is given.
    pub without_user: Option<&'static str>,
    /// The advice if a node does not know version 2 of the API.
    pub without_v2: Option<&'static str>,
}

impl fmt::Debug for Options {
    /// Shows everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("nodes", &self.nodes)
            .field("not_given", &self.not_given)
            .field("https", &self.https)
            .field("tls", &self.tls)
            .field("proxies", &self.proxies)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish_non_exhaustive()
    }
}
