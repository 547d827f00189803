//! Consul's key/value store as a source of keys.
//!
//! A key stands for everything that begins with it, as in confd: `/app` also gets `/app/x` and
//! `/apple`. Keys have no leading slash in Consul, and get one here. Each prefix is listed by one
//! recursive request, and followed by one blocking query, which is answered when something in it
//! changes, with all that it holds then.
//!
//! One module a question: `node` where a node is, `client` how it is talked to, `group` which
//! prefixes are listed together, `query` what is asked and what an answer means, `cluster` which
//! node is asked, `watch` what happens after the first listing.

mod client;
mod cluster;
mod group;
mod node;
mod query;
mod watch;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use store::{Coverage, Scope, Snapshot};

use self::cluster::Cluster;
use self::group::Group;
use crate::{Backend, Error, Watch, tls};

/// What errors and log lines call it.
const NAME: &str = "consul";

/// What a node says that takes no more requests, in messages.
const CROWDED: &str = "takes no more requests from this address";

/// How many prefixes are listed at once where nobody follows them.
const AT_ONCE: usize = 8;

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
impl Backend for Consul {
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
