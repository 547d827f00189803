//! What can be seen of a daemon from outside, and where.

use control::{Metrics, Server, Site};
use source::Source;

use crate::setup::Config;

/// The servers of a daemon. Dropping it closes them.
pub(crate) struct Outside {
    site: Site,
    counted: Metrics,
    metrics: Option<Server>,
}

impl Outside {
    /// Shows what `handle` reads and `counted` has counted, nowhere at first.
    pub(crate) fn new(handle: agent::Handle, counted: Metrics) -> Self {
        let site = Site::new(handle, counted.clone(), env!("CARGO_PKG_VERSION"));
        Outside { site, counted, metrics: None }
    }

    /// Opens the source that `config` describes. Its requests are counted.
    pub(crate) fn open(&self, config: &Config) -> Box<dyn Source> {
        self.counted.measured(config.source.open(), config.source.name())
    }

    /// Listens where `config` says, from now on. A server whose address stays is left alone.
    pub(crate) fn listen(&mut self, config: &Config) {
        self.site.set_backend(config.source.name());
        self.counted.switch(config.metrics.is_some());
        if self.metrics.as_ref().map(Server::address) == config.metrics.as_ref() {
            return;
        }
        // The old server releases its address first: the new one may contain it.
        self.metrics = None;
        let start = |address| Server::start(address, self.site.clone());
        self.metrics = config.metrics.clone().map(start);
    }
}
