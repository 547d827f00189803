//! Helpers for the tests of sources: the conformance suite, and a follower.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

pub mod conformance;
mod following;

pub use following::{BOUND, Follower, Known, interest, read, scope, text};

/// Lets time pass where the length of the pause is a part of what is tested: how long a fault
/// lasts, or how far apart changes are. Other tasks run meanwhile.
#[expect(clippy::disallowed_methods, reason = "the one place of the tests where a task sleeps")]
pub async fn pause(duration: std::time::Duration) {
    tokio::time::sleep(duration).await;
}
