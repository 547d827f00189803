//! One pass of one resource: template, render, stage, check, commit, reload.
//!
//! All drivers use this pipeline. A pass has two halves, so that passes can overlap:
//! [`Pipeline::prepare`] works on files and may run on any thread; [`Pipeline::finish`] compares,
//! waits for commands and puts the file in place. Steps are reported to the [`Readers`], and the
//! reason of a failed pass is a [`Failure`].

use std::{
    fmt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use deploy::{
    Before, Disk, Durable, Environment, Level, Member, Observer, Options, Outcome, Placed,
    Transaction,
};
use render::{Limits, Template, Warning, Warnings};
use report::Fingerprint;
use store::{Snapshot, View};
use world::Host;

use crate::{
    answers::Answers,
    asked::Asked,
    digest::Digest,
    environment,
    event::{Event, Reader as _, Readers, Say, Step},
    failure::Failure,
    guards::{self, AppliedKeys, Change},
    record::Origin,
    reloads::{Key, Notice, Requester},
    resource::Resource,
    settings::Settings,
    templates::{Current, Templates},
    versions::{Keeper, Note},
};

/// The parts that all passes of a run share.
pub(crate) struct Pipeline {
    templates: Arc<Templates>,
    host: Arc<dyn Host>,
    answers: Arc<Answers>,
    options: Options,
    /// Whether errors and warnings of templates show the values of keys.
    show_values: bool,
    /// The time limit of rendering the template of a resource that sets none.
    render_timeout: Option<Duration>,
    /// The most bytes that rendering one template may take.
    max_memory: usize,
    /// Whether files are replaced although guards trip.
    force: bool,
    /// Keeps the last versions of files.
    versions: Arc<Keeper>,
    applied_keys: Arc<AppliedKeys>,
    /// What the commands learn about the keys.
    applied: Arc<environment::Applied>,
}

/// One pass to be made.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) resource: Arc<Resource>,
    /// The keys, all of one revision.
    pub(crate) snapshot: Snapshot,
    /// The digest of the last applied content, if the file must not be touched while the content
    /// stays the same (`heal = false`).
    pub(crate) applied: Option<Digest>,
}

/// What the second half of a pass uses.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) readers: &'a Readers,
    pub(crate) requester: &'a Requester,
    /// Chooses the thread that works on the disk.
    pub(crate) disk: Disk,
}

/// The first half of a pass. It is boxed, because threads and futures pass it on.
pub(crate) struct Prepared {
    /// `None` if the destination must not be touched.
    staged: Option<Transaction>,
    pub(crate) template: Arc<Template>,
    is_newest: bool,
    /// The fingerprint of the template's file from before it was read.
    pub(crate) src: Option<Fingerprint>,
    /// What the file was rendered from, if the destination was certainly in sync.
    origin: Option<Origin>,
    /// Of the content that was rendered.
    pub(crate) digest: Digest,
    /// The number of keys that the resource saw, if a guard needs it.
    keys: Option<usize>,
    began: Instant,
}

/// A pass that succeeded.
pub(crate) struct Done {
    pub(crate) outcome: Outcome,
    /// What the file was rendered from, if the destination was certainly in sync.
    pub(crate) origin: Option<Origin>,
    /// See [`Job::applied`].
    pub(crate) digest: Digest,
}

/// What was applied last for a resource with `heal = false`.
pub(crate) struct Applied {
    resource: Arc<Resource>,
    digest: Digest,
}

impl Applied {
    /// What a pass applied; `None` if the resource heals, or if the pass only looked.
    pub(crate) fn by(resource: &Arc<Resource>, done: &Done) -> Option<Self> {
        let is_applied = !resource.heal && done.outcome != Outcome::WouldUpdate;
        is_applied.then(|| Applied { resource: Arc::clone(resource), digest: done.digest })
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
            answers,
            options,
            show_values: false,
            render_timeout,
            max_memory,
            force: false,
            versions: Arc::default(),
            applied_keys: Arc::default(),
            applied: Arc::default(),
        }
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
            answers: Arc::clone(&self.answers),
            options: settings.options(),
            show_values: settings.show_values,
            render_timeout: settings.render_timeout,
            max_memory: settings.max_memory,
            force: settings.force,
            versions: Arc::clone(&self.versions).with(settings.state.as_ref()),
            applied_keys: Arc::clone(&self.applied_keys),
            applied: Arc::clone(&self.applied),
        }
    }

    /// Forgets what is known of resources that are not among `resources`.
    pub(crate) fn keep_only(&self, resources: &[Arc<Resource>]) {
        self.answers.keep_only(resources);
        self.applied.keep_only(resources.iter().map(|resource| &*resource.path));
    }

    /// The time limit of rendering the template of `resource`.
    fn render_limit(&self, resource: &Resource) -> Option<Duration> {
        resource.render_timeout.or(self.render_timeout).filter(|limit| !limit.is_zero())
    }

    /// Whether a pass of `resource` runs commands, which may do anything.
    pub(crate) fn runs_commands(&self, resource: &Resource) -> bool {
        resource.has_commands() && !self.options.sync_only
    }

    /// The reload command of `resource` and its time limit, if a pass may run it.
    pub(crate) fn reload_of<'a>(&self, resource: &'a Resource) -> Option<Key<'a>> {
        let command = resource.target.reload_cmd(&self.options).filter(|_| !self.options.noop)?;
        Some((command, resource.target.reload_limit(&self.options)))
    }

    /// The current template of `resource`, if that is known without reading or compiling it.
    pub(crate) fn known_template(&self, resource: &Resource) -> Option<Current> {
        self.templates.known(resource)
    }

    /// The current template of `resource`. Blocks on the disk.
    pub(crate) fn template(&self, resource: &Resource, say: &Say<'_>) -> Result<Current, Failure> {
        self.templates.get(resource, say)
    }

    /// Renders and stages. Blocks on the disk and on the template's functions.
    pub(crate) fn prepare(
        &self,
        job: &Job,
        current: Current,
        say: &Say<'_>,
    ) -> Result<Box<Prepared>, Failure> {
        self.prepare_within(self.render_limit(&job.resource), job, current, say)
    }

    /// Like [`prepare`](Self::prepare), with the time `limit` for rendering.
    pub(crate) fn prepare_within(
        &self,
        limit: Option<Duration>,
        job: &Job,
        current: Current,
        say: &Say<'_>,
    ) -> Result<Box<Prepared>, Failure> {
        let began = Instant::now();
        let Job { resource, snapshot, applied } = job;
        let Current { template, is_newest, src } = current;
        say(Step::Prefix(resource.prefix.clone()));
        let view = View::new(snapshot.clone(), &resource.scope, &resource.prefix);
        if tracing::enabled!(tracing::Level::DEBUG) {
            say(Step::Keys(KeyNames(&view).to_string()));
            if let Some(keys) = nothing_found(resource, snapshot) {
                say(Step::NothingFound(keys));
            }
        }
        let seen = view.clone();
        // From here on, only the template reads keys from the view.
        let view = view.recording();
        let asked = Arc::new(Asked::new(&self.host));
        let host: Arc<dyn Host> = Arc::clone(&asked) as _;
        let (warnings, mut content) = (Warnings::default(), Vec::new());
        let limits = Limits { time: limit, memory: self.max_memory };
        let asking = self.answers.session();
        let rendered =
            template.render_within(limits, &view, &host, &warnings, &asking.session, &mut content);
        let missing = self.answers.note(resource, &asking, rendered.is_err());
        if !missing.is_empty() {
            // An error of the template can come from the missing answers.
            return Err(Failure::waiting(missing));
        }
        for Warning { text, exact } in warnings.take() {
            say(Step::TemplateWarns(if self.show_values { exact } else { text }));
        }
        if let Err(error) = rendered {
            if !self.force {
                // A guard says better than the template what is missing.
                self.guard(resource, &seen, Before::Nothing, None, say)?;
            }
            return Err(if self.show_values { error.with_values() } else { error }.into());
        }
        let digest = Digest::of(&content);
        let mut prepared = Box::new(Prepared {
            staged: None,
            template,
            is_newest,
            src,
            origin: None,
            digest,
            keys: None,
            began,
        });
        if !resource.heal && *applied == Some(digest) {
            return Ok(prepared);
        }
        let content = Bytes::from(content);
        let member = Member { target: Arc::clone(&resource.target), content: content.clone() };
        let staged = Transaction::stage(vec![member], &self.options)?;
        if let Some(guards) = &resource.guards {
            let before = staged.before().next().unwrap_or(Before::Nothing);
            self.guard(resource, &seen, before, Some(&content), say)?;
            prepared.keys = guards.counts_keys().then(|| seen.iter().count());
        }
        if is_newest
            && !asked.anything()
            && let Some(src) = src.filter(Fingerprint::is_settled)
            && let Some(dest) = staged.found_in_sync().and_then(|found| found.first().copied())
        {
            let template = Arc::clone(&prepared.template);
            prepared.origin = Some(Origin { template, src, reads: view.reads(), dest });
        }
        prepared.staged = Some(staged);
        Ok(prepared)
    }

    /// Checks the guards of a resource.
    fn guard(
        &self,
        resource: &Resource,
        view: &View,
        before: Before,
        content: Option<&[u8]>,
        say: &Say<'_>,
    ) -> Result<(), Failure> {
        let Some(guards) = &resource.guards else { return Ok(()) };
        let kept = || self.versions.keys_of_newest(resource);
        let keys_before =
            guards.max_shrink.and_then(|_| self.applied_keys.of(&resource.path).or_else(kept));
        let Some(tripped) = guards::tripped(guards, &Change { view, before, keys_before, content })
        else {
            return Ok(());
        };
        if !self.force {
            return Err(Failure::guard(&resource.target.dest, &tripped));
        }
        let (dest, noop) = (resource.target.dest.clone(), self.options.noop);
        say(Step::Forced { dest, tripped: tripped.text, noop });
        Ok(())
    }

    /// Compares, checks, commits and reloads. Adds the folders of replaced files to `durable`, and
    /// calls `replaced` as soon as the new destination is in place.
    ///
    /// Dropping the future kills a running command. The destination is then the old file or the new
    /// one.
    pub(crate) async fn finish(
        &self,
        job: &Job,
        prepared: Box<Prepared>,
        durable: &mut Durable,
        replaced: impl Fn(&Placed) + Send + Sync + 'static,
        surroundings: Surroundings<'_>,
    ) -> Result<Done, Failure> {
        let Prepared { staged, origin, digest, keys, began, .. } = *prepared;
        let Surroundings { readers, requester, disk } = surroundings;
        let resource = &job.resource;
        let mut is_held = false;
        let outcome = match staged {
            Some(staged) => {
                is_held = staged.is_held();
                let keeps = self.versions.keeps(resource) && !self.options.noop;
                let note = keeps.then(|| Note {
                    is_in_sync: staged.is_in_sync(),
                    rendered: staged.contents().map(|contents| contents.text()),
                    ..Note::of(job, keys, self.applied.environment(job))
                });
                if let Some(note) = &note {
                    let (versions, note) = (Arc::clone(&self.versions), note.clone());
                    disk.run(move || versions.keep_found(&note)).await;
                }
                let observer = Observing {
                    job: job.clone(),
                    applied: Arc::clone(&self.applied),
                    readers: readers.clone(),
                    replaced,
                };
                let observer = Arc::new(observer);
                let observer: Arc<dyn Observer> = observer;
                let say = |notice: Notice| {
                    let (resource, dest) = (Arc::clone(resource), resource.target.dest.clone());
                    let step = match notice {
                        Notice::Served => Step::ReloadServed { dest },
                        Notice::WaitsNoLonger => Step::ReloadWaitsNoLonger { dest },
                    };
                    readers.read(&Event::Step { resource, step });
                };
                let reloader = requester.reloader(&say);
                let outcomes = staged.finish(&observer, durable, disk, &reloader).await?;
                let outcome = outcomes.first().copied().unwrap_or(Outcome::Unchanged);
                if let Some(note) = note.filter(|_| !is_held) {
                    let versions = Arc::clone(&self.versions);
                    disk.run(move || versions.keep(&note, outcome)).await;
                }
                outcome
            }
            None => Outcome::Unchanged,
        };
        if let Some(keys) = keys.filter(|_| outcome != Outcome::WouldUpdate && !is_held) {
            self.applied_keys.note(&resource.path, keys);
        }
        let names_changed_keys = self.runs_commands(resource) || self.versions.keeps(resource);
        if outcome != Outcome::WouldUpdate && names_changed_keys {
            self.applied.note(job);
        }
        readers.read(&Event::Done {
            resource: Arc::clone(resource),
            outcome,
            revision: job.snapshot.revision(),
            took: began.elapsed(),
        });
        Ok(Done { outcome, origin, digest })
    }
}

impl Prepared {
    /// Whether the destination had this content, with the right owner and mode, when it was staged.
    pub(crate) fn is_in_sync(&self) -> bool {
        self.staged.as_ref().is_some_and(Transaction::is_in_sync)
    }

    /// Whether the files of the template are unchanged since it was compiled.
    pub(crate) fn has_its_template(&self, resource: &Resource) -> bool {
        self.is_newest && self.src == Fingerprint::at(&resource.src) && self.template.is_current()
    }

    /// The duration of the first half so far.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.began.elapsed()
    }
}

/// Turns the steps of a transaction into events.
struct Observing<F> {
    job: Job,
    applied: Arc<environment::Applied>,
    readers: Readers,
    replaced: F,
}

impl<F: Fn(&Placed) + Send + Sync> Observer for Observing<F> {
    fn observe(&self, step: &deploy::Step<'_>) {
        if self.readers.wants(step.level()) {
            let resource = Arc::clone(&self.job.resource);
            self.readers.read(&Event::Step { resource, step: Step::Deploy(step) });
        }
    }

    fn replaced(&self, _: &Path, placed: &Placed) {
        (self.replaced)(placed);
    }

    fn environment(&self, _: &Path) -> Environment {
        self.applied.environment(&self.job)
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

/// The names of a view's keys. The values may be secrets and are not shown.
struct KeyNames<'a>(&'a View);

impl fmt::Display for KeyNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("map[")?;
        for (nth, pair) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}:…", pair.key)?;
        }
        f.write_str("]")
    }
}

/// The keys that the resource asks for and of which the snapshot has none; `None` if there are no
/// such keys.
fn nothing_found(resource: &Resource, snapshot: &Snapshot) -> Option<String> {
    let is_empty = |key: &&store::Key| {
        let scope = [store::Key::clone(key)].into_iter().collect();
        View::new(snapshot.clone(), &scope, &resource.prefix).is_empty()
    };
    let keys: Vec<_> = resource.scope.iter().filter(is_empty).map(ToString::to_string).collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}
