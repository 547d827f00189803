//! New files beside a destination, under names that are free.
//!
//! The name of each contains a random number, because several processes may work in one folder. A
//! file that its process still uses is locked, so that a sweep does not remove it as a leftover.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::attributes::MODE_BITS;
use crate::error::Error;
use crate::place::{RANDOM_RANGE, WIDE_RANGE};

/// The number of short names that are tried. Another program may have made files with all of them.
const SHORT: usize = 100;

/// The number of names that are tried before giving up.
const ATTEMPTS: usize = 200;

/// An empty file.
pub(crate) struct NewFile {
    pub(crate) path: PathBuf,
    /// Open for writing.
    pub(crate) file: File,
    /// The metadata of the file.
    pub(crate) born: Metadata,
    /// Locked, and open for reading only. `None` on a file system without locks.
    pub(crate) lock: Option<File>,
}

/// Creates an empty, locked file with the permissions of `mode`, without those that the umask of the
/// process removes. `path` makes a path of a number below [`WIDE_RANGE`].
pub(crate) fn create_locked(mode: u32, path: impl Fn(u64) -> PathBuf) -> Result<NewFile, Error> {
    loop {
        let (path, opened) = with_free_name(&path, |path| {
            OpenOptions::new().write(true).create_new(true).mode(mode & MODE_BITS).open(path)
        });
        let file = opened.map_err(|cause| Error::file("open", &path, cause))?;
        let lock = match lock(&path) {
            Ok(lock) => Some(lock),
            // A sweep locked the file first, and removes it.
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(_)) => None,
        };
        let born = file.metadata().map_err(|cause| Error::file("stat", &path, cause))?;
        // A sweep may have removed the file between its creation and its lock: try another name.
        if born.nlink() > 0 {
            return Ok(NewFile { path, file, born, lock });
        }
    }
}

/// Calls `make` with paths of random numbers until a path is free, and also returns the last path.
pub(crate) fn with_free_name<T>(
    path: impl Fn(u64) -> PathBuf,
    make: impl Fn(&Path) -> io::Result<T>,
) -> (PathBuf, io::Result<T>) {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let range = if attempts <= SHORT { RANDOM_RANGE } else { WIDE_RANGE };
        let path = path(fastrand::u64(..range));
        match make(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && attempts < ATTEMPTS => {}
            made => return (path, made),
        }
    }
}

/// Opens a file of [`create_locked`] and locks it; an error if another process has the lock.
pub(crate) fn lock(path: &Path) -> Result<File, TryLockError> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
