//! Loads the resources whenever a driver asks for them, and logs problems of their files.

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

/// Loads resources, and remembers which problems it has logged.
#[derive(Default)]
pub(crate) struct Loading {
    /// The warnings that were logged. Each is logged once, although resources may be loaded in
    /// every pass.
    warned: HashSet<String>,
    /// The problems of resource files at the last loading.
    known: BTreeMap<PathBuf, String>,
    was_empty: bool,
}

/// The content of `conf.d`.
#[derive(Default)]
pub(crate) struct Loaded {
    /// The valid resources, in processing order.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// The invalid resource files.
    pub(crate) broken: Vec<PathBuf>,
    /// Whether there are no resources because `confdir` itself does not exist.
    pub(crate) without_confdir: bool,
}

/// Which problems of resource files are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Say {
    /// All problems.
    All,
    /// Problems that are new since the last loading. For callers that load again and again.
    News,
}

impl Loading {
    /// Loads the resources in `confdir`. A `prefix` that is not empty replaces the prefixes of the
    /// resources.
    ///
    /// Problems of single files are reported to `reader` and to the log.
    ///
    /// # Errors `conf.d` cannot be read. It may be missing only if `confdir` is missing too.
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
