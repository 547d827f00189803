//! Killed processes, full disks, read-only folders, hostile input: nothing is lost, and the
//! messages name what is wrong.

mod cycle;
mod disks;
mod filesystems;
mod input;
mod irregular;
mod kills;
mod memory;
mod scarce;
mod signals;
mod stopping;
mod time;

use crate::support::Ended;

/// Expects an error in the log that contains all these parts.
#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    let found =
        |line: &String| line.starts_with("ERROR ") && parts.iter().all(|part| line.contains(part));
    assert!(ended.log().iter().any(found), "no error with {parts:?} in:\n{}", ended.stderr);
}
