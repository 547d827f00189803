//! For the tests of sources: the promises of the contract, and a follower.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

pub mod conformance;
mod following;

pub use following::{BOUND, Follower, Known, interest, read, scope, text};
