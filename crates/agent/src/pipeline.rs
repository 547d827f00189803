//! One pass of one resource: template, render, stage, check, commit, reload.
//!
//! All drivers use this pipeline. A pass has two halves, so that passes can overlap:
//! [`Pipeline::prepare`] works on files and may run on any thread; [`Pipeline::finish`] compares,
//! waits for commands and puts the file in place. Steps are reported to the [`Readers`], and the
//! reason of a failed pass is a [`Failure`].

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use deploy::{
    Disk, Durable, Environment, Level, Observer, Options, Outcome, Placed, Processes, Proposal,
    Ran, Runner,
};
use render::Limits;
use world::Host;

use crate::{
    answers::Answers,
    digest::Digest,
    environment,
    event::{Event, Reader as _, Readers, Step},
    failure::Failure,
    guards::AppliedKeys,
    items::{Made, Memory},
    prepare::{Job, Prepared},
    record::Origin,
    reloads::{Key, Notice, Requester},
    resource::{Part, Resource},
    settings::Settings,
    templates::Templates,
    versions::{Keeper, Note},
    work::FailedItems,
};

/// The parts that all passes of a run share.
pub(crate) struct Pipeline {
    pub(crate) templates: Arc<Templates>,
    pub(crate) host: Arc<dyn Host>,
    /// What runs the commands of the resources.
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) answers: Arc<Answers>,
    pub(crate) options: Options,
    /// Whether errors and warnings of templates show the values of keys.
    pub(crate) show_values: bool,
    /// The time limit of rendering the template of a resource that sets none.
    pub(crate) render_timeout: Option<Duration>,
    /// The most bytes that rendering one template may take.
    pub(crate) max_memory: usize,
    /// Whether files are replaced although guards trip.
    pub(crate) force: bool,
    /// Whether a pass over all resources ends with the first one that failed.
    pub(crate) fail_fast: bool,
    /// A JSON document that is the data of Go templates. With it, missing keys read as empty.
    pub(crate) data: Option<Bytes>,
    /// Whether a pass that needs only data is soon made again (`-wait`).
    pub(crate) waits_for_data: bool,
    /// Keeps the last versions of files.
    pub(crate) versions: Arc<Keeper>,
    pub(crate) applied_keys: Arc<AppliedKeys>,
    /// What the commands learn about the keys.
    pub(crate) applied: Arc<environment::Applied>,
    /// What the files of items were made from.
    pub(crate) made: Arc<Memory>,
}

/// What the second half of a pass uses.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) readers: &'a Readers,
    pub(crate) requester: &'a Requester,
    /// Chooses the thread that works on the disk.
    pub(crate) disk: Disk,
}

/// A pass that succeeded.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// What the files were rendered from, if the destinations were certainly in sync.
    pub(crate) origin: Option<Origin>,
    /// The digest of the content that is applied; `None` if that is not known. See [`Job::applied`].
    pub(crate) digest: Option<Digest>,
}

/// What was applied last for a resource with `heal = false`.
pub(crate) struct Applied {
    resource: Arc<Resource>,
    digest: Digest,
}

impl Applied {
    /// What a pass applied; `None` if the resource heals, or if the pass only looked.
    pub(crate) fn by(resource: &Arc<Resource>, done: &Done) -> Option<Self> {
        let is_applied = !resource.heals() && done.outcome != Outcome::WouldUpdate;
        let digest = done.digest.filter(|_| is_applied)?;
        Some(Applied { resource: Arc::clone(resource), digest })
    }

    /// The digest of the content, if the resource still asks for the same file. See
    /// [`Job::applied`].
    pub(crate) fn digest_for(&self, resource: &Resource) -> Option<Digest> {
        self.resource.is_same_as(resource).then_some(self.digest)
    }
}

impl Pipeline {
    pub(crate) fn new(
        templates: Arc<Templates>,
        host: Arc<dyn Host>,
        answers: Arc<Answers>,
        options: Options,
    ) -> Self {
        let Limits { time: render_timeout, memory: max_memory } = Limits::default();
        Self {
            templates,
            host,
            runner: Arc::new(Processes),
            answers,
            options,
            show_values: false,
            render_timeout,
            max_memory,
            force: false,
            fail_fast: false,
            data: None,
            waits_for_data: false,
            versions: Arc::default(),
            applied_keys: Arc::default(),
            applied: Arc::default(),
            made: Arc::default(),
        }
    }

    /// The same pipeline, whose commands are run by `runner`.
    pub(crate) fn with_runner(self, runner: Arc<dyn Runner>) -> Self {
        Self { runner, ..self }
    }

    /// The answers to the queries of templates.
    pub(crate) fn answers(&self) -> &Answers {
        &self.answers
    }

    /// A pipeline with the same compiled templates, for a run with other settings.
    pub(crate) fn with_settings(&self, settings: &Settings) -> Self {
        let (templates, host) = (Arc::clone(&self.templates), Arc::clone(&self.host));
        Self {
            templates,
            host,
            runner: Arc::clone(&self.runner),
            answers: Arc::clone(&self.answers),
            options: settings.options(),
            show_values: settings.show_values,
            render_timeout: settings.render_timeout,
            max_memory: settings.max_memory,
            force: settings.force,
            fail_fast: settings.fail_fast,
            data: None,
            waits_for_data: false,
            versions: Arc::clone(&self.versions).with(settings.state.as_ref()),
            applied_keys: Arc::clone(&self.applied_keys),
            applied: Arc::clone(&self.applied),
            made: Arc::clone(&self.made),
        }
    }

    /// Forgets what is known of resources that are not among `resources`.
    pub(crate) fn keep_only(&self, resources: &[Arc<Resource>]) {
        self.answers.keep_only(resources);
        self.applied.keep_only(resources.iter().map(|resource| &*resource.path));
        self.made.keep_only(resources);
    }

    /// Whether a pass of `resource` runs commands, which may do anything.
    pub(crate) fn runs_commands(&self, resource: &Resource) -> bool {
        resource.has_commands() && !self.options.sync_only
    }

    /// The reload command of `resource` and its time limit, if a pass may run one. Of several
    /// commands of a group it is the first: other resources with that command wait for the group.
    pub(crate) fn reload_of<'a>(&self, resource: &'a Resource) -> Option<Key<'a>> {
        let options = &self.options;
        let reload = |part: &'a Part| {
            let command = part.target.reload_cmd(options).filter(|_| !options.noop)?;
            Some((command, part.target.reload_limit(options)))
        };
        resource.parts().iter().find_map(reload)
    }

    /// Compares, checks, commits and reloads. Adds the folders of replaced files to `durable`, and
    /// calls `replaced` with each destination as soon as its new file is in place.
    ///
    /// Dropping the future kills a running command. The destination is then the old file or the new
    /// one.
    pub(crate) async fn finish(
        &self,
        job: &Job,
        prepared: Box<Prepared>,
        durable: &mut Durable,
        replaced: impl Fn(&Path, &Placed) + Send + Sync + 'static,
        surroundings: Surroundings<'_>,
    ) -> Result<Done, Failure> {
        let Prepared { staged, origin, kept, digest, began, keys, .. } = *prepared;
        let (mut made, mut failed) = (prepared.made, prepared.failed);
        let is_complete = prepared.is_complete;
        let Surroundings { readers, requester, disk } = surroundings;
        let resource = &job.resource;
        let mut stays = false;
        let refused = Refused::default();
        let outcome = match staged {
            Some(staged) => {
                stays = staged.stays();
                let keeps = self.versions.keeps(resource) && !self.options.noop;
                let keys = match (&keys[..], resource.parts()) {
                    ([(_, keys)], [_]) => Some(*keys),
                    _ => None,
                };
                let note = keeps.then(|| Note {
                    is_in_sync: staged.is_in_sync(),
                    rendered: staged.contents().map(|contents| contents.text()),
                    ..Note::of(job, keys, self.applied.environment(job))
                });
                if let Some(note) = &note {
                    let (versions, note) = (Arc::clone(&self.versions), note.clone());
                    disk.run(move || versions.keep_found(&note)).await;
                }
                let environment = {
                    let (applied, job) = (Arc::clone(&self.applied), job.clone());
                    move || applied.environment(&job)
                };
                let observer = Observing {
                    job: job.clone(),
                    runner: Arc::clone(&self.runner),
                    readers: readers.clone(),
                    replaced,
                    make_environment: environment,
                    environment: OnceLock::new(),
                    refused: Arc::clone(&refused),
                };
                let observer: Arc<dyn Observer> = Arc::new(observer);
                let say = notices(readers, resource);
                let reloader = requester.reloader(&say);
                let finished = staged.finish(&observer, durable, disk, &reloader).await;
                let outcomes = match finished.map_err(Failure::from) {
                    Ok(outcomes) => outcomes,
                    // The items that fail come first.
                    Err(failure) if failure.is_after_the_checks() => {
                        note_refused(&refused, &mut made, &mut failed);
                        return Err(match failed.failure() {
                            Some(first) => first.beside(failure),
                            None => failure,
                        });
                    }
                    Err(failure) => return Err(failure),
                };
                let outcome = together(&outcomes);
                if let Some(note) = note.filter(|_| !stays) {
                    let versions = Arc::clone(&self.versions);
                    disk.run(move || versions.keep(&note, outcome)).await;
                }
                outcome
            }
            None => Outcome::Unchanged,
        };
        note_refused(&refused, &mut made, &mut failed);
        let made = made.filter(|_| is_complete);
        if outcome != Outcome::WouldUpdate && !stays {
            keys.into_iter().for_each(|(dest, keys)| self.applied_keys.note(&dest, keys));
            made.into_iter().for_each(|made| self.made.put(made));
        }
        let names_changed_keys = self.runs_commands(resource) || self.versions.keeps(resource);
        if outcome != Outcome::WouldUpdate && kept.is_none() && names_changed_keys {
            self.applied.note(job);
        }
        if let Some(failure) = failed.failure() {
            return Err(failure);
        }
        let held = match stays {
            true => {
                let (versions, resource) = (Arc::clone(&self.versions), Arc::clone(resource));
                Some(disk.run(move || versions.in_place(&resource)).await)
            }
            false => None,
        };
        let digest = if kept.is_some() { job.applied } else { Some(digest) };
        let resource = Arc::clone(resource);
        readers.read(&match kept {
            Some(keys) => Event::Kept { resource, keys },
            None => {
                let (revision, took) = (job.snapshot.revision(), began.elapsed());
                Event::Done { resource, outcome, revision, took, held }
            }
        });
        Ok(Done { outcome, origin, digest })
    }
}

/// Adds the files that were left out of a transaction to the items that have `failed`.
fn note_refused(refused: &Refused, made: &mut Option<Made>, failed: &mut FailedItems) {
    for (dest, error) in refused.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let item = made.as_mut().and_then(|made| made.refuse(&dest));
        failed.add(item.unwrap_or_else(|| dest.display().to_string()), Failure::from(error));
    }
}

/// Reports how the reload of `resource` is shared with other resources.
pub(crate) fn notices<'a>(
    readers: &'a Readers,
    resource: &'a Arc<Resource>,
) -> impl Fn(Notice) + Send + Sync + 'a {
    |notice| {
        let (resource, dest) = (Arc::clone(resource), resource.dest_names());
        let step = match notice {
            Notice::Served => Step::ReloadServed { dest },
            Notice::WaitsNoLonger => Step::ReloadWaitsNoLonger { dest },
        };
        readers.read(&Event::Step { resource, step });
    }
}

/// The outcome of a pass with these outcomes of its files.
fn together(outcomes: &[Outcome]) -> Outcome {
    use Outcome::{Reloaded, Removed, Unchanged, Updated, WouldRemove, WouldUpdate};
    let updated = [(Updated, Updated), (Removed, Updated)];
    let other = [(WouldUpdate, WouldUpdate), (WouldRemove, WouldUpdate), (Reloaded, Reloaded)];
    let found = updated.into_iter().chain(other).find(|(one, _)| outcomes.contains(one));
    found.map_or(Unchanged, |(_, together)| together)
}

/// Turns the steps of a transaction into events.
pub(crate) struct Observing<F, E> {
    pub(crate) job: Job,
    pub(crate) runner: Arc<dyn Runner>,
    pub(crate) readers: Readers,
    pub(crate) replaced: F,
    /// Makes what commands find.
    pub(crate) make_environment: E,
    /// What commands find, once one has asked for it.
    pub(crate) environment: OnceLock<Environment>,
    pub(crate) refused: Refused,
}

/// The files that were left out of a transaction that went on, and why.
pub(crate) type Refused = Arc<Mutex<Vec<(PathBuf, deploy::Error)>>>;

impl<F, E> Observer for Observing<F, E>
where
    F: Fn(&Path, &Placed) + Send + Sync,
    E: Fn() -> Environment + Send + Sync,
{
    fn observe(&self, step: &deploy::Step<'_>) {
        if self.readers.wants(step.level()) {
            let resource = Arc::clone(&self.job.resource);
            self.readers.read(&Event::Step { resource, step: Step::Deploy(step) });
        }
    }

    fn replaced(&self, dest: &Path, placed: &Placed) {
        (self.replaced)(dest, placed);
        let resource = Arc::clone(&self.job.resource);
        self.readers.read(&Event::Replaced { resource, dest });
    }

    fn ran(&self, ran: &Ran<'_>) {
        let resource = Arc::clone(&self.job.resource);
        self.readers.read(&Event::Ran { resource, ran });
    }

    fn refused(&self, dest: &Path, error: deploy::Error) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.push((dest.to_owned(), error));
    }

    fn wants_proposals(&self) -> bool {
        self.readers.wants_proposals()
    }

    fn proposed(&self, proposal: &Proposal) {
        let (resource, keys) = (Arc::clone(&self.job.resource), self.job.keys());
        self.readers.read(&Event::Proposed { resource, keys, proposal });
    }

    fn environment(&self, _: &Path) -> Environment {
        self.environment.get_or_init(&self.make_environment).clone()
    }

    fn runner(&self) -> &dyn Runner {
        &*self.runner
    }

    fn wants(&self, level: Level) -> bool {
        match level {
            Level::Error => tracing::enabled!(tracing::Level::ERROR),
            Level::Warning => tracing::enabled!(tracing::Level::WARN),
            Level::Info => tracing::enabled!(tracing::Level::INFO),
            Level::Debug => tracing::enabled!(tracing::Level::DEBUG),
        }
    }
}
