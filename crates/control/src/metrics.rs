//! `/metrics`: counters of what has happened, and gauges of how it is, for Prometheus.
//!
//! [`Metrics`] is a reader of the agent's events, and wraps the source of the keys to count its requests
//! ([`Metrics::measured`]). It counts only while it is switched on. Gauges are made from the state of the
//! agent and from `/proc` when they are asked for.
//!
//! Labels are names of resources and destinations as resource files have them, never those of items or
//! keys. What belongs to a resource that is gone is forgotten, so the number of series stays bounded.

mod counts;
mod families;
mod measured;
mod page;
mod process;
mod read;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use hyper::{StatusCode, header::HeaderValue};
use source::Source;

use self::{counts::Counts, measured::Measured};
use crate::{
    Site,
    answer::{self, Answer},
};

/// Counts what happens in a run. A clone counts for the same run.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_on: AtomicBool,
    /// Whether changes of keys are followed.
    watches: AtomicBool,
    counts: Mutex<Counts>,
}

impl Metrics {
    /// Metrics of a run that `watches` its keys, or polls them. They are off at first.
    pub fn new(watches: bool) -> Self {
        let metrics = Metrics::default();
        metrics.0.watches.store(watches, Ordering::Relaxed);
        metrics
    }

    /// Counts from now on, or no longer.
    pub fn switch(&self, is_on: bool) {
        self.0.is_on.store(is_on, Ordering::Relaxed);
    }

    /// The same source, whose requests are counted under the name `backend`.
    pub fn measured(&self, source: Box<dyn Source>, backend: &'static str) -> Box<dyn Source> {
        Box::new(Measured::new(source, backend, self.clone()))
    }

    /// The counts, if they are switched on.
    fn counts(&self) -> Option<MutexGuard<'_, Counts>> {
        let is_on = self.0.is_on.load(Ordering::Relaxed);
        is_on.then(|| self.0.counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The format of the page.
const TEXT_FORMAT: HeaderValue =
    HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// The page for this moment.
pub(crate) fn answer(site: &Site) -> Answer {
    let text = page::text(site);
    answer::of(StatusCode::OK, TEXT_FORMAT, text)
}
