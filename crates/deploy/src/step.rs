//! The steps that a transaction reports to its caller while it works.
//!
//! A transaction writes nothing to the log. It passes each [`Step`] to an [`Observer`] when it
//! happens, and the observer logs it, counts it or ignores it. The text of a step is confd's log
//! line, word for word where confd has it, because people's alerts search for those lines.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use command::{Output, Program};
use report::{Fingerprint, file_error_text};

use crate::attributes::{KIND_BITS, Kept};
use crate::environment::Environment;
use crate::error::Error;

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

    /// What the commands of the file at `dest` find in their environment. Asked when a command is
    /// about to run, and at no other time.
    fn environment(&self, dest: &Path) -> Environment {
        let _ = dest;
        Environment::default()
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
    /// The reload command failed. The reload is pending from now on.
    ReloadPending {
        /// The destination.
        dest: &'a Path,
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
            | Step::WritingInPlace { .. } => Level::Debug,
            Step::Kept { .. }
            | Step::Owner { .. }
            | Step::Group { .. }
            | Step::Mode { .. }
            | Step::Content { .. }
            | Step::Size { .. }
            | Step::WouldCreate { .. }
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
            | Step::Silent { .. }
            | Step::Printed { succeeded: false, .. } => Level::Error,
        }
    }
}

impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Kept { stage } => write!(f, "Keeping staged file: {}", stage.display()),
            Step::Comparing { dest } => {
                write!(f, "Comparing candidate config to {}", dest.display())
            }
            Step::Unreadable { dest, cause } => f.write_str(&file_error_text("open", dest, cause)),
            Step::Owner { dest, found, wanted } => {
                write!(f, "{} has UID {found} should be {wanted}", dest.display())
            }
            Step::Group { dest, found, wanted } => {
                write!(f, "{} has GID {found} should be {wanted}", dest.display())
            }
            Step::Mode { dest, found, wanted } => {
                let (found, wanted) = (ModeText(*found), ModeText(*wanted));
                write!(f, "{} has mode {found} should be {wanted}", dest.display())
            }
            Step::Content { dest, found, wanted } => {
                write!(f, "{} has md5sum {found} should be {wanted}", dest.display())
            }
            Step::Size { dest, found, wanted } => {
                write!(f, "{} has {found} bytes should be {wanted} bytes", dest.display())
            }
            Step::WouldCreate { dest } => {
                write!(f, "{} does not exist and would be created", dest.display())
            }
            Step::Noop { dest } => {
                write!(f, "Noop mode enabled. {} will not be modified", dest.display())
            }
            Step::InSync { dest } => write!(f, "Target config {} in sync", dest.display()),
            Step::OutOfSync { dest } => write!(f, "Target config {} out of sync", dest.display()),
            Step::Running { command } => write!(f, "Running {command}"),
            Step::StillRunning { command, after } => {
                write!(f, "still running after {after:?}: {command}")
            }
            Step::Stopping { command, limit } => {
                write!(f, "stopping after {limit:?}, its time limit: {command}")
            }
            Step::Printed { output, .. } => output.fmt(f),
            Step::Silent { command, error: error @ command::Error::Start { cause, .. } } => {
                write!(f, "the command cannot be started ({error}): {command}")?;
                let has_shell = !matches!(command, Program::Shell(_));
                match cause.kind() {
                    io::ErrorKind::NotFound if !has_shell => {
                        f.write_str("; there is no shell on this system")
                    }
                    _ => Ok(()),
                }
            }
            Step::Silent { command, error } => {
                write!(f, "the command printed nothing ({error}): {command}")
            }
            Step::TriedAgain { command, error } => {
                write!(f, "not yet ({error}), the command is tried again: {command}")
            }
            Step::Overwriting { dest } => {
                write!(f, "Overwriting target config {}", dest.display())
            }
            Step::WritingInPlace { .. } => {
                f.write_str("Rename failed - target is likely a mount. Trying to write instead")
            }
            Step::Updated { dest } => {
                write!(f, "Target config {} has been updated", dest.display())
            }
            Step::ReloadPending { dest } => write!(
                f,
                "{} is in place but its reload is pending; it will be tried again",
                dest.display()
            ),
            Step::ReloadRetried { dest } => {
                write!(f, "{} has a pending reload; trying it again", dest.display())
            }
            Step::Reloaded { dest } => write!(f, "{} has been reloaded", dest.display()),
            Step::ReloadForgotten { dest } => write!(
                f,
                "{} had a reload pending, but its resource has no reload_cmd any more: nothing is \
                 pending now",
                dest.display()
            ),
            Step::NotSynced { folder, cause } => write!(
                f,
                "{}; the files in it are in place, but a power cut may bring back their old \
                 content, because only a folder that confd may read can be synced",
                file_error_text("open", folder, cause)
            ),
            Step::SharedFolder { folder, writable, by } => write!(
                f,
                "{} can be written by {by}, who can replace files in {} while confd checks them and \
                 puts them in place",
                writable.display(),
                folder.display()
            ),
            Step::AttributesKept { folder, dest, kept } => write!(
                f,
                "the file system of {} keeps its own attributes: {} has {kept}",
                folder.display(),
                dest.display()
            ),
            Step::MarkerStays { error } => write!(f, "{error}; the next run will reload again"),
            Step::MarkerDone { error } => write!(
                f,
                "{error}; the file stays, and its text says now that no reload is pending"
            ),
            Step::Swept { stage } => {
                write!(f, "Removed the stage file of a killed run: {}", stage.display())
            }
            Step::RootSwept { root } => {
                write!(f, "Removed the folder of a group check of a killed run: {}", root.display())
            }
            Step::PutBack { dest } => write!(
                f,
                "Put back {}, because not all files that belong to it were replaced",
                dest.display()
            ),
            Step::NotPutBack { error } => error.fmt(f),
            Step::RolledBack { dest, is_removed, cause } => {
                let dest = dest.display();
                match is_removed {
                    true => write!(
                        f,
                        "Rolled back: {dest} was removed, because there was no file before"
                    )?,
                    false => write!(f, "Rolled back: {dest} is the former file again")?,
                }
                write!(
                    f,
                    ". Its reload failed: {cause}. The new content is not tried again until it changes"
                )
            }
            Step::NotRolledBack { dest } => write!(
                f,
                "{} is not rolled back: another program changed it after confd had replaced it",
                dest.display()
            ),
            Step::HoldNotKept { error } => write!(
                f,
                "{error}; only this process remembers that the new content is not tried again"
            ),
            Step::HeldByPerson { dest } => write!(
                f,
                "{} stays as confd rollback has put it back, until its content changes or confd \
                 release ends that",
                dest.display()
            ),
        }
    }
}

/// A mode as Go prints it: a letter for each special property or `-`, then the permissions.
pub(crate) struct ModeText(pub(crate) u32);

impl fmt::Display for ModeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 & KIND_BITS {
            0o040_000 => "d",
            0o060_000 => "D",
            0o020_000 => "Dc",
            0o120_000 => "L",
            0o010_000 => "p",
            0o140_000 => "S",
            _ => "",
        };
        // Go prints the device's `D` before these two letters, and the character device's `c` after
        // them.
        let (kind, character) = kind.split_at(kind.len().min(1));
        let mut special = kind.to_owned();
        for (bit, letter) in [(0o4000, "u"), (0o2000, "g")] {
            if self.0 & bit != 0 {
                special.push_str(letter);
            }
        }
        special.push_str(character);
        if self.0 & 0o1000 != 0 {
            special.push('t');
        }
        f.write_str(if special.is_empty() { "-" } else { &special })?;
        for (at, letter) in "rwxrwxrwx".chars().enumerate() {
            let set = self.0 & (0o400 >> at) != 0;
            write!(f, "{}", if set { letter } else { '-' })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_printed_as_in_go() {
        for (mode, text) in [
            (0o100_644, "-rw-r--r--"),
            (0o100_000, "----------"),
            (0o100_204, "--w----r--"),
            (0o104_755, "urwxr-xr-x"),
            (0o107_777, "ugtrwxrwxrwx"),
            (0o041_777, "dtrwxrwxrwx"),
            (0o060_600, "Drw-------"),
            (0o020_666, "Dcrw-rw-rw-"),
            (0o010_600, "prw-------"),
            (0o140_600, "Srw-------"),
            (0o120_777, "Lrwxrwxrwx"),
        ] {
            assert_eq!(ModeText(mode).to_string(), text);
        }
    }
}
