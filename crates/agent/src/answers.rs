//! The answers to the queries of all templates.
//!
//! A template asks while it is rendered, by a [`Session`] over the newest answers. The pipeline then
//! notes what the resource has asked ([`Answers::note`]). The queries of all resources together are
//! followed by one task, each query once. A resource that stops asking drops its queries.
//!
//! News about a query wakes the resources that use it, and no other. A resource with a missing query
//! waits; its file stays as it is. Onetime and interval mode wait for the missing answers
//! ([`Answers::settled`]); watch mode is woken by them ([`Answers::woken`]).
//!
//! Nothing is opened before a template asks for the first time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use catalog::Query;
use render::queries::{Answers as Known, Session};
use source::queries::{News, Queries, Settings};
use tokio::{sync::Notify, task::JoinSet};

use crate::{
    event::{Event, Reader as _, Readers, Wake},
    failure::Failure,
    resource::Resource,
};

/// Opens the store that answers the queries of templates. The error is a text for people.
///
/// It is called when a template asks for the first time.
pub type OpenQueries = dyn Fn(Settings) -> Result<Box<dyn Queries>, String> + Send + Sync;

/// The answers, and what is asked.
pub(crate) struct Answers {
    shared: Arc<Shared>,
    open: Mutex<Option<Arc<OpenQueries>>>,
    settings: Settings,
    /// The task that follows the queries. It ends when the answers are dropped.
    task: Mutex<JoinSet<()>>,
}

struct Shared {
    readers: Readers,
    state: Mutex<State>,
    /// Whether a template has asked something since the start.
    is_used: AtomicBool,
    /// There is an answer, or a query has failed.
    news: Notify,
    /// There are resources to be woken.
    wakes: Notify,
    /// Other queries are asked.
    interest: Notify,
}

#[derive(Default)]
struct State {
    known: Arc<Known>,
    /// Counts the news.
    version: u64,
    /// The version of each answer.
    changed: HashMap<Query, u64>,
    /// Why nothing can be asked: the store cannot be opened.
    unable: Option<Failure>,
    /// The queries whose last attempt failed, and why.
    failed: HashMap<Query, Failure>,
    /// What each resource asks, by its file.
    asked: HashMap<PathBuf, (Arc<Resource>, BTreeSet<Query>)>,
    /// The files of the resources that ask a query.
    users: HashMap<Query, BTreeSet<PathBuf>>,
    /// The names of the queries that have changed for a resource.
    woken: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// A session, and the state that its answers are of.
pub(crate) struct Asking {
    pub(crate) session: Session,
    version: u64,
}

impl Answers {
    /// Answers of the store that `open` opens; without it, each query fails.
    pub(crate) fn new(
        open: Option<Arc<OpenQueries>>,
        settings: Settings,
        readers: Readers,
    ) -> Arc<Self> {
        let shared = Shared {
            readers,
            state: Mutex::default(),
            is_used: AtomicBool::new(false),
            news: Notify::new(),
            wakes: Notify::new(),
            interest: Notify::new(),
        };
        Arc::new(Self {
            shared: Arc::new(shared),
            open: Mutex::new(open),
            settings,
            task: Mutex::default(),
        })
    }

    /// Answers where every query fails.
    #[cfg(test)]
    pub(crate) fn nothing() -> Arc<Self> {
        use source::queries::Retry;
        let backoff = std::time::Duration::ZERO;
        let retry = Retry { attempts: None, backoff, max_backoff: None };
        let settings = Settings { retry, once: false, fail_on_absent: false, refuse_hidden: true };
        Self::new(None, settings, Readers::new([]))
    }

    /// Uses another store from now on. The answers that there are stay until the new store gives
    /// others.
    pub(crate) fn reopen(&self, open: Arc<OpenQueries>) {
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        if self.shared.is_used.load(Ordering::Relaxed) {
            *self.task.lock().unwrap_or_else(PoisonError::into_inner) = JoinSet::new();
            let mut state = self.shared.state();
            (state.unable, state.failed) = (None, HashMap::new());
            drop(state);
            self.begin();
        }
    }

    /// A session over the newest answers.
    pub(crate) fn session(&self) -> Asking {
        if !self.shared.is_used.load(Ordering::Relaxed) {
            return Asking { session: Session::default(), version: 0 };
        }
        let state = self.shared.state();
        Asking { session: Session::new(Arc::clone(&state.known)), version: state.version }
    }

    /// Notes what a rendering of `resource` has asked, and returns the queries that are missing.
    ///
    /// If the rendering is not complete, because it failed or a query is missing, the resource keeps
    /// the queries from before: the template may ask them again.
    pub(crate) fn note(
        &self,
        resource: &Arc<Resource>,
        asking: &Asking,
        has_failed: bool,
    ) -> Vec<Query> {
        let used = asking.session.used();
        if used.is_empty() && !self.shared.is_used.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let missing = asking.session.missing();
        let is_first = !used.is_empty() && !self.shared.is_used.swap(true, Ordering::Relaxed);
        let is_complete = !has_failed && missing.is_empty();
        let mut state = self.shared.state();
        let interest_changed = state.set(resource, used, is_complete);
        // An answer can have come while the template was rendered.
        let newer: BTreeSet<String> =
            state.asked.get(&resource.path).map_or_else(BTreeSet::new, |(_, queries)| {
                let is_newer = |query: &&Query| {
                    state.changed.get(*query).is_some_and(|version| *version > asking.version)
                };
                queries.iter().filter(is_newer).map(ToString::to_string).collect()
            });
        if !newer.is_empty() {
            state.woken.entry(resource.path.clone()).or_default().extend(newer);
            self.shared.wakes.notify_one();
        }
        drop(state);
        if is_first {
            self.begin();
        } else if interest_changed {
            self.shared.interest.notify_one();
        }
        if !missing.is_empty()
            && let Some(failure) = self.shared.state().unable.clone()
        {
            let (resources, failure) = (vec![Arc::clone(resource)], Arc::new(failure));
            self.shared.readers.read(&Event::QueryFailed { resources, failure });
        }
        missing
    }

    /// Forgets what other resources than these ask.
    pub(crate) fn keep_only(&self, resources: &[Arc<Resource>]) {
        if !self.shared.is_used.load(Ordering::Relaxed) {
            return;
        }
        let files: HashSet<_> = resources.iter().map(|resource| &resource.path).collect();
        let mut state = self.shared.state();
        let gone: Vec<_> =
            state.asked.keys().filter(|file| !files.contains(file)).cloned().collect();
        let mut interest_changed = false;
        for file in gone {
            if let Some((resource, _)) = state.asked.get(&file) {
                let resource = Arc::clone(resource);
                interest_changed |= state.set(&resource, Vec::new(), true);
            }
        }
        drop(state);
        if interest_changed {
            self.shared.interest.notify_one();
        }
    }

    /// Waits until each of these queries has an answer.
    ///
    /// # Errors
    /// One of them has failed.
    pub(crate) async fn settled(&self, queries: &[Query]) -> Result<(), Failure> {
        loop {
            let news = self.shared.news.notified();
            {
                let state = self.shared.state();
                let mut missing =
                    queries.iter().filter(|query| !state.known.contains_key(*query)).peekable();
                if missing.peek().is_none() {
                    return Ok(());
                }
                if let Some(failure) = &state.unable {
                    return Err(failure.clone());
                }
                if let Some(failure) = missing.find_map(|query| state.failed.get(query)) {
                    return Err(failure.clone());
                }
            }
            news.await;
        }
    }

    /// Waits for news, and returns the files of the resources that it concerns. Dropping the future
    /// loses nothing.
    pub(crate) async fn woken(&self) -> HashMap<PathBuf, Wake> {
        loop {
            let woken = std::mem::take(&mut self.shared.state().woken);
            if !woken.is_empty() {
                let wake = |names: BTreeSet<String>| Wake::Answers(names.into_iter().collect());
                return woken.into_iter().map(|(file, names)| (file, wake(names))).collect();
            }
            self.shared.wakes.notified().await;
        }
    }

    /// Opens the store and starts the task.
    fn begin(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let opened = match open {
            Some(open) => open(self.settings.clone()),
            None => Err("this confd cannot ask Consul".to_owned()),
        };
        match opened {
            Ok(queries) => {
                let shared = Arc::clone(&self.shared);
                shared.interest.notify_one();
                let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
                task.spawn(async move { shared.follow(queries).await });
            }
            Err(text) => {
                self.shared.state().unable = Some(Failure::query_text(&text));
                self.shared.news.notify_waiters();
            }
        }
    }
}

impl State {
    /// Sets what a resource asks. Returns whether other queries are to be followed than before.
    /// Without `is_complete`, the queries from before stay.
    fn set(&mut self, resource: &Arc<Resource>, used: Vec<Query>, is_complete: bool) -> bool {
        let file = &resource.path;
        let before = self.asked.remove(file).map(|(_, queries)| queries).unwrap_or_default();
        let mut queries: BTreeSet<Query> = used.into_iter().collect();
        let mut has_changed = false;
        for query in &before {
            if queries.contains(query) {
                continue;
            }
            if !is_complete {
                queries.insert(query.clone());
                continue;
            }
            if let Some(users) = self.users.get_mut(query) {
                users.remove(file);
                if users.is_empty() {
                    has_changed = true;
                    self.users.remove(query);
                }
            }
        }
        for query in queries.difference(&before) {
            let users = self.users.entry(query.clone()).or_default();
            has_changed |= users.is_empty();
            users.insert(file.clone());
        }
        if !queries.is_empty() {
            self.asked.insert(file.clone(), (Arc::clone(resource), queries));
        }
        has_changed
    }

    /// The queries that are to be followed. Forgets everything about others.
    ///
    /// Only the task that follows does this: a query that is dropped and asked again before the task
    /// runs is followed all the time, so there is no other news of its answer.
    fn interest(&mut self) -> Vec<Query> {
        let users = &self.users;
        self.changed.retain(|query, _| users.contains_key(query));
        self.failed.retain(|query, _| users.contains_key(query));
        if self.known.keys().any(|query| !users.contains_key(query)) {
            Arc::make_mut(&mut self.known).retain(|query, _| users.contains_key(query));
        }
        let mut wanted: Vec<_> = users.keys().cloned().collect();
        wanted.sort_unstable();
        wanted
    }

    /// The resources that ask one of these queries.
    fn users_of<'a>(&self, queries: impl Iterator<Item = &'a Query>) -> Vec<Arc<Resource>> {
        let files: BTreeSet<_> =
            queries.filter_map(|query| self.users.get(query)).flatten().collect();
        files.iter().filter_map(|file| Some(Arc::clone(&self.asked.get(*file)?.0))).collect()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(&self, mut queries: Box<dyn Queries>) {
        loop {
            tokio::select! {
                biased;
                () = self.interest.notified() => {
                    let wanted = self.state().interest();
                    queries.follow(&wanted);
                }
                news = queries.next() => self.take(news),
            }
        }
    }

    /// Processes news.
    fn take(&self, news: Vec<News>) {
        let mut events = Vec::new();
        {
            let mut state = self.state();
            let state = &mut *state;
            let has_failed = !state.failed.is_empty();
            for News { query, answer, warning } in news {
                if let Some(warning) = warning {
                    let resources = state.users_of(std::iter::once(&query));
                    let text = format!("{query}: {warning}");
                    events.push(Event::QueryWarning { resources, text });
                }

                match answer {
                    Ok(data) => {
                        state.failed.remove(&query);
                        if state.known.get(&query) == Some(&data) {
                            // It is the end of a failure.
                            continue;
                        }
                        state.version += 1;
                        state.changed.insert(query.clone(), state.version);
                        for file in state.users.get(&query).into_iter().flatten() {
                            let names = state.woken.entry(file.clone()).or_default();
                            names.insert(query.to_string());
                        }
                        Arc::make_mut(&mut state.known).insert(query, data);
                    }
                    Err(trouble) => {
                        let failure = Failure::query(&query, trouble.cause);
                        let resources = state.users_of(std::iter::once(&query));
                        events.push(Event::QueryFailed {
                            resources,
                            failure: Arc::new(failure.clone()),
                        });
                        state.failed.insert(query, failure);
                    }
                }
            }
            if has_failed && state.failed.is_empty() {
                events.push(Event::QueriesRecovered);
            }
        }
        for event in &events {
            self.readers.read(event);
        }
        self.news.notify_waiters();
        self.wakes.notify_one();
    }
}
