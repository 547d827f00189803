//! The watched folders, and the interests that need them.
//!
//! A path leads through folders and links to its target, and the meaning of each step can change.
//! [`Places::route`] therefore follows every step:
//!
//! - Each folder on the way is watched for its own move or removal.
//! - Each folder that holds a link on the way, the file at the end, or a name that does not exist
//!   yet, is watched for changes of that name.
//!
//! Each step is watched before it is read. If the caller then reads an old state, an event follows.
//!
//! A watch is known by its number, which the kernel gives to a folder and not to its path. So it is
//! clear which folder is meant, even if a folder is removed and a new folder takes its path, or if
//! two paths lead to one folder.
//!
//! All functions block, except [`Places::note`].

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use store::Pattern;

use crate::signals::Event;
use crate::{Interest, Unwatched};

/// Events for the move and the removal of the folder itself.
const ITSELF: WatchFlags = WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF);

/// Events that can change the meaning of a name in a folder, or the content of the file with that
/// name. Opening and reading are not among them, because our own reads would cause events.
const CONTENT: WatchFlags = ITSELF
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);

/// Paths without links are watched, and a removed file that is still being written does not matter.
const HOW: WatchFlags =
    WatchFlags::ONLYDIR.union(WatchFlags::DONT_FOLLOW).union(WatchFlags::EXCL_UNLINK);

/// Events that change the meaning of no path, unless they are about a folder.
const CONTENT_ONLY: ReadFlags =
    ReadFlags::MODIFY.union(ReadFlags::CLOSE_WRITE).union(ReadFlags::ATTRIB);

/// The most links and races on one route. Linux follows as many links in a path.
const MAX_TURNS: usize = 40;

/// The watched folders, and the interests that need each of them.
#[derive(Debug)]
pub(crate) struct Places {
    inotify: Arc<OwnedFd>,
    /// The watched folders, by the number of their watch.
    folders: HashMap<i32, Folder>,
    /// The followed interests, by their number. Numbers are never used again.
    followed: HashMap<Number, Followed>,
    numbers: HashMap<Interest, Number>,
    next: Number,
    /// The interests with events, and whether their routes may have changed.
    touched: HashMap<Number, bool>,
}

/// The number of an interest.
type Number = u64;

/// An interest, and the folders that are watched for it.
#[derive(Debug)]
struct Followed {
    interest: Interest,
    filter: Option<Pattern>,
    /// The folders by the number of their watch, each with the names in it that the interest needs.
    folders: HashMap<i32, Vec<OsString>>,
}

/// A watched folder. Its mask is [`ITSELF`] or [`CONTENT`].
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    mask: WatchFlags,
    /// The interests whose path leads through this folder.
    passing: HashSet<Number>,
    /// The interests that need a name in this folder.
    names: HashMap<OsString, HashSet<Number>>,
    /// The interests that need all folders in this folder, and all files that match their filter.
    trees: HashSet<Number>,
}

/// Why folders must be watched.
#[derive(Debug)]
pub(crate) enum Work {
    /// The set of interests was replaced.
    Replace(HashSet<Interest>),
    /// There were events.
    Renew,
}

/// The state that the routes of one batch share.
#[derive(Debug, Default)]
struct Batch {
    /// The folders that this batch has watched and read, by their path without links. A later
    /// change of such a folder is in an event that has not been read.
    known: HashMap<PathBuf, i32>,
    /// The folders that may now be needed for less than before.
    left: HashSet<i32>,
    /// The first folder that cannot be watched.
    failure: Option<Unwatched>,
}

/// What is at a path; links are not followed.
enum Found {
    Folder,
    Link(PathBuf),
    File,
    Nothing,
}

impl Places {
    /// No places.
    pub(crate) fn new(inotify: Arc<OwnedFd>) -> Self {
        Places {
            inotify,
            folders: HashMap::new(),
            followed: HashMap::new(),
            numbers: HashMap::new(),
            next: 0,
            touched: HashMap::new(),
        }
    }

    /// Records the interests that an event concerns. Returns whether there are any.
    pub(crate) fn note(&mut self, event: &Event<'_>) -> bool {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.touched.extend(self.followed.keys().map(|number| (*number, true)));
            return !self.followed.is_empty();
        }
        let Some(folder) = self.folders.get(&event.watch) else { return false };
        let is_folder = event.flags.contains(ReadFlags::ISDIR);
        let mut concerned = Vec::new();
        match event.name {
            None => {
                concerned.extend(&folder.passing);
                concerned.extend(folder.names.values().flatten());
                concerned.extend(&folder.trees);
            }
            Some(name) => {
                concerned.extend(folder.names.get(name).into_iter().flatten());
                let matches = |number: &&Number| {
                    is_folder || self.followed.get(number).is_some_and(|it| it.matches(name))
                };
                concerned.extend(folder.trees.iter().filter(matches));
            }
        }
        let kinds = event.flags.difference(ReadFlags::ISDIR);
        let reroute = event.name.is_none() || is_folder || !CONTENT_ONLY.contains(kinds);
        for number in &concerned {
            *self.touched.entry(*number).or_default() |= reroute;
        }
        !concerned.is_empty()
    }

    /// Watches all folders that must be watched now. Returns the paths that may have changed, and
    /// the first folder that could not be watched, usually because of a limit of the system.
    pub(crate) fn work(&mut self, work: Work) -> (Vec<PathBuf>, Option<Unwatched>) {
        let mut batch = Batch::default();
        let mut paths = Vec::new();
        match work {
            Work::Replace(wanted) => {
                let gone: Vec<_> =
                    self.numbers.keys().filter(|it| !wanted.contains(*it)).cloned().collect();
                for interest in gone {
                    self.forget(&interest, &mut batch);
                }
                for interest in wanted {
                    if !self.numbers.contains_key(&interest) {
                        paths.push(interest.path.clone());
                        let number = self.add(interest);
                        self.renew(number, &mut batch);
                    }
                }
            }
            Work::Renew => {
                for (number, reroute) in std::mem::take(&mut self.touched) {
                    let Some(followed) = self.followed.get(&number) else { continue };
                    paths.push(followed.interest.path.clone());
                    if reroute {
                        self.renew(number, &mut batch);
                    }
                }
            }
        }
        self.settle(&batch.left);
        (paths, batch.failure)
    }

    fn add(&mut self, interest: Interest) -> Number {
        let number = self.next;
        self.next += 1;
        let filter = interest.filter.as_ref().and_then(|filter| Pattern::new(filter).ok());
        self.numbers.insert(interest.clone(), number);
        self.followed.insert(number, Followed { interest, filter, folders: HashMap::new() });
        number
    }

    fn forget(&mut self, interest: &Interest, batch: &mut Batch) {
        let Some(number) = self.numbers.remove(interest) else { return };
        self.leave(number, batch);
        self.followed.remove(&number);
        self.touched.remove(&number);
    }

    /// Removes an interest from all folders. Their watches stay until [`Places::settle`].
    fn leave(&mut self, number: Number, batch: &mut Batch) {
        let Some(followed) = self.followed.get_mut(&number) else { return };
        for (watch, names) in followed.folders.drain() {
            batch.left.insert(watch);
            let Some(folder) = self.folders.get_mut(&watch) else { continue };
            folder.passing.remove(&number);
            folder.trees.remove(&number);
            for name in names {
                if let Entry::Occupied(mut numbers) = folder.names.entry(name) {
                    numbers.get_mut().remove(&number);
                    if numbers.get().is_empty() {
                        numbers.remove();
                    }
                }
            }
        }
    }

    /// Follows an interest again, along the present meaning of its path.
    fn renew(&mut self, number: Number, batch: &mut Batch) {
        self.leave(number, batch);
        let Some(followed) = self.followed.get(&number) else { return };
        let Interest { path, filter } = followed.interest.clone();
        let end = self.route(number, Path::new("."), &path, batch);
        let (Some(end), Some(_)) = (end, filter) else { return };
        let mut folders = vec![end];
        while let Some(folder) = folders.pop() {
            self.descend(number, &folder, &mut folders, batch);
        }
    }

    /// Watches a folder for everything in it that matches the filter, and follows the links in it.
    /// Returns the folders in it. The path of `folder` must not contain links; it can be a file.
    fn descend(
        &mut self,
        number: Number,
        folder: &Path,
        folders: &mut Vec<PathBuf>,
        batch: &mut Batch,
    ) {
        match self.watch(number, folder, CONTENT, batch) {
            Ok((_, found)) => found.trees.insert(number),
            // A folder that may not be listed is skipped, because its content cannot be read
            // either.
            Err(Errno::ACCESS) => return,
            Err(errno) => {
                batch.fail(folder, errno);
                return;
            }
        };
        // If the folder has gone, an event says so.
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let Ok(kind) = entry.file_type() else { continue };
            let name = entry.file_name();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_symlink()
                && self.followed.get(&number).is_some_and(|it| it.matches(&name))
            {
                self.route(number, folder, Path::new(&name), batch);
            }
        }
    }

    /// Watches every step from `start` along `path`. The path of `start` must not contain links.
    /// Returns the target without links, if it exists.
    fn route(
        &mut self,
        number: Number,
        start: &Path,
        path: &Path,
        batch: &mut Batch,
    ) -> Option<PathBuf> {
        let mut here = start.to_owned();
        let mut ahead = steps(path);
        let mut turns = 0;
        while let Some(step) = ahead.pop() {
            match step.as_bytes() {
                b"/" => here = PathBuf::from("/"),
                b"." => {}
                b".." => ascend(&mut here),
                _ => {
                    let there = here.join(&step);
                    if batch.known.contains_key(&there) || matches!(look(&there), Found::Folder) {
                        match self.watch(number, &there, ITSELF, batch) {
                            Ok((_, folder)) => {
                                folder.passing.insert(number);
                                here = there;
                                continue;
                            }
                            // A folder that may be passed through, but not watched, is accepted as
                            // it is.
                            Err(Errno::ACCESS) => {
                                here = there;
                                continue;
                            }
                            Err(errno) => batch.fail(&there, errno),
                        }
                    }
                    if let Err(errno) = self.watch_name(number, &here, &step, batch) {
                        batch.fail(&here, errno);
                        return None;
                    }
                    match look(&there) {
                        Found::File if ahead.is_empty() => return Some(there),
                        Found::File | Found::Nothing => return None,
                        Found::Link(target) => ahead.extend(steps(&target)),
                        // The folder was created just now.
                        Found::Folder => ahead.push(step),
                    }
                    turns += 1;
                    if turns > MAX_TURNS {
                        return None;
                    }
                }
            }
        }
        Some(here)
    }

    /// Watches the folder `path` for changes of one name in it.
    fn watch_name(
        &mut self,
        number: Number,
        path: &Path,
        name: &OsStr,
        batch: &mut Batch,
    ) -> Result<(), Errno> {
        let (watch, folder) = self.watch(number, path, CONTENT, batch)?;
        if folder.names.entry(name.to_owned()).or_default().insert(number)
            && let Some(followed) = self.followed.get_mut(&number)
        {
            followed.folders.entry(watch).or_default().push(name.to_owned());
        }
        Ok(())
    }

    /// Watches the folder `path` for `events`, in addition to those that it is watched for.
    fn watch(
        &mut self,
        number: Number,
        path: &Path,
        events: WatchFlags,
        batch: &mut Batch,
    ) -> Result<(i32, &mut Folder), Errno> {
        let known = batch.known.get(path).copied();
        let known = known
            .filter(|watch| self.folders.get(watch).is_some_and(|it| it.mask.contains(events)));
        let watch = match known {
            Some(watch) => watch,
            None => {
                let mask = events | HOW | WatchFlags::MASK_ADD;
                let watch = inotify::add_watch(&self.inotify, path, mask)?;
                batch.known.insert(path.to_owned(), watch);
                watch
            }
        };
        if let Some(followed) = self.followed.get_mut(&number) {
            followed.folders.entry(watch).or_default();
        }
        let folder = self.folders.entry(watch).or_insert_with(|| Folder {
            path: path.to_owned(),
            mask: events,
            passing: HashSet::new(),
            names: HashMap::new(),
            trees: HashSet::new(),
        });
        folder.mask |= events;
        Ok((watch, folder))
    }

    /// Ends the watches of those folders that are not needed any more, and reduces the events of
    /// those that are needed for less.
    fn settle(&mut self, left: &HashSet<i32>) {
        for &watch in left {
            let Some(folder) = self.folders.get_mut(&watch) else { continue };
            let needs_content = !folder.names.is_empty() || !folder.trees.is_empty();
            let unneeded = if !needs_content && folder.passing.is_empty() {
                self.folders.remove(&watch);
                Some(watch)
            } else if !needs_content && folder.mask != ITSELF {
                folder.mask = ITSELF;
                let narrowed = inotify::add_watch(&self.inotify, &folder.path, ITSELF | HOW);
                // A new folder has taken the path, and the event for that has not been read.
                narrowed.ok().filter(|number| !self.folders.contains_key(number))
            } else {
                None
            };
            if let Some(watch) = unneeded {
                // An error means that the folder is gone, and its watch with it.
                let _ = inotify::remove_watch(&self.inotify, watch);
            }
        }
    }
}

impl Followed {
    fn matches(&self, name: &OsStr) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.matches(name.as_bytes()))
    }
}

impl Batch {
    /// Records that a folder cannot be watched. A folder that is gone does not count: an event of
    /// its parent, which is watched, says so.
    fn fail(&mut self, path: &Path, errno: Errno) {
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
            self.failure.get_or_insert_with(|| Unwatched::folder(path, errno));
        }
    }
}

/// The steps of a path; the first one is last.
fn steps(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|step| step.as_os_str().to_owned()).collect()
}

/// The parent of a folder whose path contains no links.
fn ascend(folder: &mut PathBuf) {
    if folder.file_name().is_some() {
        folder.pop();
    } else if !folder.has_root() {
        folder.push("..");
    }
}

fn look(path: &Path) -> Found {
    match fs::symlink_metadata(path) {
        Err(_) => Found::Nothing,
        Ok(metadata) if metadata.is_dir() => Found::Folder,
        Ok(metadata) if metadata.is_symlink() => match fs::read_link(path) {
            Ok(target) => Found::Link(target),
            Err(error) if error.kind() == ErrorKind::InvalidInput => Found::File,
            Err(_) => Found::Nothing,
        },
        Ok(_) => Found::File,
    }
}
