//! What a client trusts and how it says who it is: one TLS configuration for all clients.
//!
//! [`Options`] names files. They are read each time a configuration is made, so a client that makes
//! one for each connection uses replaced certificates from its next connection on. [`advice()`] and
//! [`hung_up`] say what to do about a connection that failed.

mod advice;
mod options;

pub use advice::{advice, hung_up};
pub use options::Options;
