//! The state of each resource, readable at any moment.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    board::Board,
    event::{LoadProblem, Wake},
    failure::Failure,
};

/// The state of a resource at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What the resource waits for.
    pub state: State,
    /// The time when this state began.
    pub since: SystemTime,
    /// The last data that was completely applied: the file is in place and its reload, if any, has
    /// succeeded. `None` before the first time.
    pub applied: Option<Applied>,
    /// The work that is still to be done for new data or for a failed pass.
    pub pending: Option<Pending>,
    /// The last failure; `None` after a successful pass.
    pub error: Option<LastError>,
    /// The time since which something is known that is not applied: new keys, a new template, a failed
    /// pass. `None` if the newest known data is applied.
    pub behind_since: Option<SystemTime>,
    /// Whether the process is ready only when this resource is applied.
    pub is_required: bool,
    /// The destinations, for people. That of items is as the resource file has it.
    pub dests: Vec<String>,
}

impl Status {
    /// Whether the newest known data is applied.
    pub fn is_applied(&self) -> bool {
        self.applied.is_some() && self.behind_since.is_none()
    }

    /// Why the newest known data is not applied, in one line for people; `None` if it is.
    pub fn obstacle(&self) -> Option<String> {
        if self.is_applied() {
            return None;
        }
        Some(match (&self.state, &self.error) {
            (State::Failed, Some(last)) => last.failure.explained(),
            (State::Working, _) => "newer data is not applied yet".to_owned(),
            (state, Some(last)) => format!("{state}: {}", last.failure.explained()),
            (state, None) => state.to_string(),
        })
    }
}

/// What a resource waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// Its first keys: the source has not answered, or refuses to show them.
    WaitingForKeys,
    /// Answers to what its template asks: the names of the queries that are missing.
    WaitingForAnswers(Vec<String>),
    /// Keys that its template asks for and that do not exist, for people. The file stays as it is
    /// (`on_missing = "keep"`).
    WaitingForMissingKeys(Vec<String>),
    /// The end of a pass, which is due or running.
    Working,
    /// The next change: everything is applied.
    InSync,
    /// The next change, or the end of a hold: a person has put an older version back, and newer content
    /// is held.
    Held {
        /// The number of the version in place; `None` if it is none that is kept.
        version: Option<u64>,
    },
    /// A run that changes files: the file differs, and `noop` leaves it as it is.
    WouldChange,
    /// The next try or a correction: the last pass failed.
    Failed,
}

impl State {
    /// A stable word for programs.
    pub fn word(&self) -> &'static str {
        match self {
            State::WaitingForKeys => "waiting_for_keys",
            State::WaitingForAnswers(_) => "waiting_for_answers",
            State::WaitingForMissingKeys(_) => "waiting_for_missing_keys",
            State::Working => "working",
            State::InSync => "in_sync",
            State::Held { .. } => "held",
            State::WouldChange => "would_change",
            State::Failed => "failed",
        }
    }

    /// The words of all states.
    pub const WORDS: [&str; 8] = [
        "waiting_for_keys",
        "waiting_for_answers",
        "waiting_for_missing_keys",
        "working",
        "in_sync",
        "held",
        "would_change",
        "failed",
    ];
}

impl fmt::Display for State {
    /// A text for people: `waiting for health.service(web|passing)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::WaitingForKeys => f.write_str("waiting for keys"),
            State::WaitingForAnswers(queries) => write!(f, "waiting for {}", queries.join(", ")),
            State::WaitingForMissingKeys(keys) => write!(f, "waiting for {}", keys.join(", ")),
            State::Working => f.write_str("working"),
            State::InSync => f.write_str("in sync"),
            State::Held { version: Some(version) } => write!(f, "held at version {version}"),
            State::Held { version: None } => f.write_str("held"),
            State::WouldChange => f.write_str("would change, but for noop"),
            State::Failed => f.write_str("failed"),
        }
    }
}

/// Data that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision of the keys; 0 if the source has no revisions.
    pub revision: u64,
    /// The time when a pass last found or made it so.
    pub at: SystemTime,
    /// The duration of that pass.
    pub took: Duration,
}

/// The work that is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whether the file is in place and only its reload is pending.
    pub only_reload: bool,
    /// Whether the reload of a file that is in place has failed, whatever else is to be done.
    pub has_reload: bool,
    /// The reason for the pass.
    pub wake: Wake,
    /// The latest time of the next try. `None` if a pass is running, or if only a change, a signal
    /// or another run starts the next try.
    pub next_try: Option<SystemTime>,
}

/// A failure and its time.
#[derive(Clone, Debug)]
pub struct LastError {
    /// The failure.
    pub failure: Arc<Failure>,
    /// The time of the first failure of this kind in a row.
    pub since: SystemTime,
}

/// The state of a run at one moment.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Whether the resources were loaded for the first time.
    pub is_loaded: bool,
    /// The states of all resources, by name.
    pub resources: BTreeMap<String, Status>,
    /// What cannot be loaded. Of a resource that was loaded before, the version in use stays.
    pub problems: Vec<LoadProblem>,
    /// Why the source does not answer, and since when; `None` if it answers.
    pub source_error: Option<LastError>,
}

impl Overview {
    /// Why the process is not ready: each resource with its reason. Empty if every required resource has
    /// applied its newest data and every resource file can be used.
    pub fn obstacles(&self) -> Vec<(&str, String)> {
        let problems = self.problems.iter();
        let mut obstacles: Vec<_> =
            problems.map(|problem| (&*problem.name, problem.text.clone())).collect();
        let required = self.resources.iter().filter(|(_, status)| status.is_required);
        obstacles.extend(required.filter_map(|(name, status)| Some((&**name, status.obstacle()?))));
        obstacles
    }

    /// That every required resource has applied its newest data, and how many resources there are, for
    /// people. It is for an overview that [`is_ready`](Self::is_ready).
    pub fn summary(&self) -> String {
        let all = self.resources.len();
        let others = self.resources.values().filter(|status| !status.is_applied()).count();
        match others {
            0 => format!("all resources are applied ({all})"),
            1 => format!("all required resources are applied ({}), and 1 other is not", all - 1),
            others => {
                let applied = all - others;
                format!(
                    "all required resources are applied ({applied}), and {others} others are not"
                )
            }
        }
    }

    /// Whether every required resource has applied its newest data.
    pub fn is_ready(&self) -> bool {
        self.is_loaded && are_ready(&self.problems, self.resources.values())
    }
}

/// Whether there are neither problems nor required resources that are not applied.
pub(crate) fn are_ready<'s>(
    problems: &[LoadProblem],
    statuses: impl IntoIterator<Item = &'s Status>,
) -> bool {
    let mut required = statuses.into_iter().filter(|status| status.is_required);
    problems.is_empty() && required.all(Status::is_applied)
}

/// Reads the states of an agent's resources from outside, at any moment. A clone is cheap.
#[derive(Clone)]
pub struct Handle {
    board: Arc<Board>,
}

impl Handle {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Handle { board }
    }

    /// The states of all resources, by name.
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        self.board.overview().resources
    }

    /// The state of the whole run at this moment.
    pub fn overview(&self) -> Overview {
        self.board.overview()
    }

    /// Whether every required resource has applied its newest data, as of
    /// [`Overview::is_ready`]. Nothing is copied.
    pub fn is_ready(&self) -> bool {
        self.board.is_ready()
    }

    /// The state of the resource `name`, which is the path of its file below `conf.d`, without
    /// `.toml`.
    pub fn status(&self, name: &str) -> Option<Status> {
        self.board.status(name)
    }
}
