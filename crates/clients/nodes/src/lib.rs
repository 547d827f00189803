//! The nodes of a store: how their addresses are written, which node is asked, and why no node
//! answered.
//!
//! A client of a store makes a [`Failover`] from its nodes and sends all requests through it.
//! [`address`] parses the addresses. [`Error`] says why a request failed, with the same words for
//! every store. Callers decide by its variant or by a cause's kind, and never by the text.
//!
//! [`access`] has the options by which users say where the nodes of their store are, and how they log
//! in, and a [`Secret`] is what they log in with. [`proxy`] knows the proxies that the environment names. [`body`] bounds the answers of stores that
//! speak HTTP.

pub mod access;
pub mod address;
pub mod body;
mod error;
mod failover;
pub mod proxy;
mod secret;

pub use error::{Attempt, Cause, CauseKind, Error};
pub use failover::{Failover, NodeError};
pub use secret::Secret;
