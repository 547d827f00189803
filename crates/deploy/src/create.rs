//! New files beside a destination, under names that are free.
//!
//! The name of each contains a random number, because several processes may work in one folder. A
//! file that its process still uses is locked, so that a sweep does not remove it as a leftover.

use std::fs::{File, TryLockError};
use std::io;

use rustix::fs::{OFlags, Stat, fstat};

use crate::error::Error;
use crate::folder::FileAt;
use crate::place::{RANDOM_RANGE, WIDE_RANGE};

/// The number of short names that are tried. Another program may have made files with all of them.
const SHORT: usize = 100;

/// The number of names that are tried before giving up.
const ATTEMPTS: usize = 200;

/// An empty file.
pub(crate) struct NewFile {
    pub(crate) at: FileAt,
    /// Open for writing.
    pub(crate) file: File,
    /// The state of the file after its creation.
    pub(crate) born: Stat,
    /// Locked, and open for reading only. `None` on a file system without locks.
    pub(crate) lock: Option<File>,
}

/// Creates an empty, locked file with the permissions of `mode`, without those that the umask of the
/// process removes. `at` makes a name of a number below [`WIDE_RANGE`].
pub(crate) fn create_locked(mode: u32, at: impl Fn(u64) -> FileAt) -> Result<NewFile, Error> {
    loop {
        let (at, opened) = with_free_name(&at, |at| at.create(mode));
        let file = opened.map_err(|cause| Error::file("open", &at.path(), cause))?;
        let lock = match lock(&at) {
            Ok(lock) => Some(lock),
            // A sweep locked the file first, and removes it.
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(_)) => None,
        };
        let born = fstat(&file).map_err(|cause| Error::file("stat", &at.path(), cause.into()))?;
        // A sweep may have removed the file between its creation and its lock: try another name.
        if born.st_nlink > 0 {
            return Ok(NewFile { at, file, born, lock });
        }
    }
}

/// Calls `make` with the names of random numbers until a name is free, and also returns the last
/// name.
pub(crate) fn with_free_name<T>(
    at: impl Fn(u64) -> FileAt,
    make: impl Fn(&FileAt) -> io::Result<T>,
) -> (FileAt, io::Result<T>) {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let range = if attempts <= SHORT { RANDOM_RANGE } else { WIDE_RANGE };
        let at = at(fastrand::u64(..range));
        match make(&at) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists && attempts < ATTEMPTS => {}
            made => return (at, made),
        }
    }
}

/// Removes a file that this process holds open by `held`.
///
/// A FUSE file system renames a file that is removed while it is open, which fails if the file system
/// refuses renames. Then the file is closed first. It is not locked any more at that moment, so the
/// usual way is tried before.
pub(crate) fn remove_open<T>(at: &FileAt, held: T) -> io::Result<()> {
    match at.remove() {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            drop(held);
            at.remove()
        }
        removed => removed,
    }
}

/// Opens a file of [`create_locked`] and locks it; an error if another process has the lock.
pub(crate) fn lock(at: &FileAt) -> Result<File, TryLockError> {
    let file = at.open(OFlags::RDONLY | OFlags::NOFOLLOW).map_err(TryLockError::Error)?;
    file.try_lock()?;
    Ok(file)
}
