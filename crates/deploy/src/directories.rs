//! Creates the missing folders of a destination, for targets that ask for it
//! ([`Target::make_directories`](crate::Target::make_directories)).
//!
//! The path is walked from its beginning, and each folder is created and opened through the descriptor
//! of the folder above it. So another program that renames a folder meanwhile cannot make the next one
//! appear elsewhere. Links to folders are followed, as they are when the folder of a destination is
//! opened, except below the folder that the target must not leave. Each new folder is synced into the folder above it: a file that survives a power cut must not
//! be lost with its folder.
//!
//! New folders belong to the user of this process. They stay, even if the file is not put in place.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;

use crate::below::names_between;
use crate::durable::sync_file;
use crate::error::Error;
use crate::folder::{NotOpened, open_at, open_step};

/// The bits of the mode of a folder that are set. A new folder keeps the setgid bit that it has from the
/// folder above it.
const PERMISSIONS: u32 = 0o777;

/// Creates the folder `path` and those above it, as far as they are missing. The new ones get the
/// permissions `mode`, whatever the umask is. Links are followed, but not below the folder `below`.
///
/// # Errors
/// A folder cannot be created, opened or synced, or a name on the way is not a folder.
pub(crate) fn create(path: &Path, below: Option<&Path>, mode: u32) -> Result<(), Error> {
    let mut here: Option<OwnedFd> = None;
    let mut walked = PathBuf::new();
    let names = below.and_then(|below| names_between(below, path));
    let followed = path.components().count() - names.map_or(0, |names| names.len());
    for (nth, step) in path.components().enumerate() {
        let name = step.as_os_str();
        let above = here.as_ref().map_or(CWD, OwnedFd::as_fd);
        walked.push(name);
        let open = || match below {
            Some(below) if nth >= followed => open_step(above, name, &walked, below),
            _ => Ok(open_at(above, name, OFlags::empty())?),
        };
        let opened = match open() {
            Err(NotOpened::Failed(cause)) if cause.kind() == io::ErrorKind::NotFound => {
                create_one(above, name, mode).map_err(NotOpened::from).and_then(|()| open())
            }
            opened => opened,
        };
        let failed = |cause| Error::file("mkdir", &walked, cause);
        here = Some(opened.map_err(|refused| refused.error(failed))?);
    }
    Ok(())
}

/// The deepest folder of `path` that exists, and the first name that is missing in it. `None` if the
/// whole folder exists, or if it cannot be seen what is missing.
pub(crate) fn first_missing(path: &Path) -> Option<(&Path, &OsStr)> {
    let is_missing = |path: &Path| matches!(path.symlink_metadata(), Err(cause) if cause.kind() == io::ErrorKind::NotFound);
    let missing = path.ancestors().take_while(|path| !path.as_os_str().is_empty());
    let first = missing.take_while(|path| is_missing(path)).last()?;
    let above = first.parent().filter(|above| !above.as_os_str().is_empty());
    Some((above.unwrap_or(Path::new(".")), first.file_name()?))
}

/// Creates one folder. It is no error if another program, or another resource, is quicker.
fn create_one(above: impl AsFd, name: &OsStr, mode: u32) -> io::Result<()> {
    match mkdirat(&above, name, Mode::from_raw_mode(mode & PERMISSIONS)) {
        Err(Errno::EXIST) => return Ok(()),
        created => created?,
    }
    let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(&above, name, readable | OFlags::NOFOLLOW, Mode::empty());
    match opened.map(File::from) {
        Ok(folder) => {
            // The umask has taken bits away.
            let has = folder.metadata()?.mode() & 0o7777;
            let wanted = (has & !PERMISSIONS) | (mode & PERMISSIONS);
            if has != wanted {
                folder.set_permissions(Permissions::from_mode(wanted))?;
            }
        }
        // Its mode forbids this process to read it, so it has no more bits than that mode.
        Err(Errno::ACCESS) => {}
        Err(cause) => return Err(cause.into()),
    }
    match openat(&above, ".", readable, Mode::empty()) {
        Ok(above) => sync_file(&File::from(above)),
        // Only a folder that this process may read can be synced. The folder is there all the same.
        Err(Errno::ACCESS) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}
