//! The result of a onetime run, as a reader of its events.

use std::sync::{Arc, Mutex, PoisonError};

use deploy::Level;

use crate::{
    event::{Event, Reader},
    failure::{Failure, Kind, Need},
};

/// A run in which a resource failed. The failures were logged when they happened.
#[derive(Debug, thiserror::Error)]
#[error("{last}")]
pub struct Failed {
    /// The last failure. Go confd also reports the last one as the error of the run.
    pub last: Arc<Failure>,
    /// What is needed first, of all that the failures need.
    pub need: Need,
    /// The exit status of the first check or reload that failed; `None` if none did.
    pub status: Option<u8>,
}

/// A run in which no resource failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// All files are applied.
    Applied,
    /// All files are in sync, and a pending reload of an earlier run has failed again.
    ReloadPending,
}

/// Keeps the last failure, and what the failures need.
///
/// A pending reload of an earlier run is tried again, but is not a failure of this run if it fails
/// again: the files are in sync, and the reload stays pending. So an entrypoint like `until confd
/// -onetime; do sleep 1; done` ends, and can then start the service that the reload needs.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    last: Option<Arc<Failure>>,
    need: Option<Need>,
    status: Option<u8>,
}

impl Tally {
    /// The result so far.
    pub(crate) fn result(&self) -> Result<Finished, Failed> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match (seen.last.clone(), seen.need) {
            (Some(last), Some(need)) => Err(Failed { last, need, status: seen.status }),
            (_, Some(_)) => Ok(Finished::ReloadPending),
            (_, None) => Ok(Finished::Applied),
        }
    }

    fn keep(&self, failure: &Arc<Failure>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let need = failure.need();
        seen.need = Some(seen.need.map_or(need, |first| first.min(need)));
        if failure.kind() != Kind::PendingReload {
            seen.last = Some(Arc::clone(failure));
            seen.status = seen.status.or(failure.command_status());
        }
    }
}

impl Reader for Tally {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Failed { failure, .. }
            | Event::RunFailed { failure }
            | Event::SourceFailed { failure, .. } => self.keep(failure),
            Event::NotLoaded { problem, .. } => {
                self.keep(&Arc::new(Failure::load(problem.clone())));
            }
            Event::Reading
            | Event::Ran { .. }
            | Event::Replaced { .. }
            | Event::Loaded { .. }
            | Event::Assigned(_)
            | Event::Woken { .. }
            | Event::Step { .. }
            | Event::Proposed { .. }
            | Event::RunStep { .. }
            | Event::Done { .. }
            | Event::Kept { .. }
            | Event::SourceRecovered
            | Event::Waits { .. }
            | Event::QueryFailed { .. }
            | Event::QueryWarning { .. }
            | Event::QueriesRecovered
            | Event::PassEnded { .. } => {}
        }
    }

    fn wants(&self, _: Level) -> bool {
        false
    }
}
