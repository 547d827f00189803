//! etcd servers: one or several members, of either release.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;

use crate::http::{Answer, exchange, form};
use crate::{Process, folder, free_ports, installed, present};

/// The release of etcd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The release in Debian: 3.4.
    Debian,
    /// The newest release, built by `tests/install-servers`.
    Newest,
}

impl Release {
    #[track_caller]
    fn program(self) -> PathBuf {
        match self {
            Release::Debian => present(PathBuf::from("/usr/bin/etcd")),
            Release::Newest => installed("etcd"),
        }
    }
}

/// One etcd server. It is killed when this is dropped.
#[derive(Debug)]
pub struct Etcd {
    /// Dropped before `folder`: a running server would write into the removed folder again.
    process: Option<Process>,
    program: PathBuf,
    folder: tempfile::TempDir,
    ports: Ports,
    arguments: Vec<String>,
    scheme: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    client: u16,
    peer: u16,
    metrics: u16,
}

impl Ports {
    fn free() -> Self {
        let [client, peer, metrics] = free_ports();
        Ports { client, peer, metrics }
    }
}

impl Etcd {
    /// Starts a server with one member.
    #[track_caller]
    pub fn start(release: Release) -> Self {
        Self::start_with(release, &[])
    }

    /// Starts a server with one member and additional arguments. If `--cert-file` is among them,
    /// the server speaks TLS.
    #[track_caller]
    pub fn start_with(release: Release, more: &[&str]) -> Self {
        Self::start_on(release, None, more)
    }

    /// Like [`start_with`](Self::start_with), with this port for clients, in a network where the
    /// port is known to be free.
    #[track_caller]
    pub fn start_at(release: Release, port: u16, more: &[&str]) -> Self {
        Self::start_on(release, Some(port), more)
    }

    #[track_caller]
    fn start_on(release: Release, port: Option<u16>, more: &[&str]) -> Self {
        // Another process can have taken a port since it was found free.
        for _ in 0..3 {
            let mut ports = Ports::free();
            ports.client = port.unwrap_or(ports.client);
            let cluster = format!("n0=http://127.0.0.1:{}", ports.peer);
            let mut server = Self::member(release, 0, ports, &cluster, more);
            server.spawn();
            if server.becomes_healthy() {
                return server;
            }
        }
        panic!("etcd does not start: see the output above");
    }

    /// Starts a cluster. Returns when every member is ready.
    #[track_caller]
    pub fn cluster<const N: usize>(release: Release) -> [Self; N] {
        let ports = [(); N].map(|()| Ports::free());
        let members = ports.iter().enumerate();
        let members = members.map(|(nth, ports)| format!("n{nth}=http://127.0.0.1:{}", ports.peer));
        let cluster = members.collect::<Vec<_>>().join(",");
        let mut nth = 0;
        let mut members = ports.map(|ports| {
            nth += 1;
            Self::member(release, nth - 1, ports, &cluster, &[])
        });
        members.iter_mut().for_each(Self::spawn);
        for member in &mut members {
            assert!(member.becomes_healthy(), "a member of the cluster does not start");
        }
        members
    }

    #[track_caller]
    fn member(release: Release, nth: usize, ports: Ports, cluster: &str, more: &[&str]) -> Self {
        let folder = folder();
        let scheme = if more.contains(&"--cert-file") { "https" } else { "http" };
        let client = format!("{scheme}://127.0.0.1:{}", ports.client);
        let peer = format!("http://127.0.0.1:{}", ports.peer);
        let own = [
            ("--name", format!("n{nth}")),
            ("--data-dir", folder.path().join("data").display().to_string()),
            ("--log-level", "warn".to_owned()),
            // With these times a server is ready, and a killed leader replaced, in a third of a
            // second.
            ("--heartbeat-interval", "20".to_owned()),
            ("--election-timeout", "200".to_owned()),
            ("--initial-cluster", cluster.to_owned()),
            // Equal for all members of this cluster and different from all other clusters.
            ("--initial-cluster-token", cluster.to_owned()),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", peer.clone()),
            ("--initial-advertise-peer-urls", peer),
            ("--listen-metrics-urls", format!("http://127.0.0.1:{}", ports.metrics)),
        ];
        let own = own.into_iter().flat_map(|(name, value)| [name.to_owned(), value]);
        let arguments = own.chain(more.iter().map(|&word| word.to_owned())).collect();
        Etcd { program: release.program(), folder, ports, arguments, scheme, process: None }
    }

    fn spawn(&mut self) {
        let log = self.folder.path().join("log");
        self.process = Some(Process::start(&self.program, &self.arguments, &log));
    }

    #[track_caller]
    fn becomes_healthy(&mut self) -> bool {
        let Etcd { process, ports, .. } = self;
        let id = process.as_ref().map(Process::id);
        // The port for clients is opened last. A connection that is closed at once can make Debian's
        // etcd with TLS close the port for ever, so that nothing is connected here.
        let is_open = || id.is_some_and(|id| listens(id, ports.client));
        Process::becomes_ready(process, "etcd", || is_healthy(ports.metrics) && is_open())
    }

    /// Whether the member, and with it its cluster, can write.
    pub fn is_healthy(&self) -> bool {
        is_healthy(self.ports.metrics)
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.client)
    }

    /// The address for clients, with the scheme.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address())
    }

    /// Kills the server at once. Its data stays.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Deletes the data of a killed server.
    pub fn wipe(&mut self) {
        assert!(self.process.is_none(), "a running server cannot be wiped");
        std::fs::remove_dir_all(self.data()).unwrap();
    }

    /// Copies the data of a killed server. Replaces an earlier copy.
    pub fn back_up(&self) {
        assert!(self.process.is_none(), "a running server cannot be copied");
        copy(&self.data(), &self.folder.path().join("backup"));
    }

    /// Restores the data that [`back_up`](Self::back_up) copied.
    pub fn restore(&mut self) {
        self.wipe();
        copy(&self.folder.path().join("backup"), &self.data());
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server after [`kill`](Self::kill), on the same ports. Does not wait until it is
    /// ready.
    pub fn restart(&mut self) {
        self.spawn();
    }

    /// Waits until it is ready.
    #[track_caller]
    pub fn wait(&mut self) {
        assert!(self.becomes_healthy(), "etcd ended");
    }

    /// Whether the server has not been killed.
    pub fn is_running(&self) -> bool {
        self.process.is_some()
    }

    /// The running process.
    #[track_caller]
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("etcd is running")
    }

    /// Runs etcdctl on this server and returns its output.
    #[track_caller]
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let done = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url()])
            .args(arguments)
            .output()
            .unwrap_or_else(|error| {
                panic!("cannot run etcdctl ({error}): tests/install-servers installs it")
            });
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Sets a key.
    #[track_caller]
    pub fn put(&self, key: &str, value: &str) {
        self.ctl(&["put", "--", key, value]);
    }

    /// Sets all of these keys in one transaction.
    #[track_caller]
    pub fn put_all(&self, pairs: &[(&str, &str)]) {
        let puts: String =
            pairs.iter().map(|(key, value)| format!("put {key} {value:?}\n")).collect();
        let mut etcdctl = Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.url(), "txn"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The parts are: no condition, what is done if it holds, and what is done if not.
        etcdctl.stdin.take().unwrap().write_all(format!("\n{puts}\n\n").as_bytes()).unwrap();
        assert!(etcdctl.wait().unwrap().success(), "{pairs:?}");
    }

    /// Sends a request of version 2 of the API, which etcd has with `--enable-v2`, as this user. It must
    /// succeed, but a key that does not exist can be deleted.
    #[track_caller]
    pub fn of_version_2(
        &self,
        method: &str,
        path: &str,
        body: &str,
        user: Option<(&str, &str)>,
    ) -> Answer {
        let kind = if body.starts_with('{') { "json" } else { "x-www-form-urlencoded" };
        let kind = format!("application/{kind}");
        let login = user.map(|(name, password)| {
            let engine = base64::engine::general_purpose::STANDARD;
            format!("Basic {}", engine.encode(format!("{name}:{password}")))
        });
        let mut headers = vec![("Content-Type", &*kind)];
        headers.extend(login.as_deref().map(|login| ("Authorization", login)));
        let request = format!("{method} {path}");
        let answer = exchange(&self.address(), &request, &headers, body.as_bytes()).unwrap();
        let is_done = answer.status < 400 || answer.status == 404 && method == "DELETE";
        assert!(is_done, "{request}: {} {}", answer.status, answer.text());
        answer
    }

    /// Sets a key by version 2 of the API.
    #[track_caller]
    pub fn put_of_version_2(&self, key: &str, value: &[u8], user: Option<(&str, &str)>) {
        let (path, body) = (format!("/v2/keys{key}"), format!("value={}", form(value)));
        self.of_version_2("PUT", &path, &body, user);
    }

    /// The sum of all samples of metrics whose name and labels begin with `name`.
    #[track_caller]
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = get(self.ports.metrics, "/metrics").expect("etcd tells its metrics");
        let samples = metrics.lines().filter(|line| line.starts_with(name));
        samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// The folder of the server's log and data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Whether a socket in the network of a process listens on a port.
fn listens(process: u32, port: u16) -> bool {
    let sockets = |file| std::fs::read_to_string(format!("/proc/{process}/net/{file}"));
    let listens = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().and_then(|local| local.rsplit_once(':'));
        // Behind the remote address stands the state, which is 0A for a socket that listens.
        let state = fields.nth(1);
        local.is_some_and(|(_, number)| number == format!("{port:04X}")) && state == Some("0A")
    };
    ["tcp", "tcp6"].into_iter().any(|file| sockets(file).is_ok_and(|all| all.lines().any(listens)))
}

fn is_healthy(metrics: u16) -> bool {
    get(metrics, "/health").is_some_and(|answer| answer.contains("\"health\":\"true\""))
}

/// The body of this path on the port for metrics, if the server answers soon.
fn get(metrics: u16, path: &str) -> Option<String> {
    let answer = exchange(&format!("127.0.0.1:{metrics}"), &format!("GET {path}"), &[], b"");
    Some(answer.ok()?.text())
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-rT").args([from, to]).status().unwrap();
    assert!(done.success(), "cannot copy {} to {}", from.display(), to.display());
}
