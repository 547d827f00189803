//! The leader of a store with three servers.

use serde_json::Value;
use servers::eventually;
use servers::http::exchange;

use crate::project::Project;

/// The store of a chain.
#[derive(Clone, Copy)]
pub(crate) enum Store {
    Consul,
    Etcd,
}

impl Store {
    /// The services that are its servers.
    fn servers(self) -> [&'static str; 3] {
        match self {
            Store::Consul => ["consul1", "consul2", "consul3"],
            Store::Etcd => ["etcd1", "etcd2", "etcd3"],
        }
    }

    /// Kills the leader, and waits until it runs again and another server leads, or it itself.
    #[track_caller]
    pub(crate) fn loses_its_leader(self, project: &Project) {
        let leader = self.leader(project).expect("the store has a leader");
        project.crash(leader);
        eventually("the store has a leader", || self.leader(project).is_some());
    }

    /// The service whose server leads, if all servers that answer agree.
    fn leader(self, project: &Project) -> Option<&'static str> {
        let servers = self.servers();
        let server = servers.into_iter().find(|service| !project.addresses(service).is_empty())?;
        let address = project.addresses(server).pop_first()?;
        match self {
            Store::Consul => {
                let leader = ask(project, &format!("{address}:8500"), "GET /v1/status/leader")?;
                let leader = leader.as_str()?.split(':').next()?.to_owned();
                servers.into_iter().find(|service| project.addresses(service).contains(&leader))
            }
            Store::Etcd => servers.into_iter().find(|service| {
                let address = project.addresses(service).pop_first();
                let status = address.and_then(|address| {
                    ask(project, &format!("{address}:2379"), "POST /v3/maintenance/status")
                });
                status.is_some_and(|status| status["header"]["member_id"] == status["leader"])
            }),
        }
    }
}

/// The answer of a server, in JSON.
fn ask(project: &Project, address: &str, request: &str) -> Option<Value> {
    let answer = project.engine.within(|| exchange(address, request, &[], b"{}"));
    serde_json::from_slice(&answer.ok()?.body).ok()
}
