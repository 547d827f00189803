//! The folders that inotify watches, and which of their events matter.
//!
//! A path leads through folders and links to what it means today, and each of them may come to mean
//! something else. [`Places::route`] follows every step:
//!
//! - each folder on the way for its own move or removal,
//! - each folder that holds a link of the way, the file at its end, or nothing yet where the path
//!   goes on, for what happens to that name.
//!
//! Each step is watched before it is looked at. Whoever reads after that and finds something old
//! will get an event.
//!
//! Watches are known by their number, which the kernel gives to a folder, not to its path. So
//! nothing is confused when a folder is removed and another one comes in its place, or when two
//! paths lead to the same.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use report::errno_text;
use rustix::fs::inotify::{self, ReadFlags, WatchFlags};
use rustix::io::Errno;
use store::Pattern;

use super::signals::Event;

/// What tells of the end of a folder itself.
const ITSELF: WatchFlags = WatchFlags::MOVE_SELF.union(WatchFlags::DELETE_SELF);

/// What may change the meaning of a name in a folder, or the content of the file it names. Opening
/// and reading is not in it: our own would otherwise wake us.
const CONTENT: WatchFlags = ITSELF
    .union(WatchFlags::CREATE)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::ATTRIB);

/// A path without links is what we have, and a file that is removed and still written matters no
/// more.
const HOW: WatchFlags =
    WatchFlags::ONLYDIR.union(WatchFlags::DONT_FOLLOW).union(WatchFlags::EXCL_UNLINK);

/// How many links and surprises a route may have; as many links as Linux follows in a path.
const MAX_TURNS: usize = 40;

/// The folders that matter, by the number of their watch.
#[derive(Debug)]
pub(super) struct Places {
    inotify: Arc<OwnedFd>,
    filter: Option<Pattern>,
    folders: HashMap<i32, Folder>,
    /// The first folder that should be watched and cannot be.
    failure: Option<Unwatched>,
}

/// Which events of a folder matter, beside those of itself.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    mask: WatchFlags,
    /// Whether all folders and files that match the filter do.
    every_match: bool,
    /// The names that do whatever the filter says.
    names: HashSet<OsString>,
}

/// Why there are no events. The text says what to do about it.
#[derive(Debug)]
pub(super) struct Unwatched {
    /// The folder, if it is about one.
    pub(super) folder: Option<PathBuf>,
    pub(super) cause: io::Error,
}

impl fmt::Display for Unwatched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.folder {
            Some(folder) => write!(f, "cannot watch {}: ", folder.display())?,
            None => f.write_str("cannot watch files: ")?,
        }
        match Errno::from_io_error(&self.cause) {
            Some(Errno::NOSPC) => f.write_str(
                "all inotify watches of this user are taken (sysctl fs.inotify.max_user_watches allows more)",
            ),
            Some(Errno::MFILE) => f.write_str(
                "all inotify instances of this user or all descriptors of this process are taken (sysctl fs.inotify.max_user_instances and ulimit -n allow more)",
            ),
            _ => f.write_str(&errno_text(&self.cause)),
        }
    }
}

/// What is at a path, links not followed.
enum Found {
    Folder,
    Link(PathBuf),
    File,
    Nothing,
}

impl Places {
    /// No places. In folders names count that match `filter`; none if that cannot be read.
    pub(super) fn new(inotify: Arc<OwnedFd>, filter: &[u8]) -> Self {
        let filter = Pattern::new(filter).ok();
        Places { inotify, filter, folders: HashMap::new(), failure: None }
    }

    /// Forgets all places without ending their watches, so that the needed ones can be named
    /// again; [`Places::settle`] ends the others.
    pub(super) fn renew(&mut self) -> Former {
        self.failure = None;
        Former(std::mem::take(&mut self.folders))
    }

    /// Ends the watches that are needed no longer, and narrows those of which less is needed.
    ///
    /// # Errors
    ///
    /// A folder that could not be watched since [`Places::renew`], and why: mostly the limit of the
    /// system.
    pub(super) fn settle(&mut self, former: Former) -> Result<(), Unwatched> {
        for (watch, former) in former.0 {
            let unneeded = match self.folders.get(&watch) {
                None => Some(watch),
                Some(folder) if folder.mask == former.mask => None,
                Some(folder) => {
                    let narrowed =
                        inotify::add_watch(&self.inotify, &folder.path, folder.mask | HOW);
                    // Another folder has come in its place, and an event of that is waiting.
                    narrowed.ok().filter(|number| !self.folders.contains_key(number))
                }
            };
            if let Some(watch) = unneeded {
                // It fails if the folder is gone, and its watch with it.
                let _ = inotify::remove_watch(&self.inotify, watch);
            }
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Whether an event says that something which matters may have changed.
    pub(super) fn concerns(&self, event: &Event<'_>) -> bool {
        if event.flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            return true;
        }
        match (self.folders.get(&event.watch), event.name) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(folder), Some(name)) => {
                let is_folder = event.flags.contains(ReadFlags::ISDIR);
                folder.names.contains(name)
                    || folder.every_match && (is_folder || self.matches(name))
            }
        }
    }

    fn matches(&self, name: &OsStr) -> bool {
        self.filter.as_ref().is_some_and(|filter| filter.matches(name.as_bytes()))
    }

    /// Watches every step from `start`, a folder without links in its path, along `path`. Returns
    /// where that leads, without links, if it leads to anything.
    pub(super) fn route(&mut self, start: &Path, path: &Path) -> Option<PathBuf> {
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
                    if matches!(look(&there), Found::Folder) {
                        match self.watch(&there, ITSELF) {
                            // One that may be passed through and not be watched will have to do.
                            Ok(_) | Err(Errno::ACCESS) => {
                                here = there;
                                continue;
                            }
                            Err(errno) => self.fail(&there, errno),
                        }
                    }
                    match self.watch(&here, CONTENT) {
                        Ok(folder) => folder.names.insert(step.clone()),
                        Err(errno) => {
                            self.fail(&here, errno);
                            return None;
                        }
                    };
                    match look(&there) {
                        Found::File if ahead.is_empty() => return Some(there),
                        Found::File | Found::Nothing => return None,
                        Found::Link(target) => ahead.extend(steps(&target)),
                        // It has just come.
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

    /// Watches a folder for everything in it that matches the filter. `path` has no links in it.
    pub(super) fn every_match(&mut self, path: &Path) {
        match self.watch(path, CONTENT) {
            Ok(folder) => folder.every_match = true,
            // What may not be listed is passed over, and its content does not matter.
            Err(Errno::ACCESS) => {}
            Err(errno) => self.fail(path, errno),
        }
    }

    /// Watches the folder `path` for `events` beside those it is watched for.
    fn watch(&mut self, path: &Path, events: WatchFlags) -> Result<&mut Folder, Errno> {
        let mask = events | HOW | WatchFlags::MASK_ADD;
        let watch = inotify::add_watch(&self.inotify, path, mask)?;
        let folder = self.folders.entry(watch).or_insert_with(|| Folder {
            path: path.to_owned(),
            mask: events,
            every_match: false,
            names: HashSet::new(),
        });
        folder.mask |= events;
        Ok(folder)
    }

    /// Notes that a folder cannot be watched. One that is gone does not count: the folder above,
    /// which is watched, will say so.
    fn fail(&mut self, path: &Path, errno: Errno) {
        if !matches!(errno, Errno::NOENT | Errno::NOTDIR) {
            self.failure.get_or_insert_with(|| Unwatched {
                folder: Some(path.to_owned()),
                cause: errno.into(),
            });
        }
    }
}

/// The places before a renewal.
#[derive(Debug)]
#[must_use = "the watches of places that are needed no longer have to end"]
pub(super) struct Former(HashMap<i32, Folder>);

/// The steps of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    path.components().rev().map(|step| step.as_os_str().to_owned()).collect()
}

/// The folder above, of a folder without links in its path.
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
