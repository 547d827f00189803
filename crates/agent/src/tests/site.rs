//! A confdir in a temporary folder, and a source with keys that a test sets.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use source::{Answer, Error, Interest, Refusals, Source, Update, Watch};
use store::{Coverage, Snapshot};
use tokio::sync::{mpsc, watch};

use crate::{Agent, Handle, Order, Pace, Schedule, Settings, Status};

/// A test that waits for this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with resources, and the store that they read from.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    pub(crate) store: Store,
}

impl Site {
    pub(crate) fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// A site in memory, if there is a file system in memory: nothing waits for a disk.
    pub(crate) fn in_memory() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Self::in_folder(folder.unwrap())
    }

    fn in_folder(folder: tempfile::TempDir) -> Self {
        for name in ["conf.d", "templates", "out"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Site { folder, store: Store::new() }
    }

    /// Replaces the store by an empty one.
    pub(crate) fn clear_the_store(&mut self) {
        self.store = Store::new();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a resource that prints `/NAME` to `out/NAME`.
    pub(crate) fn resource(&self, name: &str, more: &str) {
        let dest = self.path("out").join(name);
        let table = format!(
            "[template]\nsrc = '{name}'\ndest = '{}'\nkeys = ['/{name}']\n{more}\n",
            dest.display()
        );
        fs::write(self.path("templates").join(name), format!("{{{{getv \"/{name}\"}}}}")).unwrap();
        fs::write(self.path("conf.d").join(format!("{name}.toml")), table).unwrap();
    }

    pub(crate) fn agent(&self) -> Agent {
        self.agent_of(self.store.clone())
    }

    /// An agent that reads from `source` instead of the store.
    pub(crate) fn agent_of(&self, source: impl Source + 'static) -> Agent {
        let host = Arc::new(world::System::new());
        Agent::new(self.settings(), Box::new(source), host)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            force: false,
            fail_fast: false,
            show_values: false,
            confdir: self.folder.path().to_owned(),
            conventions: config::Conventions::default(),
            noop: false,
            sync_only: false,
            keep_stage_file: false,
            check_timeout: None,
            reload_timeout: None,
            render_timeout: None,
            state: None,
            max_memory: usize::MAX,
        }
    }

    pub(crate) fn written(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("out").join(name)).ok()
    }
}

/// A schedule with intervals short enough for a test.
pub(crate) fn schedule() -> Schedule {
    Schedule {
        interval: Duration::from_millis(20),
        pace: Pace::default(),
        reconcile: Duration::from_millis(200),
        shutdown_timeout: PATIENCE,
    }
}

/// Interval and watch mode.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Interval,
    Watch,
}

/// Runs `agent` in `mode` while `test` reads its states, then stops the agent.
pub(crate) async fn beside<T>(
    mut agent: Agent,
    mode: Mode,
    test: impl AsyncFnOnce(Handle) -> T,
) -> T {
    let handle = agent.handle();
    let (orders, mut receiver) = mpsc::channel(1);
    let run = async {
        match mode {
            Mode::Interval => agent.interval(schedule(), &mut receiver).await,
            Mode::Watch => agent.watch(schedule(), &mut receiver).await,
        }
    };
    let tested = async {
        let tested = test(handle).await;
        orders.send(Order::Stop).await.unwrap();
        tested
    };
    tokio::join!(run, tested).1
}

/// Waits until the state of `resource` satisfies `condition`, and returns the state.
pub(crate) async fn until(
    handle: &Handle,
    resource: &str,
    condition: impl Fn(&Status) -> bool,
) -> Status {
    let begun = Instant::now();
    loop {
        let status = handle.status(resource);
        match status {
            Some(status) if condition(&status) => return status,
            status => assert!(begun.elapsed() < PATIENCE, "{resource}: {status:?}"),
        }
        tokio::task::yield_now().await;
    }
}

/// A store in memory. A clone is the same store.
#[derive(Clone)]
pub(crate) struct Store {
    data: Arc<watch::Sender<Data>>,
    /// The reason why the store does not answer.
    broken: Arc<Mutex<Option<String>>>,
    /// The key that the store refuses to show.
    forbidden: Arc<Mutex<Option<String>>>,
    /// The key that is in a part of the store that does not answer.
    cut_off: Arc<Mutex<Option<String>>>,
}

#[derive(Clone, Default)]
struct Data {
    revision: u64,
    pairs: BTreeMap<String, String>,
}

impl Store {
    fn new() -> Self {
        let data = Arc::new(watch::Sender::new(Data::default()));
        Store { data, broken: Arc::default(), forbidden: Arc::default(), cut_off: Arc::default() }
    }

    /// Sets a key. Returns the new revision.
    pub(crate) fn put(&self, key: &str, value: &str) -> u64 {
        self.data.send_modify(|data| {
            data.revision += 1;
            data.pairs.insert(key.to_owned(), value.to_owned());
        });
        self.data.borrow().revision
    }

    /// Removes a key.
    pub(crate) fn delete(&self, key: &str) {
        self.data.send_modify(|data| {
            data.revision += 1;
            data.pairs.remove(key);
        });
    }

    /// Makes the store fail with `reason`; `None` makes it answer again.
    pub(crate) fn break_down(&self, reason: Option<&str>) {
        *self.broken.lock().unwrap() = reason.map(str::to_owned);
        self.data.send_modify(|_| {});
    }

    /// Makes the store refuse to show a key; `None` allows every key again.
    pub(crate) fn forbid(&self, key: Option<&str>) {
        *self.forbidden.lock().unwrap() = key.map(str::to_owned);
        self.data.send_modify(|_| {});
    }

    /// Makes the part of the store that has a key fail; `None` makes all of it answer again.
    pub(crate) fn cut_off(&self, key: Option<&str>) {
        *self.cut_off.lock().unwrap() = key.map(str::to_owned);
        self.data.send_modify(|_| {});
    }

    fn answers(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        if let Some(reason) = &*self.broken.lock().unwrap() {
            let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(Error::file("open", std::path::Path::new(reason), cause));
        }
        let mut refusals = Refusals::default();
        if let Some(key) = &*self.forbidden.lock().unwrap() {
            let (store, node) = ("etcd", "n1".into());
            let reason = nodes::Cause::new("permission denied");
            let error = nodes::Error::Refused { store, node, reason };
            refusals.add(key.as_str().into(), error.into());
        }
        if let Some(key) = &*self.cut_off.lock().unwrap() {
            let cause = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            let error = Error::file("open", std::path::Path::new("/part"), cause);
            refusals.add(key.as_str().into(), error);
        }
        refusals.check_any_allowed(&interest.scopes)?;
        let data = self.data.borrow();
        let pairs = data.pairs.iter().map(|(key, value)| (key.clone(), value.clone()));
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs).at_revision(data.revision);
        Ok(refusals.answers(&interest.scopes, &snapshot))
    }
}

#[async_trait]
impl Source for Store {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        self.answers(interest)
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let mut changes = self.data.subscribe();
        changes.mark_changed();
        Ok(Some(Box::new(Following { store: self.clone(), changes, interest: interest.clone() })))
    }
}

struct Following {
    store: Store,
    changes: watch::Receiver<Data>,
    interest: Interest,
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // The sender lives as long as this.
        let _ = self.changes.changed().await;
        let answers = self.store.answers(&self.interest)?;
        Ok(Update { answers, changed: None })
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.interest = interest.clone();
        self.changes.mark_changed();
    }

    fn reread(&mut self) {
        self.changes.mark_changed();
    }
}
