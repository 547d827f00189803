//! The store of a chain.

use servers::{Consul, Etcd, Release};

/// The kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Etcd,
    Consul,
}

/// A running server.
pub(super) enum Store {
    Etcd(Etcd),
    Consul(Consul),
}

impl Store {
    /// Starts a store in which a service can register itself for a second at a time.
    pub(super) fn start(kind: Kind) -> Self {
        match kind {
            Kind::Etcd => Self::Etcd(Etcd::start(Release::Debian)),
            Kind::Consul => Self::Consul(Consul::start_with("session_ttl_min = \"1s\"\n")),
        }
    }

    /// Starts a store whose data survives a restart.
    pub(super) fn durable(kind: Kind) -> Self {
        match kind {
            Kind::Etcd => Self::Etcd(Etcd::start(Release::Newest)),
            Kind::Consul => Self::Consul(Consul::durable()),
        }
    }

    /// The environment variable with the store's address for the examples.
    pub(super) fn variable(&self) -> (&'static str, String) {
        match self {
            Self::Etcd(server) => ("ETCD", server.url()),
            Self::Consul(server) => ("CONSUL", server.address()),
        }
    }

    /// The URI of the registry of services.
    pub(super) fn registry(&self) -> String {
        match self {
            Self::Etcd(server) => {
                format!("etcd://{}/services", server.url().trim_start_matches("http://"))
            }
            Self::Consul(server) => format!("consulkv://{}/services", server.address()),
        }
    }

    /// Sets the address of a service.
    #[track_caller]
    pub(super) fn put(&self, name: &str, address: &str) {
        match self {
            Self::Etcd(server) => server.put(&format!("/services/app/{name}"), address),
            Self::Consul(server) => server.put(&format!("services/app/{name}"), address),
        }
    }

    /// Deletes a service.
    #[track_caller]
    pub(super) fn delete(&self, name: &str) {
        match self {
            Self::Etcd(server) => _ = server.ctl(&["del", &format!("/services/app/{name}")]),
            Self::Consul(server) => server.delete(&format!("services/app/{name}")),
        }
    }

    /// Ends all leases or sessions, as if they had expired.
    #[track_caller]
    pub(super) fn forget(&self) {
        let promises = self.promises();
        assert!(!promises.is_empty());
        for promise in promises {
            match self {
                Self::Etcd(server) => _ = server.ctl(&["lease", "revoke", &promise]),
                Self::Consul(server) => {
                    server.ask(&format!("PUT /v1/session/destroy/{promise}"), b"");
                }
            }
        }
    }

    /// The leases or sessions that there are.
    pub(super) fn promises(&self) -> Vec<String> {
        match self {
            // A line that says how many there are, then one for each.
            Self::Etcd(server) => {
                server.ctl(&["lease", "list"]).lines().skip(1).map(str::to_owned).collect()
            }
            Self::Consul(server) => {
                let sessions = server.ask("GET /v1/session/list", b"").body;
                let sessions: Vec<serde_json::Value> = serde_json::from_slice(&sessions).unwrap();
                sessions.iter().map(|session| session["ID"].as_str().unwrap().to_owned()).collect()
            }
        }
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Etcd(server) => server.kill(),
            Self::Consul(server) => server.kill(),
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
            Self::Consul(server) => {
                server.restart();
                server.wait();
            }
        }
    }
}
