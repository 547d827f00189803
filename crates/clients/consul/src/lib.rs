//! A client of Consul, by its HTTP API: reading, following and writing.
//!
//! [`Client`] holds the nodes and their connections. [`Client::get`] asks one of them; which one is
//! for the caller to say, through [`Client::nodes`]. [`mod@write`] has what changes a store
//! or an agent: keys, transactions, sessions and services.
//!
//! One module a question: `node` where a node is, `connection` how it is talked to, `client` which
//! node is asked, `write` what changes something.

mod client;
mod connection;
mod node;
pub mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};

pub use client::Client;
pub use connection::{Head, said};

/// What errors and log lines call it.
pub const NAME: &str = "consul";

/// What a node says that takes no more requests, in messages.
pub const CROWDED: &str = "takes no more requests from this address";

/// What a path of a URL may hold as it is.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A key, without the slash at its beginning, as a part of the path of a URL.
pub fn path_of(key: &[u8]) -> impl fmt::Display + '_ {
    percent_encode(key, PATH)
}

/// How long a blocking query waits for a change, unless told otherwise.
pub const WAIT: Duration = Duration::from_secs(60);

/// Where Consul is, and who asks for what.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// The nodes, servers or agents: `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT` or
    /// `unix:///PATH`, each by itself. Without a port it is 8500.
    pub nodes: Vec<String>,
    /// Whether a node given as `HOST:PORT` is spoken to by TLS.
    pub https: bool,
    /// How TLS is done, with the nodes that it is done with.
    pub tls: tls::Options,
    /// The ACL token, if there is one.
    pub token: Option<Token>,
    /// User name and password for HTTP's basic authentication, which a proxy before Consul may
    /// want; Consul itself has none.
    pub user: Option<(String, String)>,
    /// The datacenter, if it is not that of the node.
    pub datacenter: Option<String>,
    /// The namespace of the keys, in Consul Enterprise.
    pub namespace: Option<String>,
    /// The partition of the keys, in Consul Enterprise.
    pub partition: Option<String>,
    /// How true an answer has to be.
    pub consistency: Consistency,
    /// How long a blocking query waits for a change. It is also how long it takes, at most, to find
    /// out that a node has gone silent.
    pub wait: Duration,
}

/// An ACL token.
#[derive(Clone, PartialEq, Eq)]
pub enum Token {
    /// The token itself.
    Text(String),
    /// A file that holds it; read for each request, so that a new token counts at once.
    File(PathBuf),
}

/// How true an answer has to be: Consul's consistency modes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consistency {
    /// That of the leader, which in rare cases has just been replaced without knowing.
    #[default]
    Default,
    /// That of a leader that has made sure that it is.
    Consistent,
    /// That of any server that has heard of the leader no longer ago than this.
    Stale(Duration),
}

impl Default for Options {
    /// No nodes, and Consul's own defaults.
    fn default() -> Self {
        Options {
            nodes: Vec::new(),
            https: false,
            tls: tls::Options::default(),
            token: None,
            user: None,
            datacenter: None,
            namespace: None,
            partition: None,
            consistency: Consistency::Default,
            wait: WAIT,
        }
    }
}

impl fmt::Debug for Options {
    /// All but the token and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("nodes", &self.nodes)
            .field("https", &self.https)
            .field("tls", &self.tls)
            .field("token", &self.token)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .field("datacenter", &self.datacenter)
            .field("namespace", &self.namespace)
            .field("partition", &self.partition)
            .field("consistency", &self.consistency)
            .field("wait", &self.wait)
            .finish()
    }
}

impl fmt::Debug for Token {
    /// Where it is, and not what it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Text(_) => f.write_str("Text(…)"),
            Token::File(path) => f.debug_tuple("File").field(path).finish(),
        }
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
                // Writing to a text does not fail.
                let _ = write!(query, "&{name}={}", utf8_percent_encode(place, NON_ALPHANUMERIC));
            }
        }
        query
    }
}
