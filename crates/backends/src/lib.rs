//! Several backends as one source.
//!
//! A scope can name the backends that answer it. If it names none, it means the key space of the
//! run, in which each backend with a mount stands below its mount. In both cases the backends have an
//! order, and if several of them have a key, the first one counts.
//!
//! A backend that does not answer affects only the scopes that need it: they are refused, with its
//! error as the reason. A scope that needs several backends needs all of them, because a template
//! must not see a part of its keys as if it were the whole.
//!
//! If all scopes are those of one backend, as they usually are, its answers are passed on unchanged.

mod follow;
mod merge;
mod parts;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use futures_util::future::join_all;
use source::{Answer, Configured, Error, Interest, Refusal, Source, Watch};
use store::{Key, Scope};
use tokio::time::{Instant, timeout};

use self::{
    follow::{Followed, Following, Together},
    parts::{Asked, Part, alone},
};

/// A backend that can be asked. It is opened when it is needed for the first time.
pub struct Backend {
    name: Arc<str>,
    mount: Option<Key>,
    configured: Box<dyn Configured>,
    opened: OnceLock<Arc<dyn Source>>,
}

impl Backend {
    /// The backend `name`. With a `mount`, its keys stand below that key in the key space of the
    /// run.
    pub fn new(
        name: impl Into<Arc<str>>,
        mount: Option<Key>,
        configured: Box<dyn Configured>,
    ) -> Self {
        Self { name: name.into(), mount, configured, opened: OnceLock::new() }
    }

    /// The name by which scopes mean it.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The key below which it stands in the key space of the run.
    pub fn mount(&self) -> Option<&Key> {
        self.mount.as_ref()
    }

    /// What opens it.
    pub fn configured(&self) -> &dyn Configured {
        &*self.configured
    }

    /// What opens it, to be completed before that.
    pub fn configured_mut(&mut self) -> &mut dyn Configured {
        &mut *self.configured
    }

    fn source(&self) -> &Arc<dyn Source> {
        self.opened.get_or_init(|| self.configured.open().into())
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("name", &self.name)
            .field("mount", &self.mount)
            .field("configured", &self.configured)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Backend {
    /// Whether both are the same source by the same name at the same place.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.mount == other.mount
            && *self.configured == *other.configured
    }
}

/// Finds the backends that scopes name besides those of the run, such as those that resource files
/// describe.
pub trait Find: Send + Sync {
    /// The backend `name`; `None` if there is none.
    fn find(&self, name: &str) -> Option<Arc<Backend>>;

    /// All of them.
    fn all(&self) -> Vec<Arc<Backend>>;
}

/// How long the backends have to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// The time between two readings of a backend that must be polled, while others are followed.
    pub interval: Duration,
    /// The longest time of one reading, or none.
    pub limit: Option<Duration>,
}

/// Several backends as one source.
pub struct Backends {
    list: Arc<List>,
    times: Times,
}

/// The backends that can be asked.
struct List {
    /// Those of the run, the most important first.
    of_run: Vec<Arc<Backend>>,
    others: Arc<dyn Find>,
}

impl List {
    /// The backend `name`.
    fn find(&self, name: &str) -> Option<Arc<Backend>> {
        let of_run =
            |is: &dyn Fn(&Backend) -> bool| self.of_run.iter().find(|backend| is(backend)).cloned();
        of_run(&|backend| *backend.name == *name).or_else(|| {
            let other = self.others.find(name)?;
            // The run may have the same one by a name of its own.
            let same = of_run(&|backend| *backend.configured == *other.configured);
            Some(same.unwrap_or(other))
        })
    }
}

impl Backends {
    /// The backends of a run, the most important first, and `others` that scopes may name.
    pub fn new(of_run: Vec<Arc<Backend>>, others: Arc<dyn Find>, times: Times) -> Self {
        Backends { list: Arc::new(List { of_run, others }), times }
    }

    /// Reads what `interest` asks of one backend.
    async fn read_one(&self, backend: &Backend, scopes: Vec<Scope>) -> Result<Vec<Answer>, Error> {
        let interest = Interest { scopes };
        let read = backend.source().read(&interest);
        match self.times.limit {
            Some(limit) => timeout(limit, read).await.unwrap_or(Err(Error::Late { limit })),
            None => read.await,
        }
    }

    /// Reads each backend, all at the same time. Returns the answers by backend and scope.
    async fn read_all(&self, asked: &[Asked]) -> HashMap<(Arc<str>, Scope), Answer> {
        let reads = parts::by_backend(asked).into_iter().map(async |(name, (backend, scopes))| {
            let scopes: Vec<Scope> = scopes.into_iter().collect();
            let answers = match self.read_one(&backend, scopes.clone()).await {
                Ok(answers) => answers,
                Err(error) => {
                    let error = Arc::new(error);
                    let refusal = |scope: &Scope| Refusal::new(scope.clone(), Arc::clone(&error));
                    scopes.iter().map(|scope| Err(refusal(scope))).collect()
                }
            };
            let keys = scopes.into_iter().map(|scope| (Arc::clone(&name), scope));
            keys.zip(answers).collect::<Vec<_>>()
        });
        join_all(reads).await.into_iter().flatten().collect()
    }
}

#[async_trait]
impl Source for Backends {
    /// As the contract says; but if several backends are asked and all scopes are refused, each has its
    /// own reason.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let asked: Vec<_> = interest.scopes.iter().map(|scope| self.list.asked(scope)).collect();
        if let Some((backend, scopes)) = alone(&asked) {
            let answers = self.read_one(&backend, scopes).await?;
            return Ok(parts::of_scopes(answers, interest.scopes.iter()));
        }
        let answers = self.read_all(&asked).await;
        let answer = |asked: &Asked| {
            let of_part = |part: &Part| {
                answers.get(&(Arc::clone(&part.backend.name), part.scope.clone())).cloned()
            };
            merge::merged(asked, &asked.parts.iter().map(of_part).collect::<Vec<_>>())
        };
        Ok(asked.iter().map(answer).collect())
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let asked: Vec<_> = interest.scopes.iter().map(|scope| self.list.asked(scope)).collect();
        let following = match alone(&asked) {
            Some((backend, scopes)) => {
                let watch = backend.source().watch(&Interest { scopes }).await?;
                let Some(watch) = watch else { return Ok(None) };
                Following::Alone { watch, backend, scopes: interest.scopes.clone() }
            }
            None => Following::Together(Together::new(self.times, asked).into()),
        };
        Ok(Some(Box::new(Followed { list: Arc::clone(&self.list), times: self.times, following })))
    }

    fn next_reading(&self) -> Option<Instant> {
        let others = self.list.others.all();
        let opened = self.list.of_run.iter().chain(&others).filter_map(|one| one.opened.get());
        opened.filter_map(|source| source.next_reading()).min()
    }

    fn reads_file(&self, path: &Path) -> bool {
        let others = self.list.others.all();
        let mut backends = self.list.of_run.iter().chain(&others);
        backends.any(|backend| backend.source().reads_file(path))
    }
}
