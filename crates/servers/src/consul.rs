//! Consul servers: one or several, optionally with tokens, certificates and data on disk.

mod api;
mod settings;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::{fs, io};

pub use api::Token;

use crate::http::{Answer, exchange};
use crate::{Certificates, Process, folder, free_ports, installed};

/// The token with all rights on a server started by [`with_tokens`](Consul::with_tokens).
pub const MASTER: &str = "3ef4cb10-5c1f-4a4b-9a5c-6b3a4b2d1c0e";

/// One Consul server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Consul {
    /// Dropped before `folder`: a running server would write into the removed folder again.
    process: Option<Process>,
    program: PathBuf,
    folder: tempfile::TempDir,
    ports: Ports,
    storage: Storage,
    /// The token of requests that this type sends.
    token: String,
}

/// What is special about a server. By default it is a server of [`Consul::start`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Setup<'a> {
    /// Additional settings, in HCL. They win over those that every server has.
    pub settings: &'a str,
    /// Whether its data survives a restart.
    pub durable: bool,
    /// The token of requests that [`Consul`] sends. If it is empty, they carry [`MASTER`].
    pub token: &'a str,
    /// The certificates with which it also speaks TLS, at [`Consul::secure_address`].
    pub certificates: Option<&'a Certificates>,
    /// Whether clients need no certificate to speak TLS.
    pub anonymous: bool,
    /// The port for clients, in a network where this port is known to be free. By default it is any
    /// free port.
    pub port: Option<u16>,
}

/// The storage of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Storage {
    /// Memory: the server is ready at once, and a restart loses everything.
    Memory,
    /// Its own folder. The store has this number of members.
    Folder { members: usize },
    /// None: an agent, which forwards requests to servers.
    Elsewhere,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
    server: u16,
    gossip: u16,
}

impl Ports {
    fn free() -> Self {
        let [http, https, server, gossip] = free_ports();
        Ports { http, https, server, gossip }
    }
}

impl Consul {
    /// Starts a server with its data in memory.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Starts a server with its data in memory and with additional settings, in HCL.
    #[track_caller]
    pub fn start_with(more: &str) -> Self {
        Self::start_as(&Setup { settings: more, ..Setup::default() })
    }

    /// Starts a server with this setup.
    #[track_caller]
    pub fn start_as(setup: &Setup) -> Self {
        let storage = if setup.durable { Storage::Folder { members: 1 } } else { Storage::Memory };
        let token = if setup.token.is_empty() { MASTER } else { setup.token };
        Self::start_on(storage, token, setup.port, |ports| {
            let tls = setup
                .certificates
                .map(|certificates| settings::tls(ports, certificates, !setup.anonymous));
            tls.unwrap_or_default() + setup.settings
        })
    }

    /// Starts a server whose data survives a restart.
    #[track_caller]
    pub fn durable() -> Self {
        Self::start_as(&Setup { durable: true, ..Setup::default() })
    }

    /// Starts a server that denies everything to requests without a token. This type itself uses
    /// [`MASTER`], which has all rights.
    #[track_caller]
    pub fn with_tokens() -> Self {
        Self::start_with(&settings::acl())
    }

    /// Starts a server that also speaks TLS, at [`secure_address`](Self::secure_address). It
    /// accepts clients with a certificate of the same authority.
    #[track_caller]
    pub fn with_certificates(certificates: &Certificates) -> Self {
        Self::start_as(&Setup { certificates: Some(certificates), ..Setup::default() })
    }

    /// Starts a server that is both [`with_tokens`](Self::with_tokens) and
    /// [`with_certificates`](Self::with_certificates).
    #[track_caller]
    pub fn with_tokens_and_certificates(certificates: &Certificates) -> Self {
        let settings = &*settings::acl();
        Self::start_as(&Setup { settings, certificates: Some(certificates), ..Setup::default() })
    }

    /// Starts several servers of one store. Returns when each of them can write.
    #[track_caller]
    pub fn cluster<const N: usize>() -> [Self; N] {
        let ports = [(); N].map(|()| Ports::free());
        let more = settings::joining(ports);
        let storage = Storage::Folder { members: N };
        let mut members = ports.map(|ports| Self::member(ports, storage, MASTER, &more));
        members.iter_mut().for_each(Self::spawn);
        for member in &mut members {
            assert!(member.becomes_ready(), "a member of the cluster does not start");
        }
        members
    }

    /// Starts an agent that is not a server itself and forwards requests to these servers.
    #[track_caller]
    pub fn agent_of(servers: &[Self]) -> Self {
        let more = settings::joining(servers.iter().map(|server| server.ports));
        Self::start_on(Storage::Elsewhere, MASTER, None, |_| more.clone())
    }

    #[track_caller]
    fn start_on(
        storage: Storage,
        token: &str,
        port: Option<u16>,
        more: impl Fn(Ports) -> String,
    ) -> Self {
        // Another process can have taken a port since it was found free.
        for _ in 0..3 {
            let mut ports = Ports::free();
            ports.http = port.unwrap_or(ports.http);
            let mut server = Self::member(ports, storage, token, &more(ports));
            server.spawn();
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("Consul does not start: see the output above");
    }

    #[track_caller]
    fn member(ports: Ports, storage: Storage, token: &str, more: &str) -> Self {
        let (program, folder) = (installed("consul"), folder());
        let token = token.to_owned();
        let server = Consul { program, folder, ports, storage, token, process: None };
        let (common, own) = (settings::common(ports), settings::own(storage, &server.data()));
        // Consul merges what several files say about one table.
        fs::create_dir(server.settings()).unwrap();
        for (name, text) in [("1.hcl", &*common), ("2.hcl", &own), ("3.hcl", more)] {
            fs::write(server.settings().join(name), text).unwrap();
        }
        server
    }

    fn spawn(&mut self) {
        let settings = self.settings().display().to_string();
        let mut arguments = vec!["agent".to_owned(), "-config-dir".to_owned(), settings];
        if self.storage == Storage::Memory {
            arguments.push("-dev".to_owned());
        }
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&self.program, &arguments, &log));
    }

    #[track_caller]
    fn becomes_ready(&mut self) -> bool {
        let Consul { process, ports, token, .. } = self;
        Process::becomes_ready(process, "Consul", || can_write(ports.http, token))
    }

    /// Whether the server, and with it its store, can write.
    pub fn is_ready(&self) -> bool {
        can_write(self.ports.http, &self.token)
    }

    /// Whether the server is the leader of its store, as far as it knows.
    pub fn is_leader(&self) -> bool {
        let own = format!("\"127.0.0.1:{}\"", self.ports.server);
        self.try_ask("GET /v1/status/leader", b"").is_ok_and(|answer| answer.text() == own)
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.http)
    }

    /// The address for clients, with the scheme.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address for clients with a certificate: `127.0.0.1:PORT`.
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.https)
    }

    /// The port of the service `consul`, by which servers find each other.
    pub fn server_port(&self) -> u16 {
        self.ports.server
    }

    /// Ends the server as a service manager does, and waits until it has ended.
    #[track_caller]
    pub fn stop(&mut self) {
        self.process.as_mut().expect("Consul is running").terminate();
        self.process = None;
    }

    /// Kills the server at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Deletes the data of a killed server.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "a running server cannot be wiped");
        if self.storage != Storage::Memory {
            fs::remove_dir_all(self.data()).unwrap();
        }
    }

    /// Starts the server after [`stop`](Self::stop) or [`kill`](Self::kill), on the same ports. Does
    /// not wait until it is ready.
    pub fn restart(&mut self) {
        self.spawn();
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn wait(&mut self) {
        assert!(self.becomes_ready(), "Consul ended");
    }

    /// Whether the server has not been killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("Consul is running")
    }

    /// The folder of the server's log and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("settings")
    }
}

fn ask(port: u16, token: &str, request: &str, body: &[u8]) -> io::Result<Answer> {
    exchange(&format!("127.0.0.1:{port}"), request, &[("X-Consul-Token", token)], body)
}

/// Whether a server can write. The request tried here writes nothing, because its key does not
/// exist.
fn can_write(port: u16, token: &str) -> bool {
    let answer = ask(port, token, "DELETE /v1/kv/confd-test-is-ready?cas=1", b"");
    answer.is_ok_and(|answer| answer.status == 200)
}
