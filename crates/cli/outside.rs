//! What can be seen of a daemon from outside, and where.

use control::{Server, Site};

use crate::setup::Config;

/// The servers of a daemon. Dropping it closes them.
pub(crate) struct Outside {
    site: Site,
    metrics: Option<Server>,
}

impl Outside {
    /// Shows what `handle` reads, nowhere at first.
    pub(crate) fn new(handle: agent::Handle) -> Self {
        Outside { site: Site::new(handle, env!("CARGO_PKG_VERSION")), metrics: None }
    }

    /// Listens where `config` says, from now on. A server whose address stays is left alone.
    pub(crate) fn listen(&mut self, config: &Config) {
        self.site.set_backend(config.source.name());
        if self.metrics.as_ref().map(Server::address) == config.metrics.as_ref() {
            return;
        }
        // The old server releases its address first: the new one may contain it.
        self.metrics = None;
        let start = |address| Server::start(address, self.site.clone());
        self.metrics = config.metrics.clone().map(start);
    }
}
