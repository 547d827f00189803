//! Reports folders in which other users can replace files.
//!
//! A check command gets the path of the stage file, and the file is renamed by its name. A user who
//! can rename files in its folder can swap it, and a user who can rename a folder above it can swap
//! the folder. A swap is noticed right before the check and the rename, but a swap at exactly that
//! moment is not: only the rights of the folder help.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use crate::attributes::{our_group, our_user};
use crate::step::{Observer, Step};

/// The folders that were examined, by their paths as texts, which are hashed faster, and whether
/// another user can replace files in them.
static EXAMINED: LazyLock<Mutex<HashMap<OsString, bool>>> = LazyLock::new(Mutex::default);

/// Returns whether another user can replace files in `folder`, which is examined and reported once
/// in this process.
pub(crate) fn report_shared(folder: &Path, observer: &dyn Observer) -> bool {
    let examined = || EXAMINED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(is_shared) = examined().get(folder.as_os_str()) {
        return *is_shared;
    }
    let found = examine(folder);
    let is_known = examined().insert(folder.as_os_str().to_owned(), found.is_some()).is_some();
    if let (Some((writable, by)), false) = (&found, is_known) {
        observer.observe(&Step::SharedFolder { folder, writable, by });
    }
    found.is_some()
}

/// The folder that another user can write, the same or one above it, and who that is.
fn examine(folder: &Path) -> Option<(PathBuf, String)> {
    // The commit reports a folder that is missing.
    let path = fs::canonicalize(folder).ok()?;
    path.ancestors().find_map(|above| {
        let by = writer(&fs::metadata(above).ok()?)?;
        Some((if above == path { folder.to_owned() } else { above.to_owned() }, by))
    })
}

/// Who can replace files of this process in the folder, besides root.
fn writer(folder: &Metadata) -> Option<String> {
    const STICKY: u32 = 0o1000;
    if ![0, our_user()].contains(&folder.uid()) {
        return Some(format!("user {}", folder.uid()));
    }
    // In a sticky folder users can replace only their own files.
    if folder.mode() & STICKY != 0 {
        return None;
    }
    if folder.mode() & 0o002 != 0 {
        return Some("every user".to_owned());
    }
    let is_of_others = ![0, our_group()].contains(&folder.gid());
    (folder.mode() & 0o020 != 0 && is_of_others).then(|| format!("group {}", folder.gid()))
}
