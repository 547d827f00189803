//! A folder that is held open, and files by their names in it.
//!
//! Another program can rename a folder and put another folder or a link at its path at any moment.
//! So a transaction opens the folder of its destination once, and everything beside the destination
//! goes through that descriptor: it stays in the folder in which it began. Only three looks use the
//! path, to notice that it leads to another folder by now: before a check command, which gets the
//! path of the stage file; after the rename; and when the folder is synced.
//!
//! Links in the path of the folder are followed, when the folder is opened, except below the folder
//! that a target must not leave.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, Stat, StatxAttributes, StatxFlags, fstat, linkat,
    mkdirat, openat, renameat, stat, statat, statx, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::attributes::MODE_BITS;
use crate::below::names_between;
use crate::directories;
use crate::error::Error;
use crate::place::{FileKind, Place, RANDOM_RANGE};
use crate::{Options, Target};

/// A folder that is held open. Its descriptor needs no permission to read the folder.
#[derive(Debug)]
pub(crate) struct Folder {
    path: Arc<Path>,
    descriptor: OwnedFd,
    identity: FolderIdentity,
}

/// The device and the inode of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FolderIdentity(u64, u64);

impl FolderIdentity {
    pub(crate) fn of(found: &Stat) -> FolderIdentity {
        FolderIdentity(found.st_dev, found.st_ino)
    }
}

/// The folders that are open, by their paths as texts, which are hashed faster. Transactions of the
/// same time share one descriptor, so that a thousand resources with one folder do not need a
/// thousand.
static OPEN: LazyLock<Mutex<HashMap<OsString, Weak<Folder>>>> = LazyLock::new(Mutex::default);

fn open_folders() -> MutexGuard<'static, HashMap<OsString, Weak<Folder>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Folder {
    /// Opens the folder at `path`, or shares the descriptor of a transaction that has it open, if
    /// the path still leads there.
    pub(crate) fn open(path: &Path) -> io::Result<Arc<Folder>> {
        let open = open_folders().get(path.as_os_str()).and_then(Weak::upgrade);
        if let Some(folder) = open
            && FolderIdentity::of(&stat(path)?) == folder.identity
        {
            return Ok(folder);
        }
        Folder::shared(path, open_at(CWD, path.as_os_str(), OFlags::empty())?)
    }

    /// Opens the folder at `path`. Between the folder `below` and this one no link is followed.
    pub(crate) fn open_below(path: &Path, below: Option<&Path>) -> Result<Arc<Folder>, NotOpened> {
        let Some(below) = below else { return Ok(Folder::open(path)?) };
        let outside = || Error::Outside { folder: path.to_owned(), below: below.to_owned() };
        let names = names_between(below, path).ok_or_else(outside)?;
        let start = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let mut here = open_at(CWD, start.as_os_str(), OFlags::empty())?;
        let mut walked = below.to_owned();
        for name in names {
            walked.push(name);
            here = open_step(here.as_fd(), name, &walked, below)?;
        }
        Ok(Folder::shared(path, here)?)
    }

    /// The folder of this descriptor, or the same folder as a transaction has it open.
    fn shared(path: &Path, descriptor: OwnedFd) -> io::Result<Arc<Folder>> {
        let identity = FolderIdentity::of(&fstat(&descriptor)?);
        let open = open_folders().get(path.as_os_str()).and_then(Weak::upgrade);
        if let Some(folder) = open
            && folder.identity == identity
        {
            return Ok(folder);
        }
        let folder = Arc::new(Folder { path: path.into(), descriptor, identity });
        open_folders().insert(path.as_os_str().to_owned(), Arc::downgrade(&folder));
        Ok(folder)
    }

    /// The path by which the folder was opened.
    pub(crate) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// The identity of the folder, by which a later look at the path is compared.
    pub(crate) fn identity(&self) -> FolderIdentity {
        self.identity
    }

    /// The folder itself, opened for reading its entries.
    pub(crate) fn readable(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(openat(&self.descriptor, ".", flags, Mode::empty())?)
    }
}

/// Opens a folder without the permission to read it. Links are followed unless `flags` forbid it.
pub(crate) fn open_at(
    above: BorrowedFd<'_>,
    name: &OsStr,
    flags: OFlags,
) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(above, name, flags, Mode::empty())
}

/// Opens a folder below `below`, where no link is allowed. `path` is its path.
pub(crate) fn open_step(
    above: BorrowedFd<'_>,
    name: &OsStr,
    path: &Path,
    below: &Path,
) -> Result<OwnedFd, NotOpened> {
    open_at(above, name, OFlags::NOFOLLOW).map_err(|cause| {
        let found = statat(above, name, AtFlags::SYMLINK_NOFOLLOW);
        match found.is_ok_and(|found| is_link(&found)) {
            true => Error::Linked { link: path.to_owned(), below: below.to_owned() }.into(),
            false => NotOpened::Failed(cause.into()),
        }
    })
}

/// Why a folder was not opened.
#[derive(Debug)]
pub(crate) enum NotOpened {
    /// The system refuses.
    Failed(io::Error),
    /// The path leads, or may lead, out of the folder that it must not leave.
    Refused(Error),
}

impl NotOpened {
    /// The error; `failed` makes that of the system.
    pub(crate) fn error(self, failed: impl FnOnce(io::Error) -> Error) -> Error {
        match self {
            NotOpened::Failed(cause) => failed(cause),
            NotOpened::Refused(error) => error,
        }
    }
}

impl From<io::Error> for NotOpened {
    fn from(cause: io::Error) -> Self {
        NotOpened::Failed(cause)
    }
}

impl From<Errno> for NotOpened {
    fn from(cause: Errno) -> Self {
        NotOpened::Failed(cause.into())
    }
}

impl From<Error> for NotOpened {
    fn from(error: Error) -> Self {
        NotOpened::Refused(error)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut open = open_folders();
        // The path can have an entry for another folder by now.
        let path = self.path.as_os_str();
        if open.get(path).is_some_and(|folder| folder.strong_count() == 0) {
            open.remove(path);
        }
    }
}

/// A name in a folder that is held open. There need not be a file of this name.
#[derive(Clone, Debug)]
pub(crate) struct FileAt {
    folder: Arc<Folder>,
    name: OsString,
}

impl FileAt {
    pub(crate) fn new(folder: &Arc<Folder>, name: impl Into<OsString>) -> FileAt {
        FileAt { folder: Arc::clone(folder), name: name.into() }
    }

    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    pub(crate) fn name(&self) -> &OsStr {
        &self.name
    }

    /// The path of the file, for people and commands.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path.join(&self.name)
    }

    /// `stat`: a link is followed.
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        Ok(statat(&self.folder.descriptor, &self.name, AtFlags::empty())?)
    }

    /// `lstat`: a link is not followed.
    pub(crate) fn lstat(&self) -> io::Result<Stat> {
        Ok(statat(&self.folder.descriptor, &self.name, AtFlags::SYMLINK_NOFOLLOW)?)
    }

    /// Whether something is mounted at this name. A link is not followed.
    pub(crate) fn is_mount(&self) -> bool {
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        statx(&self.folder.descriptor, &self.name, flags, StatxFlags::empty())
            .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }

    /// Opens the file. Opening a pipe does not wait for its other end.
    pub(crate) fn open(&self, flags: OFlags) -> io::Result<File> {
        let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(openat(&self.folder.descriptor, &self.name, flags, Mode::empty())?.into())
    }

    /// Creates the file for writing, with the permissions of `mode` less those of the umask. An
    /// error if the name is taken, also by a link.
    pub(crate) fn create(&self, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode & MODE_BITS);
        Ok(openat(&self.folder.descriptor, &self.name, flags, mode)?.into())
    }

    /// Makes an empty folder, with the permissions of `mode` less those of the umask.
    pub(crate) fn make_folder(&self, mode: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(mode & MODE_BITS);
        Ok(mkdirat(&self.folder.descriptor, &self.name, mode)?)
    }

    /// Renames the file. `to` is in the same folder, or in another that is held open.
    pub(crate) fn rename(&self, to: &FileAt) -> io::Result<()> {
        Ok(renameat(&self.folder.descriptor, &self.name, &to.folder.descriptor, &to.name)?)
    }

    /// Makes `to` a second name of the file; a link is not followed.
    pub(crate) fn link(&self, to: &FileAt) -> io::Result<()> {
        let (from, flags) = (&self.folder.descriptor, AtFlags::empty());
        Ok(linkat(from, &self.name, &to.folder.descriptor, &to.name, flags)?)
    }

    /// Makes a symbolic link that leads to `target`.
    pub(crate) fn symlink(&self, target: &OsStr) -> io::Result<()> {
        Ok(symlinkat(target, &self.folder.descriptor, &self.name)?)
    }

    /// The path to which a symbolic link leads.
    pub(crate) fn read_link(&self) -> io::Result<OsString> {
        use std::os::unix::ffi::OsStringExt;
        let target = rustix::fs::readlinkat(&self.folder.descriptor, &self.name, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()))
    }

    /// Removes an empty folder.
    pub(crate) fn remove_folder(&self) -> io::Result<()> {
        Ok(unlinkat(&self.folder.descriptor, &self.name, AtFlags::REMOVEDIR)?)
    }

    /// Removes the file.
    pub(crate) fn remove(&self) -> io::Result<()> {
        Ok(unlinkat(&self.folder.descriptor, &self.name, AtFlags::empty())?)
    }
}

/// A destination whose folder is held open, and the files that belong to it.
#[derive(Clone, Debug)]
pub(crate) struct OpenPlace {
    place: Place,
    dest: FileAt,
}

impl OpenPlace {
    /// Opens the folder of the destination.
    ///
    /// # Errors
    /// The folder cannot be opened. Nothing could be staged in it, so the error is that of the
    /// stage file, in the words of confd.
    pub(crate) fn of(dest: &Path) -> Result<OpenPlace, Error> {
        OpenPlace::open(Place::of(dest)?, None)
    }

    /// Opens the folder of the target's destination, and creates it if it is missing and the target
    /// asks for that.
    ///
    /// With `-noop` nothing is created: the deepest folder that exists takes the place of the missing
    /// one, so that the file can be staged. The destination is missing there too.
    pub(crate) fn of_target(target: &Target, options: &Options) -> Result<OpenPlace, Error> {
        let Some(mode) = target.make_directories else { return OpenPlace::existing(target) };
        let place = Place::of(&target.dest)?;
        let below = target.below.as_deref();
        match directories::first_missing(place.folder()) {
            Some((above, name)) if options.noop => {
                // It can also be above the folder that the destination must not leave.
                let below = below.filter(|below| names_between(below, above).is_some());
                let folder = Folder::open_below(above, below)
                    .map_err(|refused| refused.error(|cause| Error::file("open", above, cause)))?;
                Ok(OpenPlace { dest: FileAt::new(&folder, name), place })
            }
            Some(_) => {
                directories::create(place.folder(), below, mode)?;
                OpenPlace::existing(target)
            }
            None => OpenPlace::existing(target),
        }
    }

    /// Opens the folder of the target's destination.
    ///
    /// # Errors
    /// As [`of`](OpenPlace::of); or there is a link where the target allows none.
    pub(crate) fn existing(target: &Target) -> Result<OpenPlace, Error> {
        OpenPlace::open(Place::of(&target.dest)?, target.below.as_deref())
    }

    /// Opens the folder of a destination that need not exist. `None` if the folder is missing.
    ///
    /// # Errors
    /// The folder exists and cannot be opened, or there is a link where the target allows none.
    pub(crate) fn find(target: &Target) -> Result<Option<OpenPlace>, Error> {
        let place = Place::of(&target.dest)?;
        match Folder::open_below(place.folder(), target.below.as_deref()) {
            Ok(folder) => Ok(Some(OpenPlace::within(place, &folder))),
            Err(NotOpened::Failed(cause)) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(refused) => Err(refused.error(|cause| Error::file("open", place.folder(), cause))),
        }
    }

    fn open(place: Place, below: Option<&Path>) -> Result<OpenPlace, Error> {
        match Folder::open_below(place.folder(), below) {
            Ok(folder) => Ok(OpenPlace::within(place, &folder)),
            Err(refused) => Err(refused.error(|cause| {
                let name = place.file_name(FileKind::Passing, fastrand::u64(..RANDOM_RANGE));
                Error::file("open", &place.folder().join(name), cause)
            })),
        }
    }

    fn within(place: Place, folder: &Arc<Folder>) -> OpenPlace {
        OpenPlace { dest: FileAt::new(folder, place.dest_name()), place }
    }

    pub(crate) fn folder(&self) -> &Arc<Folder> {
        &self.dest.folder
    }

    /// The destination.
    pub(crate) fn dest(&self) -> &FileAt {
        &self.dest
    }

    /// The file of this kind with this random part (below [`WIDE_RANGE`](crate::place::WIDE_RANGE)).
    pub(crate) fn file(&self, kind: FileKind, random: u64) -> FileAt {
        FileAt::new(self.folder(), self.place.file_name(kind, random))
    }

    /// The marker of a pending reload.
    pub(crate) fn marker(&self) -> FileAt {
        FileAt::new(self.folder(), self.place.pending_name())
    }

    /// The former file of a trial.
    pub(crate) fn former(&self) -> FileAt {
        FileAt::new(self.folder(), self.place.former_name())
    }

    /// The record of a trial.
    pub(crate) fn trial(&self) -> FileAt {
        FileAt::new(self.folder(), self.place.trial_name())
    }

    /// The hold of the destination.
    pub(crate) fn hold(&self) -> FileAt {
        FileAt::new(self.folder(), self.place.hold_name())
    }
}

/// Whether `found` is a folder.
pub(crate) fn is_folder(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode).is_dir()
}

/// Whether `found` is a regular file.
pub(crate) fn is_file(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode).is_file()
}

/// Whether `found` is a symbolic link.
pub(crate) fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode).is_symlink()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn transactions_of_one_folder_share_its_descriptor_while_the_path_leads_there() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("a");
        fs::create_dir(&path).expect("a folder");
        let first = Folder::open(&path).expect("open");
        assert!(Arc::ptr_eq(&first, &Folder::open(&path).expect("open")));
        fs::rename(&path, root.path().join("b")).expect("renamed");
        fs::create_dir(&path).expect("a folder");
        let second = Folder::open(&path).expect("open");
        assert_ne!(first.identity(), second.identity());
        drop(first);
        assert!(Arc::ptr_eq(&second, &Folder::open(&path).expect("open")));
        drop(second);
        assert!(!open_folders().contains_key(path.as_os_str()));
    }
}
