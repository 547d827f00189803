//! One pass: every resource once, in order, each from its keys to its reloaded service.
//!
//! The keys of all resources are read together. Waiting for the disk is most of what a pass
//! costs, so resources are staged on other threads while later ones are rendered; everything
//! that can be observed (comparison, commands, renames, log lines) still happens one resource
//! after the other, in order. Where a later resource could see the difference, there is no
//! such overlap: a resource with commands is finished before the next one is rendered, and a
//! template that looks at files waits for all before it.

use std::{
    collections::{HashMap, VecDeque},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use backend::Backend;
use bytes::Bytes;
use deploy::{Durable, Options, Staged};
use render::{Engine, Host, Template};
use store::{Scope, Snapshot, View};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::{debug, warn};

use crate::{agent::Failed, fault::Fault, resource::Resource};

/// How many resources wait for the disk at the same time. More gain nothing on common disks.
pub const OVERLAP: usize = 32;

/// One pass over the resources it is given.
pub(crate) struct Pass<'a> {
    backend: &'a dyn Backend,
    host: &'a Arc<dyn Host>,
    templates: &'a mut Templates,
    options: Options,
    durable: Durable,
    in_flight: VecDeque<(Arc<Resource>, Staging)>,
    last: Option<Failed>,
}

/// A resource on its way to the disk.
enum Staging {
    /// It has arrived.
    Done(Result<Staged, deploy::Error>),
    /// Another thread is at it.
    Elsewhere(JoinHandle<Result<Staged, deploy::Error>>),
}

impl<'a> Pass<'a> {
    pub(crate) fn new(
        backend: &'a dyn Backend,
        host: &'a Arc<dyn Host>,
        templates: &'a mut Templates,
        options: Options,
    ) -> Self {
        let durable = Durable::default();
        Self { backend, host, templates, options, durable, in_flight: VecDeque::new(), last: None }
    }

    /// Processes `resources` and gives the last failure. All failures are logged.
    pub(crate) async fn run(mut self, resources: &[Arc<Resource>]) -> Option<Failed> {
        let snapshots = self.read(resources).await;
        for (resource, snapshot) in resources.iter().zip(snapshots) {
            let rendered = match self.templates.get(resource) {
                Ok(template) => {
                    if template.uses("fileExists") {
                        self.finish_all().await;
                    }
                    match snapshot {
                        Ok(snapshot) => render(resource, &template, snapshot, self.host),
                        Err(error) => Err(error.into()),
                    }
                }
                Err(fault) => Err(snapshot.err().map_or(fault, Fault::from)),
            };
            match rendered {
                Ok(content) => self.stage(resource, content, resources.len() == 1),
                Err(fault) => self.fail(fault),
            }
            let room = if self.has_commands(resource) { 0 } else { OVERLAP - 1 };
            while self.in_flight.len() > room {
                self.finish_first().await;
            }
        }
        self.finish_all().await;
        for error in self.durable.sync() {
            self.fail(error.to_string().into());
        }
        self.last
    }

    /// Each resource's snapshot, all from one reading; or why there is none.
    async fn read(&self, resources: &[Arc<Resource>]) -> Vec<Result<Snapshot, String>> {
        let mut places: HashMap<&Scope, usize> = HashMap::new();
        let mut scopes: Vec<Scope> = Vec::new();
        for resource in resources {
            places.entry(&resource.scope).or_insert_with(|| {
                scopes.push(resource.scope.clone());
                scopes.len() - 1
            });
        }
        if scopes.is_empty() {
            return Vec::new();
        }
        debug!("Retrieving keys from store");
        let read = self.backend.read(&scopes).await.map_err(|error| error.to_string());
        let of = |resource: &Arc<Resource>| match &read {
            Ok(snapshots) => Ok(snapshots[places[&resource.scope]].clone()),
            Err(error) => Err(error.clone()),
        };
        resources.iter().map(of).collect()
    }

    fn stage(&mut self, resource: &Arc<Resource>, content: Bytes, alone: bool) {
        let job = {
            let (resource, options) = (Arc::clone(resource), self.options);
            move || deploy::stage(&resource.target, content, &options)
        };
        // A thread is worth its start only where something else can be done meanwhile.
        let staging = if alone || self.has_commands(resource) {
            Staging::Done(job())
        } else {
            Staging::Elsewhere(spawn_blocking(job))
        };
        self.in_flight.push_back((Arc::clone(resource), staging));
    }

    fn has_commands(&self, resource: &Resource) -> bool {
        resource.has_commands() && !self.options.sync_only
    }

    async fn finish_all(&mut self) {
        while !self.in_flight.is_empty() {
            self.finish_first().await;
        }
    }

    async fn finish_first(&mut self) {
        let Some((resource, staging)) = self.in_flight.pop_front() else { return };
        let staged = match staging {
            Staging::Done(staged) => staged.map_err(|error| error.to_string()),
            Staging::Elsewhere(job) => match job.await {
                Ok(staged) => staged.map_err(|error| error.to_string()),
                Err(panic) => {
                    Err(format!("staging {} ended early: {panic}", resource.target.dest.display()))
                }
            },
        };
        let outcome = match staged {
            Ok(staged) => {
                deploy::finish(&resource.target, staged, &self.options, &mut self.durable)
                    .await
                    .map_err(|error| error.to_string())
            }
            Err(error) => Err(error),
        };
        if let Err(error) = outcome {
            self.fail(error.into());
        }
    }

    fn fail(&mut self, fault: Fault) {
        fault.log();
        self.last = Some(Failed(fault.text));
    }
}

/// The bytes that `template` makes of what `resource` asks for.
pub(crate) fn render(
    resource: &Resource,
    template: &Template,
    snapshot: Snapshot,
    host: &Arc<dyn Host>,
) -> Result<Bytes, Fault> {
    debug!("Key prefix set to {}", resource.prefix);
    let view = View::new(snapshot, &resource.scope, &resource.prefix);
    debug!("Got the following keys from store: {}", KeyNames(&view));
    let content = template
        .render(&view, host)
        .map_err(|error| Fault { text: error.to_string(), excerpt: error.excerpt().clone() })?;
    Ok(content.into())
}

/// The compiled templates, kept from pass to pass while their files stay the same.
pub(crate) struct Templates {
    folder: PathBuf,
    compiled: HashMap<PathBuf, Compiled>,
}

/// A template and what it was compiled from.
struct Compiled {
    engine: Engine,
    source: Vec<u8>,
    template: Arc<Template>,
}

impl Templates {
    /// None yet. Templates may take others from `folder`.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, compiled: HashMap::new() }
    }

    /// As [`get`](Self::get), but where the template cannot be had any more, the version that could
    /// be had last.
    pub(crate) fn current(&mut self, resource: &Resource) -> Result<Arc<Template>, Fault> {
        let fault = match self.get(resource) {
            Ok(template) => return Ok(template),
            Err(fault) => fault,
        };
        let known = self.compiled.get(&resource.src);
        let Some(known) = known.filter(|known| known.engine == resource.engine) else {
            return Err(fault);
        };
        fault.log();
        warn!("{}: the version in use stays", resource.src.display());
        Ok(Arc::clone(&known.template))
    }

    /// The template of `resource`, compiled now unless all files it is made of are those of last
    /// time.
    fn get(&mut self, resource: &Resource) -> Result<Arc<Template>, Fault> {
        let (src, engine) = (&resource.src, resource.engine);
        debug!("Using source template {}", src.display());
        let source = fs::read(src).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => format!("Missing template: {}", src.display()),
            io::ErrorKind::IsADirectory => unreadable("read", src, &error),
            _ => unreadable("open", src, &error),
        })?;
        if let Some(known) = self.compiled.get(src)
            && (known.engine, &known.source) == (engine, &source)
            && known.template.is_current()
        {
            return Ok(Arc::clone(&known.template));
        }
        debug!("Compiling source template {}", src.display());
        let template = match engine {
            Engine::Go => Template::compile(src, &source),
            Engine::Tera => Template::compile_tera(src, &source, &self.folder),
        };
        let template = template.map_err(|error| Fault {
            text: unable(src, &error),
            excerpt: error.excerpt().clone(),
        })?;
        let template = Arc::new(template);
        let compiled = Compiled { engine, source, template: Arc::clone(&template) };
        self.compiled.insert(src.clone(), compiled);
        Ok(template)
    }
}

fn unreadable(operation: &str, src: &Path, error: &io::Error) -> String {
    unable(src, &format_args!("{operation} {}: {}", src.display(), deploy::errno_text(error)))
}

fn unable(src: &Path, reason: &dyn std::fmt::Display) -> String {
    format!("Unable to process template {}, {reason}", src.display())
}

/// A view's keys, without the values: those may be secrets.
struct KeyNames<'a>(&'a View);

impl std::fmt::Display for KeyNames<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("map[")?;
        for (nth, pair) in self.0.iter().enumerate() {
            if nth > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{}:…", pair.key)?;
        }
        f.write_str("]")
    }
}
