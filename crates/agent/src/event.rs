//! The events of a run, as data.
//!
//! The pipeline and the drivers report everything as [`Event`]s and log nothing themselves. The
//! log, the status and the result of a onetime run are [`Reader`]s of these events. Future readers
//! (metrics, history, a control socket) get the same events in the same order.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use config::Problem;
use deploy::{Level, Outcome, Proposal};
use store::{Prefix, View};

use crate::{
    failure::Failure, missing::listed, reloads::PATIENCE, resource::Resource, versions::HeldVersion,
};

/// An event of a run.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A driver starts to read the keys of all resources.
    Reading,
    /// From now on the agent processes exactly these resources.
    Assigned(Vec<Arc<Resource>>),
    /// The resource files were read.
    Loaded {
        /// Every problem that there is now, whether or not it was reported before.
        problems: Vec<LoadProblem>,
    },
    /// A file in `conf.d` is not a valid resource file.
    NotLoaded {
        /// The name of the resource.
        name: String,
        /// The problem of the file.
        problem: Problem,
    },
    /// A resource will get a pass as soon as possible.
    Woken {
        /// The resource.
        resource: Arc<Resource>,
        /// The reason.
        wake: Wake,
    },
    /// A step of a pass.
    Step {
        /// The resource.
        resource: Arc<Resource>,
        /// The step.
        step: Step<'a>,
    },
    /// A command of a pass has ended.
    Ran {
        /// The resource.
        resource: Arc<Resource>,
        /// What it was for, and how it ended.
        ran: &'a deploy::Ran<'a>,
    },
    /// A pass has put a file in place.
    Replaced {
        /// The resource.
        resource: Arc<Resource>,
        /// The file.
        dest: &'a Path,
    },
    /// What would become of a file that is out of sync and stays as it is because of `-noop`. Only for
    /// readers that [want it](Reader::wants_proposals).
    Proposed {
        /// The resource.
        resource: Arc<Resource>,
        /// The keys that the resource asks for, as the source spells them.
        keys: View,
        /// The file.
        proposal: &'a Proposal,
    },
    /// A pass succeeded: the destination is in sync and the reload, if any, has succeeded.
    Done {
        /// The resource.
        resource: Arc<Resource>,
        /// The result of the pass.
        outcome: Outcome,
        /// The revision of the keys; 0 if the source has no revisions.
        revision: u64,
        /// The duration of the pass.
        took: Duration,
        /// The version in place, if a person has put it back and newer content is held.
        held: Option<HeldVersion>,
    },
    /// A pass succeeded, and the destination stays as it is, because keys that the template asks for do
    /// not exist (`on_missing = "keep"`).
    Kept {
        /// The resource.
        resource: Arc<Resource>,
        /// The keys, for people.
        keys: Vec<String>,
    },
    /// A pass failed.
    Failed {
        /// The resource.
        resource: Arc<Resource>,
        /// The reason.
        failure: Arc<Failure>,
        /// The time until the next try, unless a wake comes earlier.
        retry: Option<Duration>,
    },
    /// A step that belongs to no single resource.
    RunStep {
        /// The step.
        step: Step<'a>,
    },
    /// A failure that belongs to the whole run or pass, and to no single resource.
    RunFailed {
        /// The failure.
        failure: Arc<Failure>,
    },
    /// The source gave no keys to these resources. Their files stay as they are.
    SourceFailed {
        /// The resources that wait for keys.
        resources: Vec<Arc<Resource>>,
        /// The reason.
        failure: Arc<Failure>,
    },
    /// The source answers again after a failure.
    SourceRecovered,
    /// A pass has no result yet, because the template asks something that has no answer yet. The
    /// answer wakes the resource.
    Waits {
        /// The resource.
        resource: Arc<Resource>,
        /// The names of the queries that are missing.
        queries: Vec<String>,
    },
    /// A query of templates has failed. It keeps its last answer, if there is one, and is asked
    /// again.
    QueryFailed {
        /// The resources whose templates ask it.
        resources: Vec<Arc<Resource>>,
        /// The reason.
        failure: Arc<Failure>,
    },
    /// The store hides a part of the answer to a query of templates.
    QueryWarning {
        /// The resources whose templates ask it.
        resources: Vec<Arc<Resource>>,
        /// The query, and what is hidden.
        text: String,
    },
    /// All queries are answered again after a failure.
    QueriesRecovered,
    /// A pass over all resources ended.
    PassEnded {
        /// The number of resources, including those that could not be loaded.
        resources: usize,
        /// The names of the failed resources, in processing order.
        failed: Vec<String>,
    },
}

/// Something in `conf.d` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadProblem {
    /// The name of the resource; the path of `conf.d` if the folder itself cannot be read.
    pub name: String,
    /// The reason, as the log shows it.
    pub text: String,
}

/// The reason for a pass of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// The run begins, or the resource is new.
    Start,
    /// The interval of interval mode, or of a source that must be polled, has ended.
    Interval,
    /// Keys that the resource asks for have changed.
    Keys {
        /// The keys, as the source spells them. Empty if the change was found by comparing all
        /// values.
        changed: Vec<Bytes>,
        /// The revision of the new state.
        revision: u64,
    },
    /// Answers that the template uses have changed, or have come.
    Answers(
        /// The names of the queries.
        Vec<String>,
    ),
    /// The previous pass failed.
    Retry,
    /// The configuration was read again, or the resource file has changed.
    Configuration,
    /// The template, or a file that the template includes, has changed.
    Template,
    /// The destination differs from what the last pass left.
    Destination,
    /// A regular full look, in case an event was missed.
    Reconcile,
    /// A person or a program has asked for it (`confd run`).
    Request,
}

impl Wake {
    /// A stable word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            Wake::Start => "start",
            Wake::Interval => "interval",
            Wake::Keys { .. } => "keys",
            Wake::Answers(_) => "answers",
            Wake::Retry => "retry",
            Wake::Configuration => "configuration",
            Wake::Template => "template",
            Wake::Destination => "destination",
            Wake::Reconcile => "reconcile",
            Wake::Request => "request",
        }
    }

    /// Whether something is known to have changed since the last pass.
    pub(crate) fn is_news(&self) -> bool {
        !matches!(self, Wake::Interval | Wake::Retry | Wake::Reconcile | Wake::Request)
    }

    /// Whether a change of the resource's files is the reason.
    pub(crate) fn is_by_files(&self) -> bool {
        matches!(self, Wake::Template | Wake::Destination)
    }

    /// The reason of a pass that serves both wakes.
    pub(crate) fn and(self, later: Wake) -> Wake {
        match (self, later) {
            (Wake::Keys { mut changed, .. }, Wake::Keys { changed: more, revision }) => {
                if changed.is_empty() || more.is_empty() {
                    return Wake::Keys { changed: Vec::new(), revision };
                }
                changed.extend(more);
                changed.sort_unstable();
                changed.dedup();
                Wake::Keys { changed, revision }
            }
            (Wake::Answers(mut names), Wake::Answers(more)) => {
                names.extend(more);
                names.sort_unstable();
                names.dedup();
                Wake::Answers(names)
            }
            (keys @ Wake::Keys { .. }, _) => keys,
            (answers @ Wake::Answers(_), later) if !matches!(later, Wake::Keys { .. }) => answers,
            (_, later) => later,
        }
    }
}

/// One step of a pass.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The template's file is about to be examined.
    UsingTemplate(PathBuf),
    /// The template is about to be compiled.
    Compiling(PathBuf),
    /// The new version of the template cannot be compiled; the previous version stays in use.
    TemplateStays {
        /// The file of the template.
        src: PathBuf,
        /// The problem of the new version.
        problem: Problem,
    },
    /// The prefix of the keys.
    Prefix(Prefix),
    /// The names of the keys that the template sees. The values may be secrets and are not shown.
    Keys(String),
    /// Keys that the resource asks for, and of which the store has none.
    NothingFound(String),
    /// A warning of a template function, such as a name that cannot be resolved.
    TemplateWarns(String),
    /// The keys that do not exist and read as empty (`on_missing = "empty"`), for people; there may be
    /// none.
    ReadAsEmpty(Vec<String>),
    /// The keys that do not exist and because of which files of items stay as they are
    /// (`on_missing = "keep"`), for people; there may be none.
    ItemsKept(Vec<String>),
    /// Something is wrong with the manifest of the files of items.
    ManifestWarns(String),
    /// The destination is replaced although guards trip, or would be.
    Forced {
        /// The destination.
        dest: PathBuf,
        /// The guards.
        tripped: String,
        /// Whether nothing is written, because of `-noop`.
        noop: bool,
    },
    /// The destination will be restored later, because another program changes it again and again.
    RestoringLater {
        /// The destinations.
        dest: String,
        /// The delay.
        delay: Duration,
    },
    /// The next pass comes later, because files wake the resource again and again and each pass
    /// fails.
    PassLater {
        /// The delay.
        delay: Duration,
    },
    /// The reload command ran for another resource, after the file of this one was in place.
    ReloadServed {
        /// The destinations.
        dest: String,
    },
    /// The reload command starts, although the pass of another resource that may need the same
    /// reload has not ended.
    ReloadWaitsNoLonger {
        /// The destinations.
        dest: String,
    },
    /// A step of the transaction.
    Deploy(&'a deploy::Step<'a>),
}

impl Step<'_> {
    /// The level at which the log shows the step.
    pub fn level(&self) -> Level {
        match self {
            Step::UsingTemplate(_)
            | Step::Compiling(_)
            | Step::Prefix(_)
            | Step::Keys(_)
            | Step::NothingFound(_)
            | Step::ReloadServed { .. } => Level::Debug,
            Step::ReloadWaitsNoLonger { .. } => Level::Info,
            Step::TemplateStays { .. }
            | Step::TemplateWarns(_)
            | Step::ManifestWarns(_)
            | Step::ReadAsEmpty(_)
            | Step::ItemsKept(_)
            | Step::Forced { .. }
            | Step::RestoringLater { .. }
            | Step::PassLater { .. } => Level::Warning,
            Step::Deploy(step) => step.level(),
        }
    }
}

/// The text of the log line: confd's words, where confd has them.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::UsingTemplate(src) => write!(f, "Using source template {}", src.display()),
            Step::Compiling(src) => write!(f, "Compiling source template {}", src.display()),
            Step::TemplateStays { src, .. } => {
                write!(f, "{}: the version in use stays", src.display())
            }
            Step::Forced { dest, tripped, noop } => {
                let is = if *noop { "would be" } else { "is" };
                write!(f, "{} {is} replaced by -force: {tripped}", dest.display())
            }
            Step::RestoringLater { dest, delay } => write!(
                f,
                "{} changes again and again after it was restored: it is restored in {:.1} s. \
                 Another program, its reload command or another resource may write it",
                dest,
                delay.as_secs_f64()
            ),
            Step::PassLater { delay } => write!(
                f,
                "the template or the destination changes again and again, and each pass fails: \
                 the next pass is in {:.1} s",
                delay.as_secs_f64()
            ),
            Step::TemplateWarns(text) | Step::ManifestWarns(text) => f.write_str(text),
            Step::ReadAsEmpty(keys) => match &keys[..] {
                [key] => write!(f, "the key {key} does not exist and reads as empty"),
                keys => write!(f, "these keys do not exist and read as empty: {}", listed(keys)),
            },
            Step::ItemsKept(keys) => match &keys[..] {
                [key] => write!(f, "a file stays as it is, because the key {key} does not exist"),
                keys => {
                    let keys = listed(keys);
                    write!(f, "files stay as they are, because these keys do not exist: {keys}")
                }
            },
            Step::Prefix(prefix) => write!(f, "Key prefix set to {prefix}"),
            Step::Keys(keys) => write!(f, "Got the following keys from store: {keys}"),
            Step::NothingFound(keys) => write!(f, "The store has no key at {keys}"),
            Step::ReloadServed { dest } => write!(
                f,
                "{} was in place when another resource started the same reload_cmd; it does not run \
                 again",
                dest
            ),
            Step::ReloadWaitsNoLonger { dest } => write!(
                f,
                "{}: its reload no longer waits for another resource with the same reload_cmd, \
                 whose pass takes longer than {PATIENCE:?}",
                dest
            ),
            Step::Deploy(step) => step.fmt(f),
        }
    }
}

/// A consumer of events, such as the log or the status.
pub trait Reader: Send + Sync {
    /// Receives an event. It is called on the thread where the event happens, in the order of the
    /// events of one resource. It must not block or fail.
    fn read(&self, event: &Event<'_>);

    /// Whether the reader uses steps of this level. A step that no reader uses need not be made into
    /// an event.
    fn wants(&self, level: Level) -> bool {
        let _ = level;
        true
    }

    /// Whether the reader uses this step of the first half of a pass: unless it says otherwise, if it
    /// uses the level.
    fn wants_step(&self, step: &Step<'_>) -> bool {
        self.wants(step.level())
    }

    /// Whether the reader uses [`Event::Proposed`].
    fn wants_proposals(&self) -> bool {
        false
    }
}

/// All readers of a run. A clone is cheap.
#[derive(Clone)]
pub(crate) struct Readers(Arc<[Arc<dyn Reader>]>);

impl Readers {
    /// Passes each event to the readers in this order.
    pub(crate) fn new(readers: impl IntoIterator<Item = Arc<dyn Reader>>) -> Self {
        Readers(readers.into_iter().collect())
    }
}

impl Reader for Readers {
    fn read(&self, event: &Event<'_>) {
        for reader in &*self.0 {
            reader.read(event);
        }
    }

    fn wants(&self, level: Level) -> bool {
        self.0.iter().any(|reader| reader.wants(level))
    }

    fn wants_step(&self, step: &Step<'_>) -> bool {
        self.0.iter().any(|reader| reader.wants_step(step))
    }

    fn wants_proposals(&self) -> bool {
        self.0.iter().any(|reader| reader.wants_proposals())
    }
}

/// Turns steps of `deploy` that belong to no single resource into events.
pub(crate) struct RunSteps<'a>(pub(crate) &'a Readers);

impl deploy::Observer for RunSteps<'_> {
    fn observe(&self, step: &deploy::Step<'_>) {
        self.0.read(&Event::RunStep { step: Step::Deploy(step) });
    }
}

/// Receives the steps of the first half of a pass.
pub(crate) type Say<'a> = dyn Fn(Step<'static>) + 'a;

/// Turns the steps of a pass of `resource` into events, immediately.
pub(crate) fn say(reader: &dyn Reader, resource: &Arc<Resource>) -> impl Fn(Step<'static>) {
    move |step| {
        if reader.wants_step(&step) {
            reader.read(&Event::Step { resource: Arc::clone(resource), step });
        }
    }
}
