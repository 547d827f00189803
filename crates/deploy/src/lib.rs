//! Puts rendered bytes where they belong and runs the commands that go with them, or leaves
//! everything as it was.
//!
//! A [`Transaction`] applies a set of files, each a [`Member`]. It has two halves, so that many
//! transactions can wait for the disk at the same time: [`Transaction::stage`] writes the bytes
//! beside the destinations, on any thread, and [`Transaction::finish`] compares, checks, commits and
//! reloads. [`Durable::sync`] ends a pass, and [`sweep()`] once begins a run.
//!
//! What callers may rely on, each with a test of the same name:
//!
//! - `readers_see_old_or_new`: never a mix (but see `commit` for mounts).
//! - `a_failed_check_changes_nothing`: not the bytes, not the mode, not the owner.
//! - `a_file_in_sync_is_not_written`: an idle pass does nothing to the disk.
//! - `no_failure_leaves_a_stage_file`, and none of a killed run's outlives the next [`sweep()`].
//! - `a_failed_reload_is_tried_again_by_the_next_pass`: until it succeeds, also in another process.
//!
//! Nothing here writes to the log: an [`Observer`] is told each [`Step`]. Errors and steps are in
//! confd's words, where confd has them.
//!
//! Nothing here knows keys, sources or schedules; the only template is the check command.

mod check;
mod commit;
mod compare;
mod durable;
mod error;
mod journal;
mod local;
mod pending;
mod place;
mod reload;
mod run;
mod stage;
mod step;
mod sweep;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transaction;
mod undo;

#[cfg(test)]
use testing::failpoint;

use std::path::PathBuf;
use std::time::Duration;

pub use check::{CheckCommand, CheckError};
pub use durable::Durable;
pub use error::Error;
pub use local::is_local;
pub use step::{Level, Observer, Step};
pub use sweep::sweep;
pub use transaction::{Member, Transaction};

/// Where the bytes of one file go, what the file should be like, and the commands that check it and
/// reload the service that reads it.
#[derive(Clone, Debug)]
pub struct Target {
    /// The file, as the user wrote it; relative to the process's folder if it is relative.
    pub dest: PathBuf,
    /// The permissions, of which only the lower nine bits count. `None` keeps those of the
    /// existing file, or gives 0644 to a new one.
    pub mode: Option<u32>,
    /// The owner. `None` is the effective user of this process.
    pub uid: Option<u32>,
    /// The group. `None` is the effective group of this process.
    pub gid: Option<u32>,
    /// Checks the stage file before it is put in place.
    pub check_cmd: Option<CheckCommand>,
    /// Runs when the file has changed. Given to the shell as it is; an empty one is none.
    pub reload_cmd: Option<String>,
    /// How long the check command may take before it is stopped: zero is without a limit, `None`
    /// is what [`Options`] says.
    pub check_timeout: Option<Duration>,
    /// The same for the reload command.
    pub reload_timeout: Option<Duration>,
}

impl Target {
    /// The reload command, if these options let one run.
    pub(crate) fn reload_cmd(&self, options: &Options) -> Option<&str> {
        self.reload_cmd.as_deref().filter(|command| !command.is_empty() && !options.sync_only)
    }

    /// How long the check command may take.
    pub(crate) fn check_limit(&self, options: &Options) -> Option<Duration> {
        self.check_timeout.or(options.check_timeout).filter(|limit| !limit.is_zero())
    }

    /// How long the reload command may take.
    pub(crate) fn reload_limit(&self, options: &Options) -> Option<Duration> {
        self.reload_timeout.or(options.reload_timeout).filter(|limit| !limit.is_zero())
    }

    /// A file with confd's defaults: permissions kept, our owner, no commands.
    pub fn new(dest: impl Into<PathBuf>) -> Target {
        Target {
            dest: dest.into(),
            mode: None,
            uid: None,
            gid: None,
            check_cmd: None,
            reload_cmd: None,
            check_timeout: None,
            reload_timeout: None,
        }
    }
}

/// What the user asked for all transactions of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-noop`: find out and say what would change, and change nothing.
    pub noop: bool,
    /// `-sync-only`: put files in place without any command.
    pub sync_only: bool,
    /// `-keep-stage-file`: leave each complete stage file that did not become the destination.
    pub keep_stage_file: bool,
    /// How long a check command may take whose target does not say: zero and `None` are without a
    /// limit.
    pub check_timeout: Option<Duration>,
    /// The same for reload commands.
    pub reload_timeout: Option<Duration>,
}

/// How a member of a transaction that succeeded ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination was in sync.
    Unchanged,
    /// The destination was out of sync, and stays so: `-noop`.
    WouldUpdate,
    /// The destination was replaced, and its reload command, if any, succeeded.
    Updated,
    /// The destination was in sync, and a reload that an earlier run owed succeeded.
    Reloaded,
}

/// A place where the crash test kills the process. Nothing elsewhere.
#[cfg(not(test))]
fn failpoint() {}
