//! Puts a destination back as it was before a transaction replaced it.
//!
//! Before the first member of a set is committed, each destination gets an undo file beside it: a
//! hard link to the old file, which needs no copying and keeps all attributes. Where no link is
//! possible (a mount, a file system without links) it is a copy. The destination is put back by
//! renaming the undo file.
//!
//! Every step first checks the identity of the file at a path. So the step can be repeated after a
//! crash at any instruction, and a file that another program has put there in the meantime is not
//! touched.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::attributes::MODE_BITS;
use crate::commit::write_back;
use crate::create::with_free_name;
use crate::durable::sync_file;
use crate::error::Error;
use crate::failpoint;
use crate::pending::Marker;
use crate::place::{FileKind, Place};
use crate::stage::StageFile;
use crate::{Options, Target};

/// The identity of a file. It stays the same under another name, and differs for another file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    /// The time of the last write, in seconds and nanoseconds, because inode numbers are used
    /// again.
    pub(crate) modified: (i64, i64),
}

impl Identity {
    pub(crate) fn of(metadata: &Metadata) -> Identity {
        Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// The identity of the file at `path`; links are not followed.
    pub(crate) fn at(path: &Path) -> Option<Identity> {
        fs::symlink_metadata(path).ok().as_ref().map(Identity::of)
    }

    /// Whether both are the same file, which may have been written to in between.
    pub(crate) fn is_same_file(&self, other: &Identity) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The data for putting one destination back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The destination. It is absolute, like the other paths.
    pub(crate) dest: PathBuf,
    /// The identity of the new file.
    pub(crate) staged: Identity,
    /// How the old file can be restored.
    pub(crate) undo: Undo,
    /// The marker of the reload, if the transaction sets it.
    pub(crate) marker: Option<PathBuf>,
}

/// How a destination is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Remove the new file: there was no old file.
    Remove,
    /// Rename the second name of the old file.
    Link { path: PathBuf, identity: Identity },
    /// Rename a copy of the old file, or write it to the old file if that was written in place.
    Copy { path: PathBuf, identity: Identity, old: Identity },
}

impl Entry {
    /// Makes the undo file of a destination that is about to be replaced by `file`.
    pub(crate) fn prepare(
        target: &Target,
        file: &StageFile,
        options: &Options,
    ) -> Result<Entry, Error> {
        let dest = std::path::absolute(&target.dest)
            .map_err(|cause| Error::file("getwd", &target.dest, cause))?;
        let place = Place::of(&dest)?;
        let sets_marker =
            target.reload_cmd(options).is_some() && Marker::find(&target.dest).is_none();
        Ok(Entry {
            undo: Undo::prepare(&dest, &place)?,
            staged: file.identity,
            marker: sets_marker.then(|| place.pending_path()),
            dest,
        })
    }

    /// Whether the destination is the new file and its undo file is gone. Undo files are removed
    /// after the journal, so the transaction was complete.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_replaced()
            && self.undo.file().is_some_and(|(path, old)| Identity::at(path) != Some(*old))
    }

    fn is_replaced(&self) -> bool {
        Identity::at(&self.dest) == Some(self.staged)
    }

    /// Puts the destination back, and removes the undo file and the marker. Returns whether the
    /// destination had been replaced.
    ///
    /// It may be called again after a crash at any point of it.
    pub(crate) fn put_back(&self) -> Result<bool, Error> {
        let failed = |cause| Error::PutBack { dest: self.dest.clone(), cause };
        let replaced = match &self.undo {
            Undo::Remove => {
                let replaced = self.is_replaced();
                if replaced {
                    fs::remove_file(&self.dest).map_err(failed)?;
                }
                replaced
            }
            Undo::Link { path, identity } | Undo::Copy { path, identity, .. }
                if self.is_replaced() && Identity::at(path) == Some(*identity) =>
            {
                fs::rename(path, &self.dest).map_err(failed)?;
                true
            }
            Undo::Copy { path, identity, old } if Identity::at(path) == Some(*identity) => {
                let is_old = Identity::at(&self.dest).is_some_and(|now| now.is_same_file(old));
                is_old && write_back(&self.dest, path).map_err(failed)?
            }
            Undo::Link { .. } | Undo::Copy { .. } => false,
        };
        failpoint();
        self.discard_undo();
        failpoint();
        // The marker is removed last: while the new file may be in place, its reload is pending.
        if let Some(marker) = &self.marker {
            // A marker that is not removed makes the next run reload once more.
            let _ = fs::remove_file(marker);
        }
        Ok(replaced)
    }

    /// Removes the undo file.
    pub(crate) fn discard_undo(&self) {
        if let Some((path, identity)) = self.undo.file()
            && Identity::at(path) == Some(*identity)
        {
            // An undo file that stays is removed by a sweep.
            let _ = fs::remove_file(path);
        }
    }
}

impl Undo {
    fn prepare(dest: &Path, place: &Place) -> Result<Undo, Error> {
        let found = match fs::symlink_metadata(dest) {
            // A folder cannot be replaced: the commit reports it, and nothing needs to be put back.
            Ok(found) if found.is_dir() => return Ok(Undo::Remove),
            Ok(found) => found,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Undo::Remove),
            Err(cause) => return Err(Error::file("lstat", dest, cause)),
        };
        let old = Identity::of(&found);
        let undo_path = |random| place.path(FileKind::Undo, random);
        let (path, linked) = with_free_name(undo_path, |path| fs::hard_link(dest, path));
        failpoint();
        if linked.is_ok() {
            return Ok(Undo::Link { path, identity: old });
        }
        let (path, copied) = with_free_name(undo_path, |path| copy(dest, &found, path));
        failpoint();
        match copied {
            Ok(identity) => Ok(Undo::Copy { path, identity, old }),
            Err(cause) => Err(Error::file("copy", dest, cause)),
        }
    }

    /// The undo file and its identity.
    fn file(&self) -> Option<(&Path, &Identity)> {
        match self {
            Undo::Remove => None,
            Undo::Link { path, identity } | Undo::Copy { path, identity, .. } => {
                Some((path, identity))
            }
        }
    }
}

/// Copies a regular file or a symbolic link. The owner and the mode are copied
/// if possible.
fn copy(from: &Path, found: &Metadata, to: &Path) -> io::Result<Identity> {
    if found.is_symlink() {
        symlink(fs::read_link(from)?, to)?;
        return fs::symlink_metadata(to).map(|made| Identity::of(&made));
    }
    if !found.is_file() {
        return Err(io::Error::from(rustix::io::Errno::OPNOTSUPP));
    }
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut old = OpenOptions::new().read(true).custom_flags(flags).open(from)?;
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let written = fill(&mut old, &mut new, found);
    if written.is_err() {
        // The error to report is the one of writing.
        let _ = fs::remove_file(to);
    }
    written
}

fn fill(old: &mut File, new: &mut File, found: &Metadata) -> io::Result<Identity> {
    // The mode comes last: changing the owner clears the setuid bit. A copy that cannot have the
    // old attributes is better than none.
    let _ = fchown(&*new, Some(found.uid()), Some(found.gid()));
    io::copy(old, new)?;
    let _ = new.set_permissions(Permissions::from_mode(found.mode() & MODE_BITS));
    sync_file(new)?;
    Ok(Identity::of(&new.metadata()?))
}
