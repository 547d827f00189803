//! Why files cannot be followed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use report::errno_text;
use rustix::io::Errno;

/// Why there are no events for a folder, or for any folder. The text says what can be done about
/// it.
#[derive(Debug)]
pub struct Unwatched {
    folder: Option<PathBuf>,
    cause: io::Error,
}

impl Unwatched {
    /// No folder can be watched.
    pub(crate) fn files(cause: io::Error) -> Self {
        Unwatched { folder: None, cause }
    }

    /// Whether the other paths get their events all the same.
    pub fn is_partial(&self) -> bool {
        self.folder.is_some()
    }

    /// This folder cannot be watched.
    pub(crate) fn folder(folder: &Path, cause: Errno) -> Self {
        Unwatched { folder: Some(folder.to_owned()), cause: cause.into() }
    }
}

impl fmt::Display for Unwatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "cannot watch {}: ", folder.display())?,
            None => f.write_str("cannot watch files: ")?,
        }
        match Errno::from_io_error(&self.cause) {
            Some(Errno::NOSPC) => f.write_str(
                "all inotify watches of this user are taken (sysctl fs.inotify.max_user_watches allows more)",
            ),
            Some(Errno::MFILE) => f.write_str(
                "all inotify instances of this user or all descriptors of this process are taken (sysctl fs.inotify.max_user_instances and ulimit -n allow more)",
            ),
            _ => f.write_str(&errno_text(&self.cause)),
        }
    }
}

impl std::error::Error for Unwatched {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The text contains the cause's words already.
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_how_to_get_events() {
        let said = |errno| Unwatched::folder(Path::new("/x"), errno).to_string();
        assert!(said(Errno::NOSPC).starts_with("cannot watch /x: all inotify watches"));
        assert!(said(Errno::NOSPC).contains("fs.inotify.max_user_watches"));
        let said = |errno: Errno| Unwatched::files(errno.into()).to_string();
        assert!(said(Errno::MFILE).contains("fs.inotify.max_user_instances"));
        assert_eq!(said(Errno::NOSYS), "cannot watch files: function not implemented");
    }
}
