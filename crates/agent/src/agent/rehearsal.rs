//! Rehearsals: passes that say what they would do, and do nothing.
//!
//! A [`Rehearsal`] has the resources of a run, and reads their keys like a run. The caller may change the
//! keys, and gives them to [`Rehearsal::pass`], which renders the files and compares them with the
//! destinations. [`Rehearsal::check`] runs the check commands in a private folder. Nothing is staged beside
//! a destination, no state is kept, and nothing that a killed run has left is swept.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use deploy::{Checks, Disk, Environment, Observer, Proposal, Runner, Scratch};
use source::{Interest, Source};
use store::{Item, Reads, Snapshot, View};

use crate::{
    digest::Digest,
    event::{Event, LoadProblem, Reader, Readers, Step, say},
    failure::Failure,
    guards,
    loading::Loading,
    log::Style,
    ordered::in_flight::ROUNDS,
    pipeline::Pipeline,
    prepare::{Composed, Composition, File, Job},
    resource::Resource,
    work::Worked,
};

use super::{Agent, ONCE};

/// The resources of a run that does nothing.
pub struct Rehearsal {
    pipeline: Pipeline,
    source: Arc<dyn Source>,
    resources: Vec<Arc<Resource>>,
    problems: Vec<LoadProblem>,
    readers: Readers,
}

/// What a pass would do.
pub struct Rehearsed {
    /// The files, in the order of a pass: those that are rendered, and then those that would be removed.
    /// None if the destinations would stay as they are.
    pub files: Vec<RehearsedFile>,
    /// The keys that are missing, and because of which the destinations would stay as they are
    /// (`on_missing = "keep"`), for people.
    pub kept: Option<Vec<String>>,
    /// Why files of items could not be made. The others would be.
    pub failed: Option<Failure>,
    /// Why guards would keep the files as they are.
    pub guarded: Option<Failure>,
    job: Job,
}

/// What the templates of a resource make.
pub struct Rendering {
    /// The files, in the order of a pass.
    pub files: Vec<RenderedFile>,
    /// The keys that are missing, and because of which there is no new content
    /// (`on_missing = "keep"`), for people.
    pub kept: Option<Vec<String>>,
    /// Why files of items could not be made.
    pub failed: Option<Failure>,
}

/// A file that a template has made.
pub struct RenderedFile {
    /// The destination, as it is written.
    pub dest: PathBuf,
    /// The item that it is made for (`for_each`).
    pub item: Option<Item>,
    /// Its bytes.
    pub content: Bytes,
    /// Why they do not have the format that they must have (`output_format`), for people.
    pub malformed: Option<String>,
}

/// A file of a pass that would happen.
pub struct RehearsedFile {
    /// What would become of it.
    pub proposal: Proposal,
    /// The number of its part of the resource.
    pub part: usize,
    /// The keys that its template has read; nothing if it would be removed.
    pub reads: Option<Reads>,
}

impl Agent {
    /// Loads the resources for rehearsals. Problems of single files are reported as in a run, and are in
    /// [`Rehearsal::problems`].
    ///
    /// # Errors
    /// `conf.d` cannot be read.
    pub fn rehearsal(&self) -> Result<Rehearsal, Failure> {
        let problems = Arc::new(Problems::default());
        let readers = self.readers(Style::Onetime, Some(Arc::clone(&problems) as _));
        let super::Settings { confdir, conventions, .. } = &self.settings;
        let host = Arc::clone(&self.host);
        let environment = config::Environment::new(move |name| host.variable(name));
        let loaded = Loading::default().load(confdir, conventions, &environment, None, &readers)?;
        let answers = self.answers(ONCE, &readers);
        let pipeline = self.settings.pipeline(&self.host, &self.runner, &answers, false);
        let problems = problems.take();
        let (source, resources) = (Arc::clone(&self.source), loaded.resources);
        Ok(Rehearsal { pipeline, source, resources, problems, readers })
    }
}

impl Rehearsal {
    /// The same rehearsal, in which `json`, a JSON document, is the data (`.`) of Go templates, except for
    /// those of items, and keys that do not exist read as empty. The caller has read it before by
    /// `render::json_value`.
    #[must_use]
    pub fn with_data(mut self, json: Bytes) -> Self {
        self.pipeline.data = Some(json);
        self
    }

    /// The resources that can be used, in processing order.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// What cannot be used in `conf.d`.
    pub fn problems(&self) -> &[LoadProblem] {
        &self.problems
    }

    /// Reads the keys of these resources together, as of one revision if the source can promise that.
    ///
    /// # Errors
    /// The source answers none of them.
    pub async fn read(
        &self,
        resources: &[Arc<Resource>],
    ) -> Result<Vec<Result<Snapshot, Failure>>, Failure> {
        let interest: Interest = resources.iter().map(|resource| resource.scope.clone()).collect();
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let answers = self.source.read(&interest).await.map_err(Failure::from)?;
        Ok(answers.into_iter().map(|answer| answer.map_err(Failure::refused)).collect())
    }

    /// What a pass over `resource` with these keys would do.
    ///
    /// # Errors
    /// The pass would fail before a check command runs.
    pub async fn pass(
        &self,
        resource: &Arc<Resource>,
        snapshot: &Snapshot,
    ) -> Result<Rehearsed, Failure> {
        let (job, composition) = self.compose(resource, snapshot).await?;
        match composition {
            Composition::Kept(keys) => {
                let files = Vec::new();
                Ok(Rehearsed { files, kept: Some(keys), failed: None, guarded: None, job })
            }
            Composition::New(composed) => self.proposed(job, *composed),
        }
    }

    /// What the templates of `resource` make of these keys. The destinations are not looked at, so that
    /// not even their folders need to exist.
    ///
    /// # Errors
    /// A template fails.
    pub async fn render(
        &self,
        resource: &Arc<Resource>,
        snapshot: &Snapshot,
    ) -> Result<Rendering, Failure> {
        let (_, composition) = self.compose(resource, snapshot).await?;
        let composed = match composition {
            Composition::Kept(keys) => {
                return Ok(Rendering { files: Vec::new(), kept: Some(keys), failed: None });
            }
            Composition::New(composed) => composed,
        };
        let Worked { made, failed, .. } = composed.worked;
        let files = composed.files.into_iter().zip(composed.members);
        let files = files.filter_map(|(file, member)| {
            let (dest, content) = (file.target.dest.clone(), member.content?);
            let item = made.as_ref().and_then(|made| made.item_of(file.part, &dest));
            let guards = resource.parts()[file.part].guards.as_ref();
            let malformed = guards.and_then(|guards| guards::malformed(guards, &content));
            Some(RenderedFile { dest, item, content, malformed })
        });
        Ok(Rendering { files: files.collect(), kept: None, failed: failed.failure() })
    }

    async fn compose(
        &self,
        resource: &Arc<Resource>,
        snapshot: &Snapshot,
    ) -> Result<(Job, Composition), Failure> {
        let say = say(&self.readers, resource);
        let (resource, snapshot) = (Arc::clone(resource), snapshot.clone());
        let job = Job { resource, snapshot, applied: None, is_full: true };
        let mut rounds = 0;
        loop {
            let current = self.pipeline.current(&job.resource, &say)?;
            match self.pipeline.compose(None, &job, &current, &say) {
                // A template can ask for more each time, because of the answers.
                Err(failure) if !failure.missing().is_empty() && rounds < ROUNDS => {
                    self.pipeline.answers().settled(failure.missing()).await?;
                    rounds += 1;
                }
                composed => return Ok((job, composed?)),
            }
        }
    }

    fn proposed(&self, job: Job, composed: Composed) -> Result<Rehearsed, Failure> {
        let Composed { files, members, views, reads, worked, .. } = composed;
        let Worked { gone, made, failed, .. } = worked;
        let is_each_for_itself = job.resource.is_of_items_alone();
        let (mut left_out, mut rehearsed) = (failed, Vec::with_capacity(members.len()));
        let count = files.len();
        for (nth, member) in members.iter().enumerate() {
            let proposal = match Proposal::of(member) {
                Ok(proposal) => proposal,
                Err(error) if is_each_for_itself => {
                    left_out.add(member.target.dest.display().to_string(), Failure::from(error));
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let part = match nth.checked_sub(count) {
                Some(nth) => gone[nth].0,
                None => files[nth].part,
            };
            let reads = reads.get(nth).cloned();
            rehearsed.push(RehearsedFile { proposal, part, reads });
        }
        let of_files: Vec<_> = rehearsed
            .iter()
            .filter_map(|it| {
                let content = it.proposal.after.as_ref()?.content.clone();
                let target = Arc::clone(&it.proposal.target);
                let digest = Digest::of(&target.significant(&content));
                Some((File { part: it.part, target, digest }, (it.proposal.held(), content)))
            })
            .collect();
        let now = |nth: usize| made.as_ref().map_or(0, |made| made.count(nth));
        let resource = Arc::clone(&job.resource);
        let say = say(&self.readers, &resource);
        let of_files = of_files.iter().map(|(file, state)| (file, state.clone()));
        let guarded =
            self.pipeline.guard_all(&job.resource, &views, of_files, (&gone, &now), &say).err();
        let failed = left_out.failure();
        Ok(Rehearsed { files: rehearsed, kept: None, failed, guarded, job })
    }

    /// Runs the check commands of the files that would change, and the group check, on copies in a private
    /// folder below `parent`.
    ///
    /// # Errors
    /// The private folder cannot be made.
    pub async fn check(
        &self,
        rehearsed: &Rehearsed,
        parent: &Path,
    ) -> Result<Checks, std::io::Error> {
        let Rehearsed { files, job, .. } = rehearsed;
        let options = self.pipeline.options;
        if options.sync_only {
            return Ok(Checks::default());
        }
        let has_check = files.iter().any(|file| file.proposal.target.check_cmd.is_some());
        let group = job.resource.group_check.clone();
        if !has_check && group.is_none() {
            return Ok(Checks::default());
        }
        let scratch = Scratch::new(parent)?;
        let proposals: Vec<_> = files.iter().map(|file| file.proposal.clone()).collect();
        let observer: Arc<dyn Observer> = Arc::new(Checking {
            job: job.clone(),
            applied: Arc::clone(&self.pipeline.applied),
            runner: Arc::clone(&self.pipeline.runner),
            readers: self.readers.clone(),
            environment: OnceLock::new(),
        });
        let checks =
            deploy::rehearse_checks(&proposals, group, &options, &scratch, &observer).await;
        Disk::Here.run(move || drop(scratch)).await;
        Ok(checks)
    }
}

impl Rehearsed {
    /// The keys that the resource asks for, as the source spells them.
    pub fn keys(&self) -> View {
        self.job.keys()
    }

    /// The revision of the keys; 0 if the source has no revisions.
    pub fn revision(&self) -> u64 {
        self.job.snapshot.revision()
    }
}

/// Reports the steps of check commands.
struct Checking {
    job: Job,
    applied: Arc<crate::environment::Applied>,
    runner: Arc<dyn Runner>,
    readers: Readers,
    environment: OnceLock<Environment>,
}

impl Observer for Checking {
    fn observe(&self, step: &deploy::Step<'_>) {
        if self.readers.wants(step.level()) {
            let resource = Arc::clone(&self.job.resource);
            self.readers.read(&Event::Step { resource, step: Step::Deploy(step) });
        }
    }

    fn environment(&self, _: &Path) -> Environment {
        self.environment.get_or_init(|| self.applied.environment(&self.job)).clone()
    }

    fn runner(&self) -> &dyn Runner {
        &*self.runner
    }
}

/// Keeps the problems of the loading.
#[derive(Default)]
struct Problems(Mutex<Vec<LoadProblem>>);

impl Problems {
    fn take(&self) -> Vec<LoadProblem> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Reader for Problems {
    fn read(&self, event: &Event<'_>) {
        if let Event::Loaded { problems } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone_from(problems);
        }
    }
}
