//! What can be seen of a daemon from outside and asked of it, and where.

use std::{ffi::OsString, path::PathBuf};

use agent::Order;
use control::{Address, Commands, Metrics, Purpose, Reloaded, Server, Site};
use options::{Given, Invalid};
use source::{Configured as _, Source};
use tokio::sync::{mpsc, oneshot};

use crate::{general, setup::Config};

/// The control socket of a daemon that systemd has given a folder for such files.
const NAME: &str = "confd.sock";

/// Where a client looks for the control socket if nothing names it: where it is with the unit of
/// `docs/operations.md`.
pub(crate) const USUAL: &str = "/run/confd/confd.sock";

/// Requests to read the configuration again. Each is answered when everything is loaded.
pub(crate) type Reloads = mpsc::Receiver<oneshot::Sender<Reloaded>>;

/// Where a daemon shows its state.
pub(crate) fn metrics(given: &Given) -> Result<Option<Address>, Invalid> {
    given.get_as(&general::METRICS_ADDR, |address| {
        let address = (!address.is_empty()).then(|| Address::read(&address)).transpose();
        address.map_err(|error| format!("metrics-addr: {error}"))
    })
}

/// The control socket: the one that is given, or one in the folder that systemd has made for the service.
pub(crate) fn control(
    given: &Given,
    env: &impl Fn(&str) -> Option<OsString>,
) -> anyhow::Result<Option<PathBuf>> {
    let path = given.get(&general::CONTROL_SOCKET)?;
    if !path.as_os_str().is_empty() {
        return Ok(Some(path));
    }
    let folders = env("RUNTIME_DIRECTORY").and_then(|folders| folders.into_string().ok());
    let first = folders.as_deref().and_then(|folders| folders.split(':').next());
    Ok(first.filter(|folder| !folder.is_empty()).map(|folder| PathBuf::from(folder).join(NAME)))
}

/// The servers of a daemon. Dropping it closes them.
pub(crate) struct Outside {
    site: Site,
    counted: Metrics,
    commands: Commands,
    metrics: Option<Server>,
    control: Option<Server>,
}

impl Outside {
    /// Shows what `handle` reads and `counted` has counted, and gives orders to the agent; nowhere at
    /// first. The requests to read the configuration again are for the caller.
    pub(crate) fn new(
        handle: agent::Handle,
        counted: Metrics,
        orders: mpsc::Sender<Order>,
    ) -> (Self, Reloads) {
        let (reloads, asked) = mpsc::channel(1);
        let commands = Commands { orders, reloads };
        let site = Site::new(handle, counted.clone(), env!("CARGO_PKG_VERSION"));
        (Outside { site, counted, commands, metrics: None, control: None }, asked)
    }

    /// Opens the source that `config` describes. Its requests are counted.
    pub(crate) fn open(&self, config: &Config) -> Box<dyn Source> {
        self.counted.measured(config.source.open(), config.source.name())
    }

    /// Listens where `config` says, from now on. A server whose address stays is left alone.
    pub(crate) fn listen(&mut self, config: &Config) {
        self.site.set_backend(config.source.name());
        self.counted.switch(config.metrics.is_some() || config.control.is_some());
        let control = config.control.clone().map(Address::Unix);
        let site = self.site.with_commands(self.commands.clone());
        listen(&mut self.control, Purpose::Control, control, &site);
        listen(&mut self.metrics, Purpose::Metrics, config.metrics.clone(), &self.site);
    }
}

fn listen(server: &mut Option<Server>, purpose: Purpose, address: Option<Address>, site: &Site) {
    if server.as_ref().map(Server::address) == address.as_ref() {
        return;
    }
    match (server.take(), purpose) {
        // The request to read the configuration again may have come by this server.
        (Some(before), Purpose::Control) => before.retire(),
        // It releases its address at once: the new one may contain it.
        (before, _) => drop(before),
    }
    *server = address.map(|address| Server::start(purpose, address, site.clone()));
}
