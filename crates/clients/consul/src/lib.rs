//! A client of Consul, by its HTTP API: reading, following and writing.
//!
//! [`Client`] holds the nodes and their connections. [`Client::get`] asks the current node, which
//! the caller chooses through [`Client::nodes`]. [`mod@write`] contains the changes of a store or
//! an agent: keys, transactions, sessions and services.
//!
//! The modules: `connection` sends a request to a node, `client` chooses the node, `write` makes changes.
//! [`variables`] reads those of Consul's own client.

mod client;
mod connection;
pub mod variables;
pub mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use nodes::body::Bounds;
use nodes::proxy::Proxies;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

pub use client::Client;
pub use client_http::words;
pub use connection::Head;
pub use nodes::Secret as Token;

/// The name in errors and log lines.
pub const NAME: &str = "consul";

/// The text in messages for a node that takes no more requests.
const CROWDED: &str = "takes no more requests from this address";

/// The bytes that are escaped in the path of a URL.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A key, without the slash at its beginning, as a part of the path of a URL.
pub fn path_of(key: &[u8]) -> impl fmt::Display + '_ {
    percent_encode(key, PATH)
}

/// The default time that a blocking query waits for a change.
pub const WAIT: Duration = Duration::from_secs(60);

/// The default timeout of a new connection.
pub const CONNECTING: Duration = Duration::from_secs(3);

/// Where Consul is, and with which credentials it is asked.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The nodes, servers or agents, one in each string: `HOST:PORT`, `http://HOST:PORT`,
    /// `https://HOST:PORT` or `unix:///PATH`. The default ports are 80 and 443.
    pub nodes: Vec<String>,
    /// What the user has not given, such as `-node`, so that the nodes are the default ones. Errors
    /// then say so. `None` if the user has chosen the nodes.
    pub not_given: Option<&'static str>,
    /// Whether a node given as `HOST:PORT` is connected to by TLS.
    pub https: bool,
    /// The options of TLS, for the nodes that use it.
    pub tls: tls::Options,
    /// The ACL token, if there is one. It may be in a file.
    pub token: Option<Token>,
    /// User name and password for HTTP's basic authentication. Consul itself has none, but a proxy
    /// in front of Consul may ask for it.
    pub user: Option<(String, String)>,
    /// The proxies of the machine.
    pub proxies: Proxies,
    /// The datacenter; `None` for the node's own.
    pub datacenter: Option<String>,
    /// The namespace of the keys, in Consul Enterprise.
    pub namespace: Option<String>,
    /// The partition of the keys, in Consul Enterprise.
    pub partition: Option<String>,
    /// The consistency of the answers.
    pub consistency: Consistency,
    /// The time that a blocking query waits for a change. A silent node is noticed after this time
    /// at the latest.
    pub wait: Duration,
    /// The timeout of a new connection, its TLS handshake included.
    pub connecting: Duration,
    /// How connections are kept.
    pub transport: Transport,
    /// The bounds on the body of each answer.
    pub bounds: Bounds,
}

/// How connections are kept. What is `None` is chosen here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transport {
    /// The additional time that the TLS handshake of a new connection has.
    pub handshake: Duration,
    /// The idle time after which TCP probes a connection, and the pause between two probes. Zero
    /// means no probes.
    pub keep_alive: Option<Duration>,
    /// The time after which an unused connection is closed. Zero means never.
    pub idle: Option<Duration>,
    /// The most unused connections that are kept to each node. With 0, each request has a connection
    /// of its own.
    pub most_idle: Option<usize>,
    /// The most connections. Queries need at least a few, so a very small number counts as a greater
    /// one.
    pub most: Option<usize>,
}

/// The consistency of an answer: Consul's consistency modes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// The leader answers. In rare cases another server has just become leader.
    #[default]
    Default,
    /// The leader answers after it has made sure that it is still the leader.
    Consistent,
    /// Any server answers that has heard from the leader within this time.
    Stale(Duration),
}

impl Default for Options {
    /// No nodes, and Consul's own defaults.
    fn default() -> Self {
        Options {
            nodes: Vec::new(),
            not_given: None,
            https: false,
            tls: tls::Options::default(),
            token: None,
            user: None,
            proxies: Proxies::default(),
            datacenter: None,
            namespace: None,
            partition: None,
            consistency: Consistency::Default,
            wait: WAIT,
            connecting: CONNECTING,
            transport: Transport::default(),
            bounds: Bounds::default(),
        }
    }
}

impl fmt::Debug for Options {
    /// Shows everything but the token and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("nodes", &self.nodes)
            .field("not_given", &self.not_given)
            .field("https", &self.https)
            .field("tls", &self.tls)
            .field("token", &self.token)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .field("proxies", &self.proxies)
            .field("datacenter", &self.datacenter)
            .field("namespace", &self.namespace)
            .field("partition", &self.partition)
            .field("consistency", &self.consistency)
            .field("wait", &self.wait)
            .field("connecting", &self.connecting)
            .field("transport", &self.transport)
            .field("bounds", &self.bounds)
            .finish()
    }
}

impl Options {
    /// The datacenter, namespace and partition as parts of a URL's query, each behind `&`.
    pub fn place(&self) -> String {
        let mut query = String::new();
        let places =
            [("dc", &self.datacenter), ("ns", &self.namespace), ("partition", &self.partition)];
        for (name, place) in places {
            if let Some(place) = place {
                // Writing to a string cannot fail.
                let _ = write!(query, "&{name}={}", utf8_percent_encode(place, NON_ALPHANUMERIC));
            }
        }
        query
    }
}
