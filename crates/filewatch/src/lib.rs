//! Tells when files and folders may have changed, by inotify.
//!
//! [`FileWatch`] follows a set of [`Interest`]s: a path, or a folder with everything below it. It
//! reports paths, not events: a reported path may have changed, and its reader looks again and
//! compares. So it does not matter how a change is made: written in place, renamed over, a link
//! replaced, a mounted `ConfigMap` swapped, a folder removed and made again.
//!
//! What callers may rely on:
//!
//! - Each path is reported once when its watches are in place. Whoever reads a path after that
//!   report misses no later change.
//! - Every step of a path is followed, links and missing folders included. A path need not exist.
//! - Reports of a burst are merged: a report comes after [`QUIET`] without events and when no
//!   followed file is open for writing, or after [`LONGEST_WAIT`].
//! - If the kernel drops events, every path is reported.
//! - Dropping the future of [`FileWatch::changed`] loses nothing.
//! - A set can change at any time. Paths that stay in the set cost nothing.
//!
//! Some changes cause no events: a mount over a folder, writes by other hosts to a network file
//! system, writes through a memory map, through another hard link or through a bind mount of the
//! file. Callers that need these too look at long intervals.
//!
//! The folders that hold the paths are watched, never the files: a file that is replaced would take
//! its watch with it. Ten thousand files in one folder need one watch.
//!
//! One module a concept: `places` are the watched folders and which paths need them, `signals` merges
//! bursts of events, `unwatched` says why inotify cannot be had.

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

/// How long there must be no event before a report.
pub const QUIET: Duration = Duration::from_millis(5);

/// After how long there is a report although events go on or a file is still open for writing.
pub const LONGEST_WAIT: Duration = Duration::from_millis(250);

/// What to follow.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Interest {
    path: PathBuf,
    filter: Option<Vec<u8>>,
}

impl Interest {
    /// What `path` leads to, through every link. If that is a folder, its content does not count.
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Interest { path: path.into(), filter: None }
    }

    /// What `path` leads to and, if that is a folder, every folder below it and every file below it
    /// whose base name matches `filter` (see [`store::Pattern`]; a pattern that cannot be read
    /// matches nothing). Below it links to files are followed, links to folders are not.
    pub fn tree(path: impl Into<PathBuf>, filter: &[u8]) -> Self {
        Interest { path: path.into(), filter: Some(filter.to_owned()) }
    }

    /// The path as it was given.
    pub fn as_path(&self) -> &Path {
        &self.path
    }
}

/// Paths that are being followed.
#[derive(Debug)]
pub struct FileWatch {
    places: Arc<Mutex<Places>>,
    signals: Signals,
    /// The set that was asked for last, until the folders are watched by it.
    wanted: Option<HashSet<Interest>>,
    /// The task that watches folders. It outlives the future that waits for it.
    working: Option<JoinHandle<Done>>,
    /// What the next calls give.
    done: Done,
}

/// What watching folders came to.
#[derive(Debug, Default)]
struct Done {
    paths: Vec<PathBuf>,
    failure: Option<Unwatched>,
}

impl FileWatch {
    /// Follows nothing yet. To be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// There is no inotify, or the limit of instances or descriptors is reached.
    pub fn new() -> Result<Self, Unwatched> {
        Signals::new().map(FileWatch::of).map_err(Unwatched::files)
    }

    /// Follows by an instance of inotify that must not block.
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

    /// Replaces the set of what is followed. Nothing blocks here: the folders are watched by the
    /// next call of [`FileWatch::changed`], which also reports the new paths.
    pub fn set_interest(&mut self, interests: impl IntoIterator<Item = Interest>) {
        self.wanted = Some(interests.into_iter().collect());
    }

    /// Waits until paths may have changed, and gives them as they were given, each once, in byte
    /// order.
    ///
    /// May be dropped and called again.
    ///
    /// # Errors
    ///
    /// Why some path is not followed. The other paths are followed on, and the next call goes on
    /// with them. If the error names no folder, there will be no events for any path.
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

/// The places. They are free unless folders are being watched.
fn lock(places: &Mutex<Places>) -> MutexGuard<'_, Places> {
    places.lock().unwrap_or_else(PoisonError::into_inner)
}
