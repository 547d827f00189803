//! Writes rendered files to their destinations and runs their check and reload commands. If a step
//! fails, the destinations stay as they were.
//!
//! A [`Transaction`] applies a set of files, each of which is a [`Member`]. It has two halves, so
//! that many transactions can wait for the disk at the same time. [`Transaction::stage`] writes the
//! bytes beside the destinations, on any thread. [`Transaction::finish`] compares, checks, commits
//! and reloads; [`Disk`] chooses the thread that works on the disk. [`Durable::sync`] ends a pass. [`sweep()`] runs once at the start of a run.
//!
//! The promises to callers, each with a test of the same name:
//!
//! - `files_that_must_not_exist_are_removed_with_their_set_and_the_reload_runs_once`.
//! - `readers_see_old_or_new`: never a mixture (but see `commit` for mounts).
//! - `a_failed_check_changes_nothing`: not the bytes, not the mode, not the owner.
//! - `a_group_check_that_fails_changes_nothing_and_leaves_nothing`: a [`GroupCheck`] sees all new files together.
//! - `a_file_in_sync_is_not_written`: an idle pass does nothing to the disk.
//! - `no_failure_leaves_a_stage_file`: and the next [`sweep()`] removes those of a killed run.
//! - `a_failed_reload_is_tried_again_by_the_next_pass`: until it succeeds, also in another process.
//! - `a_failed_reload_puts_the_former_file_back`: if the target asks for it, also after a kill.
//!
//! [`Proposal`] and [`rehearse_checks`] say what a transaction would do, and leave the folders of the
//! destinations as they are.
//!
//! A [`Manifest`] records which files were made, for callers whose files come and go with their keys.
//!
//! This crate writes nothing to the log: each [`Step`] goes to an [`Observer`]. Errors and steps
//! have confd's words, where confd has them. The crate knows no keys, sources or schedules; its
//! only templates are the commands.

mod apply;
mod attributes;
mod below;
mod big;
mod change;
mod check;
mod commit;
mod compare;
mod create;
mod directories;
mod disk;
mod durable;
mod environment;
mod error;
mod folder;
mod group_check;
mod health;
mod hold;
mod journal;
mod local;
mod manifest;
mod pending;
mod place;
mod proposal;
mod rehearsal;
mod reload;
mod root;
mod run;
mod runner;
mod shared;
mod stage;
mod step;
mod sweep;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod transaction;
mod trial;
mod undo;

#[cfg(test)]
use testing::failpoint;

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

pub use attributes::Kept;
pub use below::{BadPath, PathProblem, relative_path};
pub use check::{CheckCommand, CheckError};
pub use command::{Command, Ended, Error as CommandError, Notice, Output, Program};
pub use disk::Disk;
pub use durable::Durable;
pub use environment::Environment;
pub use error::{Error, ReloadError};
pub use group_check::GroupCheck;
pub use health::{Health, Unhealthy};
pub use hold::{Digest, HeldBy, Hold};
pub use local::is_local;
pub use manifest::Manifest;
pub use pending::may_be_pending;
pub use proposal::{FileState, Proposal};
pub use regexp::Expression;
pub use rehearsal::{Checks, Scratch, rehearse_checks};
pub use reload::{AtOnce, ReloadCommand, Reloader, rendered_reload};
pub use runner::{Processes, Run, Runner};
pub use stage::Before;
pub use step::{Level, Observer, Placed, Purpose, Ran, RollbackCause, Step};
pub use sweep::sweep;
pub use transaction::{Member, Transaction};

/// A destination: its path, its attributes, and the commands that check it and reload its service.
#[derive(Clone, Debug)]
pub struct Target {
    /// The path of the file, as the user wrote it. A relative path is relative to the working
    /// folder.
    pub dest: PathBuf,
    /// The permissions; only the lower nine bits count. `None` keeps the permissions of the
    /// existing file, and gives 0644 to a new file.
    pub mode: Option<u32>,
    /// The owner. `None` is the effective user of this process.
    pub uid: Option<u32>,
    /// The group. `None` is the effective group of this process.
    pub gid: Option<u32>,
    /// Whether a destination that exists keeps its permissions, its owner and its group, also if the
    /// fields above set them. If it cannot keep them, it is not replaced.
    pub preserve: bool,
    /// Lines that match are ignored when the destination is compared with its new content.
    pub ignore_lines: Option<Expression>,
    /// The permissions of missing folders of the path, which are created; only the lower nine bits
    /// count. `None` creates none.
    pub make_directories: Option<u32>,
    /// The folder that the destination must not leave, as the user wrote it. The folders between it
    /// and the destination must be real folders: links are refused there, and followed everywhere
    /// else. `None` follows links in the whole path.
    pub below: Option<PathBuf>,
    /// The command that checks the stage file before it is put in place.
    pub check_cmd: Option<CheckCommand>,
    /// The command that runs after the file has changed. The shell gets the text unchanged. An
    /// empty text means no command.
    pub reload_cmd: Option<Program>,
    /// The command that runs in place of the reload command after a file was created that did not
    /// exist before, until it has succeeded once. Everything that holds for a reload holds for it.
    pub start_cmd: Option<Program>,
    /// The command that runs in place of the reload command after the file was removed. `None` means
    /// the reload command.
    pub remove_cmd: Option<Program>,
    /// The time limit of the check command. Zero means no limit; `None` means the limit in
    /// [`Options`].
    pub check_timeout: Option<Duration>,
    /// The time limit of the reload command. Zero and `None` mean the same as above.
    pub reload_timeout: Option<Duration>,
    /// What must succeed after the reload command, so that the reload has succeeded.
    pub health: Option<Health>,
    /// What happens when the reload fails.
    pub on_reload_failure: OnReloadFailure,
    /// Whether [holds](Hold) of the destination count. If not, none is looked for.
    pub may_be_held: bool,
}

/// What has happened to a file, which decides the command that follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileEvent {
    /// It did not exist before, or its start command has not succeeded since. Only for a target with a
    /// start command.
    Created,
    /// It was replaced, or created without a start command.
    Replaced,
    /// It was removed.
    Removed,
}

/// What happens with a new file whose reload fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnReloadFailure {
    /// It stays in place, and its reload is pending.
    #[default]
    Keep,
    /// The former file is put back, and the new content is held back. [`Target::may_be_held`] must
    /// be set, so that the content is not tried again.
    RollBack,
}

impl Target {
    /// The reload command, unless these options forbid it.
    pub fn reload_cmd(&self, options: &Options) -> Option<&Program> {
        self.reload_cmd.as_ref().filter(|command| !command.is_empty() && !options.sync_only)
    }

    /// The command that follows on what has happened to the file, unless these options forbid it.
    pub(crate) fn command_after(&self, event: FileEvent, options: &Options) -> Option<&Program> {
        let own = match event {
            FileEvent::Created => self.start_cmd.as_ref().filter(|command| !command.is_empty()),
            FileEvent::Removed => self.remove_cmd.as_ref(),
            FileEvent::Replaced => None,
        };
        let runs = |command: &&Program| !command.is_empty() && !options.sync_only;
        own.or(self.reload_cmd.as_ref()).filter(runs)
    }

    /// The part of a content that counts when contents are compared: all lines but those that are
    /// ignored.
    pub fn significant<'c>(&self, content: &'c [u8]) -> Cow<'c, [u8]> {
        let Some(ignored) = &self.ignore_lines else { return Cow::Borrowed(content) };
        let mut significant = Vec::with_capacity(content.len());
        for line in content.split_inclusive(|&byte| byte == b'\n') {
            if !ignored.is_match(line.strip_suffix(b"\n").unwrap_or(line)) {
                significant.extend_from_slice(line);
            }
        }
        Cow::Owned(significant)
    }

    /// The time limit of the check command.
    pub(crate) fn check_limit(&self, options: &Options) -> Option<Duration> {
        self.check_timeout.or(options.check_timeout).filter(|limit| !limit.is_zero())
    }

    /// The time limit of the reload command; `None` means no limit.
    pub fn reload_limit(&self, options: &Options) -> Option<Duration> {
        self.reload_timeout.or(options.reload_timeout).filter(|limit| !limit.is_zero())
    }

    /// Whether the former file is put back if the reload fails.
    pub(crate) fn rolls_back(&self, options: &Options) -> bool {
        self.on_reload_failure == OnReloadFailure::RollBack && self.reload_cmd(options).is_some()
    }

    /// A target with confd's defaults: permissions kept, owner of this process, no commands.
    pub fn new(dest: impl Into<PathBuf>) -> Target {
        Target {
            dest: dest.into(),
            mode: None,
            uid: None,
            gid: None,
            preserve: false,
            ignore_lines: None,
            make_directories: None,
            below: None,
            check_cmd: None,
            reload_cmd: None,
            start_cmd: None,
            remove_cmd: None,
            check_timeout: None,
            reload_timeout: None,
            health: None,
            on_reload_failure: OnReloadFailure::Keep,
            may_be_held: false,
        }
    }
}

/// The options of all transactions of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// `-noop`: report what would change, and change nothing.
    pub noop: bool,
    /// `-sync-only`: put files in place without any command.
    pub sync_only: bool,
    /// `-keep-stage-file`: keep each complete stage file that did not become the destination.
    pub keep_stage_file: bool,
    /// The time limit of check commands whose target sets none. Zero and `None` mean no limit.
    pub check_timeout: Option<Duration>,
    /// The time limit of reload commands whose target sets none.
    pub reload_timeout: Option<Duration>,
}

/// The result for a member of a transaction that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The destination was in sync, or must not exist and is no regular file.
    Unchanged,
    /// The destination is out of sync and was not replaced because of `-noop`.
    WouldUpdate,
    /// The destination must not exist and was not removed because of `-noop`.
    WouldRemove,
    /// The destination was replaced, and its reload command, if any, succeeded.
    Updated,
    /// The destination was removed, and its reload command, if any, succeeded.
    Removed,
    /// The destination was in sync, and its pending reload from an earlier run succeeded.
    Reloaded,
    /// The check of the new content failed, so the destination stays as it was. Only in a transaction
    /// whose members do not need each other ([`Transaction::stage_each`]).
    Refused,
}

/// A point where the crash test can kill the process. Does nothing outside that test.
#[cfg(not(test))]
fn failpoint() {}
