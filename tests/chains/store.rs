//! The store of a chain.

use servers::{Etcd, Release};

/// Which store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Etcd,
}

/// A running server.
pub(super) enum Store {
    Etcd(Etcd),
}

impl Store {
    /// Starts one.
    pub(super) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Etcd => Self::Etcd(Etcd::start(Release::Debian)),
        }
    }

    /// The environment variable that tells the examples where it is.
    pub(super) fn variable(&self) -> (&'static str, String) {
        match self {
            Self::Etcd(server) => ("ETCD", server.url()),
        }
    }

    /// The script with which a service registers itself.
    pub(super) fn register(&self) -> &'static str {
        match self {
            Self::Etcd(_) => "register/etcd.sh",
        }
    }

    /// Sets the address of a service.
    #[track_caller]
    pub(super) fn put(&self, name: &str, address: &str) {
        match self {
            Self::Etcd(server) => server.put(&format!("/services/app/{name}"), address),
        }
    }

    /// Deletes a service.
    #[track_caller]
    pub(super) fn delete(&self, name: &str) {
        match self {
            Self::Etcd(server) => _ = server.ctl(&["del", &format!("/services/app/{name}")]),
        }
    }

    /// Kills it; its data stay.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Etcd(server) => server.kill(),
        }
    }

    /// Starts it after [`kill`](Self::kill) and waits until it is ready.
    #[track_caller]
    pub(super) fn restart(&mut self) {
        match self {
            Self::Etcd(server) => {
                server.restart();
                server.wait();
            }
        }
    }
}
