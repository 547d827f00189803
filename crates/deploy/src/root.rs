//! The root of a group check: a folder in which the new files stand under their final names.
//!
//! A program that reads several files, such as nginx with its `include`, can only check a new file
//! together with the others. It needs a place where all of them have their final names, and the
//! destinations must not change yet. So a hidden folder beside the first destination has a tree of
//! symbolic links: `ROOT/etc/nginx/nginx.conf` leads to what `/etc/nginx/nginx.conf` is about to be.
//!
//! - Each folder in which a destination is, and each folder above it, is a folder in the root.
//! - A destination that changes is a link to its stage file, by its path: a check command may have
//!   replaced the file. One that is to be removed is not there.
//! - All other entries of these folders are links to the real ones, except for files of confd itself.
//!   A relative link that stays in its folder or below keeps its text, because it may lead to a
//!   destination. The entries of `/` are left out.
//! - A folder has one place in the root, that of its path without symbolic links. Where the path of a
//!   destination goes through a link, the root has a link to that place. So both paths work, and show
//!   the same files.
//! - A folder that may be searched but not read has only the entries that are in the paths of
//!   destinations.
//!
//! The names of the links are visible to all users, as the folder has mode 0755 when it is complete;
//! the files keep their rights. Copies were not chosen, because another program could read them
//! longer than the stage files, and because a check command can name a file by its stage file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, lstat, mkdirat, openat, readlinkat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::attributes::our_user;
use crate::create::{lock, with_free_name};
use crate::error::Error;
use crate::folder::{FileAt, Folder, FolderIdentity, is_folder};
use crate::place::{is_own_name, root_name};

/// The permissions of the folders while they are made.
const PRIVATE: u32 = 0o700;
/// The permissions of the folders when they are complete: a check command may run as another user.
const READABLE: u32 = 0o755;

/// What stands at a destination in the root.
pub(crate) enum Shown {
    /// The file that is there now.
    Present,
    /// The stage file of this name, in the folder of the destination.
    Staged(OsString),
    /// The file at this path.
    At(PathBuf),
    /// Nothing: the file is to be removed.
    Absent,
}

/// The folders and links of a root, before they are made. Folders have their paths without links.
#[derive(Default)]
pub(crate) struct Plan {
    top: Node,
    /// The places of the folders of destinations, by their paths as they were written.
    places: BTreeMap<PathBuf, PathBuf>,
}

/// One folder.
#[derive(Default)]
struct Node {
    folders: BTreeMap<OsString, Node>,
    links: BTreeMap<OsString, Link>,
}

/// A link whose target is not just the entry of the same name.
enum Link {
    /// To this path outside of the root.
    Outside(PathBuf),
    /// To the folder that has this path in the root.
    Inside(PathBuf),
    /// No link, although there is an entry.
    Nowhere,
}

impl Plan {
    /// Adds a destination.
    ///
    /// # Errors
    /// The working folder is not known, or a folder in the path cannot be examined.
    pub(crate) fn add(&mut self, dest: &Path, shown: Shown) -> Result<(), Error> {
        let dest = std::path::absolute(dest).map_err(|cause| Error::file("getwd", dest, cause))?;
        let (Some(folder), Some(name)) = (dest.parent(), dest.file_name()) else {
            return Ok(());
        };
        let place = match self.places.get(folder) {
            Some(place) => place.clone(),
            None => {
                let place = self.add_folder(folder)?;
                self.places.insert(folder.to_owned(), place.clone());
                place
            }
        };
        let link = match shown {
            Shown::Present => return Ok(()),
            Shown::Staged(stage) => Link::Outside(place.join(stage)),
            Shown::At(path) => Link::Outside(path),
            Shown::Absent => Link::Nowhere,
        };
        self.top.at(&place).links.insert(name.to_owned(), link);
        Ok(())
    }

    /// Adds a folder and the folders and links that lead to it. Returns its path without links.
    fn add_folder(&mut self, folder: &Path) -> Result<PathBuf, Error> {
        let mut place = PathBuf::from("/");
        for part in folder.components() {
            match part {
                Component::Normal(name) => {
                    let path = place.join(name);
                    let found = match lstat(&path) {
                        Ok(found) => found,
                        // The check sees what is there: nothing.
                        Err(Errno::NOENT) => return Ok(folder.to_owned()),
                        Err(cause) => return Err(Error::file("lstat", &path, cause.into())),
                    };
                    if is_folder(&found) {
                        place = path;
                        continue;
                    }
                    let to = fs::canonicalize(&path)
                        .map_err(|cause| Error::file("readlink", &path, cause))?;
                    self.top.at(&place).links.insert(name.to_owned(), Link::Inside(to.clone()));
                    self.top.at(&to);
                    place = to;
                }
                Component::ParentDir => drop(place.pop()),
                Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
            }
        }
        self.top.at(&place);
        Ok(place)
    }
}

impl Node {
    /// The folder at this path, which has no links.
    fn at(&mut self, path: &Path) -> &mut Node {
        path.iter()
            .filter(|part| *part != "/")
            .fold(self, |node, part| node.folders.entry(part.to_owned()).or_default())
    }
}

/// A root on the disk. Dropping it removes it.
pub(crate) struct Root {
    at: FileAt,
    /// Locked, so that a sweep does not remove it as a leftover.
    folder: File,
    /// The path without links.
    path: PathBuf,
}

impl Root {
    /// Makes the root in `folder`.
    ///
    /// # Errors
    /// A folder or a link cannot be made. Nothing is left.
    pub(crate) fn make(folder: &Arc<Folder>, plan: &Plan) -> Result<Root, Error> {
        let beside = fs::canonicalize(folder.path())
            .map_err(|cause| Error::file("readlink", folder.path(), cause))?;
        let (at, root) = create(folder)?;
        let root = Root { path: beside.join(at.name()), at, folder: root };
        // Another program may have replaced the folder in the meantime.
        root.verify_path()?;
        fill(root.folder.as_fd(), &plan.top, Path::new("/"), &root.path)
            .map_err(|(path, cause)| Error::file("symlink", &path, cause))?;
        Ok(root)
    }

    /// The path of the root, without symbolic links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Checks that the path of the root leads to it.
    ///
    /// # Errors
    /// Another program has replaced it or a folder above it.
    fn verify_path(&self) -> Result<(), Error> {
        let swapped = || Error::Swapped { path: self.path.clone() };
        let named = lstat(&self.path).map_err(|_| swapped())?;
        let held = fstat(&self.folder).map_err(|_| swapped())?;
        let is_same = FolderIdentity::of(&named) == FolderIdentity::of(&held);
        if is_same { Ok(()) } else { Err(swapped()) }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        // An error cannot be reported here. A later run sweeps the folder.
        let _ = remove_tree(&self.at, &self.folder);
    }
}

/// Creates an empty, locked folder under a free name.
fn create(folder: &Arc<Folder>) -> Result<(FileAt, File), Error> {
    loop {
        let named = |random| FileAt::new(folder, root_name(random));
        let (at, made) = with_free_name(named, |at| at.make_folder(PRIVATE));
        made.map_err(|cause| Error::file("mkdir", &at.path(), cause))?;
        let opened = match lock(&at) {
            Ok(opened) => opened,
            // A sweep locked the folder first, and removes it.
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::NotFound => continue,
            // A file system without locks.
            Err(TryLockError::Error(_)) => at
                .open(OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::DIRECTORY)
                .map_err(|cause| Error::file("open", &at.path(), cause))?,
        };
        let held = fstat(&opened).map_err(|cause| Error::file("stat", &at.path(), cause.into()))?;
        match at.lstat() {
            Ok(named) if FolderIdentity::of(&named) == FolderIdentity::of(&held) => {}
            // A sweep may have removed it between its creation and its lock.
            _ => continue,
        }
        if !is_folder(&held) || held.st_uid != our_user() {
            return Err(Error::Swapped { path: at.path() });
        }
        return Ok((at, opened));
    }
}

/// Fills a folder of the root, which stands for the folder `real`. An error has the path of the
/// entry.
fn fill(
    folder: BorrowedFd<'_>,
    node: &Node,
    real: &Path,
    root: &Path,
) -> Result<(), (PathBuf, io::Error)> {
    for (name, below) in &node.folders {
        let real = real.join(name);
        let failed = |cause: Errno| (inside(root, &real), cause.into());
        mkdirat(folder, name, Mode::from_raw_mode(PRIVATE)).map_err(failed)?;
        let made = open_folder(folder, name).map_err(failed)?;
        fill(made.as_fd(), below, &real, root)?;
    }
    let link = |to: &Path, name: &OsStr| {
        symlinkat(to, folder, name)
            .map_err(|cause| (inside(root, &real.join(name)), io::Error::from(cause)))
    };
    for (name, to) in &node.links {
        match to {
            Link::Outside(to) => link(to, name)?,
            Link::Inside(to) => link(&inside(root, to), name)?,
            Link::Nowhere => {}
        }
    }
    if real != Path::new("/") {
        for (name, to) in neighbours(real).map_err(|cause| (real.to_owned(), cause))? {
            if !node.folders.contains_key(&name) && !node.links.contains_key(&name) {
                link(&to, &name)?;
            }
        }
    }
    fchmod(folder, Mode::from_raw_mode(READABLE))
        .map_err(|cause| (inside(root, real), cause.into()))
}

/// The place in the root of a path outside of it.
fn inside(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The names of the entries of a folder, and the paths to which their links in the root lead.
fn neighbours(folder: &Path) -> io::Result<Vec<(OsString, PathBuf)>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = match rustix::fs::open(folder, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::ACCESS | Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
        Err(cause) => return Err(cause.into()),
    };
    let mut found = Vec::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || is_own_name(name) {
            continue;
        }
        let name = OsString::from_vec(name.to_vec());
        let kept = || readlinkat(&opened, &name, Vec::new()).ok();
        let kept = match entry.file_type() {
            FileType::Symlink | FileType::Unknown => kept(),
            _ => None,
        };
        let kept = kept.map(|text| PathBuf::from(OsString::from_vec(text.into_bytes())));
        let to = kept.filter(|text| stays_below(text)).unwrap_or_else(|| folder.join(&name));
        found.push((name, to));
    }
    Ok(found)
}

/// Whether the text of a link leads to an entry of its folder, or to one below it.
fn stays_below(text: &Path) -> bool {
    text.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

fn open_folder(folder: BorrowedFd<'_>, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::empty())
}

/// Removes the root of a killed process. Returns whether it was removed.
pub(crate) fn remove_leftover(root: &FileAt) -> bool {
    let Ok(held) = lock(root) else { return false };
    let is_ours = match (fstat(&held), root.lstat()) {
        (Ok(held), Ok(named)) => {
            is_folder(&held)
                && held.st_uid == our_user()
                && FolderIdentity::of(&held) == FolderIdentity::of(&named)
        }
        _ => false,
    };
    is_ours && remove_tree(root, &held).is_ok()
}

/// Removes a root, which is held open.
fn remove_tree(root: &FileAt, held: &File) -> io::Result<()> {
    empty(held.as_fd(), fstat(held)?.st_dev)?;
    root.remove_folder()
}

/// Removes the entries of a folder. Links are not followed, and another file system is not entered.
fn empty(folder: BorrowedFd<'_>, device: u64) -> io::Result<()> {
    // A new descriptor, because a folder that was read before has no entries left.
    let mut entries = Dir::new(open_folder(folder, OsStr::new("."))?)?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read() {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    for name in names {
        match unlinkat(folder, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => continue,
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(cause) => return Err(cause.into()),
        }
        let found = statat(folder, &name, AtFlags::SYMLINK_NOFOLLOW)?;
        if found.st_dev != device {
            return Err(Errno::XDEV.into());
        }
        empty(open_folder(folder, &name)?.as_fd(), device)?;
        unlinkat(folder, &name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}
