//! What an agent is given: what to work on, when, and that something has changed.

use std::{path::PathBuf, sync::Arc, time::Duration};

use bytes::Bytes;
use deploy::Options;
use source::Source;
use world::Host;

use crate::{pipeline::Pipeline, templates::Templates};

/// What an agent works on, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds `conf.d` and `templates`.
    pub confdir: PathBuf,
    /// Prefix of all keys; if not empty it replaces the resources' own.
    pub prefix: Bytes,
    /// Change nothing, only say what would change.
    pub noop: bool,
    /// Run neither `check_cmd` nor `reload_cmd`.
    pub sync_only: bool,
    /// Leave stage files behind.
    pub keep_stage_file: bool,
    /// How long a check command may take where its resource does not say; `None` is for ever.
    pub check_timeout: Option<Duration>,
    /// How long a reload command may take where its resource does not say; `None` is for ever.
    pub reload_timeout: Option<Duration>,
}

impl Settings {
    /// The pipeline of a run with these settings.
    ///
    /// `keeps_working_template`: a template that has become bad does not stop its resources, the
    /// version in use stays.
    pub(crate) fn pipeline(&self, host: &Arc<dyn Host>, keeps_working_template: bool) -> Pipeline {
        let folder = config::templates_folder(&self.confdir);
        let templates = Arc::new(Templates::new(folder, keeps_working_template));
        Pipeline::new(templates, Arc::clone(host), self.options())
    }

    /// How the run deploys.
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

/// How long a worker waits before it acts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// The quiet time after a change: a pass begins when nothing has changed for so long, and at
    /// the latest after four times as long.
    pub debounce: Duration,
    /// The longest delay before a pass. How much of it a resource waits is fixed for each host, so
    /// that the hosts of a fleet act one after the other.
    pub splay: Duration,
}

/// When an agent that goes on acts.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The rest between two passes; in watch mode, between two readings of a source that cannot
    /// be followed.
    pub interval: Duration,
    /// Watch mode: how long a resource waits before it acts.
    pub pace: Pace,
    /// Watch mode: the longest time until everything is read and looked at again.
    pub reconcile: Duration,
    /// How long passes under way at a stop may take to end.
    pub shutdown_timeout: Duration,
}

/// What an agent that goes on is ordered to do.
pub enum Order {
    /// To look at all resources and templates again, by this configuration from now on, if there is
    /// one.
    Reload(Option<Configuration>),
    /// To begin nothing more, and to end when the passes under way have ended. A second one ends it
    /// at once.
    Stop,
}

/// What an agent can be given in place of what it has.
pub struct Configuration {
    /// What it works on.
    pub settings: Settings,
    /// When.
    pub schedule: Schedule,
    /// Where the keys come from, if that is another place than before.
    pub source: Option<Box<dyn Source>>,
}

/// How an agent that goes on came to its end, which it does only when it is ordered to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// All passes under way have ended.
    Whole,
    /// A pass under way was broken off. Nothing is torn.
    Cut,
}
