//! One pass over all resources, in Go confd's order.
//!
//! The keys of all resources are read together, so all see one revision. Waiting for the disk is
//! most of what a pass costs, so up to [`OVERLAP`] resources are rendered and staged on other
//! threads while those before them are put in place. Everything that can be observed (comparison,
//! commands, renames, log lines) happens one resource after the other, in order.
//!
//! A later resource sees what an earlier one did, although it may have been rendered before:
//!
//! - a resource with commands, which may do anything, overlaps with no other;
//! - a template that asks for files or names is rendered when all before it are in place;
//! - if an earlier file was replaced meanwhile, and a file of the template is another one now, or the
//!   resource failed, its first half is made again when it is its turn.
//!
//! In interval mode no resource holds up the others for ever: one that takes longer than its
//! [`PATIENCE`] is left behind. It goes on beside the others and gets no new pass before it has ended.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet, VecDeque},
    future::Future,
    path::PathBuf,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use deploy::{Durable, Outcome};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use source::Source;
use store::{Scope, Snapshot};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::sleep,
};

use crate::{
    digest::Digest,
    event::{Event, Reader as _, Readers, Step, Wake, say},
    failure::Failure,
    pipeline::{Done, Job, Pipeline, Prepared},
    reading,
    resource::Resource,
};

/// How many resources wait for the disk at the same time. More gain nothing on common disks.
pub const OVERLAP: usize = 32;

/// How long interval mode waits for a resource before it goes on to the next. It halves with each
/// resource that is left behind in a pass, so that many hanging ones hold up the others no longer
/// than two of them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Makes the passes of onetime and interval mode.
pub(crate) struct Ordered {
    readers: Readers,
    /// Whether a resource is waited for as long as it takes, and never left behind.
    is_patient: bool,
    /// The passes that were left behind, under way.
    behind: FuturesUnordered<Conclusion>,
    /// The resource files and the destinations of those passes.
    busy: HashSet<PathBuf>,
    /// The resource files of those that got no pass since, as they were busy.
    passed_over: HashSet<PathBuf>,
    /// For resources that leave hand-edited files alone: the digest of the content applied last.
    applied: HashMap<PathBuf, Digest>,
}

/// The second half of a pass, with whatever of the first half is still to be done.
type Conclusion = Pin<Box<dyn Future<Output = Ended> + Send>>;

/// A pass that ended.
struct Ended {
    resource: Arc<Resource>,
    /// Folders that are still to be synced.
    durable: Durable,
    done: Result<Done, Failure>,
}

/// A resource on its way, in its first half.
struct InFlight {
    job: Job,
    /// How many files had been replaced when the first half began.
    changes: usize,
    first: FirstHalf,
}

enum FirstHalf {
    /// It has not begun.
    Due,
    /// It has ended on this thread.
    Here(Box<Result<Prepared, Failure>>),
    /// It is made on a thread of its own, and says nothing before it is the resource's turn. `None`
    /// if it has to wait for its turn.
    Elsewhere(JoinHandle<Overlapped>),
}

/// What a first half said and came to on a thread of its own.
type Overlapped = (Vec<Step<'static>>, Option<Result<Prepared, Failure>>);

/// One pass under way.
struct Pass<'a> {
    ordered: &'a mut Ordered,
    pipeline: &'a Arc<Pipeline>,
    in_flight: VecDeque<InFlight>,
    durable: Durable,
    /// How many files were replaced so far.
    changes: usize,
    patience: Duration,
    /// Why the resources get their passes.
    wake: Wake,
    failed: Vec<PathBuf>,
}

impl Ordered {
    /// `is_patient`: a hanging resource is waited for, as long as it may take.
    pub(crate) fn new(readers: Readers, is_patient: bool) -> Self {
        Self {
            readers,
            is_patient,
            behind: FuturesUnordered::new(),
            busy: HashSet::new(),
            passed_over: HashSet::new(),
            applied: HashMap::new(),
        }
    }

    /// Gives each of `resources` a pass, except those whose pass before is still under way, and gives
    /// the files of those that failed. Returns when each pass has ended or was left behind.
    pub(crate) async fn pass(
        &mut self,
        resources: &[Arc<Resource>],
        source: &dyn Source,
        pipeline: &Arc<Pipeline>,
        wake: Wake,
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
        pass.run(&idle, source).await;
        pass.failed
    }

    /// Whether a pass of this resource, or of one with the same destination, is under way.
    fn is_busy(&self, resource: &Resource) -> bool {
        self.busy.contains(&resource.path) || self.busy.contains(&resource.target.dest)
    }

    /// Waits for the end of a pass that was left behind; for ever if there is none. Gives whether its
    /// resource got no pass meanwhile for that reason.
    pub(crate) async fn left_behind(&mut self) -> bool {
        match self.behind.next().await {
            Some(ended) => {
                self.busy.remove(&ended.resource.path);
                self.busy.remove(&ended.resource.target.dest);
                let Ended { resource, mut durable, done } = ended;
                self.note(&resource, done);
                sync(&mut durable, &self.readers);
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

    /// Notes how a pass ended, and gives what it changed; `None` if it failed.
    fn note(&mut self, resource: &Arc<Resource>, done: Result<Done, Failure>) -> Option<Outcome> {
        match done {
            Ok(done) => {
                if !resource.heal {
                    self.applied.insert(resource.path.clone(), done.digest);
                }
                Some(done.outcome)
            }
            Err(failure) => {
                // What failed has to be done again, although the content may be the same.
                self.applied.remove(&resource.path);
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
    async fn run(&mut self, resources: &[Arc<Resource>], source: &dyn Source) {
        let Some(snapshots) = self.read(resources, source).await else { return };
        for (resource, snapshot) in resources.iter().zip(snapshots) {
            if self.ordered.is_busy(resource) {
                continue; // The destination of one that was left behind just now.
            }
            let has_commands = self.pipeline.runs_commands(resource);
            let is_alone = resources.len() == 1 || has_commands;
            match snapshot {
                Ok(snapshot) => {
                    let applied = self.ordered.applied.get(&resource.path).copied();
                    let job = Job { resource: Arc::clone(resource), snapshot, applied };
                    let wake = Wake::clone(&self.wake);
                    let resource = Arc::clone(resource);
                    self.ordered.readers.read(&Event::Woken { resource, wake });
                    // A thread is worth its start where something else can be done meanwhile, or
                    // where what hangs must not hang the runtime's thread.
                    self.begin(job, is_alone && self.ordered.is_patient);
                }
                Err(failure) => {
                    self.finish_all().await;
                    self.conclude(resource, Err(failure));
                }
            }
            let room = if has_commands { 0 } else { OVERLAP - 1 };
            while self.in_flight.len() > room {
                self.finish_first().await;
            }
        }
        self.finish_all().await;
        sync(&mut self.durable, &self.ordered.readers);
    }

    /// Each resource's keys, all as of one reading; or why it gets none. `None` if nobody gets any.
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
        match reading::each(source, &scopes).await {
            Ok(read) => {
                readers.read(&Event::SourceRecovered);
                let of = |resource: &Arc<Resource>| match &read[places[&resource.scope]] {
                    Ok(snapshot) => Ok(snapshot.clone()),
                    Err(refusal) => Err(Failure::refused(refusal.clone())),
                };
                Some(resources.iter().map(of).collect())
            }
            Err(error) => {
                self.failed.extend(resources.iter().map(|resource| resource.path.clone()));
                let failure = Arc::new(Failure::from(error));
                readers.read(&Event::SourceFailed { resources: resources.to_vec(), failure });
                None
            }
        }
    }

    /// Begins the first half of a pass.
    fn begin(&mut self, job: Job, is_here: bool) {
        let (pipeline, changes) = (Arc::clone(self.pipeline), self.changes);
        let first = if is_here && self.in_flight.is_empty() {
            let say = say(&self.ordered.readers, &job.resource);
            let current = pipeline.template(&job.resource, &say);
            let prepared = current.and_then(|current| pipeline.prepare(&job, current, &say));
            FirstHalf::Here(Box::new(prepared))
        } else if is_here {
            FirstHalf::Due
        } else {
            let (job, is_first) = (job.clone(), self.in_flight.is_empty());
            FirstHalf::Elsewhere(spawn_blocking(move || {
                let held = RefCell::new(Vec::new());
                let say = |step| held.borrow_mut().push(step);
                let prepared = match pipeline.template(&job.resource, &say) {
                    Ok(current) if !is_first && current.template.may_wait() => None,
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
        let resource = Arc::clone(&flight.job.resource);
        let has_changed = flight.changes != self.changes;
        let (pipeline, readers) = (Arc::clone(self.pipeline), self.ordered.readers.clone());
        let mut conclusion: Conclusion = Box::pin(conclude(flight, has_changed, pipeline, readers));
        let (is_patient, patience) = (self.ordered.is_patient, self.patience);
        let mut limit = pin!(async {
            match is_patient {
                true => std::future::pending().await,
                false => sleep(patience).await,
            }
        });
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut conclusion => break Some(ended),
                _ = self.ordered.left_behind() => {}
                () = &mut limit => break None,
            }
        };
        match ended {
            Some(Ended { durable, done, .. }) => {
                self.durable.absorb(durable);
                self.conclude(&resource, done);
            }
            None => {
                let (path, dest) = (resource.path.clone(), resource.target.dest.clone());
                self.ordered.busy.extend([path, dest]);
                self.ordered.behind.push(conclusion);
                self.patience /= 2;
                // It may have replaced its file, or do so at any time.
                self.changes += 1;
            }
        }
    }

    fn conclude(&mut self, resource: &Arc<Resource>, done: Result<Done, Failure>) {
        match self.ordered.note(resource, done) {
            Some(Outcome::Updated | Outcome::Reloaded) => self.changes += 1,
            Some(Outcome::Unchanged | Outcome::WouldUpdate) => {}
            None => {
                self.changes += 1;
                self.failed.push(resource.path.clone());
            }
        }
    }
}

/// What is left of a pass when it is the resource's turn.
async fn conclude(
    flight: InFlight,
    has_changed: bool,
    pipeline: Arc<Pipeline>,
    readers: Readers,
) -> Ended {
    let InFlight { job, first, .. } = flight;
    let mut durable = Durable::new();
    let prepared = match first {
        FirstHalf::Here(prepared) => Some(*prepared),
        FirstHalf::Due => None,
        FirstHalf::Elsewhere(thread) => match thread.await {
            Ok((held, Some(prepared))) if !has_changed || is_still_true(&prepared, &job) => {
                held.into_iter().for_each(say(&readers, &job.resource));
                Some(prepared)
            }
            // Too early to be true: nothing of it was seen, and it is made again.
            Ok(_) => None,
            Err(panic) => Some(Err(ended_early(&job, &panic))),
        },
    };
    let prepared = match prepared {
        Some(prepared) => prepared,
        None => {
            let (pipeline, readers, job) = (Arc::clone(&pipeline), readers.clone(), job.clone());
            let again = {
                let job = job.clone();
                spawn_blocking(move || {
                    let say = say(&readers, &job.resource);
                    let current = pipeline.template(&job.resource, &say)?;
                    pipeline.prepare(&job, current, &say)
                })
            };
            again.await.unwrap_or_else(|panic| Err(ended_early(&job, &panic)))
        }
    };
    let done = match prepared {
        Ok(prepared) => pipeline.finish(&job, prepared, &mut durable, &readers, &|_| {}).await,
        Err(failure) => Err(failure),
    };
    Ended { resource: job.resource, durable, done }
}

/// Whether a first half would have come to the same after the files that were replaced meanwhile.
fn is_still_true(prepared: &Result<Prepared, Failure>, job: &Job) -> bool {
    prepared.as_ref().is_ok_and(|prepared| prepared.has_its_template(&job.resource))
}

fn ended_early(job: &Job, panic: &tokio::task::JoinError) -> Failure {
    let dest = job.resource.target.dest.display();
    Failure::panic(format_args!("staging {dest}"), panic)
}

/// Makes renames last.
fn sync(durable: &mut Durable, readers: &Readers) {
    for error in durable.sync() {
        readers.read(&Event::RunFailed { failure: Arc::new(error.into()) });
    }
}
