//! Removing the stage files of processes that were killed.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::place::Place;
use crate::stage::lock;
use crate::step::{Observer, Step};

/// Removes what earlier runs of this program left beside these destinations when they were killed,
/// and gives the number of files removed.
///
/// Each distinct folder is read once. A file is removed only if it is a regular file whose name
/// carries our check digits for one of the destinations, and if no living process holds it. Files
/// that were to be kept, and those of other programs, Go's confd among them, stay. What cannot be
/// read or removed is left alone: a deployment into that folder will say what is wrong with it.
pub fn sweep<'a>(dests: impl IntoIterator<Item = &'a Path>, observer: &dyn Observer) -> usize {
    let mut folders: HashMap<_, HashSet<Place>> = HashMap::new();
    for place in dests.into_iter().filter_map(|dest| Place::of(dest).ok()) {
        folders.entry(place.folder().to_owned()).or_default().insert(place);
    }
    folders.iter().map(|(folder, places)| sweep_folder(folder, places, observer)).sum()
}

fn sweep_folder(folder: &Path, places: &HashSet<Place>, observer: &dyn Observer) -> usize {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    // By what surrounds the digits. Few distinct endings exist: nearly always one, the empty one.
    let mut by_name: HashMap<&[u8], HashMap<&[u8], Vec<&Place>>> = HashMap::new();
    for place in places {
        let (before, after) = place.around_digits();
        by_name.entry(after).or_default().entry(before).or_default().push(place);
    }
    let is_ours = |entry: &[u8]| {
        by_name.iter().any(|(&after, by_before)| {
            Place::split_entry(entry, after.len()).is_some_and(|(before, digits, rest)| {
                rest == after
                    && by_before
                        .get(before)
                        .is_some_and(|places| places.iter().any(|p| p.made_passing(digits)))
            })
        })
    };
    entries
        .filter_map(Result::ok)
        .filter(|entry| is_ours(entry.file_name().as_bytes()))
        .filter(|entry| remove(&entry.path(), observer))
        .count()
}

/// Removes a leftover, unless a living process has it or it is not what it seemed.
fn remove(path: &Path, observer: &dyn Observer) -> bool {
    // Locked until it is removed, so that its maker, should it just be making it, notices.
    let Ok(held) = lock(path) else { return false };
    let same = match (held.metadata(), fs::symlink_metadata(path)) {
        (Ok(held), Ok(named)) => {
            held.is_file() && (held.dev(), held.ino()) == (named.dev(), named.ino())
        }
        _ => false,
    };
    if !same || fs::remove_file(path).is_err() {
        return false;
    }
    observer.observe(&Step::Swept { stage: path });
    true
}
