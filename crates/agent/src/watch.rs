//! Watch mode: follows the keys and the files, and wakes the worker of each resource that a change
//! concerns.

mod member;

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use deploy::{Disk, Runner};
use source::{Feed, Source, State, backoff::jittered};
use store::{Scope, Snapshot};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::{debug, error, info, warn};
use world::Host;

use self::member::{Member, News, Worker};
use crate::{
    answers::Answers,
    event::{Event, Reader as _, Readers, Wake},
    failure::Failure,
    files::Files,
    loading::{Broken, Loaded},
    overlap::overlap_of_commands,
    pipeline::Pipeline,
    record::{Left, Record},
    reloads::Reloads,
    resource::{Part, Resource},
    settings::{Pace, Schedule, Settings},
    worker::DestinationLock,
};

/// The resources of watch mode and their workers.
pub(crate) struct Watching {
    host: Arc<dyn Host>,
    runner: Arc<dyn Runner>,
    answers: Arc<Answers>,
    readers: Readers,
    pipeline: Arc<Pipeline>,
    pace: Pace,
    confdir: PathBuf,
    feed: Option<Feed>,
    /// Whether the source has failed and not answered since.
    source_is_down: bool,
    files: Files,
    /// The time between two reconciles.
    reconcile: Duration,
    next_reconcile: Instant,
    members: Vec<Member>,
    /// The lock of each destination, which its workers share.
    locks: HashMap<PathBuf, DestinationLock>,
    reloads: Reloads,
    workers: JoinSet<()>,
    /// Checks of files. The results are the members that need a pass, by the number of their newest
    /// assignment.
    looks: JoinSet<Vec<(u64, Wake)>>,
    /// Notified when a resource has other files than before.
    other_files: Arc<Notify>,
    /// The number of the newest assignment.
    assignments: u64,
}

/// The members that get a pass when resources are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Assign {
    /// All members, after a signal or a new configuration.
    All,
    /// The members whose resource file is new or has changed.
    Changed,
}

/// What the caller of [`Watching::follow`] has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// Nothing.
    Done,
    /// Read `conf.d` again, because something in it may have changed.
    Resources,
}

impl Watching {
    /// A set without resources. [`assign`](Self::assign) replaces `pipeline`.
    pub(crate) fn new(
        host: Arc<dyn Host>,
        runner: Arc<dyn Runner>,
        answers: Arc<Answers>,
        readers: Readers,
        settings: &Settings,
    ) -> Self {
        let pipeline = Arc::new(settings.pipeline(&host, &runner, &answers, true));
        Self {
            host,
            runner,
            answers,
            readers,
            pipeline,
            pace: Pace::default(),
            confdir: settings.confdir.clone(),
            feed: None,
            source_is_down: false,
            files: Files::new(),
            reconcile: Duration::MAX,
            next_reconcile: Instant::now(),
            members: Vec::new(),
            locks: HashMap::new(),
            reloads: Reloads::new(overlap_of_commands()),
            workers: JoinSet::new(),
            looks: JoinSet::new(),
            other_files: Arc::default(),
            assignments: 0,
        }
    }

    /// Uses these settings from now on, and a new source if `source_is_new`.
    pub(crate) fn configure(
        &mut self,
        settings: &Settings,
        schedule: &Schedule,
        source_is_new: bool,
    ) {
        if source_is_new {
            self.feed = None;
        }
        self.pipeline = Arc::new(match settings.confdir == self.confdir {
            true => self.pipeline.with_settings(settings),
            false => settings.pipeline(&self.host, &self.runner, &self.answers, true),
        });
        self.confdir = settings.confdir.clone();
        self.pace = schedule.pace;
        self.reconcile = schedule.reconcile;
        self.next_reconcile = Instant::now() + jittered(schedule.reconcile);
    }

    /// Replaces the resources.
    ///
    /// New resources get a worker. Removed resources lose theirs after the running pass. `which`
    /// selects the other resources that get a pass. A resource whose file is no longer valid stays
    /// as it was.
    pub(crate) fn assign(
        &mut self,
        loaded: Loaded,
        which: Assign,
        source: &Arc<dyn Source>,
        schedule: &Schedule,
    ) {
        // The known states of scopes that earlier resources ask for. A new source has no states
        // yet.
        let followed = self.members.iter().filter(|_| self.feed.is_some());
        let known: HashMap<Scope, Snapshot> = followed
            .filter_map(|member| Some((member.resource.scope.clone(), member.snapshot.clone()?)))
            .collect();
        let mut before: HashMap<PathBuf, Member> =
            self.members.drain(..).map(|member| (member.resource.path.clone(), member)).collect();
        let mut woken = Vec::new();
        for resource in loaded.resources {
            let member = match before.remove(&resource.path) {
                Some(member)
                    if which == Assign::Changed && member.resource.is_same_as(&resource) =>
                {
                    member
                }
                Some(member) => {
                    woken.push((self.members.len(), Wake::Configuration));
                    let same_scope = member.resource.scope == resource.scope;
                    let of_others = || known.get(&resource.scope).cloned();
                    let snapshot = member.snapshot.filter(|_| same_scope).or_else(of_others);
                    // Without keys for the new definition, the old one must not go on.
                    let worker = member.worker.filter(|_| snapshot.is_some());
                    let no_keys = member.no_keys.filter(|_| same_scope);
                    // A refusal of other keys has not been reported yet.
                    let is_refused = member.is_refused && same_scope;
                    let after = Vec::new();
                    Member { resource, snapshot, no_keys, worker, is_refused, after }
                }
                None => {
                    woken.push((self.members.len(), Wake::Start));
                    let snapshot = known.get(&resource.scope).cloned();
                    Member {
                        resource,
                        snapshot,
                        no_keys: None,
                        is_refused: false,
                        worker: None,
                        after: Vec::new(),
                    }
                }
            };
            self.members.push(member);
        }
        for Broken { path, is_news } in loaded.broken {
            let found = before.values().find(|member| member.has(&path));
            let found = found.map(|member| member.resource.path.clone());
            if let Some(member) = found.and_then(|path| before.remove(&path)) {
                if is_news || which == Assign::All {
                    warn!("{}: the version in use stays", path.display());
                }
                self.members.push(member);
            }
        }
        for member in before.into_values() {
            let resource = &member.resource;
            let stays = |part: &Part| self.members.iter().any(|other| other.has(&part.path));
            if resource.parts().iter().all(stays) {
                continue;
            }
            let paths = resource.path.display();
            info!("{paths} is gone: its file is no longer kept up to date");
        }
        self.order();
        // A lock that a worker holds is kept, even if that worker was dismissed.
        self.locks.retain(|_, lock| Arc::strong_count(lock) > 1);
        let resources = self.members.iter().map(|member| Arc::clone(&member.resource));
        let resources: Vec<_> = resources.collect();
        self.pipeline.keep_only(&resources);
        self.readers.read(&Event::Assigned(resources));
        self.wake_each(woken);
        let scopes = self.scopes();
        match &mut self.feed {
            Some(feed) => {
                feed.reschedule(schedule.pauses());
                feed.set_scopes(scopes);
                if which == Assign::All {
                    feed.poll_now();
                }
            }
            None => self.feed = Some(Feed::new(Arc::clone(source), scopes, schedule.pauses())),
        }
        self.follow_files();
    }

    /// Follows the files of all resources, as they are now.
    fn follow_files(&mut self) {
        let of_items = |member: &Member| {
            let left = member.worker.as_ref()?.record.left();
            left.filter(|_| member.resource.has_items() && member.resource.heals())
        };
        let resources = self.members.iter().map(|member| &*member.resource);
        let lefts: Vec<Left> = self.members.iter().filter_map(of_items).collect();
        self.files.follow(&self.confdir, resources, lefts.iter().flat_map(Left::dests));
    }

    /// Waits for an event, and wakes the resources that it concerns. Dropping the future loses
    /// nothing.
    pub(crate) async fn follow(&mut self) -> Followed {
        let feed = async {
            match &mut self.feed {
                Some(feed) => feed.next().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            state = feed => match state {
                Ok(state) => {
                    let was_down = std::mem::replace(&mut self.source_is_down, state.is_partial());
                    if was_down && !self.source_is_down {
                        self.readers.read(&Event::SourceRecovered);
                    }
                    self.take(&state);
                }
                Err(error) => {
                    self.source_is_down = true;
                    let resources = self.members.iter().map(|member| Arc::clone(&member.resource));
                    let failure = Failure::from(error);
                    let (resources, reported) = (resources.collect(), Arc::new(failure.clone()));
                    self.readers.read(&Event::SourceFailed { resources, failure: reported });
                    self.wake_without_keys(&failure);
                }
            },
            woken = self.answers.woken() => {
                let wake_of = |member: &Member| woken.get(&member.resource.path).cloned();
                let members = self.members.iter().enumerate();
                let woken = members.filter_map(|(nth, member)| Some((nth, wake_of(member)?)));
                self.wake_each(woken.collect());
            }
            paths = self.files.changed() => return self.look_at(&paths),
            () = self.other_files.notified() => self.follow_files(),
            Some(looked) = self.looks.join_next() => match looked {
                Ok(found) => self.wake_found(&found),
                Err(panic) => {
                    error!("looking at files ended early: {panic}");
                    self.wake_all(&Wake::Reconcile);
                }
            },
            Some(ended) = self.workers.join_next() => {
                if let Err(panic) = ended {
                    error!("a worker ended early and is started anew: {panic}");
                    self.wake_those(&Wake::Retry, |worker| worker.assignments.is_closed());
                }
            }
            () = sleep_until(self.next_reconcile) => {
                self.next_reconcile = Instant::now() + jittered(self.reconcile);
                self.look_at_all();
                return Followed::Resources;
            }
        }
        Followed::Done
    }

    /// The resource files that are followed.
    pub(crate) fn resource_files(&self) -> HashSet<PathBuf> {
        self.members.iter().map(|member| member.resource.path.clone()).collect()
    }

    /// Whether there is a resource to follow.
    pub(crate) fn has_resources(&self) -> bool {
        !self.members.is_empty()
    }

    /// Ends all workers after their running passes.
    pub(crate) async fn dismiss(mut self) {
        self.members.clear();
        while self.workers.join_next().await.is_some() {}
    }

    /// Every distinct scope once, in order, so that the scope of a resource is found by a search.
    fn scopes(&self) -> Vec<Scope> {
        let mut scopes: Vec<Scope> =
            self.members.iter().map(|member| member.resource.scope.clone()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        scopes
    }

    /// Processes a state of the store.
    fn take(&mut self, state: &State) {
        let (mut woken, mut looks) = (Vec::new(), Vec::new());
        for (nth, member) in self.members.iter_mut().enumerate() {
            let scope = &member.resource.scope;
            let snapshot = match state.answer(scope) {
                Some(Ok(snapshot)) => snapshot,
                Some(Err(refusal)) => {
                    if !std::mem::replace(&mut member.is_refused, true) {
                        let failure = Failure::refused(refusal.clone());
                        self.readers.read(&failure.clone().without_keys(&member.resource));
                        if member.lacks_keys(&failure, &self.pipeline) {
                            woken.push((nth, Wake::Start));
                        }
                    }
                    continue;
                }
                None => continue,
            };
            let was_refused = std::mem::take(&mut member.is_refused);
            let news = match (&member.snapshot, &state.update.changed) {
                // The status of the resource has the refusal, until a pass succeeds.
                (Some(before), _) if was_refused && before.agrees_with(snapshot, scope) => {
                    News::Wake(Wake::Reconcile)
                }
                (Some(_), _) if was_refused => {
                    let revision = snapshot.revision();
                    News::Wake(Wake::Keys { changed: Vec::new(), revision })
                }
                (None, _) => News::Wake(Wake::Start),
                (Some(_), Some(keys)) => member.news(snapshot, keys),
                (Some(before), None) if before.agrees_with(snapshot, scope) => News::None,
                (Some(_), None) => {
                    let revision = snapshot.revision();
                    News::Wake(Wake::Keys { changed: Vec::new(), revision })
                }
            };
            member.snapshot = Some(snapshot.clone());
            member.no_keys = None;
            match news {
                News::None => {}
                News::Look(known) => looks.push(known),
                News::Wake(wake) => woken.push((nth, wake)),
            }
        }
        self.wake_each(woken);
        if !looks.is_empty() {
            debug!("{} resources do not use what has changed", looks.len());
            self.looks.spawn_blocking(move || {
                looks.retain(|known| !known.has_its_files());
                looks.iter().map(|known| (known.assignment, Wake::Destination)).collect()
            });
        }
    }

    /// Wakes the resources that have had no keys yet, and get none because of this `failure`: a reload
    /// of an earlier run may be pending.
    fn wake_without_keys(&mut self, failure: &Failure) {
        let members = self.members.iter_mut().enumerate();
        let lacking = members.filter_map(|(nth, member)| {
            member.lacks_keys(failure, &self.pipeline).then_some((nth, Wake::Start))
        });
        let lacking = lacking.collect();
        self.wake_each(lacking);
    }

    /// Examines the files of the resources that a change of these paths may concern.
    fn look_at(&mut self, paths: &HashSet<PathBuf>) -> Followed {
        let templates = config::templates_folder(&self.confdir);
        let all = paths.contains(&templates);
        let concerns = |resource: &Resource| {
            let is_changed = |part: &Part| {
                let is_below = |folder: &Path| paths.iter().any(|path| path.starts_with(folder));
                paths.contains(&part.src)
                    || match &part.for_each {
                        Some(each) => is_below(&each.folder),
                        None => paths.contains(&part.target.dest),
                    }
            };
            all || resource.parts().iter().any(is_changed)
        };
        let (mut woken, mut lefts) = (Vec::new(), Vec::new());
        for (nth, member) in self.members.iter().enumerate() {
            if !concerns(&member.resource) {
                continue;
            }
            if let Some(worker) = member.running() {
                // The pass may have read a file before it changed, or after.
                if let Some(pass) = worker.record.pass_to_look_after(paths) {
                    let (number, record) = (worker.newest.0, worker.record.clone());
                    self.looks.spawn(look_after_the_pass(number, pass, record));
                }
                continue;
            }
            match member.left() {
                Some(left) => lefts.push(left),
                // The last pass failed before it had a destination: because of its template, or of
                // what the template asks for.
                None if member.is_idle() => woken.push((nth, Wake::Template)),
                None => {}
            }
        }
        self.wake_each(woken);
        self.look(lefts, Some(paths));
        match paths.contains(&config::conf_d(&self.confdir)) {
            true => Followed::Resources,
            false => Followed::Done,
        }
    }

    /// Examines the files of all resources. A resource whose template asks the machine gets a pass,
    /// because the answers may differ.
    fn look_at_all(&mut self) {
        let (mut woken, mut lefts) = (Vec::new(), Vec::new());
        for (nth, member) in self.members.iter().enumerate() {
            // Without a record the resource is being processed, or waits for its keys.
            let Some((number, left)) = member.left() else { continue };
            match &member.worker {
                Some(worker) if worker.record.in_sync(number).is_none() => {
                    woken.push((nth, Wake::Reconcile));
                }
                _ => lefts.push((number, left)),
            }
        }
        self.wake_each(woken);
        self.look(lefts, None);
    }

    fn look(&mut self, lefts: Vec<(u64, Left)>, paths: Option<&HashSet<PathBuf>>) {
        if lefts.is_empty() {
            return;
        }
        let paths = paths.cloned();
        self.looks.spawn_blocking(move || {
            let look = |left: Left| left.look(paths.as_ref());
            let found = |(number, left): (u64, Left)| look(left).map(|wake| (number, wake));
            lefts.into_iter().filter_map(found).collect()
        });
    }

    /// Wakes the resources whose files need a pass, unless they were woken in the meantime.
    fn wake_found(&mut self, found: &[(u64, Wake)]) {
        let wakes: HashMap<u64, &Wake> =
            found.iter().map(|(number, wake)| (*number, wake)).collect();
        let wake_of = |member: &Member| {
            let worker = member.worker.as_ref()?;
            wakes.get(&worker.newest.0).map(|wake| (*wake).clone())
        };
        let members = self.members.iter().enumerate();
        let woken = members.filter_map(|(nth, member)| Some((nth, wake_of(member)?))).collect();
        self.wake_each(woken);
    }
}

/// Examines the files of a resource when this pass of its newest assignment has ended.
async fn look_after_the_pass(number: u64, pass: u64, record: Record) -> Vec<(u64, Wake)> {
    record.end_of(pass).await;
    let look = move || record.look_after_a_pass().map(|wake| (number, wake));
    Disk::Elsewhere.run(look).await.into_iter().collect()
}

#[cfg(test)]
mod tests;
mod waking;
