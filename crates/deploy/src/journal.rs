//! The undo journal of a transaction that replaces several files.
//!
//! Several renames are not atomic: a process that is killed between two of them leaves some files
//! new and some old. So before the first rename a journal records how each destination is put back.
//! It is removed after the last rename, and that removal is the commit. A complete journal without
//! a living process means that the transaction did not commit: [`recover`], called by a sweep at
//! the start of a run, puts the old files back. The next pass then replaces all of them again.
//!
//! Rolling back was chosen over rolling forward because undo files are needed anyway, for a rename
//! that fails, and because the old set is the one that the services have loaded.
//!
//! The journal is in the folder of the first destination. Each other folder of the set has a
//! journal that only contains the path of the first, so a sweep of any of the folders finds it. The
//! journals are locked while their process lives. A journal is followed only if it is a regular
//! file of this user with one name and mode 0600, so no other user can have this process move
//! files.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::create::{create_locked, lock};
use crate::durable::{Durable, sync_file};
use crate::error::Error;
use crate::failpoint;
use crate::place::journal_path;
use crate::step::{Observer, Step};
use crate::undo::{Entry, Identity, Undo};

/// The first line of a journal, for people who find the file.
const TITLE: &[u8] = b"confd was replacing several files together. If it was killed, its next run \
                       puts the old files back.\n";
const ENTRIES: &[u8] = b"entries 1";
const POINTER: &[u8] = b"pointer 1";
const END: &[u8] = b"end";

/// The journal of a transaction of this process.
pub(crate) struct Journal {
    /// One journal for each folder of the set. The first has the entries, the others contain its
    /// path.
    files: Vec<Locked>,
    entries: Vec<Entry>,
}

struct Locked {
    path: PathBuf,
    file: File,
    /// `None` on a file system without locks.
    _lock: Option<File>,
}

impl Journal {
    /// Creates the journals of these folders (at least one), without entries. From now on a sweep
    /// does not touch the undo files in these folders.
    pub(crate) fn begin<'a>(folders: impl Iterator<Item = &'a Path>) -> Result<Journal, Error> {
        let mut journal = Journal { files: Vec::new(), entries: Vec::new() };
        let mut seen: Vec<&Path> = Vec::new();
        for folder in folders {
            if seen.contains(&folder) {
                continue;
            }
            seen.push(folder);
            failpoint();
            let made = Locked::create(folder).and_then(|locked| {
                journal.files.push(locked);
                failpoint();
                journal.name_first()
            });
            if let Err(error) = made {
                journal.remove();
                return Err(error);
            }
        }
        Ok(journal)
    }

    /// Writes the path of the first journal into the newest, unless they are the same.
    fn name_first(&mut self) -> Result<(), Error> {
        let [first, .., newest] = self.files.as_mut_slice() else { return Ok(()) };
        let first = std::path::absolute(&first.path)
            .map_err(|cause| Error::file("getwd", &first.path, cause))?;
        newest.write(&[POINTER, first.as_os_str().as_bytes()])
    }

    /// Adds an entry, whose undo file has just been made.
    pub(crate) fn add(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Whether the nth entry can be put back although its destination was written in place.
    pub(crate) fn has_copy(&self, nth: usize) -> bool {
        self.entries.get(nth).is_some_and(|entry| matches!(entry.undo, Undo::Copy { .. }))
    }

    /// Writes the entries and syncs all folders. Only then may the first destination be replaced.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let mut fields = vec![ENTRIES.to_vec()];
        for entry in &self.entries {
            encode(entry, &mut fields);
        }
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        failpoint();
        if let Some(first) = self.files.first_mut() {
            first.write(&fields)?;
        }
        failpoint();
        self.sync()
    }

    /// Syncs all folders of the set.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let mut durable = Durable::new();
        self.dirty(&mut durable);
        // The end of the pass reports a folder that cannot be synced.
        durable.sync(&|_: &Step<'_>| {}).into_iter().next().map_or(Ok(()), Err)
    }

    /// Adds all folders of the set to the folders that the caller will sync.
    pub(crate) fn dirty(&self, durable: &mut Durable) {
        self.files.iter().filter_map(|locked| locked.path.parent()).for_each(|folder| {
            durable.add(folder);
        });
    }

    /// Ends a transaction whose destinations have all been replaced.
    pub(crate) fn commit(mut self) {
        self.remove();
        for entry in &self.entries {
            failpoint();
            entry.discard_undo();
        }
    }

    /// Puts the replaced files back, in reverse order. Returns the first error.
    pub(crate) fn roll_back(mut self, observer: &dyn Observer) -> Result<(), Error> {
        let result = put_all_back(&self.entries, observer);
        self.remove();
        result
    }

    /// Removes the journals, the one with the entries first.
    fn remove(&mut self) {
        for locked in self.files.drain(..) {
            failpoint();
            // If the removal fails, the next run puts the old files back and replaces them again.
            let _ = fs::remove_file(&locked.path);
        }
    }
}

impl Locked {
    /// Creates an empty, locked journal that only its owner can open.
    fn create(folder: &Path) -> Result<Locked, Error> {
        let created = create_locked(0o600, |random| journal_path(folder, random))?;
        Ok(Locked { path: created.path, file: created.file, _lock: created.lock })
    }

    fn write(&mut self, fields: &[&[u8]]) -> Result<(), Error> {
        let fields = fields.iter().copied().chain([END]);
        let text = fields.fold(TITLE.to_vec(), |mut text, field| {
            text.push(0);
            text.extend_from_slice(field);
            text
        });
        self.file
            .write_all(&text)
            .and_then(|()| sync_file(&self.file))
            .map_err(|cause| Error::file("write", &self.path, cause))
    }
}

/// The result of handling a journal that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A living process holds the journal. Nothing was done.
    Alive,
    /// The process of the journal was killed. Its destinations have been put back.
    Recovered,
    /// The journal was not followed completely: it does not belong to this user, or a file could
    /// not be put back.
    Left,
}

/// Puts back the files that a killed transaction replaced, as recorded in the journal at `path`,
/// and removes the journal.
pub(crate) fn recover(path: &Path, observer: &dyn Observer) -> Found {
    let mut file = match lock(path) {
        Ok(file) => file,
        Err(TryLockError::WouldBlock) => return Found::Alive,
        Err(TryLockError::Error(_)) => return Found::Left,
    };
    let (Ok(held), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return Found::Left;
    };
    let is_ours = held.is_file()
        && held.uid() == geteuid().as_raw()
        && held.nlink() == 1
        && held.mode() & 0o7777 == 0o600
        && (held.dev(), held.ino()) == (named.dev(), named.ino());
    let mut text = Vec::new();
    if !is_ours || file.read_to_end(&mut text).is_err() {
        return Found::Left;
    }
    match decode(&text) {
        // The process was killed before it replaced anything.
        None => {}
        Some(Content::Pointer(first)) => match recover(&first, observer) {
            Found::Alive => return Found::Alive,
            Found::Left if first.exists() => return Found::Left,
            // A first journal that does not exist was removed when its transaction ended.
            Found::Recovered | Found::Left => {}
        },
        Some(Content::Entries(entries)) => {
            if entries.iter().any(Entry::is_complete) {
                entries.iter().for_each(Entry::discard_undo);
            } else if put_all_back(&entries, observer).is_err() {
                return Found::Left;
            }
        }
    }
    failpoint();
    match fs::remove_file(path) {
        Ok(()) => Found::Recovered,
        Err(_) => Found::Left,
    }
}

/// Puts all entries back, in reverse order, and reports a step for each. Returns the first error.
fn put_all_back(entries: &[Entry], observer: &dyn Observer) -> Result<(), Error> {
    let mut result = Ok(());
    for entry in entries.iter().rev() {
        failpoint();
        match entry.put_back() {
            Ok(true) => observer.observe(&Step::PutBack { dest: &entry.dest }),
            Ok(false) => {}
            Err(error) => {
                observer.observe(&Step::NotPutBack { error: &error });
                result = result.and(Err(error));
            }
        }
    }
    result
}

#[derive(Debug, PartialEq, Eq)]
enum Content {
    Entries(Vec<Entry>),
    Pointer(PathBuf),
}

/// Appends the fields of an entry. Their order gives them their meaning.
fn encode(entry: &Entry, fields: &mut Vec<Vec<u8>>) {
    let Entry { dest, staged, undo, marker } = entry;
    let path = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let identity = |Identity { device, inode, modified: (seconds, nanos) }: &Identity| {
        format!("{device} {inode} {seconds} {nanos}").into_bytes()
    };
    fields.extend([path(dest), identity(staged)]);
    fields.push(marker.as_deref().map(path).unwrap_or_default());
    match undo {
        Undo::Remove => fields.push(b"remove".to_vec()),
        Undo::Link { path: link, identity: of } => {
            fields.extend([b"link".to_vec(), path(link), identity(of)]);
        }
        Undo::Copy { path: copy, identity: of, old } => {
            fields.extend([b"copy".to_vec(), path(copy), identity(of), identity(old)]);
        }
    }
}

/// Parses a journal; `None` if it is incomplete.
fn decode(text: &[u8]) -> Option<Content> {
    let fields = text.strip_prefix(TITLE)?.strip_prefix(b"\0")?;
    let mut fields = fields.split(|&byte| byte == 0);
    let kind = fields.next()?;
    if kind == POINTER {
        let first = path(fields.next()?);
        return (fields.next()? == END).then_some(Content::Pointer(first));
    }
    if kind != ENTRIES {
        return None;
    }
    let mut entries = Vec::new();
    loop {
        let dest = fields.next()?;
        if dest == END {
            return fields.next().is_none().then_some(Content::Entries(entries));
        }
        let staged = identity(fields.next()?)?;
        let marker = Some(fields.next()?).filter(|marker| !marker.is_empty()).map(path);
        let undo = match fields.next()? {
            b"remove" => Undo::Remove,
            b"link" => {
                Undo::Link { path: path(fields.next()?), identity: identity(fields.next()?)? }
            }
            b"copy" => Undo::Copy {
                path: path(fields.next()?),
                identity: identity(fields.next()?)?,
                old: identity(fields.next()?)?,
            },
            _ => return None,
        };
        entries.push(Entry { dest: path(dest), staged, undo, marker });
    }
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(field.to_vec()))
}

fn identity(field: &[u8]) -> Option<Identity> {
    let mut numbers = std::str::from_utf8(field).ok()?.split(' ');
    let identity = Identity {
        device: numbers.next()?.parse().ok()?,
        inode: numbers.next()?.parse().ok()?,
        modified: (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?),
    };
    numbers.next().is_none().then_some(identity)
}
