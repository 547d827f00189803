//! The connections to one node.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nodes::{Cause, Error};
use report::Fingerprint;
use reqwest::Client;
use tokio::time::timeout;

use crate::{Node, chain};

/// A node, and the HTTP client that asks it.
#[derive(Debug)]
pub struct Connection {
    node: Node,
    current: Mutex<Option<(Files, Client)>>,
}

/// The fingerprints of the certificate files when the client was made. They show when a file is
/// replaced.
type Files = Vec<Option<Fingerprint>>;

impl Connection {
    /// Connects to nothing yet.
    pub fn new(node: Node) -> Self {
        Connection { node, current: Mutex::new(None) }
    }

    /// The address.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Returns the client in use. `build` makes a new one if there is none, or if a certificate file
    /// of `tls` was replaced since.
    ///
    /// # Errors
    /// Those of `build`.
    pub fn client(
        &self,
        tls: &tls::Options,
        build: impl FnOnce(&Node) -> Result<Client, Error>,
    ) -> Result<Client, Error> {
        let files = match self.node.tls() {
            true => tls.files().map(Fingerprint::at).collect(),
            false => Files::new(),
        };
        // A panic elsewhere cannot leave half a client: the value is replaced as a whole.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((known, client)) if *known == files => Ok(client.clone()),
            _ => {
                let client = build(&self.node)?;
                *current = Some((files, client.clone()));
                Ok(client)
            }
        }
    }

    /// Waits for a step of a request, for this time at most. `explain` says why the step failed.
    ///
    /// # Errors
    /// The step failed or took longer.
    pub async fn within<T>(
        time: Duration,
        step: impl Future<Output = reqwest::Result<T>>,
        explain: impl FnOnce(&reqwest::Error) -> Cause,
    ) -> Result<T, Cause> {
        match timeout(time, step).await {
            Ok(done) => done.map_err(|error| explain(&error)),
            Err(_) => Err(Cause::new(format!("no answer within {} seconds", time.as_secs()))),
        }
    }

    /// The reason why a request failed, with advice.
    pub fn cause(&self, error: &reqwest::Error) -> Cause {
        let cause = chain(error).advised(tls::advice(error));
        match self.node.tls() {
            true => cause.closed(tls::hung_up(error)).advised_if_closed(tls::CLOSED),
            false => cause,
        }
    }
}
