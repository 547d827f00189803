//! Redis servers: alone, in a cluster, or watched by a Sentinel; and Valkey.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use crate::{Certificates, PATIENCE, Process, eventually, folder, free_ports, present};

/// The arguments of a member of a cluster.
const IN_CLUSTER: [&str; 8] = [
    "--cluster-enabled",
    "yes",
    "--cluster-node-timeout",
    "1000",
    "--cluster-port",
    "BUS",
    "--notify-keyspace-events",
    "KA",
];

/// One server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Redis {
    /// Dropped before `folder`: a running server would write into the removed folder again.
    process: Option<Process>,
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
    secure_port: u16,
    bus_port: u16,
    arguments: Vec<String>,
    password: Option<String>,
}

impl Redis {
    /// Starts a server that reports all changes of its keys.
    #[track_caller]
    pub fn start() -> Self {
        Self::start_with(&["--notify-keyspace-events", "KA"])
    }

    /// Like [`start`](Self::start), with Valkey, if its program `valkey-server` is in the folder of the
    /// servers that `tests/install-servers` builds.
    #[track_caller]
    pub fn valkey_or_redis() -> Self {
        let valkey = crate::built("valkey-server");
        let program = if valkey.exists() { valkey } else { "/usr/bin/redis-server".into() };
        Self::start_as(program, &["--notify-keyspace-events", "KA"])
    }

    /// Starts a server with these arguments, which reports changes only if they say so.
    #[track_caller]
    pub fn start_with(more: &[&str]) -> Self {
        Self::start_as("/usr/bin/redis-server".into(), more)
    }

    /// Starts a server that reports all changes and has this password.
    #[track_caller]
    pub fn with_password(password: &str) -> Self {
        Self::start_with(&["--notify-keyspace-events", "KA", "--requirepass", password])
    }

    /// Starts a server that reports all changes, and has a port for TLS where it asks for a client's
    /// certificate.
    #[track_caller]
    pub fn with_certificates(certificates: &Certificates) -> Self {
        let file = |name| certificates.path(name).display().to_string();
        let (certificate, key, ca) = (file("server.pem"), file("server.key"), file("ca.pem"));
        let tls =
            ["--tls-cert-file", &certificate, "--tls-key-file", &key, "--tls-ca-cert-file", &ca];
        let more = ["--notify-keyspace-events", "KA", "--tls-port", "SECURE"];
        Self::start_with(&[more.as_slice(), tls.as_slice()].concat())
    }

    /// Starts a server of another program, such as Valkey, with these arguments.
    #[track_caller]
    pub fn start_as(program: PathBuf, more: &[&str]) -> Self {
        let program = present(program);
        // Another process can have taken a port since it was found free.
        for _ in 0..3 {
            let mut server = Self::prepared(program.clone(), more);
            server.spawn();
            if server.becomes_ready() {
                return server;
            }
        }
        panic!("Redis does not start: see the output above");
    }

    /// Starts a cluster of this many masters, which report all changes. Returns when each of them
    /// knows the whole cluster.
    #[track_caller]
    pub fn cluster<const N: usize>() -> [Self; N] {
        let servers = [(); N].map(|()| Self::start_with(&IN_CLUSTER));
        for (nth, server) in servers.iter().enumerate() {
            let slots = [nth * 16384 / N, (nth + 1) * 16384 / N - 1].map(|slot| slot.to_string());
            server.ask(&["CLUSTER", "ADDSLOTSRANGE", &slots[0], &slots[1]]);
            // Equal epochs would be resolved later, which changes who answers.
            server.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &(nth + 1).to_string()]);
        }
        for server in &servers[1..] {
            servers[0].meet(server);
        }
        for server in &servers {
            let knows = format!("cluster_known_nodes:{N}");
            eventually("the cluster is whole", || {
                let state = server.ask(&["CLUSTER", "INFO"]);
                state.contains("cluster_state:ok") && state.contains(&knows)
            });
        }
        servers
    }

    /// Starts a replica of this member of a cluster. Returns when it has its master's data.
    #[track_caller]
    pub fn replica_in_cluster(&self) -> Self {
        let replica = Self::start_with(&IN_CLUSTER);
        self.meet(&replica);
        let master = self.ask(&["CLUSTER", "MYID"]);
        eventually("the replica has a master", || {
            replica.try_ask(&["CLUSTER", "REPLICATE", &master]).is_ok_and(|reply| reply == "OK")
        });
        replica.is_linked();
        replica
    }

    /// Starts a master without slots in the cluster of this member. Returns when both know each other.
    #[track_caller]
    pub fn master_in_cluster(&self) -> Self {
        let master = Self::start_with(&IN_CLUSTER);
        self.meet(&master);
        let id = master.ask(&["CLUSTER", "MYID"]);
        eventually("the members know each other", || {
            let state = master.ask(&["CLUSTER", "INFO"]);
            state.contains("cluster_state:ok")
                && state.contains("cluster_slots_assigned:16384")
                && self.ask(&["CLUSTER", "NODES"]).contains(&id)
        });
        master
    }

    /// Begins to move a slot of this member of a cluster to another member. Keys move by
    /// [`move_key`](Self::move_key), and the slot by [`end_moving`](Self::end_moving).
    #[track_caller]
    pub fn begin_moving(&self, slot: u16, to: &Self) {
        let [from_id, to_id] = [self, to].map(|member| member.ask(&["CLUSTER", "MYID"]));
        to.ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "IMPORTING", &from_id]);
        self.ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "MIGRATING", &to_id]);
    }

    /// Moves a key of a slot that is moving.
    #[track_caller]
    pub fn move_key(&self, key: &str, to: &Self) {
        self.ask(&["MIGRATE", "127.0.0.1", &to.port.to_string(), key, "0", "5000"]);
    }

    /// Ends the moving of a slot.
    #[track_caller]
    pub fn end_moving(&self, slot: u16, to: &Self) {
        let id = to.ask(&["CLUSTER", "MYID"]);
        for member in [to, self] {
            member.ask(&["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", &id]);
        }
    }

    /// Starts a replica of this server. Returns when it has its master's data.
    #[track_caller]
    pub fn replica(&self) -> Self {
        let port = self.port.to_string();
        let master = format!("127.0.0.1 {port}");
        let replica = Self::start_with(&["--notify-keyspace-events", "KA", "--replicaof", &master]);
        replica.is_linked();
        replica
    }

    #[track_caller]
    fn is_linked(&self) {
        eventually("the replica has its master's data", || {
            self.ask(&["INFO", "replication"]).contains("master_link_status:up")
        });
    }

    /// Starts a Sentinel that watches this server under a name, and makes a replica the master if the
    /// server is silent for half a second. If the server has a password, the Sentinel has the password
    /// `sentinel`.
    #[track_caller]
    pub fn sentinel(&self, name: &str) -> Self {
        let mut sentinel = Self::prepared(self.program.clone(), &[]);
        let settings = format!(
            "port {}\nbind 127.0.0.1\ndir {}\nsentinel monitor {name} 127.0.0.1 {} 1\n\
             sentinel down-after-milliseconds {name} 500\nsentinel failover-timeout {name} 2000\n",
            sentinel.port,
            sentinel.folder.path().display(),
            self.port
        );
        let passwords = self.password.as_ref().map(|password| {
            sentinel.password = Some("sentinel".to_owned());
            format!("sentinel auth-pass {name} {password}\nrequirepass sentinel\n")
        });
        let file = sentinel.folder.path().join("sentinel.conf");
        fs::write(&file, settings + &passwords.unwrap_or_default()).unwrap();
        sentinel.arguments = vec![file.display().to_string(), "--sentinel".to_owned()];
        sentinel.spawn();
        assert!(sentinel.becomes_ready(), "Sentinel does not start");
        sentinel
    }

    fn meet(&self, other: &Self) {
        let (port, bus) = (other.port.to_string(), other.bus_port.to_string());
        self.ask(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
    }

    fn prepared(program: PathBuf, more: &[&str]) -> Self {
        let [port, secure_port, bus_port] = free_ports();
        let folder = folder();
        let path = folder.path().display().to_string();
        let (port_text, socket) = (port.to_string(), format!("{path}/redis.sock"));
        let own = ["--port", &port_text, "--bind", "127.0.0.1", "--dir", &path];
        let own =
            own.into_iter().chain(["--unixsocket", &socket, "--appendonly", "yes", "--save", ""]);
        let more = more.iter().map(|word| match *word {
            "SECURE" => secure_port.to_string(),
            "BUS" => bus_port.to_string(),
            word => word.to_owned(),
        });
        let arguments = own.map(str::to_owned).chain(more).collect::<Vec<_>>();
        let password = arguments.iter().skip_while(|word| *word != "--requirepass").nth(1).cloned();
        let process = None;
        Redis { process, program, folder, port, secure_port, bus_port, arguments, password }
    }

    fn spawn(&mut self) {
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&self.program, &self.arguments, &log));
    }

    #[track_caller]
    fn becomes_ready(&mut self) -> bool {
        let (address, password) = (self.address(), self.password.clone());
        // A server of another process of tests may have taken the port just before.
        let own = self.process.as_ref().map(|process| format!("process_id:{}\r", process.id()));
        Process::becomes_ready(&mut self.process, "Redis", || {
            let asked =
                exchange(&address, password.as_deref(), &[&["INFO", "server"][..], &["PING"]]);
            asked.is_ok_and(|replies| {
                let info = String::from_utf8_lossy(&replies[0]);
                replies[1] == b"PONG" && own.as_ref().is_some_and(|own| info.contains(own))
            })
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

    /// The path of the socket for clients of this machine.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("redis.sock")
    }

    /// The folder of the server's log and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the server at once. Its data stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Deletes the data of a killed server.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "a running server cannot be wiped");
        fs::remove_dir_all(self.folder.path().join("appendonlydir")).unwrap();
    }

    /// Starts the server after [`kill`](Self::kill), on the same ports. Does not wait until it is
    /// ready.
    pub fn restart(&mut self) {
        self.spawn();
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn wait(&mut self) {
        assert!(self.becomes_ready(), "Redis ended");
    }

    /// Whether the server has not been killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("Redis is running")
    }

    /// Sends a command, and returns its reply as text: the texts of a list are lines.
    #[track_caller]
    pub fn ask<W: AsRef<[u8]>>(&self, words: &[W]) -> String {
        self.try_ask(words).unwrap_or_else(|error| panic!("Redis: {error}"))
    }

    /// Like [`ask`](Self::ask), with the server's error.
    ///
    /// # Errors
    ///
    /// The server answers with an error, or does not answer.
    pub fn try_ask<W: AsRef<[u8]>>(&self, words: &[W]) -> io::Result<String> {
        let replies = exchange(&self.address(), self.password.as_deref(), &[words])?;
        Ok(String::from_utf8_lossy(&replies[0]).into_owned())
    }

    /// Sends commands in one go. In a cluster, this must be the member that has the keys.
    #[track_caller]
    pub fn ask_all<W: AsRef<[u8]>>(&self, commands: &[&[W]]) {
        exchange(&self.address(), self.password.as_deref(), commands)
            .unwrap_or_else(|error| panic!("Redis: {error}"));
    }

    /// Sets a string.
    #[track_caller]
    pub fn set(&self, key: &str, value: impl AsRef<[u8]>) {
        self.ask(&[b"SET", key.as_bytes(), value.as_ref()]);
    }

    /// Sets several strings in one transaction.
    #[track_caller]
    pub fn set_together(&self, pairs: &[(&str, &str)]) {
        let sets: Vec<[&str; 3]> = pairs.iter().map(|(key, value)| ["SET", key, value]).collect();
        let sets = sets.iter().map(<[&str; 3]>::as_slice);
        let all: Vec<&[&str]> =
            [["MULTI"].as_slice()].into_iter().chain(sets).chain([["EXEC"].as_slice()]).collect();
        self.ask_all(&all);
    }
}

/// Sends a command to the server at `address`, and returns its reply as text.
///
/// # Errors
///
/// The server answers with an error, or does not answer.
pub fn ask_at<W: AsRef<[u8]>>(address: &str, words: &[W]) -> io::Result<String> {
    let replies = exchange(address, None, &[words])?;
    Ok(String::from_utf8_lossy(&replies[0]).into_owned())
}

/// Sends a command to the member of a cluster that has its key.
#[track_caller]
pub fn ask_cluster<W: AsRef<[u8]>>(members: &[Redis], words: &[W]) -> String {
    let mut asked = None;
    eventually("a member of the cluster has the key", || {
        asked = members.iter().find_map(|member| member.try_ask(words).ok());
        asked.is_some()
    });
    asked.unwrap_or_default()
}

/// Sends commands on a new connection. Returns the replies, or the first error.
fn exchange<W: AsRef<[u8]>>(
    address: &str,
    password: Option<&str>,
    commands: &[&[W]],
) -> io::Result<Vec<Vec<u8>>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE.min(Duration::from_secs(10))))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = Vec::new();
    if let Some(password) = password {
        add(&mut request, &["AUTH", password]);
    }
    commands.iter().for_each(|words| add(&mut request, words));
    // A thousand replies may not fit into the buffers, so a thread writes.
    let mut writer = stream;
    let writing = std::thread::spawn(move || writer.write_all(&request));
    if password.is_some() {
        reply(&mut reader)?;
    }
    let replies = commands.iter().map(|_| reply(&mut reader)).collect::<io::Result<_>>()?;
    writing.join().unwrap()?;
    Ok(replies)
}

fn add<W: AsRef<[u8]>>(request: &mut Vec<u8>, words: &[W]) {
    write!(request, "*{}\r\n", words.len()).unwrap();
    for word in words.iter().map(AsRef::as_ref) {
        write!(request, "${}\r\n", word.len()).unwrap();
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
}

/// One reply as text. Those of a list are lines.
fn reply(reader: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let line = line.trim_end();
    let count = || line[1..].parse::<i64>().map_err(io::Error::other);
    match line.as_bytes().first() {
        Some(b'+' | b':') => Ok(line.as_bytes()[1..].to_vec()),
        Some(b'-') => Err(io::Error::other(line[1..].to_owned())),
        Some(b'$') => {
            let Ok(length) = usize::try_from(count()?) else { return Ok(Vec::new()) };
            let mut text = vec![0; length + 2];
            reader.read_exact(&mut text)?;
            text.truncate(length);
            Ok(text)
        }
        Some(b'*') => {
            let replies = (0..count()?).map(|_| reply(reader));
            Ok(replies.collect::<io::Result<Vec<_>>>()?.join(&b'\n'))
        }
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed")),
    }
}
