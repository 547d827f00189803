//! Replaces a destination by its stage file.
//!
//! The usual way is a rename, so that readers see the old file or the new one and never a mixture.
//! A rename is not possible if the destination is a mount of its own (a single file that is
//! bind-mounted into a container). Then the destination is written in place: readers can see a
//! mixture for a moment, but if writing fails the destination gets its old content back.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use report::Fingerprint;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::Target;
use crate::compare::Attributes;
use crate::error::Error;
use crate::stage::{StageFile, give_owner};
use crate::step::{Observer, Step};
use crate::undo::Identity;

/// The bits of a mode that a mode change sets.
pub(crate) const MODE_BITS: u32 = 0o7777;

/// How a destination was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It is the stage file now.
    Renamed {
        /// The stage file right before the rename.
        staged: Fingerprint,
        /// The destination right after the rename.
        placed: Fingerprint,
    },
    /// It was replaced, and another program has removed it at once.
    Gone,
    /// It is the file that was there before, with the content of the stage file.
    WrittenInPlace,
}

/// Puts the stage file in the destination's place, with its owner and mode.
///
/// A destination that is a symbolic link is itself replaced, and the target of the link stays as it
/// is. Where a rename is not possible, the destination is written in place if `may_write_in_place`.
pub(crate) fn commit(
    target: &Target,
    stage: &mut StageFile,
    content: &[u8],
    may_write_in_place: bool,
    observer: &dyn Observer,
) -> Result<How, Error> {
    let staged = stage.metadata_now()?;
    let cause = match fs::rename(&stage.path, &target.dest) {
        Ok(()) => {
            stage.leave();
            // Between the two calls another user of the folder can have swapped the stage file.
            let placed = fs::symlink_metadata(&target.dest).ok();
            let (Some(staged), Some(placed)) = (staged, placed) else { return Ok(How::Gone) };
            return match Identity::of(&staged).is_same_file(&Identity::of(&placed)) {
                true => Ok(How::Renamed {
                    staged: Fingerprint::of(&staged),
                    placed: Fingerprint::of(&placed),
                }),
                false => Err(Error::Swapped { path: target.dest.clone() }),
            };
        }
        Err(cause) => cause,
    };
    // The system reports a folder at the destination by different errors, depending on how the path
    // is written. Go looks for the folder first and always has the same error.
    let is_folder = fs::symlink_metadata(&target.dest).is_ok_and(|found| found.is_dir());
    let errno = if is_folder { Some(Errno::EXIST) } else { Errno::from_io_error(&cause) };
    match errno {
        Some(Errno::BUSY | Errno::XDEV) if may_write_in_place => {
            observer.observe(&Step::WritingInPlace { dest: &target.dest });
            write_in_place(target, &stage.attributes, content)?;
            Ok(How::WrittenInPlace)
        }
        errno => Err(Error::Rename {
            from: stage.path.clone(),
            to: target.dest.clone(),
            cause: errno.map_or(cause, io::Error::from),
        }),
    }
}

/// Writes the destination in place. If that fails, writes the old content back.
fn write_in_place(target: &Target, wanted: &Attributes, content: &[u8]) -> Result<(), Error> {
    let dest = &target.dest;
    let file = match open_in_place(dest) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return create_in_place(target, wanted, content);
        }
        Err(cause) => return Err(Error::file("open", dest, cause)),
    };
    let old = Original::of(&file).map_err(|cause| Error::file("read", dest, cause))?;

    // The owner and the mode come before the first byte: if they cannot be set, nothing has
    // changed.
    let dressed = give_mode(&file, dest, target, &old.attributes, wanted)
        .and_then(|()| give_owner(&file, dest, target, &old.attributes, wanted));
    if let Err(error) = dressed {
        // The first error is the one to report. A part of the attributes may stay set.
        let _ = old.put_attributes_back(&file);
        return Err(error);
    }
    overwrite(&file, content).map_err(|(operation, cause)| Error::InPlace {
        operation,
        dest: dest.clone(),
        cause,
        put_back: old.put_back(&file),
    })
}

/// Opens a file that is to be written in place. A link is not followed: another user of the folder
/// may have made it, and the file that it leads to would get the content, the owner and the mode.
fn open_in_place(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(Errno::OPNOTSUPP.into()),
    }
}

/// Creates a destination that a rename cannot create. Removes it again if that fails.
fn create_in_place(target: &Target, wanted: &Attributes, content: &[u8]) -> Result<(), Error> {
    let dest = &target.dest;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(dest)
        .map_err(|cause| Error::file("open", dest, cause))?;
    let written = file
        .metadata()
        .map_err(|cause| Error::file("stat", dest, cause))
        .and_then(|born| {
            let born = Attributes::of(&born);
            give_mode(&file, dest, target, &born, wanted)?;
            give_owner(&file, dest, target, &born, wanted)
        })
        .and_then(|()| {
            overwrite(&file, content)
                .map_err(|(operation, cause)| Error::file(operation, dest, cause))
        });
    if written.is_err() {
        // The error to report is the one that stopped the writing.
        let _ = fs::remove_file(dest);
    }
    written
}

/// Sets the wanted mode. As with the owner, a failure is an error only if the target asked for the
/// mode.
fn give_mode(
    file: &File,
    path: &Path,
    target: &Target,
    has: &Attributes,
    wanted: &Attributes,
) -> Result<(), Error> {
    let mode = wanted.mode & MODE_BITS;
    if has.mode & MODE_BITS == mode {
        return Ok(());
    }
    match file.set_permissions(Permissions::from_mode(mode)) {
        Err(cause) if target.mode.is_some() => Err(Error::file("chmod", path, cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Replaces the content of the file and syncs it to the disk.
///
/// The file is shortened last. Until then it keeps its old blocks, so writing the old content back
/// needs no disk space that another program may have taken.
fn overwrite(file: &File, content: &[u8]) -> Result<(), (&'static str, io::Error)> {
    file.write_all_at(content, 0).map_err(|cause| ("write", cause))?;
    file.set_len(content.len() as u64).map_err(|cause| ("truncate", cause))?;
    file.sync_all().map_err(|cause| ("fsync", cause))
}

/// Writes the content and the attributes of `copy` to the destination in place, unless the
/// destination already has them. Returns whether it wrote.
pub(crate) fn write_back(dest: &Path, copy: &Path) -> io::Result<bool> {
    let old = Original::of(&File::open(copy)?)?;
    let file = open_in_place(dest)?;
    let now = Original::of(&file)?;
    if now == old {
        return Ok(false);
    }
    old.put_back(&file)?;
    Ok(true)
}

/// A file as it was before it was written in place.
#[derive(PartialEq, Eq)]
struct Original {
    content: Vec<u8>,
    attributes: Attributes,
}

impl Original {
    fn of(mut file: &File) -> io::Result<Original> {
        let mut content = Vec::new();
        io::Read::read_to_end(&mut file, &mut content)?;
        Ok(Original { content, attributes: Attributes::of(&file.metadata()?) })
    }

    fn put_back(&self, file: &File) -> io::Result<()> {
        overwrite(file, &self.content).map_err(|(_, cause)| cause)?;
        self.put_attributes_back(file)
    }

    fn put_attributes_back(&self, file: &File) -> io::Result<()> {
        let Attributes { uid, gid, mode } = self.attributes;
        let now = Attributes::of(&file.metadata()?);
        if (now.uid, now.gid) != (uid, gid) {
            fchown(file, Some(uid), Some(gid))?;
        }
        if now.mode != mode {
            file.set_permissions(Permissions::from_mode(mode & MODE_BITS))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn a_link_is_not_followed_when_a_destination_is_written_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").expect("write");
        symlink(&file, &link).expect("a link");
        let before = fs::metadata(&file).expect("metadata").mode();
        let mut target = Target::new(&link);
        target.mode = Some(0o600);
        let wanted = Attributes::regular(1000, 1000, 0o600);
        let error = write_in_place(&target, &wanted, b"new").expect_err("a link");
        let text = format!("open {}: too many levels of symbolic links", link.display());
        assert_eq!(error.to_string(), text);
        assert_eq!(fs::read_to_string(&file).expect("a file"), "old");
        assert_eq!(fs::metadata(&file).expect("metadata").mode(), before);
        let old = folder.path().join("copy");
        fs::write(&old, "older").expect("write");
        assert!(write_back(&link, &old).is_err());
        assert_eq!(fs::read_to_string(&file).expect("a file"), "old");
    }
}
