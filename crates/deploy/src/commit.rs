//! Replaces a destination by its stage file, or removes it.
//!
//! The usual way is a rename, so that readers see the old file or the new one and never a mixture.
//! A rename is not possible if the destination is a mount of its own (a single file that is
//! bind-mounted into a container), or if its file system refuses renames. Then the destination is
//! written in place: readers can see a mixture for a moment, but if writing fails the destination
//! gets its old content back.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt, fchown};

use report::Fingerprint;
use rustix::fs::{OFlags, Stat, fstat, lstat, stat};
use rustix::io::Errno;

use crate::Target;
use crate::attributes::{Attributes, MODE_BITS, give_mode, give_owner, our_user};
use crate::create::remove_open;
use crate::durable::sync_file;
use crate::error::Error;
use crate::folder::{FileAt, FolderIdentity, OpenPlace, is_file, is_folder};
use crate::stage::{StageFile, State};
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
    /// It was removed: the transaction wants no file.
    Removed,
}

/// Removes a destination that was `found` when it was compared.
///
/// # Errors
/// Another program has replaced the file or its folder since, or the system refuses.
pub(crate) fn remove(target: &Target, place: &OpenPlace, found: Identity) -> Result<How, Error> {
    let folder = place.folder();
    match stat(&**folder.path()) {
        Ok(named) if FolderIdentity::of(&named) == folder.identity() => {}
        _ => return Err(Error::FolderReplaced { folder: folder.path().to_path_buf() }),
    }
    match place.dest().lstat() {
        Ok(now) if is_file(&now) && Identity::of(&now) == found => {}
        Ok(_) => return Err(Error::NotRemoved { dest: target.dest.clone() }),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(How::Removed),
        Err(cause) => return Err(Error::file("lstat", &target.dest, cause)),
    }
    match place.dest().remove() {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
            Err(Error::file("remove", &target.dest, cause))
        }
        _ => Ok(How::Removed),
    }
}

/// Puts the stage file in the destination's place, with its owner and mode.
///
/// A destination that is a symbolic link is itself replaced, and the target of the link stays as it
/// is. Where a rename is not possible, the destination is written in place if `may_write_in_place`.
pub(crate) fn commit(
    target: &Target,
    place: &OpenPlace,
    stage: &mut StageFile,
    may_write_in_place: bool,
    observer: &dyn Observer,
) -> Result<How, Error> {
    let staged = stage.state_to_place()?;
    let cause = match stage.at.rename(place.dest()) {
        Ok(()) => {
            stage.leave();
            return verified(target, place, staged);
        }
        Err(cause) => cause,
    };
    // The system reports a folder at the destination by different errors, depending on how the path
    // is written. Go looks for the folder first and always has the same error.
    let found = place.dest().lstat().ok();
    let is_folder = found.as_ref().is_some_and(is_folder);
    let errno = if is_folder { Some(Errno::EXIST) } else { Errno::from_io_error(&cause) };
    if may_write_in_place && !is_folder && needs_writing(errno, found.as_ref(), stage) {
        observer.observe(&Step::WritingInPlace { dest: &target.dest });
        write_in_place(target, place.dest(), &stage.attributes, stage.born_with, &stage.content)?;
        return Ok(How::WrittenInPlace);
    }
    Err(Error::Rename {
        from: stage.path(),
        to: target.dest.clone(),
        cause: errno.map_or(cause, io::Error::from),
    })
}

/// Looks at the destination after the rename, by its path. It finds what two races can do: another
/// user of the folder can have swapped the stage file just before the rename, and the path can lead
/// to another folder than the one in which the file was renamed.
fn verified(target: &Target, place: &OpenPlace, staged: Option<State>) -> Result<How, Error> {
    let Some((identity, staged)) = staged else { return Ok(How::Gone) };
    let is_staged = |found: &Stat| Identity::of(found).is_same_file(&identity);
    match lstat(&target.dest) {
        Ok(placed) if is_staged(&placed) => {
            Ok(How::Renamed { staged, placed: Fingerprint::of_stat(&placed) })
        }
        found => match (place.dest().lstat(), found) {
            (Ok(placed), _) if is_staged(&placed) => {
                Err(Error::Moved { dest: target.dest.clone() })
            }
            (_, Ok(_)) => Err(Error::Swapped { path: target.dest.clone() }),
            (_, Err(_)) => Ok(How::Gone),
        },
    }
}

/// Whether the destination `found` must be written in place, because no rename can replace it: it is
/// a mount, or its file system refuses renames, some only over an existing file.
///
/// EPERM can also mean that the folder is sticky and the destination belongs to another user, who
/// could read everything that is written to it. So then the destination must be ours or missing.
fn needs_writing(errno: Option<Errno>, found: Option<&Stat>, stage: &StageFile) -> bool {
    let is_ours = |found: &Stat| [our_user(), stage.attributes.uid].contains(&found.st_uid);
    match errno {
        Some(Errno::BUSY | Errno::XDEV) => true,
        Some(Errno::EXIST | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => true,
        Some(Errno::PERM) => found.is_none_or(is_ours),
        _ => false,
    }
}

/// Writes the destination in place. If that fails, writes the old content back. A missing destination
/// is created with the permissions `born_with`.
fn write_in_place(
    target: &Target,
    at: &FileAt,
    wanted: &Attributes,
    born_with: u32,
    content: &[u8],
) -> Result<(), Error> {
    let dest = &target.dest;
    let file = match open_in_place(at) {
        Ok(file) => file,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            return create_in_place(target, at, wanted, born_with, content);
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
fn open_in_place(at: &FileAt) -> io::Result<File> {
    let file = at.open(OFlags::RDWR | OFlags::NOFOLLOW)?;
    match is_file(&fstat(&file)?) {
        true => Ok(file),
        false => Err(Errno::OPNOTSUPP.into()),
    }
}

/// Creates a destination that a rename cannot create, with the permissions `born_with`, as its stage
/// file was created. Removes it again if that fails.
fn create_in_place(
    target: &Target,
    at: &FileAt,
    wanted: &Attributes,
    born_with: u32,
    content: &[u8],
) -> Result<(), Error> {
    let dest = &target.dest;
    let file = at.create(born_with).map_err(|cause| Error::file("open", dest, cause))?;
    let written = fstat(&file)
        .map_err(|cause| Error::file("stat", dest, cause.into()))
        .and_then(|born| give_attributes(&file, target, &Attributes::of(&born), wanted))
        .and_then(|()| {
            overwrite(&file, content)
                .map_err(|(operation, cause)| Error::file(operation, dest, cause))
        });
    if written.is_err() {
        // The error to report is the one that stopped the writing.
        let _ = remove_open(at, file);
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
    give_owner(file, || dest.clone(), target, has, wanted)
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
pub(crate) fn write_back(dest: &FileAt, copy: &FileAt) -> io::Result<bool> {
    let old = Original::of(&copy.open(OFlags::RDONLY | OFlags::NOFOLLOW)?)?;
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
        Ok(Original { content, attributes: Attributes::of(&fstat(file)?) })
    }

    fn put_back(&self, file: &File) -> io::Result<()> {
        overwrite(file, &self.content).map_err(|(_, cause)| cause)?;
        self.put_attributes_back(file)
    }

    fn put_attributes_back(&self, file: &File) -> io::Result<()> {
        let Attributes { uid, gid, mode } = self.attributes;
        let now = Attributes::of(&fstat(file)?);
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
    use std::fs;
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
        let place = OpenPlace::of(&link).expect("a folder");
        target.mode = Some(0o600);
        let wanted = Attributes::regular(1000, 1000, 0o600);
        let error =
            write_in_place(&target, place.dest(), &wanted, 0o600, b"new").expect_err("a link");
        let text = format!("open {}: too many levels of symbolic links", link.display());
        assert_eq!(error.to_string(), text);
        assert_eq!(fs::read_to_string(&file).expect("a file"), "old");
        assert_eq!(fs::metadata(&file).expect("metadata").mode(), before);
        let old = folder.path().join("copy");
        fs::write(&old, "older").expect("write");
        let old = FileAt::new(place.folder(), "copy");
        assert!(write_back(place.dest(), &old).is_err());
        assert_eq!(fs::read_to_string(&file).expect("a file"), "old");
    }
}
