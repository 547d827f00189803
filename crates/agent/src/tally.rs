//! The result of a onetime run, as a reader of its events.

use std::sync::{Arc, Mutex, PoisonError};

use deploy::Level;

use crate::{
    event::{Event, Reader},
    failure::{Failure, Kind},
};

/// A run in which a resource failed. The failures were logged when they happened.
#[derive(Debug, thiserror::Error)]
#[error("{last}")]
pub struct Failed {
    /// The last failure. Go confd also reports the last one as the error of the run.
    pub last: Arc<Failure>,
}

/// Keeps the last failure.
///
/// A pending reload of an earlier run is tried again, but is not a failure of this run if it fails
/// again: the files are in sync, and the reload stays pending. So an entrypoint like `until confd
/// -onetime; do sleep 1; done` ends, and can then start the service that the reload needs.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Option<Arc<Failure>>>);

impl Tally {
    /// The result so far.
    pub(crate) fn result(&self) -> Result<(), Failed> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(last) => Err(Failed { last }),
            None => Ok(()),
        }
    }

    fn keep(&self, failure: &Arc<Failure>) {
        if failure.kind() != Kind::PendingReload {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(failure));
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
            | Event::Assigned(_)
            | Event::Woken { .. }
            | Event::Step { .. }
            | Event::RunStep { .. }
            | Event::Done { .. }
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
