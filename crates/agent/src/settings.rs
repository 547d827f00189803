//! The settings, the schedule and the orders of an agent.

use std::{path::PathBuf, sync::Arc, time::Duration};

use config::Conventions;
use deploy::{Options, Runner};
use source::{Pauses, Source, backoff::Growth};
use state_folder::StateFolder;
use tokio::sync::oneshot;
use world::Host;

use crate::{
    answers::{Answers, OpenQueries},
    pipeline::Pipeline,
    templates::Templates,
};

/// What an agent processes, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds `conf.d` and `templates`.
    pub confdir: PathBuf,
    /// How the resource files are understood, and the prefix of all keys.
    pub conventions: Conventions,
    /// Change nothing, only report what would change.
    pub noop: bool,
    /// Run neither `check_cmd` nor `reload_cmd`.
    pub sync_only: bool,
    /// Replace files although guards trip.
    pub force: bool,
    /// Onetime and interval mode: after the first resource that failed, the others get no pass.
    pub fail_fast: bool,
    /// Show the values of keys in errors and warnings of templates. They may be secrets.
    pub show_values: bool,
    /// Keep stage files.
    pub keep_stage_file: bool,
    /// The time limit of a check command whose resource sets none; `None` means no limit.
    pub check_timeout: Option<Duration>,
    /// The time limit of a reload command whose resource sets none; `None` means no limit.
    pub reload_timeout: Option<Duration>,
    /// The time limit of rendering the template of a resource that sets none; `None` means no
    /// limit.
    pub render_timeout: Option<Duration>,
    /// Where the last versions of files are kept; `None` keeps none.
    pub state: Option<StateFolder>,
    /// The most bytes that rendering one template may take. [`render::Limits::memory`] says what
    /// counts.
    pub max_memory: usize,
}

impl Settings {
    /// The pipeline of a run with these settings, whose commands are run by `runner`.
    ///
    /// With `keeps_working_template`, a template that becomes malformed does not fail its
    /// resources: the version in use stays in use.
    pub(crate) fn pipeline(
        &self,
        host: &Arc<dyn Host>,
        runner: &Arc<dyn Runner>,
        answers: &Arc<Answers>,
        keeps_working_template: bool,
    ) -> Pipeline {
        let folder = config::templates_folder(&self.confdir);
        let templates = Arc::new(Templates::new(folder, keeps_working_template));
        let (host, answers) = (Arc::clone(host), Arc::clone(answers));
        let pipeline = Pipeline::new(templates, host, answers, self.options());
        pipeline.with_runner(Arc::clone(runner)).with_settings(self)
    }

    /// The options of the transactions.
    pub(crate) fn options(&self) -> Options {
        Options {
            noop: self.noop,
            sync_only: self.sync_only,
            keep_stage_file: self.keep_stage_file,
            check_timeout: self.check_timeout,
            reload_timeout: self.reload_timeout,
        }
    }
}

/// The delays of a worker before a pass, and after a failed one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// The debounce: a pass begins when nothing has changed for this time, and after four times
    /// this time at the latest.
    pub debounce: Duration,
    /// The batch interval, for a resource without a debounce: a pass begins when this time is over after
    /// the first change.
    pub batch: Duration,
    /// The longest splay. The part of it that a resource waits is fixed for each host, so that the
    /// hosts of a fleet reload one after the other.
    pub splay: Duration,
    /// The delays between the retries of a failed pass.
    pub retry: Growth,
}

/// When an agent acts in interval and watch mode.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The time between two passes. In watch mode, the time between two readings of a source that
    /// must be polled.
    pub interval: Duration,
    /// Watch mode: the delays of a worker before a pass.
    pub pace: Pace,
    /// Watch mode: the time between two reconciles.
    pub reconcile: Duration,
    /// The time that running passes have to end after an order to stop.
    pub shutdown_timeout: Duration,
}

impl Schedule {
    /// The times between two readings in watch mode.
    pub(crate) fn pauses(&self) -> Pauses {
        Pauses { interval: self.interval, reconcile: self.reconcile }
    }
}

/// An order to a running agent.
pub enum Order {
    /// Load all resources and templates again.
    Reload(Reload),
    /// Make a pass of one resource now.
    Process(Process),
    /// Start no new pass, and end when the running passes have ended. A second order ends the agent
    /// at once.
    Stop,
}

/// What is loaded again.
#[derive(Default)]
pub struct Reload {
    /// The configuration that replaces the current one, if there is a new one.
    pub configuration: Option<Box<Configuration>>,
    /// Answered when the resources were read, and in interval mode processed.
    pub done: Vec<oneshot::Sender<()>>,
}

impl Reload {
    /// One order for both, which arrived one after the other. No new configuration means "read again",
    /// and does not discard an earlier configuration.
    pub(crate) fn and(mut self, later: Reload) -> Reload {
        self.done.extend(later.done);
        let configuration = match (self.configuration, later.configuration) {
            (Some(before), Some(after)) => {
                let Configuration { settings, schedule, source, queries } = *after;
                let (source, queries) = (source.or(before.source), queries.or(before.queries));
                Some(Box::new(Configuration { settings, schedule, source, queries }))
            }
            (before, after) => after.or(before),
        };
        Reload { configuration, done: self.done }
    }
}

impl From<Option<Box<Configuration>>> for Reload {
    fn from(configuration: Option<Box<Configuration>>) -> Self {
        Reload { configuration, done: Vec::new() }
    }
}

/// A pass that is asked for.
pub struct Process {
    /// The name of the resource.
    pub name: String,
    /// Answered when a pass that began after the order has ended, or cannot begin because the resource has
    /// no keys yet; the status of the resource says how. Dropped without an answer if there is no such
    /// resource, or if the agent ends.
    pub done: oneshot::Sender<()>,
}

/// A new configuration of a running agent.
pub struct Configuration {
    /// What to process.
    pub settings: Settings,
    /// When.
    pub schedule: Schedule,
    /// The new source; `None` keeps the current source.
    pub source: Option<Box<dyn Source>>,
    /// What opens the new store of the answers to queries; `None` keeps the current store.
    pub queries: Option<Arc<OpenQueries>>,
}

/// How a running agent ended after an order to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All running passes have ended.
    Whole,
    /// A running pass was aborted. Each destination is the old file or the new one.
    Cut,
}
