//! What happens to resources, as data.
//!
//! The pipeline and the drivers say what they do by [`Event`]s and log nothing themselves. The log,
//! the status, the result of a onetime run are [`Reader`]s of these events. Whatever comes later
//! (metrics, history, a control socket) reads them too, and sees the same things in the same order.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use config::Problem;
use deploy::{Level, Outcome};

use crate::{failure::Failure, resource::Resource};

/// Something that happened.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A driver begins to read the keys of all resources.
    Reading,
    /// These resources are looked after from now on, and no others.
    Assigned(Vec<Arc<Resource>>),
    /// A file in `conf.d` is no resource.
    NotLoaded {
        /// The name that the resource would have.
        name: String,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A resource gets a pass as soon as it may.
    Woken {
        /// The resource.
        resource: Arc<Resource>,
        /// Why.
        wake: Wake,
    },
    /// A pass of a resource does or finds something.
    Step {
        /// The resource.
        resource: Arc<Resource>,
        /// What it does or finds.
        step: Step<'a>,
    },
    /// A pass of a resource succeeded: its file is in place and its reload is done.
    Done {
        /// The resource.
        resource: Arc<Resource>,
        /// What the pass changed.
        outcome: Outcome,
        /// The revision of the keys, as the source counts; 0 where the source has none.
        revision: u64,
        /// How long the pass took.
        took: Duration,
    },
    /// A pass of a resource failed.
    Failed {
        /// The resource.
        resource: Arc<Resource>,
        /// Why.
        failure: Arc<Failure>,
        /// After how long it is tried again, if nothing else wakes the resource before.
        retry: Option<Duration>,
    },
    /// A run does or finds something that concerns no single resource.
    RunStep {
        /// What it does or finds.
        step: Step<'a>,
    },
    /// Something failed that concerns a whole run or pass and no single resource.
    RunFailed {
        /// What failed.
        failure: Arc<Failure>,
    },
    /// The source gave no keys to these resources. They are as they were.
    SourceFailed {
        /// The resources that wait for keys.
        resources: Vec<Arc<Resource>>,
        /// Why.
        failure: Arc<Failure>,
    },
    /// The source answers again after a failure.
    SourceRecovered,
    /// A pass over all resources ended, after every resource had its turn.
    PassEnded {
        /// How many resources there are, those that could not be loaded included.
        resources: usize,
        /// The names of those that failed, in order.
        failed: Vec<String>,
    },
}

/// Why a resource gets a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wake {
    /// The run begins, or the resource is new.
    Start,
    /// The interval of interval mode, or of a source that has to be polled, is over.
    Interval,
    /// Keys that the resource asks for have changed.
    Keys {
        /// The keys, as the source spells them; empty if only a comparison of all values found
        /// the change.
        changed: Vec<Bytes>,
        /// The revision of the new state.
        revision: u64,
    },
    /// The pass before failed.
    Retry,
    /// The configuration was read again, or the resource's file has changed.
    Configuration,
    /// The template, or a file that the template includes, has changed.
    Template,
    /// The destination is not as the last pass left it.
    Destination,
    /// Everything is compared once in a while, so that nothing depends on events.
    Reconcile,
}

impl Wake {
    /// The reason of one pass that serves both wakes.
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
            (keys @ Wake::Keys { .. }, _) => keys,
            (_, later) => later,
        }
    }
}

/// One thing that a pass does or finds.
#[derive(Debug)]
#[non_exhaustive]
pub enum Step<'a> {
    /// The template's file is looked at.
    UsingTemplate(PathBuf),
    /// The template is compiled.
    Compiling(PathBuf),
    /// The template cannot be compiled any more; the version compiled before stays in use.
    TemplateStays {
        /// Its file.
        src: PathBuf,
        /// What is wrong with the new version.
        problem: Problem,
    },
    /// What the keys of the template are relative to.
    Prefix(String),
    /// The names of the keys that the template sees. Values may be secrets.
    Keys(String),
    /// A function of the template warns, such as about a name that cannot be resolved.
    TemplateWarns(String),
    /// The destination is restored later, as somebody else changes it again and again.
    RestoringLater {
        /// The destination.
        dest: PathBuf,
        /// How much later.
        delay: Duration,
    },
    /// What `deploy` does or finds.
    Deploy(&'a deploy::Step<'a>),
}

impl Step<'_> {
    /// How important the step is to a person.
    pub fn level(&self) -> Level {
        match self {
            Step::UsingTemplate(_) | Step::Compiling(_) | Step::Prefix(_) | Step::Keys(_) => {
                Level::Debug
            }
            Step::TemplateStays { .. } | Step::TemplateWarns(_) | Step::RestoringLater { .. } => {
                Level::Warning
            }
            Step::Deploy(step) => step.level(),
        }
    }
}

/// In confd's words, where confd has them.
impl fmt::Display for Step<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::UsingTemplate(src) => write!(f, "Using source template {}", src.display()),
            Step::Compiling(src) => write!(f, "Compiling source template {}", src.display()),
            Step::TemplateStays { src, .. } => {
                write!(f, "{}: the version in use stays", src.display())
            }
            Step::RestoringLater { dest, delay } => write!(
                f,
                "{} is changed again and again by somebody else: it is restored in {:.1} s",
                dest.display(),
                delay.as_secs_f64()
            ),
            Step::TemplateWarns(text) => f.write_str(text),
            Step::Prefix(prefix) => write!(f, "Key prefix set to {prefix}"),
            Step::Keys(keys) => write!(f, "Got the following keys from store: {keys}"),
            Step::Deploy(step) => step.fmt(f),
        }
    }
}

/// Somebody who makes something of events: lines of a log, a status, figures.
pub trait Reader: Send + Sync {
    /// Takes an event. It is called on whatever thread the event happens, in the order of the events
    /// of one resource, and must neither wait nor fail.
    fn read(&self, event: &Event<'_>);
}

/// All readers of a run; a copy is cheap.
#[derive(Clone)]
pub(crate) struct Readers(Arc<[Arc<dyn Reader>]>);

impl Readers {
    /// The readers get each event in this order.
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
}

/// Makes events of what `deploy` does for no single resource.
pub(crate) struct RunSteps<'a>(pub(crate) &'a Readers);

impl deploy::Observer for RunSteps<'_> {
    fn observe(&self, step: &deploy::Step<'_>) {
        self.0.read(&Event::RunStep { step: Step::Deploy(step) });
    }
}

/// Takes the steps of the first half of a pass.
pub(crate) type Say<'a> = dyn Fn(Step<'static>) + 'a;

/// Makes events of the steps of a pass of `resource`, at once.
pub(crate) fn say(reader: &dyn Reader, resource: &Arc<Resource>) -> impl Fn(Step<'static>) {
    move |step| reader.read(&Event::Step { resource: Arc::clone(resource), step })
}
