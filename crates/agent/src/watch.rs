//! Watch mode: one feed from the backend, one worker a resource, and who is woken by what.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use backend::Backend;
use bytes::Bytes;
use deploy::Options;
use store::{Scope, Snapshot};
use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, error, info, warn};
use world::Host;

use crate::{
    applied::{Applied, Report},
    feed::{Feed, State},
    load::Loaded,
    resource::Resource,
    settings::{Pace, Schedule, Settings},
    steps::Logged,
    worker::{self, Assignment, Turn},
};

/// The workers of all resources, and what they are fed from.
pub(crate) struct Crew {
    host: Arc<dyn Host>,
    settings: Settings,
    pace: Pace,
    feed: Option<Feed>,
    members: Vec<Member>,
    /// For each destination, whose turn it is there.
    turns: HashMap<PathBuf, Turn>,
    workers: JoinSet<()>,
    /// Looks at the files of members that no changed key concerns; gives the assignments of those
    /// whose files are not as they were.
    looks: JoinSet<Vec<u64>>,
    /// The number of the newest assignment.
    assignments: u64,
}

/// One resource and its worker.
struct Member {
    resource: Arc<Resource>,
    /// The newest state; `None` until the feed has given the first for this resource's scope.
    snapshot: Option<Snapshot>,
    /// `None` until there is something to do.
    worker: Option<Worker>,
}

/// How a worker is talked to.
struct Worker {
    /// The number of its newest assignment.
    newest: u64,
    assignments: watch::Sender<Assignment>,
    report: Report,
}

/// What an update means for a resource.
enum News {
    None,
    /// It asks for a key that has changed, but its file stays the same if it still is the same.
    Look(Arc<Applied>),
    Wake,
}

impl Member {
    /// What the change of these keys means. `snapshot` is the state behind it.
    fn news(&self, snapshot: &Snapshot, changed: &[Bytes]) -> News {
        let scope = &self.resource.scope;
        let asks_for = |key: &&Bytes| scope.asks_for(snapshot.coverage(), key);
        let mut own = changed.iter().filter(asks_for).peekable();
        if own.peek().is_none() {
            return News::None;
        }
        let applied = self.worker.as_ref().and_then(|worker| worker.report.of(worker.newest));
        match applied {
            Some(applied) if !own.any(|key| applied.is_concerned_by(key)) => News::Look(applied),
            _ => News::Wake,
        }
    }
}

impl Crew {
    /// A crew without members.
    pub(crate) fn new(host: Arc<dyn Host>, settings: &Settings) -> Self {
        Self {
            host,
            settings: settings.clone(),
            pace: Pace::default(),
            feed: None,
            members: Vec::new(),
            turns: HashMap::new(),
            workers: JoinSet::new(),
            looks: JoinSet::new(),
            assignments: 0,
        }
    }

    /// Takes in the resources that there are now, to be worked on by `settings`.
    ///
    /// New ones get a worker, those that are gone lose theirs after what it is at, and those that
    /// are there already get a pass, so that changed resource files and templates are taken in. One
    /// whose file cannot be read any more goes on as it was.
    pub(crate) fn assign(
        &mut self,
        loaded: Loaded,
        settings: &Settings,
        backend: &Arc<dyn Backend>,
        schedule: &Schedule,
    ) {
        self.settings = settings.clone();
        self.pace = schedule.pace;
        let mut before: HashMap<PathBuf, Member> =
            self.members.drain(..).map(|member| (member.resource.path.clone(), member)).collect();
        let fresh: Vec<&Resource> = loaded
            .resources
            .iter()
            .map(|resource| &**resource)
            .filter(|resource| !before.contains_key(&resource.path))
            .collect();
        let dests = fresh.iter().map(|resource| resource.target.dest.as_path());
        deploy::sweep(dests, &settings.options(), &Logged);
        for resource in loaded.resources {
            let known = before.remove(&resource.path);
            let same_scope = |member: &Member| member.resource.scope == resource.scope;
            let (snapshot, worker) = match known {
                Some(member) if same_scope(&member) => (member.snapshot, member.worker),
                Some(member) => (None, member.worker),
                None => (None, None),
            };
            self.members.push(Member { resource, snapshot, worker });
        }
        for path in loaded.broken {
            if let Some(member) = before.remove(&path) {
                warn!("{}: the version in use stays", path.display());
                self.members.push(member);
            }
        }
        for path in before.into_keys() {
            info!("{} is gone: its file is no longer kept up to date", path.display());
        }
        // Those that a worker still holds are kept, whether it has been dismissed or not.
        self.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        let all: Vec<usize> = (0..self.members.len()).collect();
        self.wake_each(&all);
        let scopes = self.scopes();
        self.feed = Some(Feed::new(Arc::clone(backend), scopes, schedule));
    }

    /// Takes the next state from the feed and wakes those it concerns. Dropping the future loses
    /// nothing.
    pub(crate) async fn follow(&mut self) {
        let feed = async {
            match &mut self.feed {
                Some(feed) => feed.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            update = feed => self.take(&update),
            Some(looked) = self.looks.join_next() => match looked {
                Ok(assignments) => {
                    self.wake_those(|worker| assignments.contains(&worker.newest));
                }
                Err(panic) => {
                    error!("looking at files ended early: {panic}");
                    self.wake_those(|_| true);
                }
            },
            Some(ended) = self.workers.join_next() => {
                if let Err(panic) = ended {
                    error!("a worker ended early and is started anew: {panic}");
                    self.wake_those(|worker| worker.assignments.is_closed());
                }
            }
        }
    }

    /// Ends all workers after what they are at.
    pub(crate) async fn dismiss(mut self) {
        self.members.clear();
        while self.workers.join_next().await.is_some() {}
    }

    /// Every distinct scope, once and in order, so that a resource's is found by it.
    fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<Scope> =
            self.members.iter().map(|member| member.resource.scope.clone()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    fn take(&mut self, update: &State) {
        let Some(feed) = &self.feed else { return };
        let (mut concerned, mut looks) = (Vec::new(), Vec::new());
        for (nth, member) in self.members.iter_mut().enumerate() {
            let scope = &member.resource.scope;
            let place = feed.scopes().binary_search(scope).ok();
            let place = place.and_then(|place| update.snapshots.get(place));
            let Some(Some(snapshot)) = place else { continue };
            let news = match (&member.snapshot, &update.changed) {
                (None, _) => News::Wake,
                (Some(_), Some(keys)) => member.news(snapshot, keys),
                (Some(before), None) if before.agrees_with(snapshot, scope) => News::None,
                (Some(_), None) => News::Wake,
            };
            member.snapshot = Some(snapshot.clone());
            match news {
                News::None => {}
                News::Look(applied) => looks.push(applied),
                News::Wake => concerned.push(nth),
            }
        }
        self.wake_each(&concerned);
        if !looks.is_empty() {
            debug!("{} resources do not use what has changed", looks.len());
            self.looks.spawn_blocking(move || {
                looks.retain(|applied| !applied.has_its_files());
                looks.iter().map(|applied| applied.assignment).collect()
            });
        }
    }

    /// Gives the members with such workers their newest assignments.
    fn wake_those(&mut self, which: impl Fn(&Worker) -> bool) {
        let has = |member: &Member| member.worker.as_ref().is_some_and(&which);
        let members = self.members.iter().enumerate();
        let those: Vec<usize> =
            members.filter(|(_, member)| has(member)).map(|(nth, _)| nth).collect();
        self.wake_each(&those);
    }

    /// Gives these members their newest assignments.
    fn wake_each(&mut self, members: &[usize]) {
        for &nth in members {
            self.wake(nth, members.len() == 1);
        }
    }

    /// Gives a member its newest assignment, if it has a state to work on.
    fn wake(&mut self, nth: usize, is_alone: bool) {
        let options: Options = self.settings.options();
        let member = &mut self.members[nth];
        let Some(snapshot) = &member.snapshot else { return };
        let turn = self.turns.entry(member.resource.target.dest.clone()).or_default();
        self.assignments += 1;
        let number = self.assignments;
        let assignment = Assignment {
            number,
            is_alone,
            turn: Arc::clone(turn),
            resource: Arc::clone(&member.resource),
            snapshot: snapshot.clone(),
            options,
            pace: self.pace,
        };
        let refused = match &mut member.worker {
            Some(worker) => {
                worker.newest = number;
                worker.assignments.send(assignment).err().map(|refused| refused.0)
            }
            None => Some(assignment),
        };
        if let Some(assignment) = refused {
            let (assignments, receiver) = watch::channel(assignment);
            let report = Report::default();
            member.worker = Some(Worker { newest: number, assignments, report: report.clone() });
            let (templates, host) = (self.settings.templates(), Arc::clone(&self.host));
            self.workers.spawn(worker::work(receiver, templates, host, report));
        }
    }
}
