//! Which resources there are: every file under `conf.d` that can be read as one.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tracing::{debug, error, warn};

use crate::{
    fault::{Failed, Fault},
    resource::Resource,
};

/// Loads resources, as often as they are asked for.
#[derive(Default)]
pub(crate) struct Loader {
    warned: HashSet<String>,
}

/// What is under `conf.d`.
#[derive(Default)]
pub(crate) struct Loaded {
    /// The resources that can be loaded, in processing order.
    pub(crate) resources: Vec<Arc<Resource>>,
    /// The files that cannot.
    pub(crate) broken: Vec<PathBuf>,
    /// The last failure.
    pub(crate) last: Option<Failed>,
    /// Whether there are none because `confdir` itself does not exist.
    pub(crate) without_confdir: bool,
}

impl Loader {
    /// The resources in `confdir`; `prefix`, if not empty, replaces their own.
    ///
    /// Failures and warnings are logged, warnings once.
    ///
    /// # Errors
    /// `conf.d` cannot be looked at. It may be missing together with `confdir`.
    pub(crate) fn load(&mut self, confdir: &Path, prefix: &Bytes) -> Result<Loaded, Failed> {
        debug!("Loading template resources from confdir {}", confdir.display());
        let found = config::load(confdir, prefix).map_err(|problem| {
            error!("{}", problem.text);
            Failed(problem.text)
        })?;
        if found.without_confdir {
            warn!("Cannot load template resources: confdir '{}' does not exist", confdir.display());
            return Ok(Loaded { without_confdir: true, ..Loaded::default() });
        }
        if found.files.is_empty() && found.broken.is_empty() {
            warn!("Found no templates");
        }
        for folder in &found.closed {
            warn!("{}", folder.text);
        }
        let mut loaded = Loaded::default();
        for (path, problem) in found.broken {
            loaded.fail(path, problem.into());
        }
        for (path, resource) in found.files {
            debug!("Found template: {}", path.display());
            debug!("Loading template resource from {}", path.display());
            match resource {
                Ok(resource) => loaded.resources.push(Arc::new(resource.into())),
                Err(problem) => loaded.fail(path, problem.into()),
            }
        }
        for warning in loaded.resources.iter().flat_map(|resource| &resource.warnings) {
            // Resources are loaded at every pass; once told is enough.
            if self.warned.insert(warning.text.clone()) {
                Fault::from(warning.clone()).warn();
            }
        }
        Ok(loaded)
    }
}

impl Loaded {
    fn fail(&mut self, path: PathBuf, fault: Fault) {
        fault.log();
        self.broken.push(path);
        self.last = Some(Failed(fault.text));
    }
}
