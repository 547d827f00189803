//! Puts a destination back as it was before a transaction replaced or removed it.
//!
//! Before the first member of a set is committed, each destination gets an undo file beside it: a
//! hard link to the old file, which needs no copying and keeps all attributes. Where no link is
//! possible (a mount, a file system without links) it is a copy. The destination is put back by
//! renaming the undo file.
//!
//! Every step first checks the identity of the file at a path. So the step can be repeated after a
//! crash at any instruction, and a file that another program has put there in the meantime is not
//! touched.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, Stat, fstat};

use crate::Target;
use crate::attributes::MODE_BITS;
use crate::commit::write_back;
use crate::create::{remove_open, with_free_name};
use crate::durable::sync_file;
use crate::error::Error;
use crate::failpoint;
use crate::folder::{FileAt, OpenPlace, is_file, is_folder, is_link};
use crate::pending::{self, Marker};
use crate::place::{FileKind, Place};
use crate::stage::Becomes;
use crate::step::Observer;

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
    pub(crate) fn of(found: &Stat) -> Identity {
        Identity {
            device: found.st_dev,
            inode: found.st_ino,
            modified: (found.st_mtime, found.st_mtime_nsec as i64),
        }
    }

    /// The identity of the file of this name; links are not followed.
    pub(crate) fn at(file: &FileAt) -> Option<Identity> {
        file.lstat().ok().as_ref().map(Identity::of)
    }

    /// The identity as text, for a journal.
    pub(crate) fn text(&self) -> String {
        let Identity { device, inode, modified: (seconds, nanos) } = self;
        format!("{device} {inode} {seconds} {nanos}")
    }

    /// The identity that [`text`](Identity::text) wrote.
    pub(crate) fn from_text(text: &[u8]) -> Option<Identity> {
        let mut numbers = std::str::from_utf8(text).ok()?.split(' ');
        let identity = Identity {
            device: numbers.next()?.parse().ok()?,
            inode: numbers.next()?.parse().ok()?,
            modified: (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?),
        };
        numbers.next().is_none().then_some(identity)
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
    /// The identity of the new file; `None` if the destination is removed.
    pub(crate) staged: Option<Identity>,
    /// How the old file can be restored.
    pub(crate) undo: Undo,
    /// The marker of the reload, if the transaction sets it.
    pub(crate) marker: Option<PathBuf>,
}

/// How a destination is put back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Remove the new file, if there is one: there was no old file.
    Remove,
    /// Rename the second name of the old file.
    Link { path: PathBuf, identity: Identity },
    /// Rename a copy of the old file, or write it to the old file if that was written in place.
    Copy { path: PathBuf, identity: Identity, old: Identity },
}

impl Entry {
    /// Makes the undo file of a destination that is about to be replaced or removed. `has_command` says
    /// whether a command follows.
    pub(crate) fn prepare(
        target: &Target,
        place: &OpenPlace,
        becomes: &Becomes,
        has_command: bool,
    ) -> Result<Entry, Error> {
        let dest = std::path::absolute(&target.dest)
            .map_err(|cause| Error::file("getwd", &target.dest, cause))?;
        let folder = Place::of(&dest)?.folder().to_owned();
        let sets_marker = has_command && Marker::find(place).is_none();
        Ok(Entry {
            undo: Undo::prepare(place, &folder, &dest)?,
            staged: becomes.file().map(|file| file.identity),
            marker: sets_marker.then(|| folder.join(place.marker().name())),
            dest,
        })
    }

    /// Whether the old file is still there under its second name, or there was none.
    pub(crate) fn has_former(&self, place: &OpenPlace) -> bool {
        let has = |(file, identity): (FileAt, &Identity)| Identity::at(&file) == Some(*identity);
        self.undo.file(place).is_none_or(has)
    }

    /// Whether the destination, in this open folder, is replaced and its undo file is gone. Undo
    /// files are removed after the journal, so the transaction was complete.
    pub(crate) fn is_complete(&self, place: &OpenPlace) -> bool {
        let is_gone = |(file, old): (FileAt, &Identity)| Identity::at(&file) != Some(*old);
        self.is_replaced(place) && self.undo.file(place).is_some_and(is_gone)
    }

    fn is_replaced(&self, place: &OpenPlace) -> bool {
        Identity::at(place.dest()) == self.staged
    }

    /// Puts the destination back, and removes the undo file and the marker. Returns whether the
    /// destination had been replaced.
    ///
    /// It may be called again after a crash at any point of it.
    pub(crate) fn put_back(
        &self,
        place: &OpenPlace,
        observer: &dyn Observer,
    ) -> Result<bool, Error> {
        let failed = |cause| Error::PutBack { dest: self.dest.clone(), cause };
        let dest = place.dest();
        let undo = self.undo.file(place).filter(|(file, of)| Identity::at(file) == Some(**of));
        let replaced = match (&self.undo, undo) {
            (Undo::Remove, _) => {
                let replaced = self.staged.is_some() && self.is_replaced(place);
                if replaced {
                    dest.remove().map_err(failed)?;
                }
                replaced
            }
            (_, Some((file, _))) if self.is_replaced(place) => {
                file.rename(dest).map_err(failed)?;
                true
            }
            (Undo::Copy { old, .. }, Some((file, _))) => {
                let is_old = Identity::at(dest).is_some_and(|now| now.is_same_file(old));
                is_old && write_back(dest, &file).map_err(failed)?
            }
            (Undo::Link { .. } | Undo::Copy { .. }, _) => false,
        };
        failpoint();
        self.discard_undo(place);
        failpoint();
        // The marker is removed last: while the new file may be in place, its reload is pending.
        if self.marker.is_some() {
            pending::end(&place.marker(), observer);
        }
        Ok(replaced)
    }

    /// Removes the undo file.
    pub(crate) fn discard_undo(&self, place: &OpenPlace) {
        if let Some((file, identity)) = self.undo.file(place)
            && Identity::at(&file) == Some(*identity)
        {
            // An undo file that stays is removed by a sweep.
            let _ = file.remove();
        }
    }
}

impl Undo {
    /// Keeps the former file of a trial, under its one name. No file of this name may be there.
    pub(crate) fn keep(place: &OpenPlace, dest: &Path) -> Result<Undo, Error> {
        let former = place.former();
        let path = std::path::absolute(former.path())
            .map_err(|cause| Error::file("getwd", &former.path(), cause))?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Undo::make(place, &folder, dest, |make| (former.clone(), make(&former)))
    }

    /// Makes the undo file. `folder` is the absolute path of the open folder, and `dest` that of the
    /// destination.
    fn prepare(place: &OpenPlace, folder: &Path, dest: &Path) -> Result<Undo, Error> {
        let undo_file = |random| place.file(FileKind::Undo, random);
        Undo::make(place, folder, dest, |make| with_free_name(undo_file, make))
    }

    /// Makes the undo file under the name that `named` gives it.
    fn make(
        place: &OpenPlace,
        folder: &Path,
        dest: &Path,
        named: impl Fn(&dyn Fn(&FileAt) -> io::Result<Identity>) -> (FileAt, io::Result<Identity>),
    ) -> Result<Undo, Error> {
        let found = match place.dest().lstat() {
            // A folder cannot be replaced: the commit reports it, and nothing needs to be put back.
            Ok(found) if is_folder(&found) => return Ok(Undo::Remove),
            Ok(found) => found,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Undo::Remove),
            Err(cause) => return Err(Error::file("lstat", dest, cause)),
        };
        let old = Identity::of(&found);
        let (file, linked) = named(&|file| place.dest().link(file).map(|()| old));
        failpoint();
        if linked.is_ok() {
            return Ok(Undo::Link { path: folder.join(file.name()), identity: old });
        }
        let (file, copied) = named(&|file| copy(place.dest(), &found, file));
        failpoint();
        match copied {
            Ok(identity) => Ok(Undo::Copy { path: folder.join(file.name()), identity, old }),
            Err(cause) => Err(Error::file("copy", dest, cause)),
        }
    }

    /// The undo file, in the open folder of its destination, and its identity.
    pub(crate) fn file(&self, place: &OpenPlace) -> Option<(FileAt, &Identity)> {
        match self {
            Undo::Remove => None,
            Undo::Link { path, identity } | Undo::Copy { path, identity, .. } => {
                Some((FileAt::new(place.folder(), path.file_name()?), identity))
            }
        }
    }
}

/// Copies a regular file or a symbolic link. The owner and the mode are copied
/// if possible.
fn copy(from: &FileAt, found: &Stat, to: &FileAt) -> io::Result<Identity> {
    if is_link(found) {
        to.symlink(&from.read_link()?)?;
        return to.lstat().map(|made| Identity::of(&made));
    }
    if !is_file(found) {
        return Err(io::Error::from(rustix::io::Errno::OPNOTSUPP));
    }
    let mut old = from.open(OFlags::RDONLY | OFlags::NOFOLLOW)?;
    let mut new = to.create(0o600)?;
    let written = fill(&mut old, &mut new, found);
    if written.is_err() {
        // The error to report is the one of writing.
        let _ = remove_open(to, new);
    }
    written
}

fn fill(old: &mut File, new: &mut File, found: &Stat) -> io::Result<Identity> {
    // The mode comes last: changing the owner clears the setuid bit. A copy that cannot have the
    // old attributes is better than none.
    let _ = fchown(&*new, Some(found.st_uid), Some(found.st_gid));
    io::copy(old, new)?;
    let _ = new.set_permissions(Permissions::from_mode(found.st_mode & MODE_BITS));
    sync_file(new)?;
    Ok(Identity::of(&fstat(&*new)?))
}
