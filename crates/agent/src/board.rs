//! Keeps the state of each resource, as a reader of events.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use deploy::{Level, Outcome};

use crate::{
    event::{Event, LoadProblem, Reader, Step, Wake},
    failure::{Failure, Kind},
    resource::Resource,
    status::{Applied, LastError, Overview, Pending, State, Status, are_ready},
    versions::HeldVersion,
};

/// The states by the names of the resources.
type States = HashMap<Arc<str>, Status, foldhash::fast::RandomState>;

/// Keeps the states.
#[derive(Default)]
pub(crate) struct Board(Mutex<Seen>);

#[derive(Default)]
struct Seen {
    is_loaded: bool,
    states: States,
    problems: Vec<LoadProblem>,
    source_error: Option<LastError>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the whole run.
    pub(crate) fn overview(&self) -> Overview {
        let seen = self.lock();
        let states = seen.states.iter();
        Overview {
            is_loaded: seen.is_loaded,
            resources: states.map(|(name, status)| (name.to_string(), status.clone())).collect(),
            problems: seen.problems.clone(),
            source_error: seen.source_error.clone(),
        }
    }

    /// Whether every required resource has applied its newest data. It ends at the first one that has not.
    pub(crate) fn is_ready(&self) -> bool {
        let seen = self.lock();
        seen.is_loaded && are_ready(&seen.problems, seen.states.values())
    }

    /// The state of the resource `name`.
    pub(crate) fn status(&self, name: &str) -> Option<Status> {
        self.lock().states.get(name).cloned()
    }

    fn update(&self, resource: &Resource, change: impl FnOnce(&mut Status)) {
        if let Some(status) = self.lock().states.get_mut(&**resource.name()) {
            change(status);
        }
    }
}

impl Seen {
    /// Removes the last errors of this kind.
    fn forget_errors(&mut self, kind: Kind) {
        for status in self.states.values_mut() {
            status.error.take_if(|last| last.failure.kind() == kind);
        }
    }
}

impl Status {
    fn of(resource: &Resource) -> Self {
        let now = SystemTime::now();
        Status {
            state: State::WaitingForKeys,
            since: now,
            applied: None,
            pending: None,
            error: None,
            behind_since: Some(now),
            is_required: resource.is_required(),
            dests: resource.dests().map(|dest| dest.display().to_string()).collect(),
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
        self.behind_since.get_or_insert(now);
        self.error = Some(LastError::after(self.error.as_ref(), failure));
        let wake = self.pending.take().map_or(Wake::Retry, |pending| pending.wake);
        let only_reload =
            matches!(failure.kind(), Kind::Reload | Kind::Health | Kind::PendingReload);
        let next_try = retry.map(|delay| now + delay);
        let has_reload = failure.leaves_a_reload();
        self.pending = Some(Pending { only_reload, has_reload, wake, next_try });
    }

    /// The same state, for a newer version of the resource.
    fn also_of(self, resource: &Resource) -> Self {
        let Status { is_required, dests, .. } = Status::of(resource);
        Status { is_required, dests, ..self }
    }
}

impl LastError {
    /// This failure, since the first one with the same text in a row.
    fn after(last: Option<&LastError>, failure: &Arc<Failure>) -> Self {
        let same = |last: &&LastError| last.failure.to_string() == failure.to_string();
        let since = last.filter(same).map_or_else(SystemTime::now, |last| last.since);
        LastError { failure: Arc::clone(failure), since }
    }
}

impl Board {
    /// Notes that these resources get no newer data. What they have applied stays as it is.
    fn lacks_news(&self, resources: &[Arc<Resource>], failure: &Arc<Failure>) {
        for resource in resources {
            self.update(resource, |status| {
                status.error = Some(LastError::after(status.error.as_ref(), failure));
            });
        }
    }
}

impl Reader for Board {
    fn read(&self, event: &Event<'_>) {
        match event {
            Event::Assigned(resources) => {
                let mut seen = self.lock();
                seen.is_loaded = true;
                let mut before = std::mem::take(&mut seen.states);
                seen.states.extend(resources.iter().map(|resource| {
                    let status = match before.remove(&**resource.name()) {
                        Some(status) => status.also_of(resource),
                        None => Status::of(resource),
                    };
                    (Arc::clone(resource.name()), status)
                }));
            }
            Event::Loaded { problems } => self.lock().problems.clone_from(problems),
            Event::Woken { resource, wake } => self.update(resource, |status| {
                status.enter(State::Working);
                if wake.is_news() {
                    status.behind_since.get_or_insert_with(SystemTime::now);
                }
                let (wake, has_reload) = match status.pending.take() {
                    Some(pending) => (pending.wake.and(wake.clone()), pending.has_reload),
                    None => (wake.clone(), false),
                };
                status.pending =
                    Some(Pending { only_reload: false, has_reload, wake, next_try: None });
            }),
            Event::Done { resource, outcome: Outcome::WouldUpdate, .. } => {
                self.update(resource, |status| {
                    status.enter(State::WouldChange);
                    status.behind_since.get_or_insert_with(SystemTime::now);
                    (status.pending, status.error) = (None, None);
                });
            }
            Event::Done { resource, revision, took, held, .. } => self.update(resource, |status| {
                status.enter(match held {
                    Some(HeldVersion { number: version }) => State::Held { version: *version },
                    None => State::InSync,
                });
                status.behind_since = None;
                let (revision, took) = (*revision, *took);
                status.applied = Some(Applied { revision, at: SystemTime::now(), took });
                (status.pending, status.error) = (None, None);
            }),
            Event::Kept { resource, keys } => self.update(resource, |status| {
                status.behind_since.get_or_insert_with(SystemTime::now);
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
                status.behind_since.get_or_insert_with(SystemTime::now);
            }),
            Event::SourceFailed { resources, failure } => {
                self.lacks_news(resources, failure);
                let last = &mut self.lock().source_error;
                *last = Some(LastError::after(last.as_ref(), failure));
            }
            Event::QueryFailed { resources, failure } => self.lacks_news(resources, failure),
            Event::SourceRecovered => {
                let mut seen = self.lock();
                seen.source_error = None;
                seen.forget_errors(Kind::Source);
            }
            Event::QueriesRecovered => self.lock().forget_errors(Kind::Query),
            // Also where no newer keys can be had, so that nothing else says it.
            Event::Step { resource, step: Step::Deploy(deploy::Step::Reloaded { .. }) } => {
                self.update(resource, |status| {
                    if let Some(pending) = &mut status.pending {
                        pending.has_reload = false;
                    }
                });
            }
            Event::Reading
            | Event::Ran { .. }
            | Event::Replaced { .. }
            | Event::NotLoaded { .. }
            | Event::QueryWarning { .. }
            | Event::RunStep { .. }
            | Event::RunFailed { .. }
            | Event::Step { .. }
            | Event::Proposed { .. }
            | Event::PassEnded { .. } => {}
        }
    }

    fn wants(&self, level: Level) -> bool {
        // That of a reload.
        level == Level::Info
    }

    fn wants_step(&self, _: &Step<'_>) -> bool {
        false
    }
}
