//! The state of each resource, readable at any moment.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use deploy::Level;

use crate::{
    event::{Event, Reader, Wake},
    failure::{Failure, Kind},
    resource::Resource,
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
    /// The next try or a correction: the last pass failed.
    Failed,
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
        let board = self.board.lock();
        board.iter().map(|(name, status)| (name.to_string(), status.clone())).collect()
    }

    /// The state of the resource `name`, which is the path of its file below `conf.d`, without
    /// `.toml`.
    pub fn status(&self, name: &str) -> Option<Status> {
        self.board.lock().get(name).cloned()
    }
}

/// The states by the names of the resources.
type States = HashMap<Arc<str>, Status, foldhash::fast::RandomState>;

/// Keeps the states, as a reader of events.
#[derive(Default)]
pub(crate) struct Board(Mutex<States>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, resource: &Resource, change: impl FnOnce(&mut Status)) {
        if let Some(status) = self.lock().get_mut(&**resource.name()) {
            change(status);
        }
    }
}

impl Board {
    /// Removes the last errors of this kind.
    fn forget_errors(&self, kind: Kind) {
        for status in self.lock().values_mut() {
            status.error.take_if(|last| last.failure.kind() == kind);
        }
    }
}

impl Status {
    fn new() -> Self {
        Status {
            state: State::WaitingForKeys,
            since: SystemTime::now(),
            applied: None,
            pending: None,
            error: None,
        }
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.since = SystemTime::now();
        }
    }

    fn failed(&mut self, failure: &Arc<Failure>, retry: Option<Duration>) {
        let now = SystemTime::now();
        self.enter(State::Failed);
        let same = |last: &&LastError| last.failure.to_string() == failure.to_string();
        let since = self.error.as_ref().filter(same).map_or(now, |last| last.since);
        self.error = Some(LastError { failure: Arc::clone(failure), since });
        let wake = self.pending.take().map_or(Wake::Retry, |pending| pending.wake);
        let only_reload =
            matches!(failure.kind(), Kind::Reload | Kind::Health | Kind::PendingReload);
        let next_try = retry.map(|delay| now + delay);
        self.pending = Some(Pending { only_reload, wake, next_try });
    }
}

impl Reader for Board {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Assigned(resources) => {
                let mut board = self.lock();
                let mut before = std::mem::take(&mut *board);
                let names = resources.iter().map(|resource| Arc::clone(resource.name()));
                board.extend(names.map(|name| {
                    let status = before.remove(&name).unwrap_or_else(Status::new);
                    (name, status)
                }));
            }
            Event::Woken { resource, wake } => self.update(resource, |status| {
                status.enter(State::Working);
                let wake = match status.pending.take() {
                    Some(pending) => pending.wake.and(wake.clone()),
                    None => wake.clone(),
                };
                status.pending = Some(Pending { only_reload: false, wake, next_try: None });
            }),
            Event::Done { resource, revision, took, .. } => self.update(resource, |status| {
                status.enter(State::InSync);
                let (revision, took) = (*revision, *took);
                status.applied = Some(Applied { revision, at: SystemTime::now(), took });
                (status.pending, status.error) = (None, None);
            }),
            Event::Kept { resource, keys } => self.update(resource, |status| {
                status.enter(State::WaitingForMissingKeys(keys.clone()));
                (status.pending, status.error) = (None, None);
            }),
            Event::Failed { resource, failure, retry } => {
                self.update(resource, |status| status.failed(failure, *retry));
            }
            Event::Waits { resource, queries } => self.update(resource, |status| {
                status.enter(State::WaitingForAnswers(queries.clone()));
                // The failure of a query says why the resource still waits.
                status.error.take_if(|last| last.failure.kind() != Kind::Query);
                status.pending = None;
            }),
            Event::SourceFailed { resources, failure }
            | Event::QueryFailed { resources, failure } => {
                for resource in resources {
                    self.update(resource, |status| {
                        let (state, pending) = (status.state.clone(), status.pending.clone());
                        status.failed(failure, None);
                        // The applied data stays as it is; only newer keys are missing.
                        status.enter(state);
                        status.pending = pending;
                    });
                }
            }
            Event::SourceRecovered => self.forget_errors(Kind::Source),
            Event::QueriesRecovered => self.forget_errors(Kind::Query),
            Event::Reading
            | Event::NotLoaded { .. }
            | Event::QueryWarning { .. }
            | Event::RunStep { .. }
            | Event::RunFailed { .. }
            | Event::Step { .. }
            | Event::PassEnded { .. } => {}
        }
    }

    fn wants(&self, _: Level) -> bool {
        false
    }
}
