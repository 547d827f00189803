//! One pass over all resources, in Go confd's order.
//!
//! The keys of all resources are read together, so all resources see one revision. Most of the time
//! of a pass is waiting for the disk, so up to [`overlap()`] resources are rendered and staged on
//! other threads while earlier resources are finished. In onetime mode up to [`onetime_in_flight()`]
//! have begun. Everything that can be observed (comparison, commands, renames, log lines) happens
//! for one resource after the other, in order.
//!
//! A later resource sees the effects of an earlier one, although it may have been rendered before:
//!
//! - A resource with commands overlaps with no other resource, because its commands may do
//!   anything. So it is with a resource with items: which files it removes depends on the others.
//! - A template that asks for files or names is rendered when all earlier resources are finished.
//! - A resource with the key `after` begins when all earlier resources are finished.
//! - If an earlier file was replaced in the meantime, the first half of a resource is repeated when
//!   a file of its template has changed or when the first half failed.
//!
//! In interval mode no resource blocks the others for ever: a resource that takes longer than
//! [`PATIENCE`] is left behind. Its pass continues beside the others, and the resource gets no new
//! pass before that pass has ended.

pub(crate) mod in_flight;

use std::{
    cell::{OnceCell, RefCell},
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    path::{Path, PathBuf},
    pin::{Pin, pin},
    sync::Arc,
    thread,
    time::Duration,
};

use deploy::{Disk, Durable, Outcome};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use source::{Answer, Interest, Refusal, Source};
use store::{Scope, Snapshot};
use tokio::{
    sync::{Notify, Semaphore},
    task::spawn_blocking,
};
use tracing::warn;

use self::in_flight::{Ended, FirstHalf, InFlight, conclude};
use crate::{
    backoff::rest,
    event::{Event, Reader as _, Readers, RunSteps, Step, Wake, say},
    failure::{Failure, Kind},
    overlap::{onetime_in_flight, overlap},
    pipeline::{Applied, Done, Pipeline},
    prepare::Job,
    reloads::{Reloads, Requester},
    resource::Resource,
};

/// The time that interval mode waits for a resource before it continues with the next. The time is
/// halved for each resource that is left behind in a pass, so that any number of hanging resources
/// delays the others by at most twice this time.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes the passes of onetime and interval mode.
pub(crate) struct Ordered {
    readers: Readers,
    reloads: Reloads,
    /// Whether the driver waits for every resource, however long it takes (onetime mode).
    is_patient: bool,
    /// The most resources whose passes have begun and are not finished.
    most_in_flight: usize,
    /// The passes that were left behind and are still running.
    behind: FuturesUnordered<Conclusion>,
    /// The resource files and the destinations of the passes in `behind`.
    busy: HashSet<PathBuf>,
    /// The resource files that got no pass because an earlier pass of theirs was still running.
    passed_over: HashSet<PathBuf>,
    /// Whether a resource of `passed_over` became free during a pass, so that it needs a pass.
    needs_pass: bool,
    /// For resources with `heal = false`, by their resource files.
    applied: HashMap<PathBuf, Applied>,
    /// See [`has_threads`](Self::has_threads); empty before the first question.
    has_threads: OnceCell<bool>,
}

/// The second half of a pass, with the unfinished part of the first half.
type Conclusion = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// A running pass over all resources.
struct Pass<'a> {
    ordered: &'a mut Ordered,
    pipeline: &'a Arc<Pipeline>,
    in_flight: VecDeque<InFlight>,
    durable: Durable,
    /// The number of files replaced so far.
    changes: usize,
    patience: Duration,
    /// The reason for the pass.
    wake: Wake,
    failed: Vec<PathBuf>,
}

impl Ordered {
    /// With `is_patient`, the driver waits for a hanging resource, however long it takes.
    pub(crate) fn new(readers: Readers, is_patient: bool) -> Self {
        Self {
            readers,
            reloads: Reloads::new(Semaphore::MAX_PERMITS),
            is_patient,
            most_in_flight: if is_patient { onetime_in_flight() } else { overlap() },
            behind: FuturesUnordered::new(),
            busy: HashSet::new(),
            passed_over: HashSet::new(),
            needs_pass: false,
            applied: HashMap::new(),
            has_threads: OnceCell::new(),
        }
    }

    /// Makes a pass of each of `resources`, except for those whose previous pass is still running.
    /// Returns the files of the failed resources when each pass has ended or was left behind. `stop`
    /// ends the wait for the source; then no resource gets a pass.
    pub(crate) async fn pass(
        &mut self,
        resources: &[Arc<Resource>],
        source: &dyn Source,
        pipeline: &Arc<Pipeline>,
        wake: Wake,
        stop: &Notify,
    ) -> Vec<PathBuf> {
        let (busy, idle): (Vec<_>, Vec<_>) =
            resources.iter().cloned().partition(|resource| self.is_busy(resource));
        self.passed_over.extend(busy.iter().map(|resource| resource.path.clone()));
        let mut pass = Pass {
            ordered: self,
            pipeline,
            in_flight: VecDeque::new(),
            durable: Durable::new(),
            changes: 0,
            patience: PATIENCE,
            wake,
            failed: Vec::new(),
        };
        pass.run(&idle, source, stop).await;
        pass.failed
    }

    /// Whether a pass of this resource, or of a resource with the same destination, is running.
    fn is_busy(&self, resource: &Resource) -> bool {
        self.busy.contains(&resource.path) || resource.dests().any(|dest| self.busy.contains(dest))
    }

    /// Whether a resource that comes before this one was left behind. Then its end causes a pass.
    fn waits_for_one_left_behind(&mut self, resource: &Resource) -> bool {
        let earlier: Vec<_> =
            resource.after.iter().filter(|path| self.busy.contains(*path)).cloned().collect();
        let waits = !earlier.is_empty();
        self.passed_over.extend(earlier);
        waits
    }

    /// Whether passes can run on other threads. A daemon has made sure of that at its start. A
    /// onetime run finds out here, because the runtime panics if it cannot start its first thread.
    fn has_threads(&self) -> bool {
        let try_one = || thread::Builder::new().spawn(|| ()).is_ok_and(|one| one.join().is_ok());
        *self.has_threads.get_or_init(|| !self.is_patient || try_one())
    }

    /// The thread that loads resources and finishes passes. Onetime mode waits for each resource anyway.
    pub(crate) fn disk(&self) -> Disk {
        if self.is_patient { Disk::Here } else { Disk::Elsewhere }
    }

    /// Waits for the end of a pass that was left behind; for ever if there is none. Returns whether
    /// its resource missed a pass in the meantime.
    pub(crate) async fn left_behind(&mut self) -> bool {
        if std::mem::take(&mut self.needs_pass) {
            return true;
        }
        match self.behind.next().await {
            Some(ended) => {
                self.busy.remove(&ended.resource.path);
                for dest in ended.resource.dests() {
                    self.busy.remove(dest);
                }
                let Ended { resource, done, .. } = ended;
                self.note(&resource, done);
                self.passed_over.remove(&resource.path)
            }
            None => std::future::pending().await,
        }
    }

    /// Waits for the end of all passes that were left behind.
    pub(crate) async fn settle(&mut self) {
        while !self.behind.is_empty() {
            self.left_behind().await;
        }
    }

    fn forget_applied(&mut self, resource: &Resource) {
        // Hashing a path costs more than this question, whose answer is nearly always yes.
        if !self.applied.is_empty() {
            self.applied.remove(&resource.path);
        }
    }

    /// Reports the result of a pass. Returns the outcome; `None` if the pass failed.
    fn note(&mut self, resource: &Arc<Resource>, done: Result<Done, Failure>) -> Option<Outcome> {
        match done {
            Ok(done) => {
                match Applied::by(resource, &done) {
                    Some(applied) => _ = self.applied.insert(resource.path.clone(), applied),
                    None => self.forget_applied(resource),
                }
                Some(done.outcome)
            }
            Err(failure) => {
                // It has been reported for all resources.
                if failure.kind() == Kind::Source && failure.pending().is_none() {
                    return None;
                }
                // What failed has to be done again, although the content may be the same.
                self.forget_applied(resource);
                self.readers.read(&Event::Failed {
                    resource: Arc::clone(resource),
                    failure: Arc::new(failure),
                    retry: None,
                });
                None
            }
        }
    }
}

impl Pass<'_> {
    async fn run(&mut self, resources: &[Arc<Resource>], source: &dyn Source, stop: &Notify) {
        let snapshots = tokio::select! {
            biased;
            () = stop.notified() => return,
            snapshots = self.read(resources, source) => snapshots,
        };
        let Some(snapshots) = snapshots else { return };
        for (resource, snapshot) in resources.iter().zip(snapshots) {
            if self.has_to_end() {
                break;
            }
            if self.ordered.is_busy(resource) {
                continue; // A pass that was left behind just now has this destination.
            }
            if !resource.after.is_empty() {
                self.finish_all().await;
                if self.ordered.waits_for_one_left_behind(resource) {
                    continue;
                }
            }
            // What is removed for items depends on the files that earlier resources have.
            let is_on_its_own = self.pipeline.runs_commands(resource) || resource.has_items();
            let is_alone = resources.len() == 1 || is_on_its_own;
            match snapshot {
                Ok(snapshot) => {
                    let applied = self.ordered.applied.get(&resource.path);
                    let applied = applied.and_then(|applied| applied.digest_for(resource));
                    let of = Arc::clone(resource);
                    let job = Job { resource: of, snapshot, applied, is_full: true };
                    let wake = Wake::clone(&self.wake);
                    let resource = Arc::clone(resource);
                    self.ordered.readers.read(&Event::Woken { resource, wake });
                    // A thread is worth its start if other work can go on meanwhile, or if a
                    // hanging resource must not block the runtime's thread.
                    let is_here = is_alone && self.ordered.is_patient;
                    self.begin(job, is_here || !self.ordered.has_threads());
                }
                Err(failure) => {
                    self.finish_all().await;
                    let (job, changes) = (Job::without_keys(resource), self.changes);
                    let first = FirstHalf::Here(Err(failure));
                    self.in_flight.push_back(InFlight { job, changes, first });
                }
            }
            let overlaps_no_other =
                is_on_its_own || !self.ordered.has_threads.get().unwrap_or(&true);
            let room = if overlaps_no_other { 0 } else { self.ordered.most_in_flight - 1 };
            while self.in_flight.len() > room {
                self.finish_first().await;
            }
        }
        self.finish_all().await;
        let durable = std::mem::take(&mut self.durable);
        sync(durable, &self.ordered.readers, self.ordered.disk()).await;
    }

    /// Reads the keys of all resources together. Returns the keys of each resource or the reason
    /// why it gets none; `None` if no resource gets any.
    async fn read(
        &mut self,
        resources: &[Arc<Resource>],
        source: &dyn Source,
    ) -> Option<Vec<Result<Snapshot, Failure>>> {
        let mut places: HashMap<&Scope, usize> = HashMap::new();
        let mut scopes: Vec<Scope> = Vec::new();
        for resource in resources {
            places.entry(&resource.scope).or_insert_with(|| {
                scopes.push(resource.scope.clone());
                scopes.len() - 1
            });
        }
        if scopes.is_empty() {
            return None;
        }
        let readers = &self.ordered.readers;
        readers.read(&Event::Reading);
        let is_one = scopes.len() == 1;
        let interest = Interest { scopes };
        match source.read(&interest).await {
            Ok(answers) => {
                let is_cut_off =
                    |answer: &Answer| answer.as_ref().is_err_and(Refusal::is_transient);
                if !answers.iter().any(is_cut_off) {
                    readers.read(&Event::SourceRecovered);
                }
                let mut of = |resource: &Arc<Resource>| match &answers[places[&resource.scope]] {
                    Ok(snapshot) => Ok(snapshot.clone()),
                    Err(refusal) => {
                        let failure = Failure::refused(refusal.clone());
                        if refusal.is_transient() {
                            self.failed.push(resource.path.clone());
                            readers.read(&failure.clone().without_keys(resource));
                        }
                        Err(failure)
                    }
                };
                Some(resources.iter().map(&mut of).collect())
            }
            // The source answers, and the failure of each resource names the refused keys.
            Err(error) if error.is_refusal() && !is_one => {
                let error = Arc::new(error);
                let of = |resource: &Arc<Resource>| {
                    let refusal = Refusal::new(resource.scope.clone(), Arc::clone(&error));
                    Err(Failure::refused(refusal))
                };
                readers.read(&Event::SourceRecovered);
                Some(resources.iter().map(of).collect())
            }
            Err(error) => {
                self.failed.extend(resources.iter().map(|resource| resource.path.clone()));
                let failure = Failure::from(error);
                let of = |_: &_| Err(failure.clone());
                let failures = resources.iter().map(of).collect();
                let (resources, failure) = (resources.to_vec(), Arc::new(failure));
                readers.read(&Event::SourceFailed { resources, failure });
                Some(failures)
            }
        }
    }

    /// Begins the first half of a pass.
    fn begin(&mut self, job: Job, is_here: bool) {
        let (pipeline, changes) = (Arc::clone(self.pipeline), self.changes);
        let first = if is_here && self.in_flight.is_empty() {
            let say = say(&self.ordered.readers, &job.resource);
            let current = pipeline.current(&job.resource, &say);
            let prepared = current.and_then(|current| pipeline.prepare(&job, current, &say));
            FirstHalf::Here(prepared)
        } else if is_here {
            FirstHalf::Due
        } else {
            let (job, is_first) = (job.clone(), self.in_flight.is_empty());
            let readers = self.ordered.readers.clone();
            FirstHalf::Elsewhere(spawn_blocking(move || {
                let held = RefCell::new(Vec::new());
                let say = |step: Step<'static>| {
                    if readers.wants_step(&step) {
                        held.borrow_mut().push(step);
                    }
                };
                let prepared = match pipeline.current(&job.resource, &say) {
                    Ok(current)
                        if !is_first && current.iter().any(|one| one.template.may_wait()) =>
                    {
                        None
                    }
                    Ok(current) => Some(pipeline.prepare(&job, current, &say)),
                    Err(failure) => Some(Err(failure)),
                };
                (held.into_inner(), prepared)
            }))
        };
        self.in_flight.push_back(InFlight { job, changes, first });
    }

    async fn finish_all(&mut self) {
        while !self.in_flight.is_empty() {
            self.finish_first().await;
        }
    }

    /// Waits for the end of the first resource in flight, or leaves it behind.
    async fn finish_first(&mut self) {
        let Some(flight) = self.in_flight.pop_front() else { return };
        if self.has_to_end() {
            flight.discard().await;
            return;
        }
        let resource = Arc::clone(&flight.job.resource);
        let has_changed = flight.changes != self.changes;
        let (pipeline, readers) = (Arc::clone(self.pipeline), self.ordered.readers.clone());
        let disk = self.ordered.disk();
        let requester = Requester::new(&self.ordered.reloads);
        let mut conclusion: Conclusion =
            Box::pin(conclude(flight, has_changed, pipeline, readers, requester, disk));
        let (is_patient, patience) = (self.ordered.is_patient, self.patience);
        let mut limit = pin!(async {
            match is_patient {
                true => std::future::pending().await,
                false => rest(patience).await,
            }
        });
        let mut needs_pass = std::mem::take(&mut self.ordered.needs_pass);
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut conclusion => break Some(ended),
                missed = self.ordered.left_behind() => needs_pass |= missed,
                () = &mut limit => break None,
            }
        };
        self.ordered.needs_pass = needs_pass;
        match ended {
            Some(Ended { durable, done, .. }) => {
                self.durable.absorb(durable);
                self.conclude(&resource, done);
            }
            None => {
                self.ordered.busy.insert(resource.path.clone());
                self.ordered.busy.extend(resource.dests().map(Path::to_owned));
                let readers = self.ordered.readers.clone();
                self.ordered.behind.push(Box::pin(synced(conclusion, readers, disk)));
                self.patience /= 2;
                // The pass left behind may have replaced its file, or may do so at any time.
                self.changes += 1;
            }
        }
    }

    /// Whether a resource has failed, and the others get no pass therefore.
    fn has_to_end(&self) -> bool {
        self.pipeline.fail_fast && !self.failed.is_empty()
    }

    fn conclude(&mut self, resource: &Arc<Resource>, done: Result<Done, Failure>) {
        // A pending reload of an earlier run does not fail this one. The failure of the source has
        // been counted.
        let is_counted = done
            .as_ref()
            .is_err_and(|failure| !matches!(failure.kind(), Kind::PendingReload | Kind::Source));
        match self.ordered.note(resource, done) {
            Some(Outcome::Updated | Outcome::Removed | Outcome::Reloaded) => self.changes += 1,
            Some(
                Outcome::Unchanged | Outcome::WouldUpdate | Outcome::WouldRemove | Outcome::Refused,
            ) => {}
            None => {
                self.changes += 1;
                if is_counted {
                    self.failed.push(resource.path.clone());
                    if self.pipeline.fail_fast {
                        let dest = resource.dest_names();
                        warn!("Fail-fast mode: stopping after error in {dest}");
                    }
                }
            }
        }
    }
}

/// A pass that was left behind, and the sync of its folders.
async fn synced(conclusion: Conclusion, readers: Readers, disk: Disk) -> Ended {
    let mut ended = conclusion.await;
    sync(std::mem::take(&mut ended.durable), &readers, disk).await;
    ended
}

/// Syncs the folders of replaced files, so that the renames survive a power cut.
async fn sync(mut durable: Durable, readers: &Readers, disk: Disk) {
    if durable.is_empty() {
        return;
    }
    let errors = {
        let readers = readers.clone();
        disk.run(move || durable.sync(&RunSteps(&readers))).await
    };
    for error in errors {
        readers.read(&Event::RunFailed { failure: Arc::new(error.into()) });
    }
}
