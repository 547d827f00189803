//! All backends of a run as one source: that of the command line, those of confd.toml, and those that
//! resource files describe.

use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::{ffi::OsString, time::Duration};

use anyhow::bail;
use backends::{Backend, Backends, Find, Times};
use config::{Described, Dialect, NamedBackend, Tables};
use options::{Given, Layer};
use source::{
    Configured, Discovery, Setup, Source,
    queries::{Queries, Settings},
};
use store::Key;
use tracing::{info, warn};

use crate::{
    environment, fork, general,
    sources::{self, can_be_watched},
};

/// The backends of a run.
#[derive(Debug)]
pub(crate) struct OfRun {
    /// The most important first.
    backends: Vec<Arc<Backend>>,
    /// The place of the one that the command line or confd.toml chooses with `backend`, or of the first
    /// one.
    main: usize,
    times: Times,
}

impl PartialEq for OfRun {
    /// Whether the same sources are asked in the same way.
    fn eq(&self, other: &Self) -> bool {
        let has_several = self.backends.len() > 1 || !DESCRIBED.lock().is_empty();
        self.backends == other.backends
            && self.times.limit == other.times.limit
            && (!has_several || self.times.interval == other.times.interval)
    }
}

impl OfRun {
    /// The `main` backend and those of `[[backends]]`, which are more important than it.
    ///
    /// # Errors
    /// One of them has an option that cannot be used, or the name of the main one.
    fn new(
        main: Option<Box<dyn Configured>>,
        named: Vec<NamedBackend>,
        times: Times,
    ) -> anyhow::Result<Self> {
        let mut backends = Vec::with_capacity(named.len() + 1);
        for NamedBackend { name, mount, described } in named {
            let configured = configured(described)
                .map_err(|error| anyhow::anyhow!("the backend {name} in confd.toml: {error:#}"))?;
            backends.push(Arc::new(Backend::new(name, mount, configured)));
        }
        let place = if main.is_some() { backends.len() } else { 0 };
        if let Some(main) = main {
            let name = main.name();
            if backends.iter().any(|backend| **backend.name() == *name) {
                bail!(
                    "one of [[backends]] in confd.toml has the name of the main backend, {name}: give it \
                     another name, and backend = \"{name}\""
                );
            }
            backends.push(Arc::new(Backend::new(main.name(), Some(Key::root()), main)));
        }
        Ok(OfRun { backends, main: place, times })
    }

    /// The backends that are `given`, and those of `[[backends]]`, which are `named`. `env` has the
    /// variables of the store's own client.
    ///
    /// # Errors
    /// As for [`Self::new`]. The given backend does not exist, or this build does not have it, or it cannot
    /// be followed and watch mode is asked for.
    pub(crate) fn given(
        given: Given,
        named: Vec<NamedBackend>,
        times: Times,
        dialect: Dialect,
        env: impl Fn(&str) -> Option<OsString>,
        warnings: &mut Vec<String>,
    ) -> anyhow::Result<Self> {
        // If confd.toml names backends, the run has no other one unless it is asked for.
        let is_given = |layer: &Layer| layer.has(general::BACKEND.spec().name);
        let has_main = named.is_empty() || given.layers.iter().any(is_given);
        let is_watch = given.get(&general::WATCH)?;
        let main =
            has_main.then(|| sources::configured(given, dialect, env, warnings)).transpose()?;
        if let Some(main) = main.as_ref().filter(|main| is_watch && !can_be_watched(main.name())) {
            bail!(
                "Watch is not supported for backend {}. Exiting... (without -watch, its keys are read \
                 every -interval)",
                main.name()
            );
        }
        Self::new(main, named, times)
    }

    /// What resources can name and describe. `are_asked` says whether backends are asked at all.
    pub(crate) fn nameable(&self, are_asked: bool) -> config::Backends {
        let names = self.backends.iter().map(|backend| Arc::clone(backend.name())).collect();
        config::Backends { names, tables: Some(Tables { kinds: sources::kind, are_asked, note }) }
    }

    /// Logs where the keys come from, in confd's words for the main backend.
    pub(crate) fn announce(&self, between: impl FnOnce()) {
        info!("Backend set to {}", self.name());
        between();
        info!("Backend source(s) set to {}", self.places().join(", "));
        for (nth, backend) in self.backends.iter().enumerate() {
            if nth == self.main {
                continue;
            }
            let (name, configured) = (backend.name(), backend.configured());
            let places = configured.places().join(", ");
            let at = if places.is_empty() { String::new() } else { format!(" at {places}") };
            let mount = backend.mount().map(|mount| format!(", mounted at {mount}"));
            let mount = mount.unwrap_or_default();
            info!("Backend {name} set to {}{at}{mount}", configured.name());
        }
    }

    fn main(&self) -> Option<&dyn Configured> {
        self.backends.get(self.main).map(|backend| backend.configured())
    }
}

impl Configured for OfRun {
    fn name(&self) -> &'static str {
        self.main().map_or("", Configured::name)
    }

    fn places(&self) -> Vec<String> {
        self.main().map(Configured::places).unwrap_or_default()
    }

    fn nodes(&self) -> &[String] {
        self.main().map_or(&[], Configured::nodes)
    }

    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        // Nothing else holds it before it is opened.
        Arc::get_mut(self.backends.get_mut(self.main)?)?.configured_mut().discovery()
    }

    fn open(&self) -> Box<dyn Source> {
        let others: Arc<dyn Find> = Arc::new(&*DESCRIBED);
        Box::new(Backends::new(self.backends.clone(), others, self.times))
    }

    fn queries(&self, settings: Settings) -> Option<Box<dyn Queries>> {
        self.main()?.queries(settings)
    }
}

/// The backends that resource files describe. They stay for as long as the process, because resource files
/// are read again and again: a file that comes back finds its connection.
static DESCRIBED: LazyLock<DescribedBackends> = LazyLock::new(DescribedBackends::default);

#[derive(Default)]
struct DescribedBackends(Mutex<Vec<Arc<Backend>>>);

impl DescribedBackends {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Backend>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Find for &'static DescribedBackends {
    fn find(&self, name: &str) -> Option<Arc<Backend>> {
        self.lock().iter().find(|backend| **backend.name() == *name).cloned()
    }

    fn all(&self) -> Vec<Arc<Backend>> {
        self.lock().clone()
    }
}

/// Notes a backend that a resource file describes. Files that describe the same one share it. Returns the
/// name by which scopes mean it, which no backend of confd.toml has.
fn note(described: Described) -> Result<Arc<str>, String> {
    let configured = configured(described).map_err(|error| format!("{error:#}"))?;
    let mut known = DESCRIBED.lock();
    let same = |backend: &&Arc<Backend>| *backend.configured() == *configured;
    if let Some(backend) = known.iter().find(same) {
        return Ok(Arc::clone(backend.name()));
    }
    let name: Arc<str> = format!("[backend] {} {}", configured.name(), known.len() + 1).into();
    known.push(Arc::new(Backend::new(Arc::clone(&name), None, configured)));
    Ok(name)
}

/// A backend of this kind that is not asked, and so needs no variables and files of secrets that are missing.
#[derive(Debug, PartialEq)]
struct Unset(&'static str);

impl Configured for Unset {
    fn name(&self) -> &'static str {
        self.0
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(Backends::new(
            Vec::new(),
            Arc::new(&*DESCRIBED),
            Times { interval: Duration::MAX, limit: None },
        ))
    }
}

/// Configures a backend that a table describes. The variables of the store's own client count where the
/// table says nothing.
fn configured(described: Described) -> anyhow::Result<Box<dyn Configured>> {
    let Described { kind, values, dialect, is_whole } = described;
    let (source, name) = sources::named(kind)?;
    if !is_whole {
        return Ok(Box::new(Unset(name)));
    }
    let variables = source.variables.iter().copied().flatten();
    let mut given = Given::new(vec![values]);
    given.layers.extend(fork::defaults(kind).filter(|_| dialect == Dialect::Fork));
    let given = &given.with_variables(variables, environment);
    let (environment, mut warnings) = (sources::environment as fn() -> _, Vec::new());
    let setup = Setup { name, given, environment, warnings: &mut warnings };
    let configured = (source.configure)(setup)?;
    warnings.iter().for_each(|warning| warn!("{warning}"));
    Ok(configured)
}
