//! A onetime run that waits for its data.
//!
//! The run makes rounds. Each round is a pass over the resources that still wait, with growing delays in
//! between. A failure that needs only data is no failure of a round: its resource waits for the next
//! round, and a line says once what it waits for. When the time is over, an ordinary pass over the
//! resources that still wait reports what is missing, so that errors and result are the usual ones.
//!
//! Every source is read again and again, and not followed: a round asks all of them in the same way, and
//! also the store of the queries.

use std::{
    collections::HashSet,
    path::PathBuf,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use deploy::{Disk, Level};
use source::backoff::{Backoff, Growth};
use tokio::{sync::Notify, time::Instant};
use tracing::info;

use super::{Agent, ONCE};
use crate::{
    backoff::rest,
    event::{Event, Reader, Readers, Step, Wake},
    failure::{Failure, Need},
    loading::Loaded,
    log::{Style, named},
    missing::do_not_exist,
    ordered::Ordered,
    pipeline::Pipeline,
    resource::Resource,
    tally::{Failed, Finished, Tally},
};

/// The delays between two rounds.
const DELAYS: Growth = Growth::doubling(Duration::from_millis(100), Duration::from_secs(1));

impl Agent {
    /// Like [`onetime`](Agent::onetime), but waits for at most `wait` until the source answers and
    /// until it has the keys that templates and guards need. The file of a resource is put in place as
    /// soon as its own data are there.
    ///
    /// # Errors
    /// As for [`onetime`](Agent::onetime).
    pub async fn onetime_within(&mut self, wait: Duration) -> Result<Finished, Failed> {
        if wait.is_zero() {
            return self.onetime().await;
        }
        let begun = Instant::now();
        let tally = Arc::new(Tally::default());
        let readers = self.readers(Style::Onetime, Some(Arc::clone(&tally) as _));
        let (loading, loaded) = Disk::Here.run(self.load(&readers, None)).await;
        self.loading = loading;
        let Ok(Loaded { resources, broken, .. }) = loaded else { return tally.result() };
        readers.read(&Event::Assigned(resources.clone()));
        let count = resources.len() + broken.len();
        let mut failed: Vec<PathBuf> = broken.into_iter().map(|broken| broken.path).collect();
        let waiting = Arc::new(Waiting {
            readers: readers.clone(),
            wait,
            show_values: self.settings.show_values,
            notes: Mutex::default(),
        });
        let quiet = Readers::new([Arc::clone(&waiting) as Arc<dyn Reader>]);
        let (mut left, mut backoff) = (resources, Backoff::new(DELAYS));
        let remaining = || wait.saturating_sub(begun.elapsed());
        while !left.is_empty() && !remaining().is_zero() {
            let stop = Notify::new();
            let failed_now = {
                let mut round = pin!(self.round(&left, &quiet, &stop, true));
                tokio::select! {
                    failed = &mut round => failed,
                    () = rest(remaining()) => {
                        stop.notify_one();
                        round.await
                    }
                }
            };
            let has_ended = waiting.take_ended();
            failed.extend(failed_now.into_iter().filter(|path| has_ended.contains(path)));
            left.retain(|resource| !has_ended.contains(&resource.path));
            if self.settings.fail_fast && !failed.is_empty() {
                left.clear();
            }
            if !left.is_empty() {
                rest(backoff.delay().min(remaining())).await;
            }
        }
        if !left.is_empty() {
            failed.extend(self.round(&left, &readers, &Notify::new(), false).await);
        }
        self.end_pass(&readers, count, failed);
        tally.result()
    }

    /// One pass over `resources`. Returns the files of those that failed. `stop` ends it while it waits
    /// for the keys. `waits_for_data` says whether there can be a further round.
    async fn round(
        &mut self,
        resources: &[Arc<Resource>],
        readers: &Readers,
        stop: &Notify,
        waits_for_data: bool,
    ) -> Vec<PathBuf> {
        // Failed queries are asked again in each round.
        let answers = self.answers(ONCE, readers);
        let pipeline = self.settings.pipeline(&self.host, &self.runner, &answers, false);
        let pipeline = Arc::new(Pipeline { waits_for_data, ..pipeline });
        let mut ordered = Ordered::new(readers.clone(), true);
        let failed = ordered.pass(resources, &*self.source, &pipeline, Wake::Start, stop).await;
        self.used = Some(pipeline);
        failed
    }
}

/// The reader of the rounds: passes events on to the readers of the run, except for failures that need
/// only data.
struct Waiting {
    readers: Readers,
    /// How long the run waits, for people.
    wait: Duration,
    show_values: bool,
    notes: Mutex<Notes>,
}

#[derive(Default)]
struct Notes {
    /// The files of the resources that need no further round.
    ended: HashSet<PathBuf>,
    /// The lines that were written.
    said: HashSet<String>,
    /// Whether a line says that the source does not answer.
    source_is_said: bool,
}

impl Waiting {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_ended(&self) -> HashSet<PathBuf> {
        std::mem::take(&mut self.notes().ended)
    }

    /// Writes what is waited for.
    fn say(&self, reason: &str, whose: &str) {
        info!("waiting for data, at most {:?}: {reason}{whose}", self.wait);
    }

    /// Writes once what a resource waits for.
    fn say_once(&self, resource: &Resource, reason: &str) {
        let whose = named(resource.name());
        if self.notes().said.insert(format!("{reason}{whose}")) {
            self.say(reason, &whose);
        }
    }

    /// Whether a resource warns of this for the first time. Its template is rendered in each round.
    fn is_new(&self, resource: &Resource, warning: &str) -> bool {
        self.notes().said.insert(format!("{}: {warning}", resource.path.display()))
    }

    /// Why a resource waits, for people.
    fn reason(&self, failure: &Failure) -> String {
        match &failure.missing_keys(self.show_values)[..] {
            [] => failure.to_string(),
            keys => do_not_exist(keys),
        }
    }
}

impl Reader for Waiting {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Failed { resource, failure, .. } if failure.need() == Need::Data => {
                return self.say_once(resource, &self.reason(failure));
            }
            Event::SourceFailed { failure, .. } if failure.need() == Need::Data => {
                if !std::mem::replace(&mut self.notes().source_is_said, true) {
                    self.say(&failure.to_string(), "");
                }
                return;
            }
            // The file stays as it is only when the time is over.
            Event::Kept { resource, keys } => {
                return self.say_once(resource, &do_not_exist(keys));
            }
            Event::Step { resource, step: Step::TemplateWarns(text) }
                if !self.is_new(resource, text) =>
            {
                return;
            }
            Event::QueryWarning { text, .. } if !self.notes().said.insert(text.clone()) => return,
            Event::Failed { resource, .. } | Event::Done { resource, .. } => {
                self.notes().ended.insert(resource.path.clone());
            }
            Event::SourceFailed { resources, .. } => {
                let files = resources.iter().map(|resource| resource.path.clone());
                self.notes().ended.extend(files);
            }
            Event::SourceRecovered => self.notes().source_is_said = false,
            _ => {}
        }
        self.readers.read(event);
    }

    fn wants(&self, level: Level) -> bool {
        self.readers.wants(level)
    }
}
