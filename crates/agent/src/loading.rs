//! Loads the resources, as often as a driver asks for them, and logs what a person has to know.

use std::{
    collections::{BTreeMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use config::Problem;
use tracing::{debug, warn};

use crate::{
    event::{Event, Reader},
    failure::Failure,
    resource::Resource,
};

/// Loads resources, and remembers what it has logged about them.
#[derive(Default)]
pub(crate) struct Loading {
    /// The warnings that were logged. Resources may be loaded at every pass; once is enough.
    warned: HashSet<String>,
    /// What was wrong with files the last time.
    known: BTreeMap<PathBuf, String>,
    was_empty: bool,
}

/// What is under `conf.d`.
#[derive(Default)]
pub(crate) struct Loaded {
    /// The resources that can be loaded, in processing order.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// The files that cannot.
    pub(crate) broken: Vec<PathBuf>,
    /// Whether there are none because `confdir` itself does not exist.
    pub(crate) without_confdir: bool,
}

/// How much of what is wrong with files is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// All of it.
    All,
    /// What differs from the last time: somebody looks again and again.
    News,
}

impl Loading {
    /// The resources in `confdir`; `prefix`, if not empty, replaces their own.
    ///
    /// What is wrong with single files goes to `reader`, and to the log.
    ///
    /// # Errors
    /// `conf.d` cannot be looked at. It may be missing together with `confdir`.
    pub(crate) fn load(
        &mut self,
        confdir: &Path,
        prefix: &Bytes,
        say: Say,
        reader: &dyn Reader,
    ) -> Result<Loaded, Failure> {
        debug!("Loading template resources from confdir {}", confdir.display());
        let found = match config::load(confdir, prefix) {
            Ok(found) => found,
            Err(problem) => {
                let is_news = self.known.insert(confdir.to_owned(), problem.text.clone())
                    != Some(problem.text.clone());
                let failure = Failure::load(problem);
                if say == Say::All || is_news {
                    reader.read(&Event::RunFailed { failure: Arc::new(failure.clone()) });
                }
                return Err(failure);
            }
        };
        let is_empty = found.files.is_empty() && found.broken.is_empty();
        if is_empty && (say == Say::All || !self.was_empty) {
            match found.without_confdir {
                true => warn!(
                    "Cannot load template resources: confdir '{}' does not exist",
                    confdir.display()
                ),
                false => warn!("Found no templates"),
            }
        }
        self.was_empty = is_empty;
        for folder in &found.closed {
            if say == Say::All || !self.warned.contains(&folder.text) {
                self.warned.insert(folder.text.clone());
                warn!("{}", folder.text);
            }
        }
        let mut loaded = Loaded { without_confdir: found.without_confdir, ..Loaded::default() };
        let conf_d = config::conf_d(confdir);
        let before = std::mem::take(&mut self.known);
        let mut fail = |path: PathBuf, problem: Problem| {
            let is_news = before.get(&path) != Some(&problem.text);
            self.known.insert(path.clone(), problem.text.clone());
            loaded.broken.push(path.clone());
            if say == Say::All || is_news {
                let name = config::name(&path, &conf_d);
                reader.read(&Event::NotLoaded { name, problem });
            }
        };
        for (path, problem) in found.broken {
            fail(path, problem);
        }
        for (path, resource) in found.files {
            debug!("Found template: {}", path.display());
            debug!("Loading template resource from {}", path.display());
            match resource {
                Ok(resource) => loaded.resources.push(Arc::new(resource.into())),
                Err(problem) => fail(path, problem),
            }
        }
        for warning in loaded.resources.iter().flat_map(|resource| &resource.warnings) {
            if self.warned.insert(warning.text.clone()) {
                warn!(excerpt = %warning.excerpt, "{}", warning.text);
            }
        }
        Ok(loaded)
    }
}
