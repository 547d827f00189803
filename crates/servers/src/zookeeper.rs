//! ZooKeeper servers: alone, or an ensemble.

mod client;

pub use client::Client;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{Certificates, Process, folder, free_ports, present};

/// One server. It is killed when this is dropped.
#[derive(Debug)]
pub struct ZooKeeper {
    /// Dropped before `folder`: a running server would write into the removed folder again.
    process: Option<Process>,
    folder: tempfile::TempDir,
    port: u16,
    secure_port: u16,
    /// The ports for the other members of the ensemble.
    member_ports: [u16; 2],
    has_tls: bool,
}

impl ZooKeeper {
    /// Starts a server.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// Starts a server that has a second port for TLS, where it asks for a client's certificate.
    #[track_caller]
    pub fn with_certificates(certificates: &Certificates) -> Self {
        Self::start_as(Some(certificates))
    }

    #[track_caller]
    fn start_as(certificates: Option<&Certificates>) -> Self {
        // Another process can have taken a port since it was found free.
        for _ in 0..3 {
            let mut server = Self::prepared(certificates);
            server.spawn();
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("ZooKeeper does not start: see the output above");
    }

    /// Starts an ensemble. Returns when each member serves.
    #[track_caller]
    pub fn ensemble<const N: usize>() -> [Self; N] {
        let mut members = [(); N].map(|()| Self::prepared(None));
        let lines: String = members
            .iter()
            .enumerate()
            .map(|(nth, member)| {
                let [peers, election] = member.member_ports;
                format!("server.{}=127.0.0.1:{peers}:{election}\n", nth + 1)
            })
            .collect();
        for (nth, member) in members.iter_mut().enumerate() {
            member.add_settings(&lines);
            fs::write(member.data().join("myid"), (nth + 1).to_string()).unwrap();
            member.spawn();
        }
        members.iter_mut().for_each(Self::wait);
        members
    }

    fn prepared(certificates: Option<&Certificates>) -> Self {
        let [port, secure_port, peers, election] = free_ports();
        let folder = folder();
        let member_ports = [peers, election];
        let has_tls = certificates.is_some();
        let server = ZooKeeper { process: None, folder, port, secure_port, member_ports, has_tls };
        fs::create_dir(server.data()).unwrap();
        server.add_settings(&format!(
            "tickTime=200\ninitLimit=20\nsyncLimit=10\ndataDir={}\nclientPort={port}\n\
             clientPortAddress=127.0.0.1\nmaxClientCnxns=0\nadmin.enableServer=false\n\
             4lw.commands.whitelist=*\nminSessionTimeout=400\nmaxSessionTimeout=60000\n",
            server.data().display()
        ));
        if let Some(certificates) = certificates {
            let both = server.folder.path().join("server.pem");
            let file = |name| fs::read_to_string(certificates.path(name)).unwrap();
            fs::write(&both, file("server.pem") + &file("server.key")).unwrap();
            server.add_settings(&format!(
                "secureClientPort={secure_port}\nsecureClientPortAddress=127.0.0.1\n\
                 serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory\n\
                 ssl.keyStore.location={}\nssl.trustStore.location={}\nssl.clientAuth=need\n",
                both.display(),
                certificates.path("ca.pem").display()
            ));
        }
        server
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join("zoo.cfg")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn add_settings(&self, lines: &str) {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(self.settings());
        file.as_mut().unwrap().write_all(lines.as_bytes()).unwrap();
    }

    fn spawn(&mut self) {
        let jars = present(crate::cached("zookeeper"));
        // Values of a megabyte and more are allowed, and files are not allocated in advance.
        let arguments = [
            "-Xmx160m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Djute.maxbuffer=8388608",
            "-Dzookeeper.forceSync=no",
            "-Dzookeeper.preAllocSize=64",
            "-cp",
            &jars.join("*").display().to_string(),
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
            &self.settings().display().to_string(),
        ]
        .map(str::to_owned);
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(Path::new("/usr/bin/java"), &arguments, &log));
    }

    #[track_caller]
    fn becomes_ready(&mut self) -> bool {
        let (address, secure) = (self.address(), self.secure_address());
        let has_tls = self.has_tls;
        Process::becomes_ready(&mut self.process, "ZooKeeper", || {
            let serves = status(&address).is_some_and(|status| status.contains("Mode: "));
            serves && (!has_tls || TcpStream::connect(&secure).is_ok())
        })
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The address for clients that speak TLS.
    pub fn secure_address(&self) -> String {
        format!("127.0.0.1:{}", self.secure_port)
    }

    /// A client of the server.
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(&self.address())
    }

    /// Sets the data of a node. It is made if it does not exist, with the nodes above it.
    #[track_caller]
    pub fn set(&self, path: &str, data: impl AsRef<[u8]>) {
        self.client().set(path, data.as_ref());
    }

    /// Whether this member of an ensemble is its leader.
    pub fn is_leader(&self) -> bool {
        status(&self.address()).is_some_and(|status| status.contains("Mode: leader"))
    }

    /// Kills the server at once. Its data stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Deletes the data of a killed server that is in no ensemble.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "a running server cannot be wiped");
        fs::remove_dir_all(self.data()).unwrap();
        fs::create_dir(self.data()).unwrap();
    }

    /// Starts the server after [`kill`](Self::kill), on the same ports. Does not wait until it is
    /// ready.
    pub fn restart(&mut self) {
        self.spawn();
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn wait(&mut self) {
        assert!(self.becomes_ready(), "ZooKeeper ended");
    }

    /// Whether the server has not been killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("ZooKeeper is running")
    }
}

/// What the server says of itself; `None` if it does not answer.
fn status(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(b"srvr").ok()?;
    let mut status = String::new();
    stream.read_to_string(&mut status).ok()?;
    Some(status)
}
