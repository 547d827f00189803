//! Watch mode: one feed from the backend, one worker a resource, and who is woken by what.

use std::{collections::HashMap, path::PathBuf, sync::Arc};

use backend::Backend;
use deploy::Options;
use render::Host;
use store::{Scope, Snapshot};
use tokio::{sync::watch, task::JoinSet};
use tracing::{error, info, warn};

use crate::{
    feed::{Feed, State},
    load::Loaded,
    resource::Resource,
    settings::{Pace, Schedule, Settings},
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
}

/// One resource and its worker.
struct Member {
    resource: Arc<Resource>,
    /// The newest state; `None` until the feed has given the first for this resource's scope.
    snapshot: Option<Snapshot>,
    /// `None` until there is something to do.
    worker: Option<watch::Sender<Assignment>>,
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
        deploy::sweep(fresh.iter().map(|resource| resource.target.dest.as_path()));
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
        for nth in 0..self.members.len() {
            self.wake(nth);
        }
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
            Some(ended) = self.workers.join_next() => {
                if let Err(panic) = ended {
                    error!("a worker ended early and is started anew: {panic}");
                    for nth in 0..self.members.len() {
                        if self.members[nth].worker.as_ref().is_some_and(|w| w.is_closed()) {
                            self.wake(nth);
                        }
                    }
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
        let mut concerned = Vec::new();
        for (nth, member) in self.members.iter_mut().enumerate() {
            let scope = &member.resource.scope;
            let place = feed.scopes().binary_search(scope).ok();
            let place = place.and_then(|place| update.snapshots.get(place));
            let Some(Some(snapshot)) = place else { continue };
            let wake = match (&member.snapshot, &update.changed) {
                (None, _) => true,
                (Some(_), Some(keys)) => {
                    keys.iter().any(|key| scope.asks_for(snapshot.coverage(), key))
                }
                (Some(before), None) => !before.agrees_with(snapshot, scope),
            };
            member.snapshot = Some(snapshot.clone());
            if wake {
                concerned.push(nth);
            }
        }
        for nth in concerned {
            self.wake(nth);
        }
    }

    /// Gives a member its newest assignment, if it has a state to work on.
    fn wake(&mut self, nth: usize) {
        let options: Options = self.settings.options();
        let member = &mut self.members[nth];
        let Some(snapshot) = &member.snapshot else { return };
        let turn = self.turns.entry(member.resource.target.dest.clone()).or_default();
        let assignment = Assignment {
            turn: Arc::clone(turn),
            resource: Arc::clone(&member.resource),
            snapshot: snapshot.clone(),
            options,
            pace: self.pace,
        };
        let refused = match &member.worker {
            Some(worker) => worker.send(assignment).err().map(|refused| refused.0),
            None => Some(assignment),
        };
        if let Some(assignment) = refused {
            let (sender, receiver) = watch::channel(assignment);
            member.worker = Some(sender);
            let templates = self.settings.templates();
            self.workers.spawn(worker::work(receiver, templates, Arc::clone(&self.host)));
        }
    }
}
