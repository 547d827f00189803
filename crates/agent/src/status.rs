//! The state of each resource, readable at any moment.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use crate::{
    event::{Event, Reader, Wake},
    failure::{Failure, Kind},
    resource::Resource,
};

/// The state of a resource at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// What the resource waits for, and since when.
    pub state: State,
    /// When it came to be in this state.
    pub since: SystemTime,
    /// The last data that was applied completely: the file is in place *and* the reload is done.
    /// `None` until the first time.
    pub applied: Option<Applied>,
    /// What is still to be done for data that has come, or for a pass that failed.
    pub pending: Option<Pending>,
    /// The last failure, until a pass succeeds.
    pub error: Option<LastError>,
}

/// What a resource waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// For its first keys: the source has not answered, or refuses them.
    WaitingForKeys,
    /// For its turn, a thread or a command: a pass is due or under way.
    Working,
    /// For the next change: everything is applied.
    InSync,
    /// For the next try, or for a person: the last pass failed.
    Failed,
}

/// Data that was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The revision of the keys, as the source counts; 0 where the source has none.
    pub revision: u64,
    /// When it was found to be applied the last time.
    pub at: SystemTime,
    /// How long that pass took.
    pub took: Duration,
}

/// What is still to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Whether the file is in place and only its reload is owed.
    pub only_reload: bool,
    /// What the pass is for.
    pub wake: Wake,
    /// When it is tried again at the latest; `None` if it is under way, or if only a change, a
    /// signal or another run tries it again.
    pub next_try: Option<SystemTime>,
}

/// A failure and its time.
#[derive(Clone, Debug)]
pub struct LastError {
    /// What failed.
    pub failure: Arc<Failure>,
    /// When it failed like this for the first time in a row.
    pub since: SystemTime,
}

/// Reads the state of an agent from outside, at any moment; a copy is cheap.
#[derive(Clone)]
pub struct Handle {
    board: Arc<Board>,
}

impl Handle {
    pub(crate) fn new(board: Arc<Board>) -> Self {
        Handle { board }
    }

    /// The states of all resources that are looked after, by their names.
    pub fn statuses(&self) -> BTreeMap<String, Status> {
        self.board.lock().clone()
    }

    /// The state of the resource `name`: its file's path below `conf.d`, without `.toml`.
    pub fn status(&self, name: &str) -> Option<Status> {
        self.board.lock().get(name).cloned()
    }
}

/// Keeps the states, as a reader of events.
#[derive(Default)]
pub(crate) struct Board(Mutex<BTreeMap<String, Status>>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Status>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn update(&self, resource: &Resource, change: impl FnOnce(&mut Status)) {
        if let Some(status) = self.lock().get_mut(resource.name()) {
            change(status);
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
        let only_reload = matches!(failure.kind(), Kind::Reload | Kind::OwedReload);
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
                let names = resources.iter().map(|resource| resource.name().to_owned());
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
            Event::Failed { resource, failure, retry } => {
                self.update(resource, |status| status.failed(failure, *retry));
            }
            Event::SourceFailed { resources, failure } => {
                for resource in resources {
                    self.update(resource, |status| {
                        let (state, pending) = (status.state.clone(), status.pending.clone());
                        status.failed(failure, None);
                        // What was applied stays so; only newer keys cannot be had.
                        status.enter(state);
                        status.pending = pending;
                    });
                }
            }
            Event::SourceRecovered => {
                for status in self.lock().values_mut() {
                    let is_of_source =
                        |last: &LastError| matches!(last.failure.kind(), Kind::Source);
                    if status.error.as_ref().is_some_and(is_of_source) {
                        status.error = None;
                    }
                }
            }
            Event::Reading
            | Event::NotLoaded { .. }
            | Event::RunStep { .. }
            | Event::RunFailed { .. }
            | Event::Step { .. }
            | Event::PassEnded { .. } => {}
        }
    }
}
