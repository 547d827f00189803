//! The marker of a reload that is owed.
//!
//! A marker file stands beside the destination from just before a commit until the reload command
//! has succeeded. Because the marker is a file, the reload stays owed after a failed command, a stop
//! and a crash: the next run finds the destination in sync *and* the marker, and reloads.
//!
//! The marker is not synced to the disk: after a power cut every service starts with the new file
//! anyway.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::place::Place;
use crate::step::{Observer, Step};

/// The marker of one destination, standing.
#[must_use = "a marker that is forgotten makes the next run reload"]
pub(crate) struct Marker {
    path: PathBuf,
    /// Whether it already stood: a reload was owed before this commit.
    stood: bool,
}

impl Marker {
    /// Sets up the marker, before the commit that makes the reload necessary.
    pub(crate) fn set(dest: &Path) -> Result<Marker, Error> {
        let path = Place::of(dest)?.pending_path();
        // Never through a link that somebody else put there.
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                return Ok(Marker { path, stood: true });
            }
            Err(cause) => return Err(Error::file("open", &path, cause)),
        };
        // The text is for a person who finds the file. Only its existence counts, so a full disk,
        // where the text cannot be written, is no error.
        let _ = writeln!(
            file,
            "{} was replaced by confd, and its reload command has not succeeded since. \
             confd tries it again on its next run, unless this file is removed.",
            dest.display()
        );
        Ok(Marker { path, stood: false })
    }

    /// The marker of an earlier commit, if it stands.
    pub(crate) fn find(dest: &Path) -> Option<Marker> {
        let path = Place::of(dest).ok()?.pending_path();
        // An error means that there is no marker: in a folder that cannot be searched none was made.
        fs::symlink_metadata(&path).ok()?;
        Some(Marker { path, stood: true })
    }

    /// Removes the marker because the commit did not happen. The marker of an earlier commit stays.
    pub(crate) fn withdraw(self, observer: &dyn Observer) {
        if !self.stood {
            self.clear(observer);
        }
    }

    /// Removes the marker: nothing is owed any more.
    pub(crate) fn clear(self, observer: &dyn Observer) {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                let error = Error::file("remove", &self.path, cause);
                observer.observe(&Step::MarkerStays { error: &error });
            }
            Ok(()) | Err(_) => {}
        }
    }
}
