//! The marker of a pending reload.
//!
//! A marker is a file beside the destination. It exists from just before a commit until the reload
//! command has succeeded. So the reload stays pending after a failed command, a stop and a crash:
//! the next run finds the destination in sync *and* the marker, and reloads.
//!
//! A file system may refuse to remove the marker. Then the text [`DONE`] replaces the marker's text, and
//! only a marker with exactly this text is not pending. The old text is removed before `DONE` is
//! written, and `DONE` is removed before the next commit. So a marker of a killed process is pending if
//! its reload may be: an empty text and a part of a text count as pending.
//!
//! The text also says whether the start command is pending in place of the reload command. A file
//! must not be put in place with a marker that cannot say so: the service would never be started.
//! Therefore such a text is written completely and synced, or the commit does not happen.
//!
//! Otherwise the marker is not synced to the disk: after a power cut every service starts with the new file
//! anyway.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, Stat, fstat};
use rustix::io::Errno;

use crate::durable::sync_file;
use crate::error::Error;
use crate::failpoint;
use crate::folder::{FileAt, Folder, FolderIdentity, OpenPlace, is_file, is_folder};
use crate::hold::own_text;
use crate::place::Place;
use crate::step::{Observer, Step};

/// The whole text of a marker that cannot be removed and whose reload is not pending.
const DONE: &[u8] =
    b"No reload is pending. confd could not remove this file, and ignores it while it \
                      has this text.\n";

/// The end of the text of a marker whose start command is pending.
const START: &str = "its start command has not succeeded since. confd runs it on its next run, \
                     unless this file is removed.\n";

/// The longest text of a marker that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// The markers of each swept folder, by its path as text, which is hashed faster: those that the
/// sweep found, and those that this process has set since. See [`Marker::find_forgotten`].
static SWEPT: LazyLock<Mutex<HashMap<OsString, Swept>>> = LazyLock::new(Mutex::default);

struct Swept {
    folder: FolderIdentity,
    markers: HashSet<OsString>,
}

fn swept() -> MutexGuard<'static, HashMap<OsString, Swept>> {
    SWEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records the markers that a sweep found in a folder.
pub(crate) fn record(folder: &Folder, markers: HashSet<OsString>) {
    let found = Swept { folder: folder.identity(), markers };
    swept().insert(folder.path().as_os_str().to_owned(), found);
}

/// Whether a reload of the file `dest` may be pending: a look at one path, so that the few pending ones
/// of many files are found quickly.
pub fn may_be_pending(dest: &Path) -> bool {
    let marker = Place::of(dest).map(|place| place.folder().join(place.pending_name()));
    marker.is_ok_and(|marker| marker.symlink_metadata().is_ok())
}

/// The existing marker of one destination.
#[must_use = "a marker that is forgotten makes the next run reload"]
pub(crate) struct Marker {
    /// The folder, which is not held open: many reloads can be due at the same time, and a command
    /// can take long.
    folder: Arc<Path>,
    identity: FolderIdentity,
    name: OsString,
    /// Whether a reload was already pending before this commit.
    stood: bool,
}

impl Marker {
    /// Creates the marker of a start command of `dest`, before the commit that creates the file.
    pub(crate) fn set_start(place: &OpenPlace, dest: &Path) -> Result<Marker, Error> {
        let is_new = Marker::find(place).is_none();
        let marker = Marker::set(place, dest, "created")?;
        if Marker::is_of_start(place) {
            return Ok(marker);
        }
        failpoint();
        let at = place.marker();
        let written = emptied(&at).and_then(|mut file| {
            failpoint();
            write!(file, "{} was created by confd, and {START}", dest.display())?;
            sync_file(&file)
        });
        written.map(|()| marker).map_err(|cause| {
            if is_new {
                // Without its file the marker would be pending for ever.
                let _ = at.remove();
            }
            Error::file("write", &at.path(), cause)
        })
    }

    /// Whether the marker says that the start command is pending.
    pub(crate) fn is_of_start(place: &OpenPlace) -> bool {
        own_text(&place.marker(), LONGEST).is_some_and(|text| text.ends_with(START.as_bytes()))
    }

    /// Creates the marker of `dest`, before the commit that makes the reload necessary. `done` says
    /// what the commit does: `replaced` or `removed`.
    pub(crate) fn set(place: &OpenPlace, dest: &Path, done: &str) -> Result<Marker, Error> {
        let at = place.marker();
        // A link that another user made here is not followed.
        let mut file = match at.create(0o600) {
            Ok(file) => {
                if let Some(swept) = swept().get_mut(place.folder().path().as_os_str()) {
                    swept.markers.insert(at.name().to_owned());
                }
                file
            }
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                // Such a marker could never be removed, and would make every run reload.
                if at.lstat().is_ok_and(|found| is_folder(&found)) {
                    return Err(Error::file(
                        "open",
                        &at.path(),
                        io::ErrorKind::IsADirectory.into(),
                    ));
                }
                if !is_done(&at) {
                    return Ok(Marker::new(&at, true));
                }
                emptied(&at).map_err(|cause| Error::file("truncate", &at.path(), cause))?
            }
            Err(cause) => return Err(Error::file("open", &at.path(), cause)),
        };
        // The text is for people who find the file. The marker is pending without it too, so a full
        // disk, where the text cannot be written, is not an error.
        let _ = writeln!(
            file,
            "{} was {done} by confd, and its reload command has not succeeded since. \
             confd tries it again on its next run, unless this file is removed.",
            dest.display()
        );
        Ok(Marker::new(&at, false))
    }

    /// Finds the marker of an earlier commit.
    pub(crate) fn find(place: &OpenPlace) -> Option<Marker> {
        let at = place.marker();
        // An error also means that there is no marker: no marker could be made in a folder that
        // cannot be searched.
        let found = at.lstat().ok()?;
        // This program never makes a folder of this name.
        (!is_folder(&found) && !is_done(&at)).then(|| Marker::new(&at, true))
    }

    /// Finds the marker of an earlier commit of a target that has no reload command any more.
    ///
    /// The sweep at the start of a run reads the whole folder. So there is no need to look for the
    /// marker of each of a thousand targets without a reload command, if the sweep has not found it
    /// and this process has not set it. If another process sets it later, it is that process' reload.
    pub(crate) fn find_forgotten(place: &OpenPlace) -> Option<Marker> {
        let folder = place.folder();
        let is_unknown = swept().get(folder.path().as_os_str()).is_some_and(|swept| {
            let is_marked = |markers: &HashSet<_>| markers.contains(place.marker().name());
            swept.folder == folder.identity()
                && (swept.markers.is_empty() || !is_marked(&swept.markers))
        });
        if is_unknown { None } else { Marker::find(place) }
    }

    fn new(at: &FileAt, stood: bool) -> Marker {
        let folder = at.folder();
        let (identity, name) = (folder.identity(), at.name().to_owned());
        Marker { folder: Arc::clone(folder.path()), identity, name, stood }
    }

    /// Removes the marker because the commit did not happen. The marker of an earlier commit stays.
    pub(crate) fn withdraw(self, place: &OpenPlace, observer: &dyn Observer) {
        if !self.stood {
            end(&place.marker(), observer);
        }
    }

    /// Removes the marker: no reload is pending any more.
    pub(crate) fn clear(self, observer: &dyn Observer) {
        let error = match Folder::open(&self.folder) {
            Ok(folder) if folder.identity() == self.identity => {
                return end(&FileAt::new(&folder, self.name), observer);
            }
            Ok(_) => Error::FolderReplaced { folder: self.folder.to_path_buf() },
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return,
            Err(cause) => Error::file("open", &self.folder, cause),
        };
        observer.observe(&Step::MarkerStays { error: &error });
    }
}

/// Removes the marker, or writes into it that no reload is pending.
pub(crate) fn end(marker: &FileAt, observer: &dyn Observer) {
    /// The folders whose markers cannot be removed.
    static REPORTED: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);
    let cause = match marker.remove() {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => cause,
        Ok(()) | Err(_) => return,
    };
    let error = Error::file("remove", &marker.path(), cause);
    if emptied(marker).and_then(|mut file| file.write_all(DONE)).is_err() {
        return observer.observe(&Step::MarkerStays { error: &error });
    }
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.insert(marker.folder().path().to_path_buf()) {
        observer.observe(&Step::MarkerDone { error: &error });
    }
}

/// Whether the marker says that no reload is pending.
fn is_done(marker: &FileAt) -> bool {
    let has_length = |found: &Stat| is_file(found) && found.st_size == DONE.len() as i64;
    let mut text = Vec::new();
    marker.lstat().is_ok_and(|found| has_length(&found))
        && marker
            .open(OFlags::RDONLY | OFlags::NOFOLLOW)
            .and_then(|file| file.take(DONE.len() as u64).read_to_end(&mut text))
            .is_ok()
        && text == DONE
}

/// Opens a marker for writing, and removes its text.
///
/// Another user of the folder may have put a link there, or a second name of another file: these are
/// not written.
fn emptied(marker: &FileAt) -> io::Result<File> {
    let file = marker.open(OFlags::WRONLY | OFlags::NOFOLLOW)?;
    let found = fstat(&file)?;
    if !is_file(&found) || found.st_nlink != 1 {
        return Err(Errno::OPNOTSUPP.into());
    }
    file.set_len(0)?;
    Ok(file)
}
