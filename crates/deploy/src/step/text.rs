//! The text of each step, which is confd's log line.

use std::fmt;
use std::io;

use command::Program;
use report::file_error_text;

use super::Step;
use crate::attributes::KIND_BITS;

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
            Step::WouldRemove { dest } => write!(f, "{} would be removed", dest.display()),
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
            Step::Removing { dest } => write!(f, "Removing target config {}", dest.display()),
            Step::WritingInPlace { .. } => {
                f.write_str("Rename failed - target is likely a mount. Trying to write instead")
            }
            Step::Updated { dest } => {
                write!(f, "Target config {} has been updated", dest.display())
            }
            Step::Removed { dest } => {
                write!(f, "Target config {} has been removed", dest.display())
            }
            Step::NotRemoved { dest } => write!(
                f,
                "{} is to be removed, but it is no regular file any more: another program has put it \
                 there, and it stays",
                dest.display()
            ),
            Step::ReloadPending { dest, is_removed } => {
                let state = if *is_removed { "was removed" } else { "is in place" };
                write!(
                    f,
                    "{} {state} but its reload is pending; it will be tried again",
                    dest.display()
                )
            }
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
            Step::NameIgnored { manifest, problem } => write!(
                f,
                "{}: {problem}: the name is ignored, and its file is not removed",
                manifest.display()
            ),
            Step::ManifestNotWritten { error } => {
                write!(f, "{error}; the next run looks again for files that were removed")
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
