//! A network namespace for a run, with an interface, a hosts file and a name server.

use std::{
    fs::File,
    io::Write,
    net::{IpAddr, UdpSocket},
    os::fd::AsFd,
    panic::resume_unwind,
    process::{Child, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Daemon, Ended, Run, Sandbox, eventually};

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// What can be looked up: host names in `hosts`, as lines of `/etc/hosts`, and names in `zone`, as
/// lines of a zone file: `NAME A ADDRESS`, `NAME AAAA ADDRESS` or
/// `NAME SRV PRIORITY WEIGHT PORT TARGET`, with a dot at the end of each name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network<'a> {
    pub hosts: &'a str,
    pub zone: &'a str,
}

impl Run {
    /// Runs the command to its end in this network. The network has the loopback interface, an
    /// `eth0` that is connected to nothing, and a name server on 127.0.0.1.
    #[track_caller]
    pub fn run_in(self, sandbox: &Sandbox, network: Network) -> Ended {
        let mut child = self.waiting_in(sandbox, network).spawn();
        let _world = World::open(&mut child, sandbox, network);
        Ended::wait(child)
    }

    /// The command in a new network namespace. It starts when it gets a line on its standard input.
    #[track_caller]
    fn waiting_in(self, sandbox: &Sandbox, network: Network) -> Self {
        sandbox.write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
        sandbox.write("hosts", network.hosts);
        let script = "mount -t sysfs sysfs /sys; ip link set lo up
            ip link add eth0 type veth peer name eth0peer; ip link set eth0 up
            mount --bind resolv.conf /etc/resolv.conf; mount --bind hosts /etc/hosts
            touch ready; read go; exec \"$@\"";
        self.unshared("-mn", script).with(|command| _ = command.stdin(Stdio::piped()))
    }
}

impl Daemon {
    /// Starts `run` like [`start`](Self::start), in a network like that of [`Run::run_in`].
    #[track_caller]
    pub fn start_in(run: Run, sandbox: &Sandbox, network: Network) -> (Self, World) {
        let mut daemon = Self::start(run.waiting_in(sandbox, network), sandbox.path("log"));
        let world = World::open(daemon.child(), sandbox, network);
        (daemon, world)
    }
}

/// The network of a process, and its name server, which ends when this is dropped.
pub struct World {
    namespace: File,
    names: Arc<Names>,
    ends: Option<mpsc::Sender<()>>,
    server: Option<thread::JoinHandle<()>>,
}

/// What the name server knows, and how it answers.
#[derive(Default)]
struct Names {
    zone: Mutex<Vec<Record>>,
    /// Whether it takes queries and gives no answer.
    silent: AtomicBool,
    /// How many queries got no answer.
    unanswered: AtomicUsize,
}

impl World {
    /// Starts the name server in the network where `child` waits, and lets `child` start.
    #[track_caller]
    fn open(child: &mut Child, sandbox: &Sandbox, network: Network) -> Self {
        eventually("the namespace is ready", || sandbox.path("ready").exists());
        let namespace = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
        let (ends, ended) = mpsc::channel::<()>();
        let mut world = World { namespace, names: Arc::default(), ends: Some(ends), server: None };
        world.set_zone(network.zone);
        let names = Arc::clone(&world.names);
        let socket = world.within(|| UdpSocket::bind("127.0.0.1:53").unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        world.server = Some(thread::spawn(move || {
            let mut query = [0; 512];
            while ended.try_recv() == Err(mpsc::TryRecvError::Empty) {
                if let Ok((length, from)) = socket.recv_from(&mut query) {
                    if names.silent.load(Ordering::Relaxed) {
                        names.unanswered.fetch_add(1, Ordering::Relaxed);
                        continue;
                    }
                    let answer = answer(&names.zone.lock().unwrap(), &query[..length]);
                    socket.send_to(&answer, from).unwrap();
                }
            }
        }));
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        world
    }

    /// Sets what can be looked up from now on.
    #[track_caller]
    pub fn set_zone(&self, zone: &str) {
        *self.names.zone.lock().unwrap() = zone.lines().map(Record::parse).collect();
    }

    /// Has the name server take queries without an answer from now on, or answer again.
    pub fn set_silent(&self, silent: bool) {
        self.names.silent.store(silent, Ordering::Relaxed);
    }

    /// How many queries got no answer.
    pub fn unanswered(&self) -> usize {
        self.names.unanswered.load(Ordering::Relaxed)
    }

    /// Runs `work` in this network, on a new thread. Sockets and processes that it creates stay in
    /// the network.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let work = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.namespace.as_fd(), kind).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|why| resume_unwind(why))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.ends = None;
        if let Some(server) = self.server.take() {
            // A panic of the thread was printed already.
            let _ = server.join();
        }
    }
}

/// A record of a zone.
#[derive(Debug)]
struct Record {
    /// Without the dot at its end.
    name: String,
    kind: u16,
    /// The data in the form of DNS messages.
    data: Vec<u8>,
}

impl Record {
    #[track_caller]
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let address = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (kind, data) = match words[1..] {
            ["A", text] => (A, address(text)),
            ["AAAA", text] => (AAAA, address(text)),
            ["SRV", ref numbers @ .., target] => {
                let numbers = numbers.iter().map(|number| number.parse::<u16>().unwrap());
                (SRV, numbers.flat_map(u16::to_be_bytes).chain(labels(target)).collect())
            }
            _ => panic!("{line:?} is no record"),
        };
        Self { name: words[0].trim_end_matches('.').to_owned(), kind, data }
    }
}

/// A name in the form of DNS messages.
fn labels(name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for label in name.split('.') {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data
}

/// The answer to a query: the records of the zone, or that the name does not exist.
fn answer(zone: &[Record], query: &[u8]) -> Vec<u8> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let name = labels.join(".");
    let of_name: Vec<_> = zone.iter().filter(|record| record.name == name).collect();
    let records: Vec<_> = of_name.iter().filter(|record| record.kind == kind).collect();

    let mut reply = query[..2].to_vec();
    let code = if of_name.is_empty() { 0x83 } else { 0x80 };
    reply.extend([0x85, code, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(question);
    for Record { data, .. } in records {
        // A pointer to the name in the question.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    reply
}
