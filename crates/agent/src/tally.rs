//! The result of a run that ends, as a reader of its events.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    event::{Event, Reader},
    failure::{Failure, Kind},
};

/// A run in which something failed. Everything was logged when it happened.
#[derive(Debug, thiserror::Error)]
#[error("{last}")]
pub struct Failed {
    /// The last failure, which Go confd names as the run's.
    pub last: Arc<Failure>,
}

/// Keeps the last failure.
///
/// A reload that an earlier run owes is tried again, and is no failure of this run if it fails
/// again: the files are what they should be, and the reload stays owed. So an entrypoint of the form
/// `until confd -onetime; do sleep 1; done` goes on to start the service that its reload needs.
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
        if failure.kind() != Kind::OwedReload {
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
            | Event::PassEnded { .. } => {}
        }
    }
}
