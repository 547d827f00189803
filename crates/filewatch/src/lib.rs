//! Reports that files and folders may have changed, by inotify.
//!
//! [`FileWatch`] follows a set of [`Interest`]s: a path, or a folder with everything below it. It
//! reports paths, not events: a reported path may have changed, and the caller reads it again and
//! compares. So it does not matter how a change is made: by writing in place, by a rename, by
//! replacing a link, by swapping a mounted `ConfigMap`, or by removing a folder and creating it
//! again.
//!
//! What callers may rely on:
//!
//! - Each path is reported once when its watches are in place. A caller that reads a path after
//!   that report misses no later change.
//! - Every step of a path is followed, including links and missing folders. A path need not exist.
//! - The reports of a burst are merged: a report comes after [`QUIET`] without events and when no
//!   followed file is open for writing, or after [`LONGEST_WAIT`].
//! - If the kernel drops events, every path is reported.
//! - Dropping the future of [`FileWatch::changed`] loses nothing.
//! - The set can change at any time. Paths that stay in the set cost nothing.
//!
//! Some changes cause no events: a mount over a folder, writes by other hosts to a network file
//! system, and writes through a memory map, through another hard link or through a bind mount of
//! the file. Callers that need these must also read at long intervals.
//!
//! The watches are on the folders that hold the paths, never on files: a file that is replaced
//! would lose its watch. Ten thousand files in one folder need one watch.
//!
//! Each module has one concept: `places` are the watched folders and the paths that need them,
//! `signals` merges bursts of events, `unwatched` says why inotify cannot be used.

mod places;
mod signals;
mod unwatched;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::future;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::{self, JoinHandle};

pub use unwatched::Unwatched;

use places::{Places, Work};
use signals::Signals;

/// The time without events before a report.
pub const QUIET: Duration = Duration::from_millis(5);

/// The time after which a report comes even if events go on or a file is still open for writing.
pub const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interest {
    path: PathBuf,
    filter: Option<Vec<u8>>,
}

impl Interest {
    /// The target of `path`, through all links. If that is a folder, its content does not count.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Interest { path: path.into(), filter: None }
    }

    /// The target of `path` and, if that is a folder, all folders below it and all files below it
    /// whose base name matches `filter` (see [`store::Pattern`]; a malformed pattern matches
    /// nothing). Below the target, links to files are followed and links to folders are not.
    pub fn tree(path: impl Into<PathBuf>, filter: &[u8]) -> Self {
        Interest { path: path.into(), filter: Some(filter.to_owned()) }
    }

    /// The path as it was given.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// A set of paths that is being followed.
#[derive(Debug)]
pub struct FileWatch {
    places: Arc<Mutex<Places>>,
    signals: Signals,
    /// The newest set, until it has been passed to the task that watches folders.
    wanted: Option<HashSet<Interest>>,
    /// The task that watches folders. It goes on if the future that waits for it is dropped.
    working: Option<JoinHandle<Done>>,
    /// The results that the next calls return.
    done: Done,
}

/// The results of watching folders.
#[derive(Debug, Default)]
struct Done {
    paths: Vec<PathBuf>,
    failure: Option<Unwatched>,
}

impl FileWatch {
    /// Follows nothing at first. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The system has no inotify, or its limit of instances or descriptors is reached.
    pub fn new() -> Result<Self, Unwatched> {
        Signals::new().map(FileWatch::of).map_err(Unwatched::files)
    }

    /// Like `new`, with an instance of inotify from the caller, which must be non-blocking.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be waited for.
    #[cfg(any(test, feature = "testing"))]
    pub fn with_instance(inotify: std::os::fd::OwnedFd) -> Result<Self, Unwatched> {
        Signals::of(inotify).map(FileWatch::of).map_err(Unwatched::files)
    }

    fn of(signals: Signals) -> Self {
        let places = Arc::new(Mutex::new(Places::new(signals.inotify())));
        FileWatch { places, signals, wanted: None, working: None, done: Done::default() }
    }

    /// Replaces the set. Does not block: the next call of [`FileWatch::changed`] watches the
    /// folders and reports the new paths.
    pub fn set_interest(&mut self, interests: impl IntoIterator<Item = Interest>) {
        self.wanted = Some(interests.into_iter().collect());
    }

    /// Waits until paths may have changed. Returns these paths as they were given, each once, in
    /// byte order.
    ///
    /// The future can be dropped and the function called again.
    ///
    /// # Errors
    ///
    /// Why a path is not followed. The other paths are still followed, and the next call goes on
    /// with them. If the error names no folder, no path gets any events.
    pub async fn changed(&mut self) -> Result<Vec<PathBuf>, Unwatched> {
        loop {
            if let Some(working) = &mut self.working {
                let ended = working.await;
                self.working = None;
                self.done = match ended {
                    Ok(done) => done,
                    Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                    // The runtime is being shut down, and this future with it.
                    Err(_) => return future::pending().await,
                };
            }
            if let Some(failure) = self.done.failure.take() {
                return Err(failure);
            }
            if !self.done.paths.is_empty() {
                return Ok(std::mem::take(&mut self.done.paths));
            }
            let work = match self.wanted.take() {
                Some(wanted) => Work::Replace(wanted),
                None => {
                    let places = &self.places;
                    let settled = self.signals.settled(|event| lock(places).note(event));
                    settled.await.map_err(Unwatched::files)?;
                    Work::Renew
                }
            };
            let places = Arc::clone(&self.places);
            self.working = Some(task::spawn_blocking(move || {
                let (mut paths, failure) = lock(&places).work(work);
                paths.sort_unstable();
                paths.dedup();
                Done { paths, failure }
            }));
        }
    }
}

/// Locks the places. The lock is free unless folders are being watched at this moment.
fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}
