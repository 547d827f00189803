//! What is seen of a running process from outside: health, readiness, status and metrics over HTTP.
//!
//! A [`Server`] answers at an [`Address`], a TCP port or a Unix socket, from the [`Site`]. It reads the
//! state of the agent's resources by [`agent::Handle`], which copies it under a short lock, and knows
//! nothing else of the agent. So a slow or hostile client never delays a pass: requests are small,
//! answers are made in memory, connections are few, and each has a time limit.
//!
//! ```text
//! Address ─► bind ─► Server: connection ─► request ─► Site::answer ─► health, readiness, status, metrics
//! ```
//!
//! A control socket is a server with [`Commands`]: it also takes orders, such as to read the configuration
//! again. [`client`] speaks to it.
//!
//! No answer contains values of keys. The texts of errors are those of the log.

mod address;
mod answer;
mod bind;
pub mod client;
mod commands;
mod metrics;
mod readiness;
mod server;
mod status;

pub use address::{Address, BadAddress};
pub use commands::{Commands, Reloaded};
pub use metrics::Metrics;
pub use server::{Purpose, Server};

use std::sync::{Arc, Mutex, PoisonError};

/// What servers show. A clone shows the same.
#[derive(Clone)]
pub struct Site {
    handle: agent::Handle,
    metrics: Metrics,
    /// The version of the program.
    version: &'static str,
    /// The name of the source of the keys.
    backend: Arc<Mutex<Arc<str>>>,
    /// What clients can ask for, at a socket that only its user can open.
    commands: Option<Commands>,
}

impl Site {
    /// Shows what `handle` reads and `metrics` has counted.
    pub fn new(handle: agent::Handle, metrics: Metrics, version: &'static str) -> Self {
        Site { handle, metrics, version, backend: Arc::new(Mutex::new("".into())), commands: None }
    }

    /// The same, with commands that change something.
    #[must_use]
    pub fn with_commands(&self, commands: Commands) -> Self {
        Site { commands: Some(commands), ..self.clone() }
    }

    /// The name of the source is this one from now on.
    pub fn set_backend(&self, name: &str) {
        *self.backend.lock().unwrap_or_else(PoisonError::into_inner) = name.into();
    }

    fn backend(&self) -> Arc<str> {
        Arc::clone(&self.backend.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
