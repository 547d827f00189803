//! Makes renames survive a power cut: one fsync for each folder, however many of its files changed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use rustix::fs::fstat;
use rustix::io::Errno;

use crate::error::Error;
use crate::folder::{Folder, FolderIdentity};
use crate::step::{Observer, Step};

/// The most folders that are synced at the same time.
const OVERLAP: usize = 16;

/// Folders in which files were put in place, and which must still be synced to the disk.
///
/// One set serves a whole pass: [`Transaction::finish`](crate::Transaction::finish) adds folders to
/// it, and the caller calls [`sync`](Durable::sync) once at the end. Without the sync, a power cut
/// may bring an old file back, but never leaves a mixture of old and new.
#[derive(Debug, Default)]
pub struct Durable {
    /// In the order in which files were put in place, without repetitions one after the other. The
    /// folders are not held open: a pass can replace files in a thousand folders.
    folders: Vec<Replaced>,
}

/// A folder in which a file was put in place.
#[derive(Debug, PartialEq, Eq)]
struct Replaced {
    identity: FolderIdentity,
    path: Arc<Path>,
}

impl Durable {
    /// An empty set.
    pub fn new() -> Durable {
        Durable::default()
    }

    /// Records that a file in this folder was replaced.
    pub(crate) fn add(&mut self, folder: &Folder) {
        self.push(Replaced { identity: folder.identity(), path: Arc::clone(folder.path()) });
    }

    fn push(&mut self, folder: Replaced) {
        if self.folders.last() != Some(&folder) {
            self.folders.push(folder);
        }
    }

    /// Takes over the folders of another set.
    pub fn absorb(&mut self, other: Durable) {
        other.folders.into_iter().for_each(|folder| self.push(folder));
    }

    /// Whether there is nothing to sync.
    pub fn is_empty(&self) -> bool {
        self.folders.is_empty()
    }

    /// Syncs every folder and empties the set. Blocks for as long as the disk needs.
    ///
    /// A folder that this process may write and not read cannot be synced. This is reported by
    /// [`Step::NotSynced`] and is not an error, because the files are in place.
    ///
    /// # Errors
    ///
    /// One error for each folder that could not be synced. The other folders are synced.
    #[must_use = "a folder that was not synced may lose its newest files in a power cut"]
    pub fn sync(&mut self, observer: &dyn Observer) -> Vec<Error> {
        // Of the folders that a path has led to, the last one counts.
        let folders: BTreeMap<Arc<Path>, FolderIdentity> =
            self.folders.drain(..).map(|Replaced { identity, path }| (path, identity)).collect();
        let folders: Vec<(Arc<Path>, FolderIdentity)> = folders.into_iter().collect();
        let sync_all = |folders: &[(Arc<Path>, FolderIdentity)]| -> Vec<Error> {
            folders
                .iter()
                .filter_map(|(folder, identity)| sync_folder(folder, *identity, observer).err())
                .collect()
        };
        if folders.len() <= OVERLAP {
            return sync_all(&folders);
        }
        thread::scope(|scope| {
            let shares: Vec<_> = folders
                .chunks(folders.len().div_ceil(OVERLAP))
                .map(|share| {
                    (share, thread::Builder::new().spawn_scoped(scope, || sync_all(share)))
                })
                .collect();
            shares
                .into_iter()
                .flat_map(|(share, thread)| match thread.map(|thread| thread.join()) {
                    Ok(Ok(errors)) => errors,
                    // If no thread can be started, this thread does its work.
                    Ok(Err(_)) | Err(_) => sync_all(share),
                })
                .collect()
        })
    }
}

/// Syncs a file or folder to the disk. Some file systems cannot sync, which is not an error.
pub(crate) fn sync_file(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(cause) => match Errno::from_io_error(&cause) {
            Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(()),
            _ => Err(cause),
        },
        Ok(()) => Ok(()),
    }
}

/// Syncs the folder in which files were put in place.
fn sync_folder(
    folder: &Path,
    identity: FolderIdentity,
    observer: &dyn Observer,
) -> Result<(), Error> {
    let opened = match File::open(folder) {
        Ok(opened) => opened,
        Err(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
            observer.observe(&Step::NotSynced { folder, cause: &cause });
            return Ok(());
        }
        Err(cause) => return Err(Error::file("open", folder, cause)),
    };
    let found = fstat(&opened).map_err(|cause| Error::file("stat", folder, cause.into()))?;
    if FolderIdentity::of(&found) != identity {
        return Err(Error::FolderReplaced { folder: folder.to_owned() });
    }
    sync_file(&opened).map_err(|cause| Error::file("fsync", folder, cause))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_folder_is_synced_once() {
        let root = tempfile::tempdir().expect("a folder");
        let mut durable = Durable::new();
        for _ in 0..3 {
            durable.add(&Folder::open(root.path()).expect("open"));
        }
        assert_eq!(durable.folders.len(), 1);
        assert!(durable.sync(&|_: &Step<'_>| {}).is_empty());
        assert!(durable.folders.is_empty());
    }

    #[test]
    fn a_file_that_cannot_be_synced_is_no_error() {
        // Such a device gives EINVAL, as some file systems do.
        sync_file(&File::open("/dev/null").expect("open")).expect("synced");
    }

    #[test]
    fn a_folder_that_is_gone_is_named_and_the_others_are_synced() {
        for folders in [3, 100] {
            let root = tempfile::tempdir().expect("a folder");
            let mut durable = Durable::new();
            for number in 0..folders {
                let folder = root.path().join(number.to_string());
                fs::create_dir(&folder).expect("folder");
                durable.add(&Folder::open(&folder).expect("open"));
            }
            fs::remove_dir(root.path().join("1")).expect("remove");
            let errors = durable.sync(&|_: &Step<'_>| {});
            let gone = root.path().join("1");
            let expected = format!("open {}: no such file or directory", gone.display());
            assert_eq!(errors.iter().map(Error::to_string).collect::<Vec<_>>(), [expected]);
        }
    }
}
