//! What an agent is told: what to work on, when, and that something has changed.

use std::{path::PathBuf, time::Duration};

use backend::Backend;
use bytes::Bytes;
use deploy::Options;

use crate::templates::Templates;

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
    pub(crate) fn options(&self) -> Options {
        Options {
            noop: self.noop,
            sync_only: self.sync_only,
            keep_stage_file: self.keep_stage_file,
            ..Options::default()
        }
    }

    pub(crate) fn templates(&self) -> Templates {
        Templates::new(config::templates_folder(&self.confdir))
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
    /// tell of changes.
    pub interval: Duration,
    /// Watch mode: how long a resource waits before it acts.
    pub pace: Pace,
    /// Watch mode: after how long everything is read again and compared, at the latest.
    pub reconcile: Duration,
    /// How long what is under way at a stop may take to end.
    pub shutdown_timeout: Duration,
}

/// What an agent that goes on is told.
pub enum Order {
    /// Look at all resources and templates again, from now on by this configuration, if there is
    /// another.
    Reload(Option<Configuration>),
    /// Begin nothing more, and end when what is under way has ended. A second one ends it at once.
    Stop,
}

/// What an agent can be given in place of what it has.
pub struct Configuration {
    /// What it works on.
    pub settings: Settings,
    /// When.
    pub schedule: Schedule,
    /// Where the keys come from, if that is another place than before.
    pub backend: Option<Box<dyn Backend>>,
}

/// How an agent that goes on came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to stop, and all that was under way has ended.
    Whole,
    /// It was told to stop, and something under way was broken off. Nothing is torn.
    Cut,
    /// Watch mode: there are no resources at all.
    Idle,
}
