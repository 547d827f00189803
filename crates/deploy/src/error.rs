//! Why a transaction did not succeed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use report::{FileError, errno_text};

use crate::check::CheckError;
use crate::health::Unhealthy;

/// Why a transaction did not succeed, in the words of confd and Go's standard library.
///
/// The text is complete: it contains the operation, the path and the cause, because confd's users
/// search for exactly these lines. So the cause is not repeated as a `source()`.
///
/// Except for [`Error::Reload`], [`Error::PendingReload`] (see [`is_written`](Error::is_written))
/// and [`Error::HalfCommitted`], the destinations are as they were before. No stage file is left unless
/// it was to be kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on one path failed: `open /etc/x/.a123: permission denied`.
    #[error(transparent)]
    File(#[from] FileError),

    /// The stage file could not be renamed to the destination.
    #[error("rename {} {}: {}", from.display(), to.display(), errno_text(cause))]
    Rename {
        /// The stage file.
        from: PathBuf,
        /// The destination.
        to: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },

    /// Another program replaced the stage file before it was checked or put in place, or the
    /// destination at the moment when it was put in place.
    #[error(
        "{} was replaced by another program: it is neither checked nor put in place",
        path.display()
    )]
    Swapped {
        /// The path.
        path: PathBuf,
    },

    /// Another program replaced or changed a file that was about to be removed.
    #[error("{} was changed by another program when it was to be removed, and stays", dest.display())]
    NotRemoved {
        /// The destination.
        dest: PathBuf,
    },

    /// While the stage file was put in place, another program put another folder or a link at the
    /// path of the folder. Nothing was written to the other folder.
    #[error(
        "{}: another program replaced its folder while the file was put in place",
        dest.display()
    )]
    Moved {
        /// The destination.
        dest: PathBuf,
    },

    /// The path of a folder in which files were put in place leads to another folder now, so these
    /// files cannot be synced, and the marker of a reload cannot be removed.
    #[error("{}: another program replaced this folder while confd worked in it", folder.display())]
    FolderReplaced {
        /// The folder.
        folder: PathBuf,
    },

    /// A folder of the path is a symbolic link, and the target follows none there.
    #[error(
        "{} is a symbolic link, and confd follows none below {}: replace it by a folder, or write the \
         folder that it leads to in dest",
        link.display(),
        below.display()
    )]
    Linked {
        /// The link.
        link: PathBuf,
        /// The folder that the destination must not leave.
        below: PathBuf,
    },

    /// The destination is not below the folder that it must not leave.
    #[error("{} is not below {}, so no file is put there", folder.display(), below.display())]
    Outside {
        /// The folder of the destination.
        folder: PathBuf,
        /// The folder that the destination must not leave.
        below: PathBuf,
    },

    /// There is a folder in the place of a file that depends on data.
    #[error(
        "{} is a folder, and no file is put in its place: remove it, or rename it",
        dest.display()
    )]
    IsFolder {
        /// The destination.
        dest: PathBuf,
    },

    /// The destination is `/`, which has no name to derive a stage file's name from.
    #[error("createtemp ./: pattern contains path separator")]
    NoName,

    /// The stage file could not be given the owner that was asked for.
    #[error(
        "chown {}: {} ({} should belong to {uid}:{gid} and stays as it was)",
        path.display(), errno_text(cause), dest.display()
    )]
    Owner {
        /// The file whose owner was to be set.
        path: PathBuf,
        /// The destination.
        dest: PathBuf,
        /// The user that was asked for.
        uid: u32,
        /// The group that was asked for.
        gid: u32,
        /// The error of the system.
        cause: io::Error,
    },

    /// Writing the destination in place failed half-way.
    #[error("{operation} {}: {}; {}", dest.display(), errno_text(cause), put_back_text(put_back))]
    InPlace {
        /// The operation that failed: `write`, `truncate`, `fsync`…
        operation: &'static str,
        /// The destination.
        dest: PathBuf,
        /// The error of the system.
        cause: io::Error,
        /// Whether the old content could be written back.
        put_back: Result<(), io::Error>,
    },

    /// A destination could not be put back as it was before a transaction.
    #[error("put back {}: {}", dest.display(), errno_text(cause))]
    PutBack {
        /// The destination.
        dest: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },

    /// A destination of a set could not be replaced, and another destination could not be put back:
    /// only a part of the set is new.
    #[error("{commit}; {put_back}")]
    HalfCommitted {
        /// Why the destination could not be replaced.
        commit: Box<Error>,
        /// Why the other destination could not be put back.
        put_back: Box<Error>,
    },

    /// The check command failed.
    #[error("Config check failed: {0}")]
    Check(CheckError),

    /// A manifest is damaged.
    #[error(
        "{}: this list of the files that confd has made is damaged, so no file is removed; without it \
         confd begins a new list, and keeps the files whose keys are gone by then",
        path.display()
    )]
    BadManifest {
        /// The manifest.
        path: PathBuf,
    },

    /// The command that checks the files of the transaction together failed.
    #[error("Group check failed: {0}")]
    GroupCheck(CheckError),

    /// This transaction replaced a file, but the reload failed. It is pending.
    #[error("{cause}")]
    Reload {
        /// The command.
        command: command::Program,
        /// How the reload failed.
        cause: ReloadError,
    },

    /// The reload failed with the new content, and the former files were put back. The new content
    /// is held back.
    #[error(
        "{} was rolled back, because its reload failed: {cause}{}",
        paths_text(dests),
        again_text(again)
    )]
    RolledBack {
        /// The destinations.
        dests: Vec<PathBuf>,
        /// How the reload failed with the new content.
        cause: ReloadError,
        /// How the reload failed with the former files, if it did. It is pending then.
        again: Option<ReloadError>,
    },

    /// The content is held back, because its reload has failed before. The destinations stay as
    /// they are.
    #[error(
        "{} stays as it is: its reload has failed with this content, which is not tried again until \
         it changes",
        paths_text(dests)
    )]
    Held {
        /// The destinations.
        dests: Vec<PathBuf>,
    },

    /// An earlier transaction replaced the files, and this transaction found them in sync. Their
    /// reload command failed again, so the reload is still pending.
    #[error(
        "the reload of {} is still pending, because it failed again: {cause}: {command}",
        paths_text(dests)
    )]
    PendingReload {
        /// The destinations.
        dests: Vec<PathBuf>,
        /// The command.
        command: command::Program,
        /// How the reload failed.
        cause: ReloadError,
        /// Whether other content was asked for, which is held back.
        is_held: bool,
    },
}

/// How a reload failed: its command, or the health check after it.
#[derive(Clone, Debug)]
pub enum ReloadError {
    /// The reload command failed.
    Command(Arc<command::Error>),
    /// The health check failed.
    Health(Arc<Unhealthy>),
}

impl fmt::Display for ReloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadError::Command(cause) => cause.fmt(f),
            ReloadError::Health(unhealthy) => {
                let Unhealthy { cause, window, command } = &**unhealthy;
                write!(f, "health_cmd did not succeed within {window:?} ({cause}): {command}")
            }
        }
    }
}

impl Error {
    /// Whether the destinations have the new content in spite of this error.
    pub fn is_written(&self) -> bool {
        matches!(self, Error::Reload { .. } | Error::PendingReload { .. })
    }

    /// Whether the destinations are as they were before the transaction, which has come to no reload.
    pub fn is_before_the_commit(&self) -> bool {
        !matches!(
            self,
            Error::Reload { .. }
                | Error::PendingReload { .. }
                | Error::RolledBack { .. }
                | Error::Held { .. }
                | Error::PutBack { .. }
                | Error::HalfCommitted { .. }
                | Error::InPlace { put_back: Err(_), .. }
        )
    }

    /// How the check or reload command failed; `None` if something else did.
    pub fn command(&self) -> Option<&command::Error> {
        match self {
            Error::Check(CheckError::Command(cause))
            | Error::GroupCheck(CheckError::Command(cause)) => Some(cause),
            Error::Reload { cause: ReloadError::Command(cause), .. }
            | Error::RolledBack { cause: ReloadError::Command(cause), .. } => Some(cause),
            _ => None,
        }
    }

    /// Whether a new try makes sense only when the content has changed.
    pub fn waits_for_a_change(&self) -> bool {
        matches!(self, Error::Held { .. } | Error::RolledBack { again: None, .. })
    }

    /// What a person can do about it, if that is known.
    pub fn hint(&self) -> Option<String> {
        let error = match self {
            Error::File(error) => error,
            Error::Rename { to, .. } if to.is_dir() => {
                let folder = to.components().as_path();
                let folder = folder.display();
                return Some(format!(
                    "{folder} is a folder: dest names a file, such as {folder}/NAME"
                ));
            }
            Error::Check(CheckError::Template(error)) => {
                return Some(match error.unknown()?.name.as_str() {
                    "src" => "write {{.src}}, with a dot".to_owned(),
                    _ => "check_cmd knows only {{.src}}, the file to be checked".to_owned(),
                });
            }
            Error::GroupCheck(CheckError::Template(error)) => {
                return Some(match error.unknown()?.name.as_str() {
                    "root" => "write {{.root}}, with a dot".to_owned(),
                    _ => {
                        "group_check_cmd knows only {{.root}}, the folder where the new files have \
                          their final names"
                            .to_owned()
                    }
                });
            }
            _ => return None,
        };
        let folder = error.path().parent().filter(|folder| !folder.as_os_str().is_empty())?;
        if !error.is_missing() || folder.exists() {
            return None;
        }
        Some(match folder.as_os_str().as_encoded_bytes() {
            [b'~' | b'$', ..] => "dest is taken as it is: ~ and $NAME are not replaced".to_owned(),
            _ => {
                let place = match folder.is_relative() {
                    true => ", in the folder where confd was started",
                    false => "",
                };
                format!(
                    "confd makes no folders: create {}{place}, or set make_directories = true",
                    folder.display()
                )
            }
        })
    }

    pub(crate) fn file(operation: &'static str, path: &Path, cause: io::Error) -> Error {
        FileError::new(operation, path, cause).into()
    }
}

fn again_text(again: &Option<ReloadError>) -> String {
    let text = |cause| {
        format!("; the reload of the former file is pending, because it failed too: {cause}")
    };
    again.as_ref().map(text).unwrap_or_default()
}

/// The most paths that an error names.
const NAMED: usize = 10;

/// The paths, separated by commas. Of many, the first ones and how many there are besides.
fn paths_text(paths: &[PathBuf]) -> String {
    let named = paths.iter().take(NAMED).map(|path| path.display().to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    match paths.len().checked_sub(NAMED) {
        None | Some(0) => named,
        Some(1) => format!("{named} and 1 more file"),
        Some(more) => format!("{named} and {more} more files"),
    }
}

fn put_back_text(put_back: &Result<(), io::Error>) -> String {
    match put_back {
        Ok(()) => "the old content was put back".to_owned(),
        Err(cause) => format!("the old content could not be put back: {}", errno_text(cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_about_many_files_names_the_first_and_counts_the_others() {
        let text = |count: usize| {
            let dests = (0..count).map(|nth| PathBuf::from(nth.to_string())).collect();
            Error::Held { dests }.to_string()
        };
        let names = "0, 1, 2, 3, 4, 5, 6, 7, 8, 9";
        assert!(text(10).starts_with(&format!("{names} stays")), "{}", text(10));
        assert!(text(11).starts_with(&format!("{names} and 1 more file stays")), "{}", text(11));
        assert!(text(10_000).starts_with(&format!("{names} and 9990 more files stays")));
    }
}
