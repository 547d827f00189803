//! Keeps the registry true to the containers of the engine.

mod changes;
mod cleanup;
mod ended;
mod health;
mod host;
mod refresh;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::rc::Rc;
use std::time::Duration;

use client_docker::{Action, Engine, Event, Listed, State};
use nodes::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until};

use crate::container::{Container, HEALTHY, short};
use crate::flags::Flags;
use crate::follower::Report;
use crate::log::Log;
use crate::pending::Pending;
use crate::registry::Registry;
use crate::service::{
    Linked, Service, Surroundings, linked_to, needs_host_address, reachable, service,
};
use crate::tags::Tags;
use host::HostAddress;
pub(crate) use host::address_of;

/// The pause before everything is compared again, after a container could not be inspected.
const AGAIN: Duration = Duration::from_secs(5);

/// The time between two looks at what runs. A process that was stopped for longer looks at once.
const LOOK: Duration = Duration::from_secs(60);

/// Why the program ends: a line of the log.
#[derive(Debug)]
pub(crate) struct Fatal(pub(crate) String);

/// Keeps the registry true to the containers of the engine.
pub(crate) struct Keeper {
    flags: Flags,
    engine: Rc<Engine>,
    registry: Rc<dyn Registry>,
    log: Log,
    /// The name of this host.
    host: String,
    host_address: HostAddress,
    tags: Rc<Tags>,
    /// The containers with services, by their ids.
    known: BTreeMap<String, Known>,
    /// The running containers without services, by their ids.
    without: BTreeSet<String>,
    /// The containers that have failed, and whose entries end by themselves.
    dead: BTreeMap<String, Dead>,
    pending: Pending,
    /// Why the registry does not answer. It is asked again when the next change is due.
    away: Option<String>,
    /// Why the engine does not answer.
    engine_away: Option<String>,
    /// When everything is to be compared.
    compare_at: Option<Instant>,
    /// When entries are refreshed; `None` for never.
    refreshes: Option<Interval>,
}

/// A container with services.
struct Known {
    name: String,
    services: Vec<Service>,
    /// The moment of its start, as the engine writes it.
    started_at: String,
    /// Its addresses by its networks.
    addresses: BTreeMap<String, String>,
}

/// A container that has failed.
struct Dead {
    known: Known,
    /// How long its entries live at most.
    left: Duration,
}

/// How services are compared with those of the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sync {
    /// At the start: nothing is known yet.
    First,
    /// At the interval of `-resync`.
    Regular,
    /// After events may have been missed.
    Blind,
    /// Now and then, because an engine drops the events that a reader does not take in time. Only
    /// what has changed is registered.
    Quiet,
}

impl Keeper {
    pub(crate) fn new(
        flags: Flags,
        engine: Engine,
        registry: Rc<dyn Registry>,
        host: String,
        log: Log,
    ) -> Keeper {
        Keeper {
            tags: Rc::new(Tags::new(&flags.tags, log.clone())),
            flags,
            engine: Rc::new(engine),
            registry,
            log,
            host,
            host_address: HostAddress::default(),
            known: BTreeMap::new(),
            without: BTreeSet::new(),
            dead: BTreeMap::new(),
            pending: Pending::default(),
            away: None,
            engine_away: None,
            compare_at: None,
            refreshes: None,
        }
    }

    /// The engine, to follow its events.
    pub(crate) fn engine(&self) -> Rc<Engine> {
        Rc::clone(&self.engine)
    }

    /// Works until something is wrong that no later attempt can mend.
    pub(crate) async fn run(&mut self, mut reports: mpsc::UnboundedReceiver<Report>) -> Fatal {
        match self.work(&mut reports).await {
            Ok(()) => Fatal("the engine is followed no more".to_owned()),
            Err(fatal) => fatal,
        }
    }

    async fn work(&mut self, reports: &mut mpsc::UnboundedReceiver<Report>) -> Result<(), Fatal> {
        let registry = Rc::clone(&self.registry);
        let mut lost = Box::pin(lost_by(&*registry));
        self.refreshes = every(self.flags.refresh);
        let (mut resync, mut look) = (every(self.flags.resync), every(LOOK));
        let mut sync = Sync::First;
        loop {
            let (due, compare) = (self.pending.next(), self.compare_at);
            let look_up = self.host_address.again_at;
            tokio::select! {
                report = reports.recv() => match report {
                    None => return Ok(()),
                    Some(Report::Happened(event)) => self.happened(event).await?,
                    Some(Report::Away(error)) => self.engine_is_away(&error),
                    Some(Report::Following) => {
                        if self.engine_away.take().is_some() {
                            self.log.line("docker: the engine answers again");
                        }
                        self.sync(sync).await?;
                        sync = Sync::Blind;
                    }
                },
                () = &mut lost => {
                    self.restore().await;
                    lost = Box::pin(lost_by(&*registry));
                }
                () = tick(&mut self.refreshes) => self.refresh().await,
                () = tick(&mut resync) => self.sync(Sync::Regular).await?,
                () = tick(&mut look) => self.sync(Sync::Quiet).await?,
                () = until(due) => self.retry().await,
                () = until(look_up) => self.look_up_again().await?,
                () = until(compare) => {
                    self.compare_at = None;
                    self.sync(Sync::Blind).await?;
                }
            }
        }
    }

    fn engine_is_away(&mut self, error: &Error) {
        let text = error.to_string();
        if self.engine_away.as_ref() != Some(&text) {
            self.log.line(format_args!("{text}; trying again"));
            self.engine_away = Some(text);
        }
    }

    async fn happened(&mut self, event: Event) -> Result<(), Fatal> {
        match event.action {
            Action::Start => self.add(&event.container, Sync::First).await,
            Action::Die(_) if self.is_of_former_run(&event).await => Ok(()),
            Action::Die(code) => {
                self.died(&event.container, code).await;
                Ok(())
            }
            Action::Health(status) => {
                self.is_healthy_now(&event.container, status == HEALTHY).await;
                Ok(())
            }
            Action::Other => Ok(()),
        }
    }

    /// Compares what is registered with what runs.
    async fn sync(&mut self, sync: Sync) -> Result<(), Fatal> {
        let engine = self.engine();
        let running = match self.waits(engine.list(State::Running)).await {
            Ok(running) => running,
            // The next look comes soon.
            Err(_) if sync == Sync::Quiet => return Ok(()),
            Err(error) if sync == Sync::Regular => {
                self.log.line(format_args!("error listing containers, skipping sync: {error}"));
                return Ok(());
            }
            Err(error) => {
                // The engine ends just now, or it is only beginning.
                self.engine_is_away(&error);
                self.compare_at = Some(Instant::now() + AGAIN);
                return Ok(());
            }
        };
        if sync != Sync::Quiet {
            self.log.line(format_args!("Syncing services on {} containers", running.len()));
        }
        for listed in &running {
            match self.known.contains_key(&listed.id) {
                true => self.again(listed, sync).await?,
                false if sync == Sync::Quiet && self.without.contains(&listed.id) => {}
                false => self.add(&listed.id, sync).await?,
            }
        }
        self.without.retain(|id| running.iter().any(|listed| listed.id == *id));
        if matches!(sync, Sync::Blind | Sync::Quiet) {
            let running: BTreeSet<_> = running.iter().map(|listed| &listed.id[..]).collect();
            let ended = self.known.keys().filter(|id| !running.contains(&id[..]));
            for id in ended.cloned().collect::<Vec<_>>() {
                self.died(&id, None).await;
            }
        }
        // What could not be inspected may have entries. It is asked for again soon.
        let is_whole = self.compare_at.is_none();
        if (self.flags.cleanup || self.flags.prune) && is_whole && sync != Sync::Quiet {
            self.clean_up().await;
        }
        Ok(())
    }

    /// Registers the services of a known container again. If its start or its networks have
    /// changed, they are found again. Their health is taken over where it counts.
    async fn again(&mut self, listed: &Listed, sync: Sync) -> Result<(), Fatal> {
        let of_list = serde_json::json!({ "NetworkSettings": listed.network_settings });
        let now = addresses(&Container::new(of_list));
        let is_as_before = self.known.get(&listed.id).is_some_and(|known| known.addresses == now);
        let is_asked = sync != Sync::Regular || !is_as_before || self.flags.rules.follows_health;
        if is_asked && let Some(container) = self.inspect(&listed.id).await {
            let known = self.known.get(&listed.id);
            if !container.is_running() {
                self.died(&listed.id, None).await;
                return Ok(());
            }
            if known.is_some_and(|known| !known.is_as_before(&container)) {
                return self.replace(container, sync).await;
            }
            if let Some(is_healthy) = container.is_healthy() {
                match sync {
                    Sync::Quiet => self.is_healthy_now(&listed.id, is_healthy).await,
                    // All services are registered below.
                    _ => _ = self.take_over(&listed.id, is_healthy),
                }
            }
        }
        if sync == Sync::Quiet {
            return Ok(());
        }
        let services = self.known.get(&listed.id).map(|known| known.services.clone());
        for service in services.unwrap_or_default() {
            self.register(service, "sync register failed:", false).await;
        }
        Ok(())
    }

    /// Finds the services of a known container again, and removes those that it no longer has.
    async fn replace(&mut self, container: Container, sync: Sync) -> Result<(), Fatal> {
        let id = container.id().to_owned();
        let services = self.services(&container, sync).await?;
        let old = self.known.remove(&id).map(|known| known.services).unwrap_or_default();
        let is_gone =
            |old: &Service| services.iter().all(|new| (&new.id, &new.name) != (&old.id, &old.name));
        for old in old.into_iter().filter(is_gone).collect::<Vec<_>>() {
            self.deregister(old).await;
        }
        self.remember(&container, services).await;
        Ok(())
    }

    /// Registers the services of a container that has started.
    async fn add(&mut self, id: &str, sync: Sync) -> Result<(), Fatal> {
        let Some(container) = self.inspect(id).await else { return Ok(()) };
        if !container.is_running() {
            // It has ended already, and starts again before anything reaches it.
            return Ok(());
        }
        if let Some(known) = self.known.get(id) {
            if known.started_at != container.started_at() {
                // The engine gives it other ports at each start.
                return self.replace(container, sync).await;
            }
            let short = short(id);
            self.log.line(format_args!("container,  {short} , already exists, ignoring"));
            return Ok(());
        }
        let services = self.services(&container, sync).await?;
        match self.dead.remove(id) {
            // It is back before its entries have ended.
            Some(dead) if dead.known.services == services => {
                let short = short(id);
                self.log.line(format_args!("container,  {short} , already exists, ignoring"));
                self.known.insert(id.to_owned(), Known::new(&container, services));
            }
            Some(dead) => {
                self.known.insert(id.to_owned(), dead.known);
                self.replace(container, sync).await?;
            }
            None => self.remember(&container, services).await,
        }
        Ok(())
    }

    async fn remember(&mut self, container: &Container, services: Vec<Service>) {
        if services.is_empty() {
            self.without.insert(container.id().to_owned());
            return;
        }
        let known = Known::new(container, services.clone());
        self.known.insert(container.id().to_owned(), known);
        for service in services {
            self.register(service, "register failed:", true).await;
        }
    }

    /// A container, if the engine has it. Otherwise the log says why not.
    async fn inspect(&mut self, id: &str) -> Option<Container> {
        let engine = self.engine();
        let why = match self.waits(engine.inspect(id)).await {
            Ok(Some(document)) => return Some(Container::new(document)),
            Ok(None) => format!("No such container: {id}"),
            Err(error) => {
                self.compare_at = Some(Instant::now() + AGAIN);
                error.to_string()
            }
        };
        self.log.line(format_args!("unable to inspect container: {} {why}", short(id)));
        None
    }

    /// The services of a container.
    async fn services(&mut self, container: &Container, sync: Sync) -> Result<Vec<Service>, Fatal> {
        let found = reachable(container, &self.flags.rules);
        if sync == Sync::First {
            found.notes.iter().for_each(|note| self.log.line(note));
        }
        if found.ports.is_empty() {
            return Ok(Vec::new());
        }
        let (host, rules) = (self.host.clone(), self.flags.rules.clone());
        let tags = Rc::clone(&self.tags);
        let surroundings = Surroundings {
            host_address: match needs_host_address(container, &found.ports, &rules) {
                true => self.host_address(container).await,
                false => None,
            },
            linked: self.linked(container).await,
            tags: self.waits(tags.of(container, &rules)).await.map_err(Fatal)?,
            host,
        };
        let (is_group, mut services) = (found.ports.len() > 1, Vec::new());
        for port in &found.ports {
            let mut notes = Vec::new();
            let made = service(container, port, is_group, &rules, &surroundings, &mut notes);
            notes.iter().for_each(|note| self.log.line(note));
            match made {
                Some(service) => match self.registry.refuses(&service) {
                    None => services.push(service),
                    Some(why) if sync == Sync::First => {
                        let short = short(container.id());
                        self.log.line(format_args!("ignored: {short} {}: {why}", service.id));
                    }
                    Some(_) => {}
                },
                None if sync == Sync::First => {
                    let (short, port) = (short(container.id()), &port.0.text);
                    self.log.line(format_args!("ignored: {short} service on port {port}"));
                }
                None => {}
            }
        }
        Ok(services)
    }

    /// The container whose network this one shares.
    async fn linked(&mut self, container: &Container) -> Option<Linked> {
        let id = linked_to(container)?.to_owned();
        let engine = self.engine();
        let address = match self.waits(engine.inspect(&id)).await {
            Ok(Some(document)) => Ok(Container::new(document).address().to_owned()),
            Ok(None) => Err(format!("No such container: {id}")),
            Err(error) => Err(error.to_string()),
        };
        Some(Linked { id, address })
    }
}

impl Known {
    fn new(container: &Container, services: Vec<Service>) -> Known {
        Known {
            name: container.name().to_owned(),
            services,
            started_at: container.started_at().to_owned(),
            addresses: addresses(container),
        }
    }

    /// Whether the container was neither started again nor has other addresses since.
    fn is_as_before(&self, container: &Container) -> bool {
        self.started_at == container.started_at() && self.addresses == addresses(container)
    }
}

fn addresses(container: &Container) -> BTreeMap<String, String> {
    container.networks().map(|(name, address)| (name.to_owned(), address.to_owned())).collect()
}

/// Waits until the registry may have lost entries. One that seems to do so all the time is compared
/// now and then.
async fn lost_by(registry: &dyn Registry) {
    let next = Instant::now() + AGAIN;
    registry.lost().await;
    if next.saturating_duration_since(Instant::now()) > AGAIN / 2 {
        sleep_until(next).await;
    }
}

/// A timer; `None` for a period of zero.
fn every(period: Duration) -> Option<Interval> {
    (!period.is_zero()).then(|| {
        let mut interval = interval_at(Instant::now() + period, period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        interval
    })
}

async fn tick(interval: &mut Option<Interval>) {
    match interval {
        Some(interval) => {
            interval.tick().await;
        }
        None => future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => future::pending().await,
    }
}
