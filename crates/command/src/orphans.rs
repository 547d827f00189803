//! Reaps the processes that commands leave behind, in the first process of a container.
//!
//! The kernel gives orphans to the first process, and they stay as zombies until it waits for them.
//! Its own commands must not be reaped here, because their exit status would be lost.

use std::collections::HashSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::{Pid, WaitOptions, getpid, waitpid};

/// The commands that were started and not yet waited for.
static COMMANDS: Mutex<Option<HashSet<Pid>>> = Mutex::new(None);

/// The commands of this process, locked. No orphan is reaped in the meantime.
pub(crate) struct Commands(MutexGuard<'static, Option<HashSet<Pid>>>);

/// Locks the commands. To be called before a command is started.
pub(crate) fn commands() -> Commands {
    Commands(COMMANDS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A command that will be waited for. Dropping it makes the command an orphan.
#[derive(Debug)]
pub(crate) struct Ours(Pid);

impl Drop for Ours {
    fn drop(&mut self) {
        commands().0.get_or_insert_default().remove(&self.0);
    }
}

impl Commands {
    /// Adds a command that was started just now.
    pub(crate) fn add(mut self, command: Pid) -> Ours {
        self.0.get_or_insert_default().insert(command);
        Ours(command)
    }

    fn contain(&self, process: Pid) -> bool {
        self.0.as_ref().is_some_and(|commands| commands.contains(&process))
    }
}

/// Reaps each child of this process that has ended and is not a running [`Command`](crate::Command).
///
/// For the first process of a process namespace, at each SIGCHLD. It needs a mounted `/proc`.
pub fn reap_orphans() {
    let commands = commands();
    let ended = fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| {
        let process = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name of the program is in parentheses, and may contain any characters.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let is_zombie = fields.next()? == "Z";
        let parent = Pid::from_raw(fields.next()?.parse().ok()?);
        (is_zombie && parent == Some(getpid())).then_some(process)
    });
    for process in ended.filter(|process| !commands.contain(*process)) {
        // An error means that the process was waited for in the meantime.
        let _ = waitpid(Some(process), WaitOptions::NOHANG);
    }
}
