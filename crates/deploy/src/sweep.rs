//! Removes the leftovers of killed processes: stage files, the roots of group checks, and incomplete
//! transactions.

use std::cell::LazyCell;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Dir, fstat};

use crate::Options;
use crate::create::{lock, remove_open};
use crate::folder::{FileAt, Folder, is_file};
use crate::journal::{Found, is_alive, recover};
use crate::pending;
use crate::place::{FileKind, Place, is_journal, is_manifest, is_marker, is_of_any, is_root};
use crate::root;
use crate::step::{Observer, Step};

/// Cleans up after killed runs of this program in the folders of these destinations: puts back the
/// files of incomplete transactions, and removes stage files and the roots of group checks. Returns
/// the number of stage files removed. With `-noop` it does nothing.
///
/// Each distinct folder is read once. A file is removed only if it is a regular file whose name has
/// our check digits for one of the destinations, and if no living process holds it or a journal in
/// the folder. If a destination is a manifest, the check digits of any name count in its folder: a
/// process can be killed before a new file is in the manifest, and its item can be gone by now. Stage
/// files that were to be kept stay, and so do files of other programs, Go's confd included. Files that
/// cannot be read or removed are skipped: a transaction in that folder will report the error.
pub fn sweep<'a>(
    dests: impl IntoIterator<Item = &'a Path>,
    options: &Options,
    observer: &dyn Observer,
) -> usize {
    if options.noop {
        return 0;
    }
    let mut places: Vec<Place> =
        dests.into_iter().filter_map(|dest| Place::of(dest).ok()).collect();
    places.sort_unstable_by(|one, other| one.folder_text().cmp(other.folder_text()));
    let by_folder = places.chunk_by(|one, other| one.folder_text() == other.folder_text());
    by_folder.map(|places| sweep_folder(places[0].folder(), places, observer)).sum()
}

fn sweep_folder(path: &Path, places: &[Place], observer: &dyn Observer) -> usize {
    let Ok(folder) = Folder::open(path) else { return 0 };
    let Ok(entries) = hidden_names(&folder) else { return 0 };
    // Grouped by the text around the digits, if there is a hidden file at all. There are few distinct
    // endings; nearly always there is only the empty ending.
    let by_name = LazyCell::new(|| {
        let mut by_name: HashMap<&[u8], HashMap<&[u8], Vec<&Place>>> = HashMap::new();
        for place in places {
            let (before, after) = place.around_digits();
            by_name.entry(after).or_default().entry(before).or_default().push(place);
        }
        by_name
    });
    let has_manifest = places.iter().any(|place| is_manifest(place.dest_name().as_bytes()));
    let is_ours = |kind: FileKind, entry: &[u8]| {
        let is_of_item = has_manifest && is_of_any(kind, entry);
        is_of_item
            || by_name.iter().any(|(&after, by_before)| {
                Place::split_entry(entry, after.len()).any(|(before, digits, rest)| {
                    rest == after
                        && by_before
                            .get(before)
                            .is_some_and(|places| places.iter().any(|p| p.made(kind, digits)))
                })
            })
    };
    let mut stages = Vec::new();
    let mut undos = Vec::new();
    let mut markers = HashSet::new();
    for name in entries.filter_map(Result::ok) {
        if is_journal(name.as_bytes()) {
            recover(&FileAt::new(&folder, name), observer);
        } else if is_ours(FileKind::Passing, name.as_bytes()) {
            stages.push(FileAt::new(&folder, name));
        } else if is_ours(FileKind::Undo, name.as_bytes()) {
            undos.push(FileAt::new(&folder, name));
        } else if is_marker(name.as_bytes()) {
            markers.insert(name);
        } else if is_root(name.as_bytes()) {
            let root = FileAt::new(&folder, name);
            if root::remove_leftover(&root) {
                observer.observe(&Step::RootSwept { root: &root.path() });
            }
        }
    }
    pending::record(&folder, markers);
    if !undos.is_empty() && recover_all(&folder, observer) {
        // An undo file that cannot be removed does no harm.
        undos.iter().for_each(|undo| drop(undo.remove()));
    }
    // The guard of a big transaction is older than its stage files, so it is found by another reading.
    if stages.is_empty() || is_guarded(&folder) {
        return 0;
    }
    stages.iter().filter(|stage| remove(stage, observer)).count()
}

/// The names of the entries of a folder that begin with a dot, as the names of all leftovers do.
fn hidden_names(folder: &Folder) -> io::Result<impl Iterator<Item = io::Result<OsString>>> {
    let entries = Dir::new(folder.readable()?)?;
    Ok(entries.filter_map(|entry| {
        let entry = match entry {
            Ok(entry) => entry,
            Err(cause) => return Some(Err(cause.into())),
        };
        let name = entry.file_name().to_bytes();
        let is_hidden = name.starts_with(b".") && !matches!(name, b"." | b"..");
        is_hidden.then(|| Ok(OsString::from_vec(name.to_vec())))
    }))
}

/// Whether a living transaction has a journal in the folder: its stage files need not be locked.
fn is_guarded(folder: &Arc<Folder>) -> bool {
    let Ok(mut entries) = hidden_names(folder) else { return true };
    entries.any(|name| match name {
        Ok(name) => is_journal(name.as_bytes()) && is_alive(&FileAt::new(folder, name)),
        Err(_) => true,
    })
}

/// Whether no journal in the folder needs its undo files any more.
///
/// The folder is read once more, because a transaction that began during the first reading has
/// journals before it has undo files.
fn recover_all(folder: &Arc<Folder>, observer: &dyn Observer) -> bool {
    let Ok(mut entries) = hidden_names(folder) else { return false };
    entries.all(|name| match name {
        Ok(name) if is_journal(name.as_bytes()) => {
            recover(&FileAt::new(folder, name), observer) == Found::Recovered
        }
        Ok(_) => true,
        Err(_) => false,
    })
}

/// Removes a leftover, unless a living process holds it or it is not a regular file.
fn remove(leftover: &FileAt, observer: &dyn Observer) -> bool {
    // Locked until it is removed, where that is possible. If another process is creating it now, that process notices.
    let Ok(held) = lock(leftover) else { return false };
    let same = match (fstat(&held), leftover.lstat()) {
        (Ok(held), Ok(named)) => {
            is_file(&held) && (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino)
        }
        _ => false,
    };
    if !same || remove_open(leftover, held).is_err() {
        return false;
    }
    observer.observe(&Step::Swept { stage: &leftover.path() });
    true
}
