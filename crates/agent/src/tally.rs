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
    /// How many failures there were, those that made the exit code and no others.
    pub failures: usize,
}

/// Counts failures.
///
/// A reload that an earlier run owes is tried again, and is no failure of this run if it fails
/// again: the files are what they should be, and the reload stays owed. So an entrypoint of the form
/// `until confd -onetime; do sleep 1; done` goes on to start the service that its reload needs.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<(Option<Arc<Failure>>, usize)>);

impl Tally {
    /// The result so far.
    pub(crate) fn result(&self) -> Result<(), Failed> {
        let (last, failures) = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match last {
            Some(last) => Err(Failed { last, failures }),
            None => Ok(()),
        }
    }

    fn count(&self, failure: &Arc<Failure>, failures: usize) {
        if failure.kind() != Kind::OwedReload {
            let mut tally = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            tally.0 = Some(Arc::clone(failure));
            tally.1 += failures;
        }
    }
}

impl Reader for Tally {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Failed { failure, .. } | Event::RunFailed { failure } => self.count(failure, 1),
            Event::SourceFailed { resources, failure } => self.count(failure, resources.len()),
            Event::NotLoaded { problem, .. } => {
                self.count(&Arc::new(Failure::load(problem.clone())), 1);
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
