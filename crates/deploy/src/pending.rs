//! The marker of a pending reload.
//!
//! A marker is a file beside the destination. It exists from just before a commit until the reload
//! command has succeeded. So the reload stays pending after a failed command, a stop and a crash:
//! the next run finds the destination in sync *and* the marker, and reloads.
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

/// The existing marker of one destination.
#[must_use = "a marker that is forgotten makes the next run reload"]
pub(crate) struct Marker {
    path: PathBuf,
    /// Whether it existed before this commit: a reload was already pending.
    stood: bool,
}

impl Marker {
    /// Creates the marker, before the commit that makes the reload necessary.
    pub(crate) fn set(dest: &Path) -> Result<Marker, Error> {
        let path = Place::of(dest)?.pending_path();
        // A link that another user made here must not be followed.
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let mut file = match opened {
            Ok(file) => file,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                // Such a marker could never be removed, and would make every run reload.
                if fs::symlink_metadata(&path).is_ok_and(|found| found.is_dir()) {
                    return Err(Error::file("open", &path, io::ErrorKind::IsADirectory.into()));
                }
                return Ok(Marker { path, stood: true });
            }
            Err(cause) => return Err(Error::file("open", &path, cause)),
        };
        // The text is for people who find the file. Only the file's existence counts, so a full
        // disk, where the text cannot be written, is not an error.
        let _ = writeln!(
            file,
            "{} was replaced by confd, and its reload command has not succeeded since. \
             confd tries it again on its next run, unless this file is removed.",
            dest.display()
        );
        Ok(Marker { path, stood: false })
    }

    /// Finds the marker of an earlier commit.
    pub(crate) fn find(dest: &Path) -> Option<Marker> {
        let path = Place::of(dest).ok()?.pending_path();
        // An error also means that there is no marker: no marker could be made in a folder that
        // cannot be searched.
        let found = fs::symlink_metadata(&path).ok()?;
        // This program never makes a folder of this name.
        (!found.is_dir()).then_some(Marker { path, stood: true })
    }

    /// Removes the marker because the commit did not happen. The marker of an earlier commit stays.
    pub(crate) fn withdraw(self, observer: &dyn Observer) {
        if !self.stood {
            self.clear(observer);
        }
    }

    /// Removes the marker: no reload is pending any more.
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
