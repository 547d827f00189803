//! How many resources are worked on at the same time.

use std::{fs, sync::OnceLock};

use rustix::process::{Resource, getrlimit};
use tokio::sync::Semaphore;

/// The most resources that are staged at the same time. A larger number gains nothing on common
/// disks.
const OVERLAP: usize = 32;

/// The descriptors that a resource needs while it is staged: its stage file twice, and a file or
/// folder that is read.
const DESCRIPTORS: u64 = 3;

/// The descriptors that a pass with commands needs: its stage file twice, its folder, the output of
/// its command, and what starting a command takes for a moment.
const DESCRIPTORS_OF_COMMAND: u64 = 8;

/// The descriptors that everything else may need: the runtime, a source, a command, `conf.d`.
const RESERVE: u64 = 16;

/// The number of resources that are staged at the same time by this process, at least one. It is
/// smaller if the process may have only few open files. It is found at the first call, which should
/// come before the runtime is built.
pub fn overlap() -> usize {
    static FOUND: OnceLock<usize> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        // The open files are counted only if the number can matter.
        if most > 8 * OVERLAP as u64 {
            return OVERLAP;
        }
        let open = fs::read_dir("/proc/self/fd").map_or(RESERVE, |all| all.count() as u64);
        fitting(most, open)
    })
}

/// The number of resources that a onetime run begins before the first of them is finished: three
/// times as many as are staged at the same time. A thread that has staged a resource then finds the
/// next one waiting, also if the first one takes long. To wake a thread for each resource takes more
/// time than to render a small template.
///
/// A resource that waits to be finished needs its stage file and its folder. With few descriptors
/// none waits.
pub(crate) fn onetime_in_flight() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if most > 16 * OVERLAP as u64 { 3 * OVERLAP } else { overlap() }
}

/// The number of passes with commands that this process can make at the same time, at least one.
pub(crate) fn overlap_of_commands() -> usize {
    let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    fitting_commands(most, overlap() as u64 * DESCRIPTORS)
}

/// The number of resources, if `open` of `most` descriptors are in use.
fn fitting(most: u64, open: u64) -> usize {
    let room = most.saturating_sub(open + RESERVE) / DESCRIPTORS;
    usize::try_from(room).unwrap_or(OVERLAP).clamp(1, OVERLAP)
}

/// The number of passes with commands, if `staging` of `most` descriptors are for staging.
fn fitting_commands(most: u64, staging: u64) -> usize {
    let room = most.saturating_sub(staging + 2 * RESERVE) / DESCRIPTORS_OF_COMMAND;
    usize::try_from(room).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_follows_the_free_descriptors() {
        for (most, open, expected) in [(1024, 4, 32), (40, 4, 6), (20, 4, 1), (12, 4, 1), (0, 4, 1)]
        {
            assert_eq!(fitting(most, open), expected, "{open} of {most}");
        }
    }

    #[test]
    fn the_overlap_of_commands_follows_the_descriptors_too() {
        for (most, staging, expected) in [(1024, 96, 112), (40, 3, 1), (20, 3, 1), (0, 3, 1)] {
            assert_eq!(fitting_commands(most, staging), expected, "{most}");
        }
        assert!(fitting_commands(u64::MAX, 0) <= Semaphore::MAX_PERMITS);
    }
}
