//! Replaces a destination by its stage file.
//!
//! The usual way is a rename, so that readers see the old file or the new one and never a mixture.
//! A rename is not possible if the destination is a mount of its own (a single file that is
//! bind-mounted into a container), or if its file system refuses renames. Then the destination is written in place: readers can see a
//! mixture for a moment, but if writing fails the destination gets its old content back.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::Path;

use report::Fingerprint;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::Target;
use crate::attributes::{Attributes, MODE_BITS, give_mode, give_owner};
use crate::durable::sync_file;
use crate::error::Error;
use crate::stage::StageFile;
use crate::step::{Observer, Step};
use crate::undo::Identity;

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
    let found = fs::symlink_metadata(&target.dest).ok();
    let is_folder = found.as_ref().is_some_and(Metadata::is_dir);
    let errno = if is_folder { Some(Errno::EXIST) } else { Errno::from_io_error(&cause) };
    if may_write_in_place && !is_folder && needs_writing(errno, found.as_ref(), stage) {
        observer.observe(&Step::WritingInPlace { dest: &target.dest });
        write_in_place(target, &stage.attributes, content)?;
        return Ok(How::WrittenInPlace);
    }
    Err(Error::Rename {
        from: stage.path.clone(),
        to: target.dest.clone(),
        cause: errno.map_or(cause, io::Error::from),
    })
}

/// Whether the destination `found` must be written in place, because no rename can replace it: it is
/// a mount, or its file system refuses renames, some only over an existing file.
///
/// EPERM can also mean that the folder is sticky and the destination belongs to another user, who
/// could read everything that is written to it. So then the destination must be ours or missing.
fn needs_writing(errno: Option<Errno>, found: Option<&Metadata>, stage: &StageFile) -> bool {
    let is_ours =
        |found: &Metadata| [geteuid().as_raw(), stage.attributes.uid].contains(&found.uid());
    match errno {
        Some(Errno::BUSY | Errno::XDEV) => true,
        Some(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => true,
        Some(Errno::PERM) => found.is_none_or(is_ours),
        _ => false,
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
    if let Err(error) = give_attributes(&file, target, &old.attributes, wanted) {
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
        .and_then(|born| give_attributes(&file, target, &Attributes::of(&born), wanted))
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

/// Sets the wanted mode and owner of a file that is written in place. A failure is an error only for
/// what the target asks for.
fn give_attributes(
    file: &File,
    target: &Target,
    has: &Attributes,
    wanted: &Attributes,
) -> Result<(), Error> {
    let dest = &target.dest;
    match give_mode(file, has, wanted) {
        Err(cause) if target.mode.is_some() => return Err(Error::file("chmod", dest, cause)),
        Ok(()) | Err(_) => {}
    }
    give_owner(file, dest, target, has, wanted)
}

/// Replaces the content of the file and syncs it to the disk.
///
/// The file is shortened last. Until then it keeps its old blocks, so writing the old content back
/// needs no disk space that another program may have taken.
fn overwrite(file: &File, content: &[u8]) -> Result<(), (&'static str, io::Error)> {
    file.write_all_at(content, 0).map_err(|cause| ("write", cause))?;
    file.set_len(content.len() as u64).map_err(|cause| ("truncate", cause))?;
    sync_file(file).map_err(|cause| ("fsync", cause))
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
    use std::os::unix::fs::symlink;

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
