//! A client of a container engine: Docker, or Podman with Docker's API. It only reads.
//!
//! [`Engine`] lists and inspects containers and follows their [`Events`]. An inspected container is
//! the engine's own JSON document: a user's template can read any field of it, and a field of a
//! form that a later engine invents stops nothing.

mod address;
mod engine;
mod events;

pub use address::{Address, DEFAULT, Unusable};
pub use engine::{Engine, Listed, State};
pub use events::{Action, Event, Events, Moment};

/// The name in errors and log lines.
pub const NAME: &str = "docker";

/// Where the engine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The address.
    pub address: Address,
    /// The options of TLS; `None` for a connection without TLS.
    pub tls: Option<tls::Options>,
}
