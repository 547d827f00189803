//! The agent and its modes: once, every interval, or following the backend.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use backend::Backend;
use tokio::{sync::mpsc, time::sleep};
use tracing::warn;
use world::Host;

use crate::{
    fault::Failed,
    load::Loader,
    pass::Pass,
    settings::{Configuration, Ended, Order, Schedule, Settings},
    steps::Logged,
    templates::Templates,
    watch::Crew,
};

/// Keeps files true to a backend.
pub struct Agent {
    settings: Settings,
    backend: Arc<dyn Backend>,
    host: Arc<dyn Host>,
    loader: Loader,
    templates: Templates,
    swept: bool,
}

impl Agent {
    /// An agent that reads keys from `backend`; template functions ask `host` for the rest.
    pub fn new(settings: Settings, backend: Box<dyn Backend>, host: Arc<dyn Host>) -> Self {
        let templates = settings.templates();
        let backend = Arc::from(backend);
        Self { settings, backend, host, loader: Loader::default(), templates, swept: false }
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

    /// A pass, an interval of rest, and so on, until the order to stop.
    ///
    /// Failures are logged and the resource is tried again at the next pass. A new configuration
    /// counts from the next pass on, which begins at once.
    pub async fn interval(
        &mut self,
        mut schedule: Schedule,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Ended {
        loop {
            let reload = {
                let mut pass = pin!(self.pass());
                let mut reload = None;
                loop {
                    tokio::select! {
                        _ = &mut pass => break reload,
                        order = orders.recv() => match order {
                            Some(Order::Reload(configuration)) => {
                                reload = Some(newer(reload.flatten(), configuration));
                            }
                            Some(Order::Stop) | None => {
                                return end(pass, schedule.shutdown_timeout, orders).await;
                            }
                        },
                    }
                }
            };
            let reload = match reload {
                Some(reload) => reload,
                None => tokio::select! {
                    () = sleep(schedule.interval) => None,
                    order = orders.recv() => match order {
                        Some(Order::Reload(configuration)) => configuration,
                        Some(Order::Stop) | None => return Ended::Whole,
                    },
                },
            };
            if let Some(configuration) = reload {
                schedule = self.configure(configuration);
            }
        }
    }

    /// Follows the backend: a resource gets a pass whenever a value that it asks for has changed,
    /// until the order to stop. The first pass is at once, or as soon as the backend answers.
    ///
    /// Without any resource file it ends at once, as confd does.
    pub async fn watch(
        &mut self,
        mut schedule: Schedule,
        orders: &mut mpsc::Receiver<Order>,
    ) -> Ended {
        let loaded = self.loader.load(&self.settings.confdir, &self.settings.prefix);
        let loaded = loaded.unwrap_or_default();
        if loaded.resources.is_empty() && loaded.broken.is_empty() {
            return Ended::Idle;
        }
        let mut crew = Crew::new(Arc::clone(&self.host), &self.settings);
        crew.assign(loaded, &self.settings, &self.backend, &schedule);
        loop {
            tokio::select! {
                () = crew.follow() => {}
                order = orders.recv() => match order {
                    Some(Order::Reload(configuration)) => {
                        if let Some(configuration) = configuration {
                            schedule = self.configure(configuration);
                        }
                        let (confdir, prefix) = (&self.settings.confdir, &self.settings.prefix);
                        match self.loader.load(confdir, prefix) {
                            Ok(loaded) if !loaded.without_confdir => {
                                crew.assign(loaded, &self.settings, &self.backend, &schedule);
                            }
                            Ok(_) | Err(_) => warn!("the resources in use stay"),
                        }
                    }
                    Some(Order::Stop) | None => {
                        return end(crew.dismiss(), schedule.shutdown_timeout, orders).await;
                    }
                },
            }
        }
    }

    fn configure(&mut self, configuration: Configuration) -> Schedule {
        if self.settings.confdir != configuration.settings.confdir {
            self.templates = configuration.settings.templates();
        }
        self.settings = configuration.settings;
        if let Some(backend) = configuration.backend {
            self.backend = Arc::from(backend);
        }
        configuration.schedule
    }

    /// Loads all resources and processes them. Failures are logged as they happen.
    async fn pass(&mut self) -> Result<(), Failed> {
        let loaded = self.loader.load(&self.settings.confdir, &self.settings.prefix)?;
        let resources = loaded.resources;
        if !self.swept {
            self.swept = true;
            let dests = resources.iter().map(|resource| resource.target.dest.as_path());
            deploy::sweep(dests, &self.settings.options(), &Logged);
        }
        let options = self.settings.options();
        let pass = Pass::new(&*self.backend, &self.host, &mut self.templates, options);
        match pass.run(&resources).await.or(loaded.last) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }
}

/// The later of two configurations that came in; a later one without news keeps what came before.
fn newer(before: Option<Configuration>, after: Option<Configuration>) -> Option<Configuration> {
    match (before, after) {
        (Some(before), Some(after)) => {
            Some(Configuration { backend: after.backend.or(before.backend), ..after })
        }
        (before, after) => after.or(before),
    }
}

/// Lets `work` end, unless it takes longer than `limit` or another order to stop comes.
async fn end(work: impl Future, limit: Duration, orders: &mut mpsc::Receiver<Order>) -> Ended {
    let second = async {
        loop {
            match orders.recv().await {
                Some(Order::Stop) => return,
                Some(Order::Reload(_)) => {}
                None => std::future::pending().await,
            }
        }
    };
    tokio::select! {
        _ = work => Ended::Whole,
        () = second => Ended::Cut,
        () = sleep(limit) => {
            warn!("Broke off what did not end within {limit:?} of the stop");
            Ended::Cut
        }
    }
}
