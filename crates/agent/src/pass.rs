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
    sync::Arc,
};

use backend::Backend;
use bytes::Bytes;
use deploy::{Durable, Member, Options, Transaction};
use store::{Scope, Snapshot};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::debug;
use world::Host;

use crate::{
    fault::{Failed, Fault},
    reading,
    resource::Resource,
    steps::Logged,
    templates::{Templates, render},
};

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
    Done(Result<Transaction, deploy::Error>),
    /// Another thread is at it.
    Elsewhere(JoinHandle<Result<Transaction, deploy::Error>>),
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
        let read = reading::each(self.backend, &scopes).await.map_err(|error| error.to_string());
        let of = |resource: &Arc<Resource>| match &read {
            Ok(snapshots) => snapshots[places[&resource.scope]].clone(),
            Err(error) => Err(error.clone()),
        };
        resources.iter().map(of).collect()
    }

    fn stage(&mut self, resource: &Arc<Resource>, content: Bytes, alone: bool) {
        let job = {
            let member = Member { target: Arc::clone(&resource.target), content };
            let options = self.options;
            move || Transaction::stage(vec![member], &options)
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
                staged.finish(&Logged, &mut self.durable).await.map_err(|error| error.to_string())
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
