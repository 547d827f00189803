//! The steps that a transaction reports to its caller while it works.
//!
//! A transaction writes nothing to the log. It passes each [`Step`] to an [`Observer`] when it
//! happens, and the observer logs it, counts it or ignores it. The text of a step is confd's log
//! line, word for word where confd has it, because people's alerts search for those lines.

mod text;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use command::{Output, Program};
use report::Fingerprint;

use crate::attributes::Kept;
use crate::below::BadPath;
use crate::environment::Environment;
use crate::error::Error;
use crate::proposal::Proposal;
use crate::runner::{Processes, Runner};

pub(crate) use text::ModeText;

/// The importance of a step, the least important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// How something is done.
    Debug,
    /// What was done.
    Info,
    /// Something that is probably not intended.
    Warning,
    /// A failure.
    Error,
}

/// A file that was put in place just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The fingerprint of the file after the commit. A later change by another program changes the
    /// fingerprint, unless it comes within the same step of the file system's clock and keeps the
    /// length.
    pub file: Fingerprint,
    /// Whether the file has the content that was staged. A check command may have changed it.
    pub has_staged_content: bool,
}

/// What a command is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To check new files.
    Check,
    /// To reload or start a service.
    Reload,
    /// To ask whether a service works after a reload.
    Health,
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran<'a> {
    /// What it was for.
    pub purpose: Purpose,
    /// The time from its start to its end.
    pub took: Duration,
    /// How it ended.
    pub result: &'a Result<(), command::Error>,
}

/// The receiver of the steps of a transaction, in their order.
///
/// A closure that takes a step is an observer of all steps.
pub trait Observer: Send + Sync {
    /// Receives one step. The thread that does the step calls it and waits for it.
    fn observe(&self, step: &Step<'_>);

    /// Receives the state of the file that was put in place just now at `dest`. This is not a step.
    fn replaced(&self, dest: &Path, placed: &Placed) {
        let _ = (dest, placed);
    }

    /// Receives the reason why the file at `dest` is left out of a transaction that goes on. This is not a
    /// step.
    fn refused(&self, dest: &Path, error: Error) {
        let _ = (dest, error);
    }

    /// Receives how a command has ended. This is not a step.
    fn ran(&self, ran: &Ran<'_>) {
        let _ = ran;
    }

    /// Whether [`proposed`](Observer::proposed) is wanted.
    fn wants_proposals(&self) -> bool {
        false
    }

    /// Receives what would become of a file that is out of sync and stays as it is because of `-noop`.
    /// This is not a step.
    fn proposed(&self, proposal: &Proposal) {
        let _ = proposal;
    }

    /// What the commands of the file at `dest` find in their environment. Asked when a command is
    /// about to run, and at no other time.
    fn environment(&self, dest: &Path) -> Environment {
        let _ = dest;
        Environment::default()
    }

    /// What runs the commands: unless the observer says otherwise, they are processes of this machine.
    fn runner(&self) -> &dyn Runner {
        &Processes
    }

    /// Whether steps of this level are wanted. Where it returns false, steps that need extra work
    /// are skipped, such as reading a file that is known to differ.
    fn wants(&self, level: Level) -> bool {
        let _ = level;
        true
    }
}

impl<F: Fn(&Step<'_>) + Send + Sync> Observer for F {
    fn observe(&self, step: &Step<'_>) {
        self(step);
    }
}

/// One step of a deployment. `dest` is the destination as the user wrote it.
///
/// [`Display`](fmt::Display) is confd's log line; [`level`](Step::level) is its level.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The stage file is kept for people to read.
    Kept {
        /// The stage file.
        stage: &'a Path,
    },
    /// The destination is about to be compared with the stage file.
    Comparing {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination cannot be opened, so it counts as different.
    Unreadable {
        /// The destination.
        dest: &'a Path,
        /// The error of the system.
        cause: &'a io::Error,
    },
    /// The destination has another owner.
    Owner {
        /// The destination.
        dest: &'a Path,
        /// The user id that it has.
        found: u32,
        /// The user id that it should have.
        wanted: u32,
    },
    /// The destination has another group.
    Group {
        /// The destination.
        dest: &'a Path,
        /// The group id that it has.
        found: u32,
        /// The group id that it should have.
        wanted: u32,
    },
    /// The destination has another mode.
    Mode {
        /// The destination.
        dest: &'a Path,
        /// Kind and mode that it has, as in `st_mode`.
        found: u32,
        /// Kind and mode that it should have.
        wanted: u32,
    },
    /// The destination has other content.
    Content {
        /// The destination.
        dest: &'a Path,
        /// The MD5 sum of the content that it has, in hexadecimal.
        found: &'a str,
        /// The MD5 sum of the content that it should have.
        wanted: &'a str,
    },
    /// The destination has another size, and is too large to compute its MD5 sum for the log.
    Size {
        /// The destination.
        dest: &'a Path,
        /// The size that it has, in bytes.
        found: u64,
        /// The size that it should have, in bytes.
        wanted: u64,
    },
    /// The destination does not exist, and is not created because of `-noop`.
    WouldCreate {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination must not exist, and is not removed because of `-noop`.
    WouldRemove {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination is not changed: `-noop`.
    Noop {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination is in sync.
    InSync {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination is out of sync.
    OutOfSync {
        /// The destination.
        dest: &'a Path,
    },
    /// A check or reload command is about to start.
    Running {
        /// The command.
        command: &'a Program,
    },
    /// A command has been running for this time. Reported once for each command.
    StillRunning {
        /// The command.
        command: &'a Program,
        /// How long it has been running.
        after: Duration,
    },
    /// A command has passed its time limit and is sent SIGTERM.
    Stopping {
        /// The command.
        command: &'a Program,
        /// The time limit.
        limit: Duration,
    },
    /// A command has ended.
    Printed {
        /// Its output.
        output: &'a Output,
        /// Whether it succeeded.
        succeeded: bool,
    },
    /// A command has failed without a word.
    Silent {
        /// The command.
        command: &'a Program,
        /// How it failed.
        error: &'a command::Error,
    },
    /// A command has failed and is tried again soon: a health check.
    TriedAgain {
        /// The command.
        command: &'a Program,
        /// How it failed.
        error: &'a command::Error,
    },
    /// The stage file is about to be renamed to the destination.
    Overwriting {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination is about to be removed.
    Removing {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination cannot be replaced by a rename, so it is written in place.
    WritingInPlace {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination was replaced, and its reload command, if any, succeeded.
    Updated {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination was removed, and its reload command, if any, succeeded.
    Removed {
        /// The destination.
        dest: &'a Path,
    },
    /// The destination must not exist, and stays because it is no regular file: this program has not
    /// made it.
    NotRemoved {
        /// The destination.
        dest: &'a Path,
    },
    /// The reload command failed. The reload is pending from now on.
    ReloadPending {
        /// The destination.
        dest: &'a Path,
        /// Whether the destination was removed.
        is_removed: bool,
    },
    /// A pending reload is about to be tried again. The line about its result says enough, so this
    /// step is logged only at DEBUG.
    ReloadRetried {
        /// The destination.
        dest: &'a Path,
    },
    /// A reload that was pending before this transaction has succeeded.
    Reloaded {
        /// The destination.
        dest: &'a Path,
    },
    /// A reload was pending, but the target has no reload command any more.
    ReloadForgotten {
        /// The destination.
        dest: &'a Path,
    },
    /// The file of this folder is in place, but the folder cannot be synced, because this process
    /// may not read it.
    NotSynced {
        /// The folder.
        folder: &'a Path,
        /// The error of the system.
        cause: &'a io::Error,
    },
    /// Another user can replace files in the folder of a destination. Reported once for each folder.
    SharedFolder {
        /// The folder of the destination.
        folder: &'a Path,
        /// The folder that can be written: the same or one above it.
        writable: &'a Path,
        /// Who can write it: `user 1000`, `group 100` or `every user`.
        by: &'a str,
    },
    /// A file system did not set the owner or the mode of a file that is about to be put in place,
    /// or shows others. Reported once for each file system, and for each destination whose owner or
    /// mode was asked for.
    AttributesKept {
        /// The folder of the destination.
        folder: &'a Path,
        /// The destination.
        dest: &'a Path,
        /// What differs.
        kept: Kept,
    },
    /// The marker of a reload that is no longer pending cannot be removed.
    MarkerStays {
        /// The reason.
        error: &'a Error,
    },
    /// The marker of a reload that is no longer pending cannot be removed, and says so in its text.
    /// Reported once for each folder.
    MarkerDone {
        /// The reason.
        error: &'a Error,
    },
    /// The stage file of a killed run was removed.
    Swept {
        /// The stage file.
        stage: &'a Path,
    },
    /// The root of a group check of a killed run was removed.
    RootSwept {
        /// The folder.
        root: &'a Path,
    },
    /// A manifest has a name that is no path below its folder. The name is ignored.
    NameIgnored {
        /// The manifest.
        manifest: &'a Path,
        /// The name, and what is wrong.
        problem: &'a BadPath,
    },
    /// The manifest cannot be written after files were removed: it still has their names.
    ManifestNotWritten {
        /// The reason.
        error: &'a Error,
    },
    /// A destination was put back as it was, because a transaction replaced only a part of its set.
    PutBack {
        /// The destination.
        dest: &'a Path,
    },
    /// A destination could not be put back.
    NotPutBack {
        /// The reason.
        error: &'a Error,
    },
    /// The former file was put back, because the reload with the new content failed.
    RolledBack {
        /// The destination.
        dest: &'a Path,
        /// Whether there was no former file, so that the new one was removed.
        is_removed: bool,
        /// Why the reload failed.
        cause: &'a dyn RollbackCause,
    },
    /// The former file is not put back, because another program has changed the destination.
    NotRolledBack {
        /// The destination.
        dest: &'a Path,
    },
    /// A hold cannot be written: only this process knows it.
    HoldNotKept {
        /// The reason.
        error: &'a Error,
    },
    /// The destination stays as a person put it back, until the content changes.
    HeldByPerson {
        /// The destination.
        dest: &'a Path,
    },
}

/// The text that says why a reload failed.
pub trait RollbackCause: fmt::Display + fmt::Debug + Send + Sync {}

impl<T: fmt::Display + fmt::Debug + Send + Sync> RollbackCause for T {}

impl Step<'_> {
    /// The destination that the step is about; `None` if it is about something else.
    pub fn dest(&self) -> Option<&Path> {
        match self {
            Step::Comparing { dest }
            | Step::Unreadable { dest, .. }
            | Step::Owner { dest, .. }
            | Step::Group { dest, .. }
            | Step::Mode { dest, .. }
            | Step::Content { dest, .. }
            | Step::Size { dest, .. }
            | Step::WouldCreate { dest }
            | Step::WouldRemove { dest }
            | Step::Noop { dest }
            | Step::InSync { dest }
            | Step::OutOfSync { dest }
            | Step::Overwriting { dest }
            | Step::Removing { dest }
            | Step::WritingInPlace { dest }
            | Step::Updated { dest }
            | Step::Removed { dest }
            | Step::NotRemoved { dest }
            | Step::ReloadPending { dest, .. }
            | Step::ReloadRetried { dest }
            | Step::Reloaded { dest }
            | Step::ReloadForgotten { dest }
            | Step::AttributesKept { dest, .. }
            | Step::PutBack { dest }
            | Step::RolledBack { dest, .. }
            | Step::NotRolledBack { dest }
            | Step::HeldByPerson { dest } => Some(dest),
            _ => None,
        }
    }

    /// The level at which confd logs the step.
    pub fn level(&self) -> Level {
        match self {
            Step::Comparing { .. }
            | Step::InSync { .. }
            | Step::Running { .. }
            | Step::ReloadRetried { .. }
            | Step::Printed { succeeded: true, .. }
            | Step::TriedAgain { .. }
            | Step::Overwriting { .. }
            | Step::Removing { .. }
            | Step::WritingInPlace { .. } => Level::Debug,
            Step::Kept { .. }
            | Step::Owner { .. }
            | Step::Group { .. }
            | Step::Mode { .. }
            | Step::Content { .. }
            | Step::Size { .. }
            | Step::WouldCreate { .. }
            | Step::WouldRemove { .. }
            | Step::Removed { .. }
            | Step::OutOfSync { .. }
            | Step::Updated { .. }
            | Step::Reloaded { .. }
            | Step::HeldByPerson { .. }
            | Step::ReloadForgotten { .. }
            | Step::RootSwept { .. }
            | Step::Swept { .. } => Level::Info,
            Step::Noop { .. }
            | Step::StillRunning { .. }
            | Step::Stopping { .. }
            | Step::ReloadPending { .. }
            | Step::NotRemoved { .. }
            | Step::ManifestNotWritten { .. }
            | Step::NotSynced { .. }
            | Step::SharedFolder { .. }
            | Step::AttributesKept { .. }
            | Step::MarkerStays { .. }
            | Step::MarkerDone { .. }
            | Step::RolledBack { .. }
            | Step::NotRolledBack { .. }
            | Step::HoldNotKept { .. }
            | Step::PutBack { .. } => Level::Warning,
            Step::Unreadable { .. }
            | Step::NotPutBack { .. }
            | Step::NameIgnored { .. }
            | Step::Silent { .. }
            | Step::Printed { succeeded: false, .. } => Level::Error,
        }
    }
}
