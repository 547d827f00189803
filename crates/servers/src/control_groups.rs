//! Control groups that tests make, and that the kernel does not remove with their last process.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::{PATIENCE, pause};

/// The folder of all control groups.
const ROOT: &str = "/sys/fs/cgroup";

/// The control groups with one parent. They are removed when this is dropped, after their processes
/// have ended.
#[derive(Debug)]
pub(crate) struct ControlGroups {
    /// The name of the parent, which is at the top of each hierarchy that has it.
    pub(crate) parent: PathBuf,
}

impl Drop for ControlGroups {
    fn drop(&mut self) {
        let end = Instant::now() + PATIENCE;
        // A process of a group can end later than the namespaces.
        while !self.remove() && Instant::now() < end {
            pause(Duration::from_millis(10));
        }
    }
}

impl ControlGroups {
    /// Removes the groups; whether none is left.
    fn remove(&self) -> bool {
        // Version 1 has a hierarchy for each controller, version 2 has one.
        let hierarchies = fs::read_dir(ROOT).into_iter().flatten().flatten();
        let parents = hierarchies.map(|entry| entry.path()).chain([PathBuf::from(ROOT)]);
        parents.map(|hierarchy| hierarchy.join(&self.parent)).all(|parent| {
            remove(&parent);
            !parent.exists()
        })
    }
}

/// Removes a group and those below it, if no process is in them.
fn remove(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        // The files of a group cannot be removed, and go with it.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}
