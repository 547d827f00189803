//! The first half of a pass: template, render, stage.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use deploy::{Before, Member, Target, Transaction};
use render::{Inputs, Limits, MissingKeys, Warning, Warnings, queries::Session};
use store::{Coverage, Item, Reads, Snapshot, View};
use world::Host;

use crate::{
    asked::Asked,
    digest::Digest,
    event::{Say, Step},
    failure::Failure,
    guards::{self, Change},
    items::{Made, MadeFile},
    missing::{self, Instead},
    pipeline::Pipeline,
    record::Origin,
    resource::{Part, Resource},
    templates::Current,
    work::{FailedItems, Work, Worked},
};

/// One pass to be made.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) resource: Arc<Resource>,
    /// The keys, all of one revision.
    pub(crate) snapshot: Snapshot,
    /// The digest of the last applied content, if the file must not be touched while the content
    /// stays the same (`heal = false`).
    pub(crate) applied: Option<Digest>,
    /// Whether the files of items are looked at that stay as they are. If not, they are as the last
    /// pass left them.
    pub(crate) is_full: bool,
}

impl Job {
    /// A pass for which the source shows no keys: it can only fail.
    pub(crate) fn without_keys(resource: &Arc<Resource>) -> Self {
        let (resource, snapshot) = (Arc::clone(resource), Snapshot::new(Coverage::Subtree));
        Job { resource, snapshot, applied: None, is_full: true }
    }

    /// The keys that the resource asks for, as the source spells them.
    pub(crate) fn keys(&self) -> View {
        self.resource.keys_of(&self.snapshot)
    }
}

/// The first half of a pass. It is boxed, because threads and futures pass it on.
pub(crate) struct Prepared {
    /// `None` if the destinations must not be touched.
    pub(crate) staged: Option<Transaction>,
    /// The template of each part.
    pub(crate) templates: Vec<Current>,
    /// The files that were rendered, in the order of the parts; those that stay as they are can be
    /// missing if the pass is partial.
    pub(crate) files: Vec<File>,
    /// The files that are to be removed, each with the number of its part.
    pub(crate) gone: Vec<Gone>,
    /// Whether there are more files, which stay as they are.
    pub(crate) is_partial: bool,
    /// What is known of the files of items if the pass succeeds.
    pub(crate) made: Option<Made>,
    /// Whether `made` is complete: no file of an item that is gone was left in place.
    pub(crate) is_complete: bool,
    /// The items whose files are missing.
    pub(crate) failed: FailedItems,
    /// The number of keys that each part could see, where a guard needs it, by the `dest` of the part.
    pub(crate) keys: Vec<(PathBuf, usize)>,
    /// What the files were rendered from, if the destinations were certainly in sync.
    pub(crate) origin: Option<Origin>,
    /// The missing keys because of which the destinations stay as they are (`on_missing = "keep"`).
    pub(crate) kept: Option<Vec<String>>,
    /// Of the contents that were rendered.
    pub(crate) digest: Digest,
    pub(crate) began: Instant,
}

/// A file that a pass has rendered.
#[derive(Clone, Debug)]
pub(crate) struct File {
    /// The part of the resource, by its number.
    pub(crate) part: usize,
    pub(crate) target: Arc<Target>,
    /// Of the content that was rendered.
    pub(crate) digest: Digest,
}

/// A file that is to be removed, with the number of its part.
pub(crate) type Gone = (usize, Arc<Target>);

/// A file that has to be rendered.
pub(crate) struct Output<'a> {
    /// The part of the resource, by its number.
    pub(crate) nth: usize,
    pub(crate) part: &'a Part,
    pub(crate) target: Arc<Target>,
    /// What the template can see. It does not record.
    pub(crate) view: View,
    /// For `for_each`.
    pub(crate) item: Option<Item>,
}

/// What the templates of a pass give.
pub(crate) enum Composition {
    /// The files.
    New(Box<Composed>),
    /// Nothing: the destinations stay as they are, because these keys are missing
    /// (`on_missing = "keep"`).
    Kept(Vec<String>),
}

/// The files of a pass, before the disk is touched.
pub(crate) struct Composed {
    /// The files that were rendered, in the order of the parts.
    pub(crate) files: Vec<File>,
    /// The same files with their contents, and then those that are to be removed.
    pub(crate) members: Vec<Member>,
    /// What each part can see.
    pub(crate) views: Vec<View>,
    /// What the template of each file has read.
    pub(crate) reads: Vec<Reads>,
    pub(crate) worked: Worked,
    /// Whether the files are certain to be made of the newest templates and of keys alone.
    pub(crate) is_origin: bool,
}

/// A file that was rendered, or whose template has failed.
struct Rendered<'a> {
    output: Output<'a>,
    reads: Reads,
    /// Whether the template has asked the machine.
    has_asked: bool,
    warnings: Warnings,
    missing: MissingKeys,
    content: Result<Bytes, render::Error>,
}

impl Pipeline {
    /// The time limit of rendering the template of `part`.
    fn render_limit(&self, part: &Part) -> Option<Duration> {
        part.render_timeout.or(self.render_timeout).filter(|limit| !limit.is_zero())
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
        let composed = match self.compose(limit, job, &current, say)? {
            Composition::New(composed) => composed,
            Composition::Kept(keys) => return self.keep(resource, current, keys, began),
        };
        let Composed { files, members, views, reads, worked, is_origin } = *composed;
        let mut contents: Vec<Bytes> =
            members.iter().filter_map(|member| member.content.clone()).collect();
        let digest = Digest::of_all(files.iter().map(|file| file.digest));
        let Worked { gone, is_partial, beside, made, failed, mut kept } = worked;
        let counts = |part: &Part| part.guards.as_ref().is_some_and(|guards| guards.counts_keys());
        let keys = resource.parts().iter().zip(&views).filter(|(part, _)| counts(part));
        let keys = keys.map(|(part, view)| (part.target.dest.clone(), view.iter().count()));
        let mut prepared = Box::new(Prepared {
            staged: None,
            templates: current,
            files,
            gone,
            is_partial,
            made,
            is_complete: true,
            failed,
            keys: keys.collect(),
            origin: None,
            kept: None,
            digest,
            began,
        });
        if !resource.heals() && !resource.has_items() && *applied == Some(digest) {
            return Ok(prepared);
        }
        let staged = match resource.is_of_items_alone() {
            true => {
                let (staged, failed) = Transaction::stage_each(members, &self.options);
                kept.extend(prepared.leave_out(failed, &mut contents));
                staged
            }
            false => Transaction::stage(members, &self.options)?,
        };
        let of_files = prepared.files.iter().zip(staged.before().zip(contents));
        let now = |nth: usize| prepared.made.as_ref().map_or(0, |made| made.count(nth));
        self.guard_all(resource, &views, of_files, (&prepared.gone, &now), say)?;
        let dests = || staged.found_in_sync()?.into_iter().collect::<Option<Vec<_>>>();
        if is_origin
            && !resource.has_items()
            && let Some(dests) = dests()
        {
            prepared.origin = Origin::of(&prepared.templates, &prepared.files, reads, &dests);
        }
        let parts = prepared.files.iter().map(|file| file.part);
        let parts = parts.chain(prepared.gone.iter().map(|(part, _)| *part));
        let parts: Vec<usize> = parts.collect();
        let manifests = prepared.made.iter().flat_map(Made::manifests);
        let staged = manifests.fold(staged, |staged, (manifest, of)| {
            let members = parts.iter().enumerate().filter(|(_, part)| of.contains(part));
            staged.recorded_in(manifest, members.map(|(nth, _)| nth).collect())
        });
        let staged = staged.beside_kept(kept);
        prepared.staged = Some(match &resource.group_check {
            Some(check) => staged.checked_together(check.clone().beside(beside)),
            None => staged,
        });
        Ok(prepared)
    }

    /// Renders all files of a pass, and finds those that are to be removed. Writes nothing. If there is
    /// a `limit`, it is the time for rendering each template, instead of those of the parts.
    pub(crate) fn compose(
        &self,
        limit: Option<Duration>,
        job: &Job,
        current: &[Current],
        say: &Say<'_>,
    ) -> Result<Composition, Failure> {
        let Job { resource, .. } = job;
        let asking = self.answers.session();
        let mut work = Work::new(job, resource.has_items().then_some(&*self.made), say);
        let mut rendered = Vec::with_capacity(current.len());
        let mut views = Vec::with_capacity(current.len());
        for (nth, (part, current)) in resource.parts().iter().zip(current).enumerate() {
            let view = self.view(job, part, say);
            let outputs =
                work.outputs((nth, part), (resource, &self.made), current, &view, &asking.session);
            views.push(view);
            let limit = limit.or_else(|| self.render_limit(part));
            for output in outputs {
                let one = self.render(output, current, limit, &asking.session);
                let has_failed = one.content.is_err() && one.output.item.is_none();
                rendered.push(one);
                if has_failed {
                    break;
                }
            }
        }
        let has_failed = rendered.iter().any(|one| one.content.is_err());
        let unanswered = self.answers.note(resource, &asking, has_failed);
        if !unanswered.is_empty() {
            // An error of the template can come from the missing answers.
            return Err(Failure::waiting(unanswered));
        }
        let (mut files, mut members) = (Vec::new(), Vec::new());
        let (mut reads, mut may_be_origin, mut empty) = (Vec::new(), true, Vec::new());
        for one in rendered {
            let Rendered { output, reads: read, has_asked, warnings, missing, content } = one;
            let Output { nth, part, target, view, item } = output;
            for Warning { text, exact } in warnings.take() {
                say(Step::TemplateWarns(if self.show_values { exact } else { text }));
            }
            empty.extend(missing::of_item(missing.take().names(self.show_values), item.as_ref()));
            let content = match (content, item) {
                (Ok(content), None) => content,
                (Ok(content), Some(item)) => {
                    let digest = Digest::of(&target.significant(&content));
                    let is_whole = !has_asked && !current[nth].template.asks();
                    let reads = is_whole.then(|| read.clone());
                    let file = MadeFile { item, target: Arc::clone(&target), digest, reads };
                    if !work.is_news(nth, file, &view) {
                        continue;
                    }
                    content
                }
                (Err(error), Some(item)) => {
                    work.fail(nth, part, (item, &target), error, self.show_values);
                    continue;
                }
                (Err(error), None) => {
                    match missing::instead(resource, part, error, self.show_values) {
                        Instead::Keep(keys) => return Ok(Composition::Kept(keys)),
                        Instead::Fail(failure) => {
                            if !self.force {
                                // A guard says better than the template what is missing.
                                let change = Change::of(&views[nth], Before::Nothing, None);
                                self.guard(resource, part, &target.dest, change, say)?;
                            }
                            return Err(failure);
                        }
                    }
                }
            };
            may_be_origin &= current[nth].is_newest && !has_asked;
            let digest = Digest::of(&target.significant(&content));
            files.push(File { part: nth, target: Arc::clone(&target), digest });
            members.push(Member::file(target, content));
            reads.push(read);
        }
        let all_are_empty = self.data.is_some();
        let missed = (empty, work.kept_for());
        missing::say_missing(resource, missed, all_are_empty, work.is_partial(), say);
        let worked = work.end(resource, &self.made);
        let removed = worked.gone.iter().map(|(_, target)| Member::absent(Arc::clone(target)));
        members.extend(removed);
        let is_origin = may_be_origin;
        Ok(Composition::New(Box::new(Composed { files, members, views, reads, worked, is_origin })))
    }

    /// Checks the guards of all parts. `of_files` has what is rendered now, with what each destination
    /// holds and is to get; then there are the files that are to be removed, each with the number of its
    /// part, and the number of files of items that a part has from now on.
    ///
    /// # Errors
    /// A guard trips, and guards count.
    pub(crate) fn guard_all<'a>(
        &self,
        resource: &Resource,
        views: &[View],
        of_files: impl Iterator<Item = (&'a File, (Before, Bytes))>,
        (gone, now): (&[Gone], &dyn Fn(usize) -> usize),
        say: &Say<'_>,
    ) -> Result<(), Failure> {
        if resource.parts().iter().all(|part| part.guards.is_none()) {
            return Ok(());
        }
        for (File { part, target, .. }, (before, content)) in of_files {
            let (part, view) = (&resource.parts()[*part], &views[*part]);
            let change = Change::of(view, before, Some(&content));
            self.guard(resource, part, &target.dest, change, say)?;
        }
        for (nth, (part, view)) in resource.parts().iter().zip(views).enumerate() {
            let gone = gone.iter().filter(|(part, _)| *part == nth).count();
            if gone > 0 {
                let change = Change {
                    files: Some((now(nth) + gone, now(nth))),
                    ..Change::of(view, Before::Other { bytes: 0 }, None)
                };
                self.guard(resource, part, &part.target.dest, change, say)?;
            }
        }
        Ok(())
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
        let parts = resource.parts().iter().enumerate();
        let files = parts.map(|(part, it)| {
            let target = Arc::clone(&it.target);
            File { part, target, digest }
        });
        let files = files.collect();
        let targets = resource.parts().iter().map(|part| Arc::clone(&part.target));
        let (staged, kept) = (Some(Transaction::keep(targets, &self.options)?), Some(keys));
        Ok(Box::new(Prepared {
            staged,
            templates: current,
            files,
            gone: Vec::new(),
            is_partial: false,
            made: None,
            is_complete: true,
            failed: FailedItems::default(),
            keys: Vec::new(),
            origin: None,
            kept,
            digest,
            began,
        }))
    }

    /// What the template of a part can see. Reports the keys.
    fn view(&self, job: &Job, part: &Part, say: &Say<'_>) -> View {
        let Job { snapshot, .. } = job;
        say(Step::Prefix(part.prefix.clone()));
        let view = View::new(snapshot.clone(), &part.scope, &part.prefix);
        if tracing::enabled!(tracing::Level::DEBUG) {
            say(Step::Keys(KeyNames(&view).to_string()));
            if let Some(keys) = nothing_found(part, snapshot) {
                say(Step::NothingFound(keys));
            }
        }
        view
    }

    /// Renders one file.
    fn render<'a>(
        &self,
        output: Output<'a>,
        current: &Current,
        limit: Option<Duration>,
        session: &Session,
    ) -> Rendered<'a> {
        // Only the template reads keys from this view.
        let view = output.view.clone().recording();
        let asked = Arc::new(Asked::new(&self.host));
        let host: Arc<dyn Host> = Arc::clone(&asked) as _;
        let (warnings, data) = (Warnings::default(), self.data.as_ref());
        let missing = match data {
            Some(_) => MissingKeys::read_as_empty(),
            None => missing::keys_of(output.part),
        };
        let limits = Limits { time: limit, memory: self.max_memory };
        let (view, host) = (&view, &host);
        let inputs = Inputs { view, host, warnings: &warnings, session, missing: &missing, data };
        let content = missing::render(&current.template, limits, &inputs, self.show_values);
        let (reads, has_asked) = (view.reads(), asked.anything());
        Rendered { output, reads, has_asked, warnings, missing, content }
    }

    /// Checks the guards of a part for the file `dest`, or for all files of its items if `dest` is as it
    /// is written.
    fn guard(
        &self,
        resource: &Resource,
        part: &Part,
        dest: &Path,
        change: Change<'_>,
        say: &Say<'_>,
    ) -> Result<(), Failure> {
        let Some(guards) = &part.guards else { return Ok(()) };
        let kept = || self.versions.keys_of_newest(resource);
        let applied = || self.applied_keys.of(&part.target.dest).or_else(kept);
        let keys_before = guards.max_shrink.and_then(|_| applied());
        let change = Change { keys_before, ..change };
        let Some(tripped) = guards::tripped(guards, &change) else { return Ok(()) };
        if !self.force {
            return Err(Failure::guard(dest, &tripped));
        }
        let (dest, noop) = (dest.to_owned(), self.options.noop);
        say(Step::Forced { dest, tripped: tripped.text, noop });
        Ok(())
    }
}

impl Prepared {
    /// Leaves the members out that could not be staged, by their numbers, and returns their targets.
    /// `contents` are those of the files.
    fn leave_out(
        &mut self,
        failed: Vec<(usize, deploy::Error)>,
        contents: &mut Vec<Bytes>,
    ) -> Vec<Arc<Target>> {
        // The last one comes first, so that the numbers before it stay the same.
        let count = self.files.len();
        let mut left_out = Vec::with_capacity(failed.len());
        for (nth, error) in failed.into_iter().rev() {
            let target = match nth.checked_sub(count) {
                Some(nth) => self.gone.remove(nth).1,
                None => {
                    contents.remove(nth);
                    self.files.remove(nth).target
                }
            };
            let item = self.made.as_mut().and_then(|made| made.refuse(&target.dest));
            self.is_complete &= item.is_some();
            left_out.push((item, target, Failure::from(error)));
        }
        let name_failure = |(item, target, failure): (Option<String>, Arc<Target>, _)| {
            self.failed.add(item.unwrap_or_else(|| target.dest.display().to_string()), failure);
            target
        };
        left_out.into_iter().rev().map(name_failure).collect()
    }

    /// Whether the destinations had these contents, with the right owners and modes, when they were
    /// staged.
    pub(crate) fn is_in_sync(&self) -> bool {
        self.staged.as_ref().is_some_and(Transaction::is_in_sync)
    }

    /// Whether the files of the templates are unchanged since they were compiled.
    pub(crate) fn has_its_templates(&self, resource: &Resource) -> bool {
        let mut pairs = self.templates.iter().zip(resource.parts());
        pairs.all(|(current, part)| current.is_newest && current.has_its_files(&part.src))
    }

    /// The duration of the first half so far.
    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.began.elapsed()
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
