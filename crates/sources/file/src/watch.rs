//! Follows files by inotify.
//!
//! `filewatch` reports that a path may have changed. Then every file that may have changed is read,
//! and the pairs are compared with the last reported pairs. So the way in which a change was made
//! does not matter, and there is no state without a changed value.
//!
//! The promises:
//!
//! - No change is lost between the first state and the events, or between two checks: folders are
//!   watched before they are read.
//! - After an error the last state stays, and the next event causes another check. If the system
//!   refused, there is also a check every [`PERIOD`], because the reason may disappear without an
//!   event (by a mount). Then an error is reported again only if its text differs.
//! - Without inotify there is one line in the log, and a check every [`PERIOD`] until the files are
//!   followed again.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::future;
use std::panic;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use filewatch::{FileWatch, Unwatched};
use source::{Error, Interest, Update, Watch};
use store::{Coverage, Scope, Snapshot};
use tokio::select;
use tokio::task::{self, JoinHandle};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::File;
use super::contents::Contents;

/// The time between two checks while there may be no events.
const PERIOD: Duration = Duration::from_secs(2);

/// Files that are being followed.
#[derive(Debug)]
pub(super) struct Following {
    scopes: Vec<Scope>,
    /// Whether a state must be reported although no value has changed.
    is_due: bool,
    source: File,
    contents: Arc<Mutex<Contents>>,
    /// `None` without inotify.
    events: Option<FileWatch>,
    /// The time of the next check without an event.
    timer: Option<Instant>,
    /// The reason for the running or the last check.
    occasion: Occasion,
    /// The running check. It continues if the future that waits for it is dropped.
    look: Option<JoinHandle<Look>>,
    /// The pairs of the last successful check.
    given: Option<Snapshot>,
    /// The text of the last error, until a check succeeds.
    complaint: Option<String>,
}

/// The result of a check: the pairs, if they differ from the last successful check.
type Look = Result<Option<Snapshot>, Error>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Event,
    Timer,
}

impl Following {
    /// Follows the files of `source`. No file is read and no folder is watched before the first
    /// state is asked for.
    pub(super) fn new(source: File, interest: &Interest) -> Self {
        Following::with_events(source, interest, FileWatch::new())
    }

    fn with_events(
        source: File,
        interest: &Interest,
        events: Result<FileWatch, Unwatched>,
    ) -> Self {
        let (events, failure) = match events {
            Ok(events) => (Some(events), None),
            Err(failure) => (None, Some(failure)),
        };
        let mut following = Following {
            scopes: interest.scopes.clone(),
            is_due: true,
            source,
            contents: Arc::default(),
            events,
            timer: None,
            occasion: Occasion::Timer,
            look: None,
            given: None,
            complaint: None,
        };
        if let Some(failure) = failure {
            following.poll(&failure);
        }
        if let Some(events) = &mut following.events {
            let File { paths, filter, .. } = &following.source;
            events.set_interest(paths.iter().map(|path| filewatch::Interest::tree(path, filter)));
        }
        // Without a path there can be no events.
        if following.source.paths.is_empty() {
            following.timer = Some(Instant::now());
        }
        following
    }

    /// Waits for the reason for the next check. Dropping the future loses nothing.
    async fn occasion(&mut self) -> Occasion {
        let event = async {
            match &mut self.events {
                Some(events) => events.changed().await,
                None => future::pending().await,
            }
        };
        let timer = async {
            match self.timer {
                Some(at) => sleep_until(at).await,
                None => future::pending().await,
            }
        };
        select! {
            outcome = event => match outcome {
                Ok(_) => Occasion::Event,
                Err(reason) => {
                    self.poll(&reason);
                    Occasion::Timer
                }
            },
            () = timer => Occasion::Timer,
        }
    }

    /// Stops using inotify. Logs this once.
    fn poll(&mut self, reason: &Unwatched) {
        self.source.polling_reported.call_once(|| {
            warn!("{reason}; the files are looked at every {}s instead", PERIOD.as_secs());
        });
        self.events = None;
        self.timer = Some(Instant::now());
    }

    /// Converts the result of a check to a state, an error, or nothing.
    fn outcome(&mut self, look: Look) -> Result<Option<Update>, Error> {
        let refused = look.as_ref().is_err_and(Error::is_transient);
        self.timer = (refused || self.events.is_none()).then(|| Instant::now() + PERIOD);
        let found = match look {
            Ok(found) => found,
            Err(error) => {
                let text = error.to_string();
                let old = self.complaint.as_ref() == Some(&text);
                self.complaint = Some(text);
                return if old && self.occasion == Occasion::Timer { Ok(None) } else { Err(error) };
            }
        };
        self.complaint = None;
        let Some(snapshot) = found else { return Ok(self.due()) };
        let changed = self.given.as_ref().map(|given| {
            let mut keys = differences(given, &snapshot);
            keys.retain(|key| self.is_asked_for(key));
            keys
        });
        self.given = Some(snapshot);
        Ok(match changed.as_ref().is_some_and(Vec::is_empty) {
            true => self.due(),
            false => self.update(changed),
        })
    }

    /// The state that must be reported although nothing has changed.
    fn due(&mut self) -> Option<Update> {
        if self.is_due { self.update(Some(Vec::new())) } else { None }
    }

    fn update(&mut self, changed: Option<Vec<Bytes>>) -> Option<Update> {
        let snapshot = self.given.clone()?;
        self.is_due = false;
        Some(Update { answers: vec![Ok(snapshot); self.scopes.len()], changed })
    }

    fn is_asked_for(&self, key: &[u8]) -> bool {
        self.scopes.iter().any(|scope| scope.asks_for(Coverage::Text, key))
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        if self.scopes.is_empty() {
            // There is no scope.
            if !std::mem::take(&mut self.is_due) {
                return future::pending().await;
            }
            let changed = self.given.as_ref().map(|_| Vec::new());
            return Ok(Update { answers: Vec::new(), changed });
        }
        loop {
            let look = match &mut self.look {
                Some(look) => look,
                None => {
                    self.occasion = self.occasion().await;
                    let (contents, source) = (Arc::clone(&self.contents), self.source.clone());
                    self.look.insert(task::spawn_blocking(move || {
                        lock(&contents).read(&source.paths, &source.filter)
                    }))
                }
            };
            let ended = look.await;
            self.look = None;
            let look = match ended {
                Ok(look) => look,
                Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
                // The runtime is being shut down, and this future with it.
                Err(_) => return future::pending().await,
            };
            if let Some(update) = self.outcome(look)? {
                return Ok(update);
            }
        }
    }

    /// The files are the same for every interest. Only files that have changed since the last check
    /// are read.
    fn set_interest(&mut self, interest: &Interest) {
        self.scopes.clone_from(&interest.scopes);
        self.is_due = true;
        self.timer = Some(Instant::now());
    }

    /// All files are read, also those that look unchanged. If inotify could not be had, it is tried
    /// again.
    fn reread(&mut self) {
        let scopes = self.scopes.iter().cloned().collect();
        *self = Following {
            is_due: self.is_due,
            given: self.given.take(),
            complaint: self.complaint.take(),
            ..Following::new(self.source.clone(), &scopes)
        };
    }
}

/// Locks the contents. The lock is free unless a check is running.
fn lock(contents: &Mutex<Contents>) -> MutexGuard<'_, Contents> {
    contents.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The keys whose values differ, in byte order.
fn differences(one: &Snapshot, two: &Snapshot) -> Vec<Bytes> {
    let (mut one, mut two) = (one.iter().peekable(), two.iter().peekable());
    let mut keys = Vec::new();
    loop {
        let order = match (one.peek(), two.peek()) {
            (None, None) => return keys,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((one, _)), Some((two, _))) => one.cmp(two),
        };
        let before = if order.is_le() { one.next() } else { None };
        let after = if order.is_ge() { two.next() } else { None };
        if before != after {
            keys.extend(before.or(after).map(|(key, _)| key.clone()));
        }
    }
}
