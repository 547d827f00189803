//! The nodes of a store: how their addresses are written, which node is asked, and why no node
//! answered.
//!
//! A client of a store makes one [`Failover`] of its nodes and asks through it. [`address`] reads
//! what people write for a node. [`Error`] says why a request came to nothing, for every store in
//! the same words; what a caller decides by is a kind or a variant, never the text.

pub mod address;
mod error;
mod failover;

pub use error::{Attempt, Cause, CauseKind, Error};
pub use failover::{Failover, NodeError};
