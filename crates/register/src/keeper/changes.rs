//! Changes of the registry, which are made one after the other. One that fails is pending.

use std::collections::BTreeSet;

use client_docker::Moment;
use nodes::Error;
use tokio::time::Instant;

use super::{AGAIN, Keeper};
use crate::container::short;
use crate::pending::{Change, Why};
use crate::service::Service;

/// A change of the registry that was not made.
struct Failed {
    error: String,
    /// Whether the error differs from that of the last time.
    is_new: bool,
}

/// The text of an error, and what it says about the change.
fn of(error: Error) -> (String, Why) {
    (error.to_string(), if error.is_refusal() { Why::Refused } else { Why::NoAnswer })
}

impl Keeper {
    /// Registers a service, now or as soon as the registry takes it.
    pub(super) async fn register(&mut self, service: Service, failed: &str, is_told: bool) {
        let (id, container) = (service.id.clone(), service.container.clone());
        let is_told = is_told && !self.registry.is_left_out(&service);
        match self.change(Change::Register(service)).await {
            Ok(()) if is_told => {
                let added = self.registry.word("added:", "would add:");
                self.log.line(format_args!("{added} {} {id}", short(&container)));
            }
            Ok(()) => {}
            Err(Failed { error, .. }) => self.log.line(format_args!("{failed} {id} {error}")),
        }
    }

    /// Removes a service of a container that is no longer known with it, now or as soon as the
    /// registry lets it. If another container has the same entry, the entry becomes that container's.
    pub(super) async fn deregister(&mut self, service: Service) {
        let key = self.registry.key(&service);
        if let Some(heir) = self.last_with(&key) {
            let (id, old, new) = (&service.id, short(&service.container), short(&heir.container));
            self.log.line(format_args!("kept: {old} {id} is now of {new}"));
            self.register(heir, "register failed:", false).await;
            return;
        }
        if self.pending.is_unregistered(&key, &service) {
            self.pending.settle(&key);
            return;
        }
        let (id, container) = (service.id.clone(), service.container.clone());
        match self.change(Change::Deregister(service)).await {
            Ok(()) => {
                let removed = self.registry.word("removed:", "would remove:");
                self.log.line(format_args!("{removed} {} {id}", short(&container)));
            }
            Err(Failed { error, .. }) => {
                self.log.line(format_args!("deregister failed: {id} {error}"));
            }
        }
    }

    /// The service with this key of the container that has started last.
    fn last_with(&self, key: &str) -> Option<Service> {
        let services = self.known.values().flat_map(|known| {
            let started = Moment::parse(&known.started_at);
            known.services.iter().map(move |service| (started, service))
        });
        let same = services.filter(|(_, service)| self.registry.key(service) == key);
        same.max_by_key(|(started, _)| *started).map(|(_, service)| service.clone())
    }

    /// Makes a change of the registry. A change that fails is pending.
    async fn change(&mut self, change: Change) -> Result<(), Failed> {
        let key = self.registry.key(change.service());
        let done = match (&self.away, &change) {
            (Some(error), _) => Err((error.clone(), Why::NotSent)),
            (None, Change::Register(service)) => self.registry.register(service).await.map_err(of),
            (None, Change::Deregister(service)) => {
                self.registry.deregister(service).await.map_err(of)
            }
        };
        match done {
            Ok(()) => {
                self.pending.settle(&key);
                Ok(())
            }
            Err((error, why)) => {
                if why == Why::NoAnswer {
                    self.away = Some(error.clone());
                }
                let is_new = self.pending.note(key, change, error.clone(), why);
                Err(Failed { error, is_new })
            }
        }
    }

    /// Makes the changes that are due.
    pub(super) async fn retry(&mut self) {
        self.away = None;
        for change in self.pending.due() {
            let id = change.service().id.clone();
            let container = short(&change.service().container).to_owned();
            let (done, failed) = match &change {
                // What is there is removed because it is unhealthy.
                Change::Register(service) if self.registry.is_left_out(service) => {
                    ("unhealthy:", "deregister failed:")
                }
                Change::Register(_) => ("added:", "register failed:"),
                Change::Deregister(_) => ("removed:", "deregister failed:"),
            };
            match self.change(change).await {
                Ok(()) => self.log.line(format_args!("{done} {container} {id}")),
                Err(Failed { error, is_new: true }) => {
                    self.log.line(format_args!("{failed} {id} {error}"));
                }
                Err(_) => {}
            }
        }
    }

    /// Registers what the registry has lost.
    pub(super) async fn restore(&mut self) {
        self.away = None;
        self.pending.hurry();
        let entries = match self.registry.entries().await {
            Ok(entries) => entries,
            Err(error) => {
                self.log.line(format_args!("cannot compare with the registry: {error}"));
                self.compare_at = Some(Instant::now() + AGAIN);
                return;
            }
        };
        let known: BTreeSet<_> = entries.iter().map(|entry| (&entry.name, &entry.id)).collect();
        let services = self.known.values().flat_map(|known| &known.services);
        let missing = services.filter(|service| {
            !known.contains(&(&service.name, &service.id))
                && !self.registry.is_left_out(service)
                && !self.pending.has(&self.registry.key(service))
        });
        for service in missing.cloned().collect::<Vec<_>>() {
            self.register(service, "register failed:", true).await;
        }
    }

    /// Removes everything that this process has registered.
    pub(crate) async fn remove_all(&mut self) {
        self.away = None;
        for id in self.known.keys().cloned().collect::<Vec<_>>() {
            self.forget(&id).await;
        }
        for service in self.pending.removals() {
            self.deregister(service).await;
        }
    }
}
