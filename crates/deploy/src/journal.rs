//! The undo journal of a transaction that replaces or removes several files.
//!
//! Several renames and removals are not atomic: a process that is killed between two of them leaves some files
//! new and some old. So before the first rename a journal records how each destination is put back.
//! It is removed after the last rename, and that removal is the commit. A complete journal without
//! a living process means that the transaction did not commit: [`recover`], called by a sweep at
//! the start of a run, puts the old files back. The next pass then replaces all of them again.
//!
//! Rolling back was chosen over rolling forward because undo files are needed anyway, for a rename
//! that fails, and because the old set is the one that the services have loaded.
//!
//! When the trials of several files have ended, another kind of journal says so, and the next run removes
//! what is left of them ([`Journal::of_ended`]).
//!
//! The journal is in the folder of the first destination. Each other folder of the set has a
//! journal that only contains the path of the first, so a sweep of any of the folders finds it. The
//! journals are locked while their process lives. A journal is followed only if it is a regular
//! file of this user with one name and mode 0600, so no other user can have this process move
//! files.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::fstat;

use crate::attributes::{MODE_BITS, our_user};
use crate::create::{create_locked, lock, remove_open};
use crate::durable::{Durable, sync_file};
use crate::error::Error;
use crate::failpoint;
use crate::folder::{FileAt, Folder, FolderIdentity, OpenPlace, is_file};
use crate::place::journal_name;
use crate::step::{Observer, Step};
use crate::trial::Trial;
use crate::undo::{Entry, Identity, Undo};

/// The first line of a journal, for people who find the file.
const TITLE: &[u8] = b"confd was replacing several files together. If it was killed, its next run \
                       puts the old files back.\n";
const ENTRIES: &[u8] = b"entries 1";
const POINTER: &[u8] = b"pointer 1";
const ENDED: &[u8] = b"ended 1";
const END: &[u8] = b"end";

/// The journal of a transaction of this process.
pub(crate) struct Journal {
    /// One journal for each folder of the set. The first has the entries, the others contain its
    /// path.
    files: Vec<Locked>,
    /// Each entry with its destination, whose folder stays open.
    entries: Vec<(Entry, OpenPlace)>,
}

#[derive(Debug)]
struct Locked {
    at: FileAt,
    file: File,
    /// `None` on a file system without locks.
    lock: Option<File>,
}

impl Journal {
    /// Creates the journals of these folders (at least one), without entries. From now on a sweep
    /// does not touch the undo files in these folders.
    pub(crate) fn begin<'a>(
        folders: impl Iterator<Item = &'a Arc<Folder>>,
    ) -> Result<Journal, Error> {
        let mut journal = Journal { files: Vec::new(), entries: Vec::new() };
        let mut begun = HashSet::new();
        for folder in folders {
            if !begun.insert(folder.identity()) {
                continue;
            }
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
        let first = std::path::absolute(first.at.path())
            .map_err(|cause| Error::file("getwd", &first.at.path(), cause))?;
        newest.write(&[POINTER, first.as_os_str().as_bytes()])
    }

    /// A journal of trials that have all ended: if this process is killed, the next sweep removes what is
    /// left of them. There must be one at least.
    ///
    /// One journal is enough: a process that works on these files sweeps the folders of all of them first.
    pub(crate) fn of_ended(places: &[OpenPlace]) -> Result<Journal, Error> {
        let mut journal = Journal::begin(places.first().map(OpenPlace::folder).into_iter())?;
        let mut fields = vec![ENDED.to_vec()];
        for place in places {
            let dest = place.dest().path();
            let dest =
                std::path::absolute(&dest).map_err(|cause| Error::file("getwd", &dest, cause));
            let record = Identity::at(&place.trial()).unwrap_or_default();
            match dest {
                Ok(dest) => fields.extend([dest.into_os_string().into_vec(), record.text().into()]),
                Err(error) => {
                    journal.remove();
                    return Err(error);
                }
            }
        }
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        failpoint();
        if let Some(first) = journal.files.first_mut()
            && let Err(error) = first.write(&fields)
        {
            journal.remove();
            return Err(error);
        }
        Ok(journal)
    }

    /// Removes a journal whose work is done.
    pub(crate) fn close(mut self) {
        self.remove();
    }

    /// Adds an entry, whose undo file has just been made.
    pub(crate) fn add(&mut self, entry: (Entry, OpenPlace)) {
        self.entries.push(entry);
    }

    /// Whether the nth entry can be put back although its destination was written in place.
    pub(crate) fn has_copy(&self, nth: usize) -> bool {
        self.entries.get(nth).is_some_and(|(entry, _)| matches!(entry.undo, Undo::Copy { .. }))
    }

    /// Writes the entries and syncs all folders. Only then may the first destination be replaced.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let mut fields = vec![ENTRIES.to_vec()];
        for (entry, _) in &self.entries {
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
        self.files.iter().for_each(|locked| durable.add(locked.at.folder()));
    }

    /// Ends a transaction whose destinations have all been replaced.
    pub(crate) fn commit(mut self) {
        self.remove();
        for (entry, place) in &self.entries {
            failpoint();
            entry.discard_undo(place);
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
        for Locked { at, file, lock } in self.files.drain(..) {
            failpoint();
            // If the removal fails, the next run puts the old files back and replaces them again.
            let _ = remove_open(&at, (file, lock));
        }
    }
}

/// An empty journal, which protects the stage files in its folder from sweeps while it lives.
#[derive(Debug)]
pub(crate) struct Guard(Option<Locked>, FolderIdentity);

impl Guard {
    pub(crate) fn new(folder: &Arc<Folder>) -> Result<Guard, Error> {
        Ok(Guard(Some(Locked::create(folder)?), folder.identity()))
    }

    /// The folder.
    pub(crate) fn folder(&self) -> FolderIdentity {
        self.1
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(Locked { at, file, lock }) = self.0.take() {
            // A later run sweeps what cannot be removed.
            let _ = remove_open(&at, (file, lock));
        }
    }
}

/// Whether a living process has this journal.
pub(crate) fn is_alive(journal: &FileAt) -> bool {
    matches!(lock(journal), Err(TryLockError::WouldBlock))
}

impl Locked {
    /// Creates an empty, locked journal that only its owner can open.
    fn create(folder: &Arc<Folder>) -> Result<Locked, Error> {
        let created = create_locked(0o600, |random| FileAt::new(folder, journal_name(random)))?;
        Ok(Locked { at: created.at, file: created.file, lock: created.lock })
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
            .map_err(|cause| Error::file("write", &self.at.path(), cause))
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

/// Puts back the files that a killed transaction replaced, as recorded in this journal, and removes
/// the journal.
pub(crate) fn recover(journal: &FileAt, observer: &dyn Observer) -> Found {
    let mut file = match lock(journal) {
        Ok(file) => file,
        Err(TryLockError::WouldBlock) => return Found::Alive,
        Err(TryLockError::Error(_)) => return Found::Left,
    };
    let (Ok(held), Ok(named)) = (fstat(&file), journal.lstat()) else { return Found::Left };
    let is_ours = is_file(&held)
        && held.st_uid == our_user()
        && held.st_nlink == 1
        && held.st_mode & MODE_BITS == 0o600
        && (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino);
    let mut text = Vec::new();
    if !is_ours || file.read_to_end(&mut text).is_err() {
        return Found::Left;
    }
    match decode(&text) {
        // The process was killed before it replaced anything.
        None => {}
        Some(Content::Pointer(first)) => match recover_first(&first, observer) {
            Found::Alive => return Found::Alive,
            Found::Left if first.exists() => return Found::Left,
            // A first journal that does not exist was removed when its transaction ended.
            Found::Recovered | Found::Left => {}
        },
        Some(Content::Entries(entries)) => {
            let Ok(entries) = open_all(entries) else { return Found::Left };
            if entries.iter().any(|(entry, place)| entry.is_complete(place)) {
                entries.iter().for_each(|(entry, place)| entry.discard_undo(place));
            } else if put_all_back(&entries, observer).is_err() {
                return Found::Left;
            }
        }
        Some(Content::Ended(trials)) => {
            for (dest, record) in &trials {
                failpoint();
                // A folder that is gone, or cannot be opened, has no trial that could go on.
                if let Ok(place) = OpenPlace::of(dest) {
                    Trial::discard_ended(&place, record);
                }
            }
        }
    }
    failpoint();
    match remove_open(journal, file) {
        Ok(()) => Found::Recovered,
        Err(_) => Found::Left,
    }
}

/// Recovers from the journal with the entries, to which another journal points.
fn recover_first(first: &Path, observer: &dyn Observer) -> Found {
    let (Some(folder), Some(name)) = (first.parent(), first.file_name()) else {
        return Found::Left;
    };
    match Folder::open(folder) {
        Ok(folder) => recover(&FileAt::new(&folder, name), observer),
        Err(_) => Found::Left,
    }
}

/// Opens the folders of all entries. An entry whose folder is gone has nothing to put back.
fn open_all(entries: Vec<Entry>) -> Result<Vec<(Entry, OpenPlace)>, Error> {
    let open = |entry: Entry| match OpenPlace::of(&entry.dest) {
        Ok(place) => Some(Ok((entry, place))),
        Err(Error::File(error)) if error.is_missing() => None,
        Err(error) => Some(Err(error)),
    };
    entries.into_iter().filter_map(open).collect()
}

/// Puts all entries back, in reverse order, and reports a step for each. Returns the first error.
fn put_all_back(entries: &[(Entry, OpenPlace)], observer: &dyn Observer) -> Result<(), Error> {
    let mut result = Ok(());
    for (entry, place) in entries.iter().rev() {
        failpoint();
        match entry.put_back(place, observer) {
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
    /// The destinations of trials that have ended, and the identities of their records.
    Ended(Vec<(PathBuf, Identity)>),
}

/// Appends the fields of an entry. Their order gives them their meaning.
pub(crate) fn encode(entry: &Entry, fields: &mut Vec<Vec<u8>>) {
    let Entry { dest, staged, undo, marker } = entry;
    let path = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let identity = |identity: &Identity| identity.text().into_bytes();
    fields.extend([path(dest), staged.as_ref().map(identity).unwrap_or_default()]);
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
    let (mut entries, mut ended) = (Vec::new(), Vec::new());
    loop {
        match (kind, fields.next()?) {
            (ENTRIES, END) => return fields.next().is_none().then_some(Content::Entries(entries)),
            (ENTRIES, dest) => entries.push(next_entry(dest, &mut fields)?),
            (ENDED, END) => return fields.next().is_none().then_some(Content::Ended(ended)),
            (ENDED, dest) => ended.push((path(dest), identity(fields.next()?)?)),
            _ => return None,
        }
    }
}

/// Parses the entry of `dest`, whose other fields come next.
pub(crate) fn next_entry<'a>(
    dest: &[u8],
    fields: &mut impl Iterator<Item = &'a [u8]>,
) -> Option<Entry> {
    let staged = match fields.next()? {
        b"" => None,
        staged => Some(identity(staged)?),
    };
    let marker = Some(fields.next()?).filter(|marker| !marker.is_empty()).map(path);
    let undo = match fields.next()? {
        b"remove" => Undo::Remove,
        b"link" => Undo::Link { path: path(fields.next()?), identity: identity(fields.next()?)? },
        b"copy" => Undo::Copy {
            path: path(fields.next()?),
            identity: identity(fields.next()?)?,
            old: identity(fields.next()?)?,
        },
        _ => return None,
    };
    Some(Entry { dest: path(dest), staged, undo, marker })
}

fn path(field: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(field.to_vec()))
}

fn identity(field: &[u8]) -> Option<Identity> {
    Identity::from_text(field)
}
