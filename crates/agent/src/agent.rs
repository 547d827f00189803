//! The loop: which resources there are, and when they get a pass.

use std::{
    collections::HashSet, fs, future::Future, io, path::PathBuf, pin::pin, sync::Arc,
    time::Duration,
};

use backend::Backend;
use bytes::Bytes;
use deploy::Options;
use render::Host;
use tracing::{debug, error, warn};

use crate::{
    discover,
    fault::Fault,
    pass::{Pass, Templates},
    resource::{self, Resource},
};

/// How long a pass that is under way when the stop signal comes may take to end.
const GRACE: Duration = Duration::from_secs(30);

/// The folder in the confdir that templates are in.
const TEMPLATES: &[u8] = b"templates";

/// What an agent works on, and how.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder that holds `conf.d` and `templates`.
    pub confdir: PathBuf,
    /// Prefix of all keys; if not empty it replaces the resources' own.
    pub prefix: Bytes,
    /// Change nothing, only say what would change.
    pub noop: bool,
    /// Run neither `check_cmd` nor `reload_cmd`.
    pub sync_only: bool,
    /// Leave stage files behind.
    pub keep_stage_file: bool,
}

/// A pass in which something failed. Everything was logged when it happened; this is the last.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);

/// Keeps files true to a backend.
pub struct Agent {
    settings: Settings,
    backend: Box<dyn Backend>,
    host: Arc<dyn Host>,
    templates: Templates,
    warned: HashSet<String>,
    swept: bool,
}

impl Agent {
    /// An agent that reads keys from `backend`; template functions ask `host` for the rest.
    pub fn new(settings: Settings, backend: Box<dyn Backend>, host: Arc<dyn Host>) -> Self {
        let templates = Templates::new(resource::join(&settings.confdir, TEMPLATES));
        Self { settings, backend, host, templates, warned: HashSet::new(), swept: false }
    }

    /// One pass over all resources.
    ///
    /// Dropping the future stops it: running commands are killed, staged files removed, and
    /// each destination is the old file or the new one.
    ///
    /// # Errors
    /// The last failure, after every resource had its turn.
    pub async fn onetime(&mut self) -> Result<(), Failed> {
        self.pass().await
    }

    /// A pass, `interval` of rest, and so on, until `stop` resolves.
    ///
    /// Failures are logged and the resource is tried again at the next pass. A pass under way
    /// when `stop` resolves is given 30 seconds to end.
    pub async fn interval(&mut self, interval: Duration, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let mut pass = pin!(self.pass());
            tokio::select! {
                _ = &mut pass => {}
                () = &mut stop => {
                    if tokio::time::timeout(GRACE, pass).await.is_err() {
                        warn!("stopped a pass that did not end within {} seconds", GRACE.as_secs());
                    }
                    return;
                }
            }
            tokio::select! {
                () = tokio::time::sleep(interval) => {}
                () = &mut stop => return,
            }
        }
    }

    /// Loads all resources and processes them. Failures are logged as they happen.
    async fn pass(&mut self) -> Result<(), Failed> {
        let (resources, mut last) = self.load()?;
        if !self.swept {
            self.swept = true;
            deploy::sweep(resources.iter().map(|resource| resource.target.dest.as_path()));
        }
        let options = Options {
            noop: self.settings.noop,
            sync_only: self.settings.sync_only,
            keep_stage_file: self.settings.keep_stage_file,
        };
        let pass = Pass::new(&*self.backend, &self.host, &mut self.templates, options);
        if let Some(failure) = pass.run(&resources).await {
            last = Some(failure);
        }
        last.map_or(Ok(()), Err)
    }

    /// The resources that can be loaded, and the last failure of those that cannot.
    fn load(&mut self) -> Result<(Vec<Arc<Resource>>, Option<Failed>), Failed> {
        let confdir = &self.settings.confdir;
        debug!("Loading template resources from confdir {}", confdir.display());
        if matches!(fs::metadata(confdir), Err(error) if error.kind() == io::ErrorKind::NotFound) {
            warn!("Cannot load template resources: confdir '{}' does not exist", confdir.display());
            return Ok((Vec::new(), None));
        }
        let conf_d = resource::join(confdir, b"conf.d");
        let found = discover::resource_files(&conf_d).map_err(|error| {
            let failed =
                Failed(format!("stat {}: {}", conf_d.display(), deploy::errno_text(&error)));
            error!("{failed}");
            failed
        })?;
        if found.files.is_empty() && found.broken.is_empty() {
            warn!("Found no templates");
        }
        for (folder, error) in &found.closed {
            warn!(
                "open {}: {}: resources in it are left out",
                folder.display(),
                deploy::errno_text(error)
            );
        }
        let mut last = None;
        let mut failed = |fault: Fault| {
            fault.log();
            last = Some(Failed(fault.text));
        };
        for (path, error) in &found.broken {
            failed(resource::unreadable(path, "stat", error));
        }
        let templates = resource::join(confdir, TEMPLATES);
        let mut resources = Vec::with_capacity(found.files.len());
        for path in &found.files {
            debug!("Found template: {}", path.display());
            debug!("Loading template resource from {}", path.display());
            match Resource::load(path, &templates, &self.settings.prefix) {
                Ok(resource) => resources.push(Arc::new(resource)),
                Err(fault) => failed(fault),
            }
        }
        for warning in resources.iter().flat_map(|resource| &resource.warnings) {
            // Resources are loaded at every pass; once told is enough.
            if self.warned.insert(warning.text.clone()) {
                warning.warn();
            }
        }
        Ok((resources, last))
    }
}
