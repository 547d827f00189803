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
    Before, Disk, Durable, Environment, Level, Member, Observer, Options, Outcome, Placed, Target,
    Transaction,
};
use render::{Inputs, Limits, MissingKeys, Warning, Warnings, queries::Session};
use store::{Reads, Snapshot, View};
use world::Host;

use crate::{
    answers::Answers,
    asked::Asked,
    digest::Digest,
    environment,
    event::{Event, Reader as _, Readers, Say, Step},
    failure::Failure,
    guards::{self, AppliedKeys, Change},
    missing::{self, Instead},
    record::Origin,
    reloads::{Key, Notice, Requester},
    resource::{Part, Resource},
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
    /// `None` if the destinations must not be touched.
    staged: Option<Transaction>,
    /// What each part was rendered with and to, in their order.
    pub(crate) files: Vec<File>,
    /// What the files were rendered from, if the destinations were certainly in sync.
    origin: Option<Origin>,
    /// The missing keys because of which the destinations stay as they are (`on_missing = "keep"`).
    kept: Option<Vec<String>>,
    /// Of the contents that were rendered.
    digest: Digest,
    began: Instant,
}

/// A file that a pass has rendered.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// The part of the resource, by its number.
    pub(crate) part: usize,
    pub(crate) target: Arc<Target>,
    pub(crate) current: Current,
    /// Of the content that was rendered.
    pub(crate) digest: Digest,
    /// The number of keys that the template could see, if a guard needs it.
    keys: Option<usize>,
}

/// A part that was rendered, or whose template has failed.
struct Rendered<'a> {
    part: &'a Part,
    current: Current,
    /// What the template could see. It does not record.
    seen: View,
    reads: Reads,
    /// Whether the template has asked the machine.
    has_asked: bool,
    warnings: Warnings,
    missing: MissingKeys,
    content: Result<Bytes, render::Error>,
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

    /// The time limit of rendering the template of `part`.
    fn render_limit(&self, part: &Part) -> Option<Duration> {
        part.render_timeout.or(self.render_timeout).filter(|limit| !limit.is_zero())
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

    /// The current templates of `resource`, if they are known without reading or compiling one.
    pub(crate) fn known_templates(&self, resource: &Resource) -> Option<Vec<Current>> {
        resource.parts().iter().map(|part| self.templates.known(part)).collect()
    }

    /// The current template of each part of `resource`. Blocks on the disk.
    pub(crate) fn current(
        &self,
        resource: &Resource,
        say: &Say<'_>,
    ) -> Result<Vec<Current>, Failure> {
        resource.parts().iter().map(|part| self.templates.get(part, say)).collect()
    }

    /// Renders and stages with these templates of the parts. Blocks on the disk and on the
    /// templates' functions.
    pub(crate) fn prepare(
        &self,
        job: &Job,
        current: Vec<Current>,
        say: &Say<'_>,
    ) -> Result<Box<Prepared>, Failure> {
        self.prepare_within(None, job, current, say)
    }

    /// Like [`prepare`](Self::prepare). If there is a `limit`, it is the time for rendering each
    /// template, instead of those of the parts.
    pub(crate) fn prepare_within(
        &self,
        limit: Option<Duration>,
        job: &Job,
        current: Vec<Current>,
        say: &Say<'_>,
    ) -> Result<Box<Prepared>, Failure> {
        let began = Instant::now();
        let Job { resource, applied, .. } = job;
        let asking = self.answers.session();
        let mut rendered = Vec::with_capacity(current.len());
        for (part, current) in resource.parts().iter().zip(current.iter().cloned()) {
            let limit = limit.or_else(|| self.render_limit(part));
            let one = self.render(job, part, current, limit, &asking.session, say);
            let has_failed = one.content.is_err();
            rendered.push(one);
            if has_failed {
                break;
            }
        }
        let has_failed = rendered.last().is_some_and(|last| last.content.is_err());
        let unanswered = self.answers.note(resource, &asking, has_failed);
        if !unanswered.is_empty() {
            // An error of the template can come from the missing answers.
            return Err(Failure::waiting(unanswered));
        }
        let (mut files, mut members) = (Vec::new(), Vec::new());
        let (mut parts, mut reads) = (Vec::new(), Vec::new());
        let (mut may_be_origin, mut empty) = (true, Vec::new());
        for one in rendered {
            let Rendered { part, current: own, seen, reads: read, has_asked, .. } = one;
            let (warnings, missing, content) = (one.warnings, one.missing, one.content);
            for Warning { text, exact } in warnings.take() {
                say(Step::TemplateWarns(if self.show_values { exact } else { text }));
            }
            let content = match content {
                Ok(content) => content,
                Err(error) => match missing::instead(resource, part, error, self.show_values) {
                    Instead::Keep(keys) => return self.keep(resource, current, keys, began),
                    Instead::Fail(failure) => {
                        if !self.force {
                            // A guard says better than the template what is missing.
                            self.guard(resource, part, &seen, Before::Nothing, None, say)?;
                        }
                        return Err(failure);
                    }
                },
            };
            empty.extend(missing.take().names(self.show_values));
            may_be_origin &= own.is_newest && !has_asked;
            let target = Arc::clone(&part.target);
            files.push(File {
                part: files.len(),
                target: Arc::clone(&target),
                current: own,
                digest: Digest::of(&target.significant(&content)),
                keys: part
                    .guards
                    .as_ref()
                    .filter(|guards| guards.counts_keys())
                    .map(|_| seen.iter().count()),
            });
            members.push(Member::file(target, content));
            parts.push((part, seen));
            reads.push(read);
        }
        missing::say_empty(resource, empty, say);
        let contents: Vec<Bytes> =
            members.iter().filter_map(|member| member.content.clone()).collect();
        let digest = Digest::of_all(files.iter().map(|file| file.digest));
        let (staged, origin, kept) = (None, None, None);
        let mut prepared = Box::new(Prepared { staged, files, origin, kept, digest, began });
        if !resource.heals() && *applied == Some(digest) {
            return Ok(prepared);
        }
        let staged = Transaction::stage(members, &self.options)?;
        if parts.iter().any(|(part, _)| part.guards.is_some()) {
            let before = staged.before();
            for ((part, seen), (before, content)) in parts.iter().zip(before.zip(&contents)) {
                self.guard(resource, part, seen, before, Some(content), say)?;
            }
        }
        let dests = || staged.found_in_sync()?.into_iter().collect::<Option<Vec<_>>>();
        if may_be_origin && let Some(dests) = dests() {
            prepared.origin = Origin::of(&prepared.files, reads, &dests);
        }
        prepared.staged = Some(match &resource.group_check {
            Some(check) => staged.checked_together(check.clone()),
            None => staged,
        });
        Ok(prepared)
    }

    /// The first half of a pass that leaves the files as they are, because these keys are missing.
    fn keep(
        &self,
        resource: &Resource,
        current: Vec<Current>,
        keys: Vec<String>,
        began: Instant,
    ) -> Result<Box<Prepared>, Failure> {
        let digest = Digest::of(b"");
        let parts = resource.parts().iter().zip(current).enumerate();
        let files = parts.map(|(nth, (part, current))| {
            let target = Arc::clone(&part.target);
            File { part: nth, target, current, digest, keys: None }
        });
        let files = files.collect();
        let targets = resource.parts().iter().map(|part| Arc::clone(&part.target));
        let (staged, kept) = (Some(Transaction::keep(targets, &self.options)?), Some(keys));
        Ok(Box::new(Prepared { staged, files, origin: None, kept, digest, began }))
    }

    /// Renders one part.
    fn render<'a>(
        &self,
        job: &Job,
        part: &'a Part,
        current: Current,
        limit: Option<Duration>,
        session: &Session,
        say: &Say<'_>,
    ) -> Rendered<'a> {
        let Job { snapshot, .. } = job;
        say(Step::Prefix(part.prefix.clone()));
        let view = View::new(snapshot.clone(), &part.scope, &part.prefix);
        if tracing::enabled!(tracing::Level::DEBUG) {
            say(Step::Keys(KeyNames(&view).to_string()));
            if let Some(keys) = nothing_found(part, snapshot) {
                say(Step::NothingFound(keys));
            }
        }
        let seen = view.clone();
        // From here on, only the template reads keys from the view.
        let view = view.recording();
        let asked = Arc::new(Asked::new(&self.host));
        let host: Arc<dyn Host> = Arc::clone(&asked) as _;
        let (warnings, missing) = (Warnings::default(), missing::keys_of(part));
        let limits = Limits { time: limit, memory: self.max_memory };
        let inputs =
            Inputs { view: &view, host: &host, warnings: &warnings, session, missing: &missing };
        let content = missing::render(&current.template, limits, &inputs, self.show_values);
        let (reads, has_asked) = (view.reads(), asked.anything());
        Rendered { part, current, seen, reads, has_asked, warnings, missing, content }
    }

    /// Checks the guards of a part.
    fn guard(
        &self,
        resource: &Resource,
        part: &Part,
        view: &View,
        before: Before,
        content: Option<&[u8]>,
        say: &Say<'_>,
    ) -> Result<(), Failure> {
        let Some(guards) = &part.guards else { return Ok(()) };
        let dest = &part.target.dest;
        let kept = || self.versions.keys_of_newest(resource);
        let keys_before = guards.max_shrink.and_then(|_| self.applied_keys.of(dest).or_else(kept));
        let Some(tripped) = guards::tripped(guards, &Change { view, before, keys_before, content })
        else {
            return Ok(());
        };
        if !self.force {
            return Err(Failure::guard(dest, &tripped));
        }
        let (dest, noop) = (dest.clone(), self.options.noop);
        say(Step::Forced { dest, tripped: tripped.text, noop });
        Ok(())
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
        let Prepared { staged, files, origin, kept, digest, began } = *prepared;
        let Surroundings { readers, requester, disk } = surroundings;
        let resource = &job.resource;
        let mut stays = false;
        let outcome = match staged {
            Some(staged) => {
                stays = staged.stays();
                let keeps = self.versions.keeps(resource) && !self.options.noop;
                let keys = match &files[..] {
                    [file] => file.keys,
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
                let observer = Observing {
                    job: job.clone(),
                    applied: Arc::clone(&self.applied),
                    readers: readers.clone(),
                    replaced,
                };
                let observer = Arc::new(observer);
                let observer: Arc<dyn Observer> = observer;
                let say = |notice: Notice| {
                    let (resource, dest) = (Arc::clone(resource), resource.dest_names());
                    let step = match notice {
                        Notice::Served => Step::ReloadServed { dest },
                        Notice::WaitsNoLonger => Step::ReloadWaitsNoLonger { dest },
                    };
                    readers.read(&Event::Step { resource, step });
                };
                let reloader = requester.reloader(&say);
                let outcomes = staged.finish(&observer, durable, disk, &reloader).await?;
                let outcome = together(&outcomes);
                if let Some(note) = note.filter(|_| !stays) {
                    let versions = Arc::clone(&self.versions);
                    disk.run(move || versions.keep(&note, outcome)).await;
                }
                outcome
            }
            None => Outcome::Unchanged,
        };
        if outcome != Outcome::WouldUpdate && !stays {
            for (file, keys) in files.iter().filter_map(|file| Some((file, file.keys?))) {
                self.applied_keys.note(&file.target.dest, keys);
            }
        }
        let names_changed_keys = self.runs_commands(resource) || self.versions.keeps(resource);
        if outcome != Outcome::WouldUpdate && kept.is_none() && names_changed_keys {
            self.applied.note(job);
        }
        let digest = if kept.is_some() { job.applied } else { Some(digest) };
        let resource = Arc::clone(resource);
        readers.read(&match kept {
            Some(keys) => Event::Kept { resource, keys },
            None => {
                let (revision, took) = (job.snapshot.revision(), began.elapsed());
                Event::Done { resource, outcome, revision, took }
            }
        });
        Ok(Done { outcome, origin, digest })
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

impl Prepared {
    /// Whether the destinations had these contents, with the right owners and modes, when they were
    /// staged.
    pub(crate) fn is_in_sync(&self) -> bool {
        self.staged.as_ref().is_some_and(Transaction::is_in_sync)
    }

    /// Whether the files of the templates are unchanged since they were compiled.
    pub(crate) fn has_its_templates(&self, resource: &Resource) -> bool {
        let is_current = |file: &File| {
            file.current.is_newest && file.current.has_its_files(&resource.parts()[file.part].src)
        };
        self.files.iter().all(is_current)
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

impl<F: Fn(&Path, &Placed) + Send + Sync> Observer for Observing<F> {
    fn observe(&self, step: &deploy::Step<'_>) {
        if self.readers.wants(step.level()) {
            let resource = Arc::clone(&self.job.resource);
            self.readers.read(&Event::Step { resource, step: Step::Deploy(step) });
        }
    }

    fn replaced(&self, dest: &Path, placed: &Placed) {
        (self.replaced)(dest, placed);
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

/// The keys that a part asks for and of which the snapshot has none; `None` if there are no such
/// keys.
fn nothing_found(part: &Part, snapshot: &Snapshot) -> Option<String> {
    let is_empty = |key: &&store::Key| {
        let scope = [store::Key::clone(key)].into_iter().collect();
        View::new(snapshot.clone(), &scope, &part.prefix).is_empty()
    };
    let keys: Vec<_> = part.scope.iter().filter(is_empty).map(ToString::to_string).collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}
