//! Killed processes, full disks, read-only folders, hostile input: what is lost is nothing, and
//! what is said names the thing.

mod disks;
mod input;
mod kills;
mod signals;

use crate::support::Ended;

/// Expects an error in the log that has all these parts.
#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    let found =
        |line: &String| line.starts_with("ERROR ") && parts.iter().all(|part| line.contains(part));
    assert!(ended.log().iter().any(found), "no error with {parts:?} in:\n{}", ended.stderr);
}
