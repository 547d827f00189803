//! The manifest of a folder: which of the files below it this program has made from keys.
//!
//! When keys disappear, the files that were made from them must be removed, and no other file. A
//! directory listing cannot tell them apart, so a hidden file in the folder has their names. A
//! [`Transaction`](crate::Transaction) keeps it true ([`recorded_in`](crate::Transaction::recorded_in)):
//!
//! - Before a new file is committed, its name is written with the identity of the stage file. A process
//!   that is killed then leaves a name that counts only if exactly this file is there, or none.
//! - After the commit the name counts whatever file is there: the next contents are other files.
//! - Before a file is removed, its name is written with the identity of the file. So if the process is
//!   killed, a file that another program makes there later is not removed.
//! - While an earlier process has left a [trial](crate::trial), the former file counts too: a rollback puts it
//!   back, and the process can be killed after that.
//! - The name is deleted when the file is removed and its reload has succeeded. Until then each pass has
//!   a member for it, which finds the reload that is pending. The same holds for a new file that was
//!   rolled back.
//!
//! The file is synced before the commit and after a deletion. That a name counts after its commit is
//! written with the next record, because a lost record of this kind does no harm: see above. Only for
//! files that may be rolled back it is written when their reload has succeeded: if such a file is deleted
//! later, its absence is no state to go back to. A
//! manifest in the state folder was not chosen: the files are found in the folder, and belong to it
//! when it moves or is restored from a backup.
//!
//! Several processes may write: each write is made under a lock, and reads first what others wrote.

mod recording;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{OFlags, Stat, fstat, lstat};

pub(crate) use self::recording::Recording;
use self::text::{Parsed, TITLE};
use crate::attributes::our_user;
use crate::below::{BadPath, names_between, relative_path};
use crate::change::Change;
use crate::durable::sync_file;
use crate::error::Error;
use crate::failpoint;
use crate::folder::{OpenPlace, is_file};
use crate::hold::{put, sync_folder};
use crate::place::manifest_name;
use crate::stage::Becomes;
use crate::step::{Observer, Step};
use crate::undo::Identity;

/// The manifest is written again as a whole when it has more lines than this, and twice as many as
/// names.
const FEW: usize = 64;

/// Which of the files below a folder this program has made.
#[derive(Debug)]
pub struct Manifest {
    folder: PathBuf,
    path: PathBuf,
    state: Mutex<State>,
}

/// What is known about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The file of this name is ours.
    Ours,
    /// It is ours if it is one of these files.
    Only {
        /// The file that is made or removed.
        file: Identity,
        /// The former file of a trial that goes on: a rollback puts it back.
        former: Option<Identity>,
    },
}

impl Known {
    /// No file is ours.
    fn none() -> Known {
        // No file has this identity.
        Known::Only { file: Identity::default(), former: None }
    }

    /// Whether a file of this identity is ours.
    fn includes(&self, found: &Identity) -> bool {
        match self {
            Known::Ours => true,
            Known::Only { file, former } => file == found || former.as_ref() == Some(found),
        }
    }
}

/// The names and their states.
pub(crate) type Names = BTreeMap<OsString, Known>;

#[derive(Debug, Default)]
struct State {
    names: Names,
    /// The names whose state is not in the file.
    unwritten: BTreeSet<OsString>,
    /// The names in the file that are no paths below the folder. They are not in `names`.
    bad: Vec<BadPath>,
    /// The lines in the file.
    lines: usize,
    /// The file that was read or written last, and the length of its valid records.
    seen: Option<(Identity, u64)>,
}

impl Manifest {
    /// Reads the manifest `name` of a folder. Neither of them needs to exist. Names in it that are no
    /// paths below the folder are reported to `observer` and ignored.
    ///
    /// # Errors
    /// The manifest cannot be read, is not whole, or belongs to another user: it is not known which
    /// files are ours. A transaction without a manifest still does its work, and no file may be removed.
    pub fn open(folder: &Path, name: &OsStr, observer: &dyn Observer) -> Result<Manifest, Error> {
        let path = folder.join(manifest_name(name));
        let state = match OpenPlace::of(&path) {
            Ok(place) => State::read(&place, &path)?,
            Err(Error::File(error)) if error.is_missing() => State::default(),
            Err(error) => return Err(error),
        };
        for problem in &state.bad {
            observer.observe(&Step::NameIgnored { manifest: &path, problem });
        }
        Ok(Manifest { folder: folder.to_owned(), path, state: Mutex::new(state) })
    }

    /// The path of the manifest. If it is one of the destinations of a [`sweep`](crate::sweep()), that
    /// finds what a killed process has left of it, and what it has left in the folder of files that
    /// the manifest does not name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The paths of our files below the folder, in their order. There need not be a file: it may have
    /// been removed, and its reload be pending.
    pub fn ours(&self) -> Vec<PathBuf> {
        let is_ours = |(name, known): (&OsString, &Known)| {
            let is_ours = *known == Known::Ours
                || lstat(self.folder.join(name))
                    .map_or(true, |found| known.includes(&Identity::of(&found)));
            is_ours.then(|| PathBuf::from(name))
        };
        self.state().names.iter().filter_map(is_ours).collect()
    }

    /// Whether a file of this name was certainly put in place. A process that was killed may have left
    /// the name of a file that it was about to make.
    fn has_committed(&self, name: &OsStr) -> bool {
        self.state().names.get(name) == Some(&Known::Ours)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of a destination in this manifest; `None` if it is not below the folder.
    fn name_of(&self, dest: &Path) -> Option<OsString> {
        let name = names_between(&self.folder, dest)?.join(OsStr::new("/"));
        relative_path(&name).is_ok().then_some(name)
    }

    /// Records what is about to be committed, safe on the disk.
    ///
    /// # Errors
    /// The manifest cannot be written. Nothing may be committed.
    fn begin<'a>(
        &self,
        changes: impl Iterator<Item = (OsString, &'a Change)>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        let mut must_write = false;
        for (name, change) in changes {
            let known = match (&change.becomes, state.names.get(&name)) {
                (Becomes::File(_), Some(Known::Ours)) => {
                    // The file that has counted until now is about to be replaced.
                    must_write |= state.unwritten.contains(&name);
                    continue;
                }
                // It was committed, and the file in the manifest does not say so yet.
                (Becomes::File(_), Some(known))
                    if Identity::at(change.place.dest())
                        .is_some_and(|found| known.includes(&found)) =>
                {
                    Known::Ours
                }
                (Becomes::File(file), _) => {
                    let staged = file.state_to_place()?;
                    let file = staged.map_or(file.identity, |(identity, _)| identity);
                    Known::Only { file, former: change.former_on_trial() }
                }
                (Becomes::Absent(file), _) => {
                    Known::Only { file: *file, former: change.former_on_trial() }
                }
            };
            state.set(name, Some(known));
            must_write = true;
        }
        if !must_write {
            return Ok(());
        }
        failpoint();
        let written = self.write(&mut state, true);
        failpoint();
        written
    }

    /// Notes that the files of these names are ours. The next record says so.
    ///
    /// Returns whether one of the names is new, so that the record must not be lost.
    fn note_ours(&self, names: impl IntoIterator<Item = OsString>) -> bool {
        let (mut state, mut is_new) = (self.state(), false);
        for name in names {
            let known = state.names.get(&name).copied();
            if known != Some(Known::Ours) {
                is_new |= known.is_none();
                state.set(name, Some(Known::Ours));
            }
        }
        is_new
    }

    /// Deletes names: their files are gone, and their reloads have succeeded. With `must_write`, what was
    /// noted before is written even if there are none.
    ///
    /// # Errors
    /// The manifest cannot be written.
    fn forget(
        &self,
        names: impl IntoIterator<Item = OsString>,
        must_write: bool,
    ) -> Result<(), Error> {
        let mut state = self.state();
        let mut must_sync = must_write;
        for name in names {
            if state.names.contains_key(&name) {
                state.set(name, None);
                must_sync = true;
            }
        }
        if !must_sync {
            return Ok(());
        }
        failpoint();
        self.write(&mut state, true)
    }

    /// Writes what was noted before. It may be lost in a power cut.
    ///
    /// # Errors
    /// The manifest cannot be written.
    fn write_noted(&self) -> Result<(), Error> {
        self.write(&mut self.state(), false)
    }

    /// Records what a transaction has left that did not succeed: names whose files are there again
    /// although they were to be removed, names whose new files are gone again, and those of them for
    /// which something is pending. A file that another program makes under such a name is not ours.
    ///
    /// # Errors
    /// The manifest cannot be written.
    fn restore(
        &self,
        back: impl Iterator<Item = OsString>,
        gone: impl Iterator<Item = OsString>,
        pending: impl Iterator<Item = OsString>,
    ) -> Result<(), Error> {
        let mut state = self.state();
        let mut must_write = false;
        for name in back {
            if matches!(state.names.get(&name), Some(Known::Only { .. })) {
                state.set(name, Some(Known::Ours));
                must_write = true;
            }
        }
        for name in gone {
            if state.names.contains_key(&name) {
                state.set(name, None);
                must_write = true;
            }
        }
        for name in pending {
            if state.names.get(&name) == Some(&Known::Ours) {
                state.set(name, Some(Known::none()));
                must_write = true;
            }
        }
        if must_write { self.write(&mut state, false) } else { Ok(()) }
    }

    /// Writes the states that are not in the file.
    fn write(&self, state: &mut State, sync: bool) -> Result<(), Error> {
        if state.unwritten.is_empty() {
            return Ok(());
        }
        let place = OpenPlace::of(&self.path)?;
        let failed = |cause| Error::file("write", &self.path, cause);
        let (mut file, is_new) = open_locked(&place).map_err(failed)?;
        let found = fstat(&file).map_err(|cause| failed(cause.into()))?;
        state.catch_up(&file, &found, &self.path)?;
        let State { names, unwritten, .. } = state;
        let lines = state.lines + unwritten.len();
        if lines > FEW && lines > 2 * names.len() {
            put(&place, place.dest(), text::whole(names), &[])?;
            state.lines = names.len();
            state.seen = place.dest().lstat().ok().map(|found| seen(&found));
        } else {
            let valid = state.seen.map_or(0, |(_, length)| length);
            let title = if valid == 0 { TITLE } else { b"" };
            let changes = unwritten.iter().map(|name| (&**name, names.get(name).copied()));
            let text = [title, &text::record(changes)].concat();
            // What a killed process has written of a record is removed.
            let written = file.set_len(valid).and_then(|()| file.write_all(&text));
            let synced = written.and_then(|()| if sync { sync_file(&file) } else { Ok(()) });
            let placed = synced.and_then(|()| if is_new { sync_folder(&place) } else { Ok(()) });
            if let Err(cause) = placed {
                // A part of a record would make the records behind it unreadable.
                let _ = file.set_len(valid);
                return Err(failed(cause));
            }
            state.lines = lines;
            state.seen = Some((Identity::of(&found), valid + text.len() as u64));
        }
        state.unwritten.clear();
        Ok(())
    }
}

impl Drop for Manifest {
    fn drop(&mut self) {
        let state = std::mem::take(&mut *self.state());
        // What is not written does no harm. A folder that is gone needs no manifest.
        let _ = self.write(&mut { state }, false);
    }
}

impl State {
    fn read(place: &OpenPlace, path: &Path) -> Result<State, Error> {
        match open_ours(place, OFlags::RDONLY) {
            Ok(file) => {
                let failed = |cause: io::Error| Error::file("read", path, cause);
                let found = fstat(&file).map_err(|cause| failed(cause.into()))?;
                let mut state = State::default();
                state.parse(&file, &found, path)?;
                Ok(state)
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(State::default()),
            Err(cause) => Err(Error::file("open", path, cause)),
        }
    }

    fn parse(&mut self, mut file: &File, found: &Stat, path: &Path) -> Result<(), Error> {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|cause| Error::file("read", path, cause))?;
        let Some(Parsed { names, lines, valid }) = text::parse(&bytes) else {
            return Err(Error::BadManifest { path: path.to_owned() });
        };
        (self.names, self.lines) = (names, lines);
        self.bad.clear();
        self.names.retain(|name, _| match relative_path(name) {
            Ok(_) => true,
            Err(problem) => {
                self.bad.push(problem);
                false
            }
        });
        self.seen = Some((Identity::of(found), valid));
        Ok(())
    }

    /// Reads the file again if another process has written it.
    fn catch_up(&mut self, file: &File, found: &Stat, path: &Path) -> Result<(), Error> {
        let is_same = self.seen.is_some_and(|(identity, length)| {
            identity.is_same_file(&Identity::of(found)) && length == found.st_size.cast_unsigned()
        });
        if is_same {
            return Ok(());
        }
        let ours = self.unwritten.iter().map(|name| (name.clone(), self.names.get(name).copied()));
        let ours: Vec<_> = ours.collect();
        self.parse(file, found, path)?;
        ours.into_iter().for_each(|(name, known)| self.set(name, known));
        Ok(())
    }

    /// Changes the state of a name; `None` deletes it.
    fn set(&mut self, name: OsString, known: Option<Known>) {
        match known {
            Some(known) => drop(self.names.insert(name.clone(), known)),
            None => drop(self.names.remove(&name)),
        }
        self.unwritten.insert(name);
    }
}

fn seen(found: &Stat) -> (Identity, u64) {
    (Identity::of(found), found.st_size.cast_unsigned())
}

/// Writes a manifest of these names, for tests.
#[cfg(test)]
pub(crate) fn write_names(path: &Path, names: &[&str]) {
    let names = names.iter().map(|name| (OsString::from(name), Known::Ours)).collect();
    std::fs::write(path, text::whole(&names)).expect("written");
}

/// Opens the manifest of this user. Another user could make this process remove files.
fn open_ours(place: &OpenPlace, flags: OFlags) -> io::Result<File> {
    let file = place.dest().open(flags | OFlags::NOFOLLOW)?;
    let found = fstat(&file)?;
    if !is_file(&found) || found.st_uid != our_user() || found.st_nlink != 1 {
        let text = "it is not a file of the user of this process with one name";
        return Err(io::Error::other(text));
    }
    Ok(file)
}

/// Opens the manifest for writing and locks it, so that no other process writes. Creates it if it is
/// missing. Returns whether it is new.
fn open_locked(place: &OpenPlace) -> io::Result<(File, bool)> {
    let mut is_new = false;
    loop {
        let file = match open_ours(place, OFlags::RDWR | OFlags::APPEND) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                match place.dest().create(0o600) {
                    Ok(_) => is_new = true,
                    Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(cause) => return Err(cause),
                }
                continue;
            }
            opened => opened?,
        };
        // A file system without locks has one process that writes.
        let _ = file.lock();
        // Another process may have replaced it by a shorter one.
        let held = fstat(&file)?;
        if Identity::at(place.dest()).is_some_and(|now| now.is_same_file(&Identity::of(&held))) {
            return Ok((file, is_new));
        }
    }
}
