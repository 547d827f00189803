//! ZooKeeper as a source of keys, with a client of its own.
//!
//! A key stands for the nodes at its path and below it that have no children: the data of nodes with
//! children is ignored, as in Go confd. A reading sets a watch on each node that it asks for. So it knows
//! whether a node has changed since it was asked for, and a state holds all changes of a transaction or
//! none.
//!
//! The modules: `description` has the options, `address` parses the nodes, `jute` is the encoding and
//! `message` what is said in it, `connection` is a session on one server, `ensemble` connects to one of
//! the servers, `tree` knows what is known of nodes and what must be asked for, `watch` reads and follows
//! with these, `failure` explains errors.

mod address;
#[cfg(test)]
mod conformance;
mod connection;
mod description;
mod ensemble;
mod failure;
mod jute;
mod message;
mod tree;
mod watch;

#[cfg(test)]
mod tests;

pub use description::DESCRIPTION;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use source::{Answer, Error, Interest, Source, Watch};

use crate::ensemble::Ensemble;
use crate::watch::Following;

/// What the user chose.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// The addresses of the nodes.
    nodes: Vec<String>,
    /// Whether the user has chosen no node.
    nodes_are_default: bool,
    /// Whether an address without a scheme uses TLS.
    tls_is_default: bool,
    tls: tls::Options,
    login: Option<Login>,
    /// The time without a sign of the client after which the server ends the session.
    session: Duration,
}

/// Who logs in, by the scheme `digest`.
#[derive(Clone, PartialEq)]
pub(crate) struct Login {
    user: String,
    password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The servers of ZooKeeper that have the keys.
#[derive(Debug)]
pub struct ZooKeeper {
    ensemble: Arc<Ensemble>,
}

impl ZooKeeper {
    /// Makes a source with these options. It connects to nothing and reads no file before the first
    /// request.
    pub(crate) fn new(options: Options) -> Self {
        ZooKeeper { ensemble: Arc::new(Ensemble::new(options)) }
    }
}

#[async_trait]
impl Source for ZooKeeper {
    /// Reads in a session of its own. A session that stayed open between two readings would need signs
    /// of life all the time.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let mut following = Following::new(Arc::clone(&self.ensemble), interest);
        let update = following.next().await?;
        following.close().await;
        Ok(update.answers)
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(Some(Box::new(Following::new(Arc::clone(&self.ensemble), interest))))
    }
}
