//! The agent, and its three drivers: onetime, interval and watch mode.

pub(crate) mod rehearsal;
mod waiting;

use std::{
    cell::Cell,
    collections::{HashSet, VecDeque},
    future::Future,
    path::PathBuf,
    pin::Pin,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use deploy::{Disk, Processes, Runner};
use source::{
    Source,
    queries::{self, Retry},
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::Instant,
};
use tracing::warn;
use world::Host;

use crate::{
    answers::{Answers, OpenQueries},
    backoff::rest,
    board::Board,
    event::{Event, Reader, Readers, RunSteps, Wake},
    failure::Failure,
    items,
    loading::{Loaded, Loading},
    log::{Log, Style},
    ordered::Ordered,
    pipeline::Pipeline,
    resource::Resource,
    settings::{Configuration, Ended, Order, Process, Reload, Schedule, Settings},
    status::Handle,
    tally::{Failed, Finished, Tally},
    watch::{Assign, Followed, Watching},
};

/// Keeps the destinations in sync with a source.
pub struct Agent {
    settings: Settings,
    source: Arc<dyn Source>,
    host: Arc<dyn Host>,
    runner: Arc<dyn Runner>,
    /// Opens the store that answers the queries of templates.
    queries: Option<Arc<OpenQueries>>,
    loading: Loading,
    /// The loading of the resources that an earlier pass has left behind.
    unread: Option<Reading>,
    /// The resources of the last loading that ended.
    known: Vec<Arc<Resource>>,
    board: Arc<Board>,
    /// Further readers of all events.
    more: Vec<Arc<dyn Reader>>,
    /// The pipeline of a onetime run that has ended. Its templates are freed with the agent, which a
    /// process that ends need not do.
    used: Option<Arc<Pipeline>>,
    swept: bool,
}

/// A loading of the resources on a thread of its own.
type Reading = Pin<Box<dyn Future<Output = (Loading, Result<Loaded, Failure>)> + Send>>;

/// How queries are asked in a onetime run: until their first answers, and one attempt at each node.
const ONCE: queries::Settings = queries::Settings {
    retry: Retry { attempts: Some(0), backoff: Duration::ZERO, max_backoff: None },
    once: true,
    fail_on_absent: false,
    refuse_hidden: true,
};

/// How queries are asked by a daemon: for ever.
const FOLLOWED: queries::Settings = queries::Settings {
    retry: Retry {
        attempts: None,
        backoff: Duration::from_millis(100),
        max_backoff: Some(Duration::from_secs(5)),
    },
    once: false,
    fail_on_absent: false,
    refuse_hidden: true,
};

/// The time that a pass of interval mode waits for `conf.d`, if it knows resources already.
const PATIENCE: Duration = Duration::from_secs(1);

impl Agent {
    /// An agent that reads keys from `source`. Template functions that ask the machine use `host`.
    pub fn new(settings: Settings, source: Box<dyn Source>, host: Arc<dyn Host>) -> Self {
        Self {
            settings,
            source: Arc::from(source),
            host,
            runner: Arc::new(Processes),
            queries: None,
            loading: Loading::default(),
            unread: None,
            known: Vec::new(),
            board: Arc::default(),
            more: Vec::new(),
            used: None,
            swept: false,
        }
    }

    /// The same agent, whose templates can ask the store that `open` opens.
    #[must_use]
    pub fn with_queries(mut self, open: Arc<OpenQueries>) -> Self {
        self.queries = Some(open);
        self
    }

    /// The same agent, whose commands are run by `runner`, and not as processes of this machine.
    #[must_use]
    pub fn with_runner(mut self, runner: Arc<dyn Runner>) -> Self {
        self.runner = runner;
        self
    }

    /// The same agent, whose events `reader` gets too, such as metrics, after the states that a handle reads
    /// are up to date.
    #[must_use]
    pub fn with_reader(mut self, reader: Arc<dyn Reader>) -> Self {
        self.more.push(reader);
        self
    }

    /// The answers to the queries of templates.
    fn answers(&self, settings: queries::Settings, readers: &Readers) -> Arc<Answers> {
        Answers::new(self.queries.clone(), settings, readers.clone())
    }

    /// A handle that reads the states of the resources, from any thread and at any time.
    pub fn handle(&self) -> Handle {
        Handle::new(Arc::clone(&self.board))
    }

    /// The readers of the events of a run.
    fn readers(&self, style: Style, more: Option<Arc<dyn Reader>>) -> Readers {
        let log: Arc<dyn Reader> = Arc::new(Log::new(style));
        let board: Arc<dyn Reader> = Arc::clone(&self.board) as _;
        Readers::new([log, board].into_iter().chain(more).chain(self.more.iter().cloned()))
    }

    /// Makes one pass over all resources.
    ///
    /// Dropping the future stops the pass: running commands are killed and stage files are removed.
    /// Each destination is the old file or the new one.
    ///
    /// # Errors A resource failed. The other resources got their passes all the same. A reload that
    /// is pending from an earlier run is tried again, and is not an error of this run if it fails
    /// again.
    pub async fn onetime(&mut self) -> Result<Finished, Failed> {
        let tally = Arc::new(Tally::default());
        let readers = self.readers(Style::Onetime, Some(Arc::clone(&tally) as _));
        let answers = self.answers(ONCE, &readers);
        let pipeline = Arc::new(self.settings.pipeline(&self.host, &self.runner, &answers, false));
        let mut ordered = Ordered::new(readers.clone(), true);
        self.pass(&mut ordered, &pipeline, &readers, &Notify::new(), None).await;
        self.used = Some(pipeline);
        tally.result()
    }

    /// Makes a pass over all resources, waits for the interval, and repeats until the order to
    /// stop.
    ///
    /// A resource that failed is tried again in the next pass. A resource that hangs does not block
    /// the others. A new configuration starts the next pass at once.
    pub async fn interval(
        &mut self,
        mut schedule: Schedule,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Ended {
        let readers = self.readers(Style::Daemon, None);
        // The queries are followed between two passes, so that a pass asks nothing.
        let answers = self.answers(FOLLOWED, &readers);
        let mut pipeline =
            Arc::new(self.settings.pipeline(&self.host, &self.runner, &answers, false));
        let mut ordered = Ordered::new(readers.clone(), false);
        // Passes of single resources that are asked for, and who waits for the end of the next full pass.
        let (mut asked, mut reloaded) = (VecDeque::new(), Vec::new());
        let (mut is_full, mut next_full) = (true, None);
        loop {
            let single: Option<Process> = match std::mem::take(&mut is_full) {
                true => None,
                false => asked.pop_front(),
            };
            let mut reload: Option<Reload> = None;
            {
                let (is_last, stop) = (Cell::new(false), Notify::new());
                let only = single.as_ref().map(|process| &*process.name);
                let mut pass = pin!(async {
                    self.pass(&mut ordered, &pipeline, &readers, &stop, only).await;
                    if is_last.get() {
                        ordered.settle().await;
                    }
                });
                loop {
                    tokio::select! {
                        () = &mut pass => break,
                        order = orders.recv() => match order {
                            Some(Order::Reload(order)) => {
                                reload = Some(reload.unwrap_or_default().and(order));
                            }
                            Some(Order::Process(process)) => asked.push_back(process),
                            Some(Order::Stop) | None => {
                                is_last.set(true);
                                stop.notify_one();
                                return end(pass, schedule.shutdown_timeout, orders).await;
                            }
                        },
                    }
                }
            }
            match single {
                Some(process) => answer(process.done),
                None => {
                    reloaded.drain(..).for_each(answer);
                    next_full = Instant::now().checked_add(schedule.interval);
                }
            }
            if reload.is_none() && asked.is_empty() {
                let left = next_full.map_or(schedule.interval, |next| {
                    next.saturating_duration_since(Instant::now())
                });
                let mut interval = pin!(rest(left));
                loop {
                    tokio::select! {
                        () = &mut interval => {
                            is_full = true;
                            break;
                        }
                        passed_over = ordered.left_behind() => {
                            if passed_over {
                                is_full = true;
                                break;
                            }
                        }
                        order = orders.recv() => match order {
                            Some(Order::Reload(order)) => {
                                reload = Some(order);
                                break;
                            }
                            Some(Order::Process(process)) => {
                                asked.push_back(process);
                                break;
                            }
                            Some(Order::Stop) | None => {
                                let limit = schedule.shutdown_timeout;
                                return end(ordered.settle(), limit, orders).await;
                            }
                        },
                    }
                }
            }
            if let Some(Reload { configuration, done }) = reload {
                is_full = true;
                reloaded.extend(done);
                if let Some(configuration) = configuration {
                    schedule = self.configure(*configuration, &answers);
                    pipeline =
                        Arc::new(self.settings.pipeline(&self.host, &self.runner, &answers, false));
                }
            }
        }
    }

    /// Follows the source and the files until the order to stop. A resource gets its first pass as
    /// soon as the source answers. It gets another pass whenever a value that it asks for has
    /// changed, or when one of its files differs from the state that its last pass left.
    ///
    /// New and removed resource files are followed too, also when there are no resources at first.
    pub async fn watch(
        &mut self,
        mut schedule: Schedule,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Ended {
        let readers = self.readers(Style::Daemon, None);
        let answers = self.answers(FOLLOWED, &readers);
        let (host, runner) = (Arc::clone(&self.host), Arc::clone(&self.runner));
        let (answered, settings) = (Arc::clone(&answers), &self.settings);
        let mut watching = Watching::new(host, runner, answered, readers.clone(), settings);
        // Whether the source was replaced and has not been used yet.
        let mut source_is_new = true;
        let mut is_first = true;
        // Reading `conf.d` can take long. The files of the known resources are kept up to date
        // meanwhile, and only one thread reads at a time.
        let mut due = Some(Assign::All);
        let mut running = None;
        // Who waits until everything is loaded again.
        let mut reloaded = Vec::new();
        loop {
            if running.is_none()
                && let Some(which) = due.take()
            {
                let load = self.load(&readers, Some(watching.resource_files()));
                running = Some((which, Box::pin(Disk::Elsewhere.run(load))));
            }
            let reading = async {
                match &mut running {
                    Some((_, load)) => load.await,
                    None => std::future::pending().await,
                }
            };
            let (loading, loaded) = tokio::select! {
                followed = watching.follow(), if !is_first => {
                    if followed == Followed::Resources {
                        due.get_or_insert(Assign::Changed);
                    }
                    continue;
                }
                order = orders.recv() => match order {
                    Some(Order::Process(process)) => {
                        watching.process(process);
                        continue;
                    }
                    Some(Order::Reload(Reload { configuration, done })) => {
                        due = Some(Assign::All);
                        reloaded.extend(done);
                        if let Some(configuration) = configuration {
                            let confdir = self.settings.confdir.clone();
                            source_is_new |= configuration.source.is_some();
                            schedule = self.configure(*configuration, &answers);
                            if self.settings.confdir != confdir {
                                // The old folder may never answer.
                                running = None;
                            }
                        }
                        continue;
                    }
                    Some(Order::Stop) | None => {
                        return end(watching.dismiss(), schedule.shutdown_timeout, orders).await;
                    }
                },
                read = reading => read,
            };
            self.loading = loading;
            let Some((which, _)) = running.take() else { continue };
            if due == Some(Assign::All) {
                // The configuration is newer than what was read.
                continue;
            }
            match loaded {
                loaded if std::mem::take(&mut is_first) => {
                    let loaded = loaded.unwrap_or_default();
                    if loaded.resources.is_empty() {
                        warn!(
                            "There is no resource to follow; confd waits for one in {}",
                            self.conf_d().display()
                        );
                    }
                    watching.configure(&self.settings, &schedule, source_is_new);
                    source_is_new = false;
                    watching.assign(loaded, Assign::All, &self.source, &schedule);
                }
                Ok(loaded) if !loaded.without_confdir => {
                    if which == Assign::All {
                        watching.configure(&self.settings, &schedule, source_is_new);
                        source_is_new = false;
                    }
                    watching.assign(loaded, which, &self.source, &schedule);
                }
                Ok(_) | Err(_) if which == Assign::All && watching.has_resources() => {
                    warn!("the resources in use stay");
                }
                Ok(_) | Err(_) => {}
            }
            if due.is_none() {
                reloaded.drain(..).for_each(answer);
            }
        }
    }

    fn configure(&mut self, configuration: Configuration, answers: &Answers) -> Schedule {
        let Settings { confdir, conventions, .. } = &configuration.settings;
        if (&self.settings.confdir, &self.settings.conventions) != (confdir, conventions) {
            // The old folder may never answer, and its resources have the old prefix.
            self.unread = None;
            self.known.clear();
        }
        self.settings = configuration.settings;
        if let Some(source) = configuration.source {
            self.source = Arc::from(source);
        }
        if let Some(open) = configuration.queries {
            answers.reopen(open);
        }
        configuration.schedule
    }

    fn conf_d(&self) -> PathBuf {
        config::conf_d(&self.settings.confdir)
    }

    /// The work of loading the resources, which blocks on the disk. It returns [`Self::loading`].
    ///
    /// In watch mode `followed` has the resource files that are followed already. What a killed run
    /// has left beside the destinations of other resources is removed.
    fn load(
        &mut self,
        readers: &Readers,
        followed: Option<HashSet<PathBuf>>,
    ) -> impl FnOnce() -> (Loading, Result<Loaded, Failure>) + Send + use<> {
        let mut loading = std::mem::take(&mut self.loading);
        let Settings { confdir, conventions, .. } = self.settings.clone();
        let options = self.settings.options();
        let (source, readers) = (Arc::clone(&self.source), readers.clone());
        let host = Arc::clone(&self.host);
        let environment = config::Environment::new(move |name| host.variable(name));
        let is_swept = self.swept;
        move || {
            let source = followed.is_some().then_some(&*source);
            let loaded = loading.load(&confdir, &conventions, &environment, source, &readers);
            let is_known = |resource: &Resource| match &followed {
                Some(files) => files.contains(&resource.path),
                None => is_swept,
            };
            if let Ok(Loaded { resources, .. }) = &loaded {
                let fresh = resources.iter().filter(|resource| !is_known(resource));
                let fresh: Vec<_> = fresh.collect();
                let of_items: Vec<_> =
                    fresh.iter().flat_map(|resource| items::to_sweep(resource)).collect();
                let dests = fresh.iter().flat_map(|resource| resource.dests());
                let dests = dests.chain(of_items.iter().map(PathBuf::as_path));
                deploy::sweep(dests, &options, &RunSteps(&readers));
            }
            (loading, loaded)
        }
    }

    /// Loads all resources and makes a pass over them, or over that named `only`. `stop` ends it while it
    /// waits for `conf.d` or for the keys.
    async fn pass(
        &mut self,
        ordered: &mut Ordered,
        pipeline: &Arc<Pipeline>,
        readers: &Readers,
        stop: &Notify,
        only: Option<&str>,
    ) {
        let is_first_wait = self.unread.is_none();
        let mut reading = match self.unread.take() {
            Some(reading) => reading,
            None => Box::pin(ordered.disk().run(self.load(readers, None))),
        };
        let read = tokio::select! {
            biased;
            read = &mut reading => Some(read),
            () = stop.notified() => return,
            () = rest(PATIENCE), if !self.known.is_empty() => None,
        };
        let broken = match read {
            Some((loading, loaded)) => {
                self.loading = loading;
                let Ok(Loaded { resources, broken, .. }) = loaded else { return };
                self.known = resources;
                broken
            }
            None => {
                if is_first_wait {
                    let conf_d = self.conf_d();
                    warn!("{} does not answer: the resources in use stay", conf_d.display());
                }
                self.unread = Some(reading);
                Vec::new()
            }
        };
        let mut resources = self.known.clone();
        let wake = match (only, self.swept) {
            (Some(_), _) => Wake::Request,
            (None, true) => Wake::Interval,
            (None, false) => Wake::Start,
        };
        self.swept = true;
        pipeline.keep_only(&resources);
        readers.read(&Event::Assigned(resources.clone()));
        if let Some(only) = only {
            resources.retain(|resource| **resource.name() == *only);
            ordered.pass(&resources, &*self.source, pipeline, wake, stop).await;
            return;
        }
        let count = resources.len() + broken.len();
        let mut failed: Vec<PathBuf> = broken.into_iter().map(|broken| broken.path).collect();
        failed.extend(ordered.pass(&resources, &*self.source, pipeline, wake, stop).await);
        self.end_pass(readers, count, failed);
    }

    /// Reports the end of a pass over `count` resources, with the files of those that failed.
    fn end_pass(&self, readers: &Readers, count: usize, mut failed: Vec<PathBuf>) {
        // The order of the files.
        failed.sort_unstable();
        let conf_d = self.conf_d();
        let failed = failed.iter().map(|path| config::name(path, &conf_d)).collect();
        readers.read(&Event::PassEnded { resources: count, failed });
    }
}

/// Answers an order. The client that asked may be gone.
fn answer(done: oneshot::Sender<()>) {
    let _ = done.send(());
}

/// Waits until `work` ends, until `limit` is over, or until a second order to stop arrives.
async fn end(work: impl Future, limit: Duration, orders: &mut mpsc::Receiver<Order>) -> Ended {
    let second = async {
        loop {
            match orders.recv().await {
                Some(Order::Stop) => return,
                Some(Order::Reload(_) | Order::Process(_)) => {}
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        _ = work => Ended::Whole,
        () = second => Ended::Cut,
        () = rest(limit) => {
            warn!("Broke off what did not end within {limit:?} of the stop");
            Ended::Cut
        }
    }
}
