//! A source whose requests are counted.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use source::{Answer, Error, Interest, Source, Update, Watch};
use tokio::time::Instant;

use super::{
    Metrics,
    families::{BACKEND_DURATION, BACKEND_ERRORS, BACKEND_HEALTHY, BACKEND_TOTAL, WATCH_RESTARTS},
};

const READ: &str = "get_values";
const WATCH: &str = "watch_prefix";

pub(super) struct Measured {
    source: Box<dyn Source>,
    noted: Arc<Noted>,
}

struct Noted {
    backend: &'static str,
    metrics: Metrics,
}

impl Measured {
    pub(super) fn new(source: Box<dyn Source>, backend: &'static str, metrics: Metrics) -> Self {
        Measured { source, noted: Arc::new(Noted { backend, metrics }) }
    }
}

impl Noted {
    fn note(&self, operation: &str, begun: Instant, succeeded: bool) {
        let Some(mut counts) = self.metrics.counts() else { return };
        let labels = &[self.backend, operation];
        counts.add(&BACKEND_TOTAL, labels, 1.0);
        counts.add(&BACKEND_ERRORS, labels, if succeeded { 0.0 } else { 1.0 });
        counts.observe(&BACKEND_DURATION, labels, begun.elapsed());
        counts.set(&BACKEND_HEALTHY, &labels[..1], if succeeded { 1.0 } else { 0.0 });
    }

    fn restarted(&self, times: f64) {
        if let Some(mut counts) = self.metrics.counts() {
            counts.add(&WATCH_RESTARTS, &[self.backend], times);
        }
    }
}

#[async_trait]
impl Source for Measured {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let begun = Instant::now();
        let answers = self.source.read(interest).await;
        self.noted.note(READ, begun, answers.is_ok());
        answers
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let begun = Instant::now();
        match self.source.watch(interest).await {
            Ok(watch) => Ok(watch.map(|watch| -> Box<dyn Watch> {
                self.noted.restarted(0.0);
                let noted = Arc::clone(&self.noted);
                Box::new(MeasuredWatch { watch, noted, has_failed: false })
            })),
            Err(error) => {
                self.noted.note(WATCH, begun, false);
                Err(error)
            }
        }
    }

    fn next_reading(&self) -> Option<tokio::time::Instant> {
        self.source.next_reading()
    }

    fn reads_file(&self, path: &Path) -> bool {
        self.source.reads_file(path)
    }
}

struct MeasuredWatch {
    watch: Box<dyn Watch>,
    noted: Arc<Noted>,
    has_failed: bool,
}

#[async_trait]
impl Watch for MeasuredWatch {
    async fn next(&mut self) -> Result<Update, Error> {
        let begun = Instant::now();
        let update = self.watch.next().await;
        self.noted.note(WATCH, begun, update.is_ok());
        if std::mem::replace(&mut self.has_failed, update.is_err()) && update.is_ok() {
            self.noted.restarted(1.0);
        }
        update
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.watch.set_interest(interest);
    }

    fn reread(&mut self) {
        self.watch.reread();
    }
}
