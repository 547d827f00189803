//! Conditions that have to hold soon, or for a while.

use std::time::{Duration, Instant};

use super::eventually;

/// Waits until `condition` holds, which has to be before `limit` has passed.
#[track_caller]
pub fn within(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    eventually(what, || {
        let holds = condition();
        assert!(holds || begun.elapsed() < limit, "not within {limit:?}: {what}");
        holds
    });
}

/// Expects `condition` at every look until `duration` has passed.
#[track_caller]
pub fn throughout(duration: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    eventually(what, || {
        assert!(condition(), "no longer after {:?}: {what}", begun.elapsed());
        begun.elapsed() >= duration
    });
}
