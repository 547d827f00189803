//! A network of its own for a run: an interface, a hosts file and a name server.

use std::{
    fs::File,
    io::Write,
    net::{IpAddr, UdpSocket},
    os::fd::AsFd,
    process::Stdio,
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Ended, Run, Sandbox, eventually};

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
    /// Runs it to its end where there is this network and no other: the loopback interface, an
    /// `eth0` that leads nowhere, and a name server on 127.0.0.1.
    #[track_caller]
    pub fn run_in(self, sandbox: &Sandbox, network: Network) -> Ended {
        sandbox.write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
        sandbox.write("hosts", network.hosts);
        let script = "mount -t sysfs sysfs /sys; ip link set lo up
            ip link add eth0 type veth peer name eth0peer; ip link set eth0 up
            mount --bind resolv.conf /etc/resolv.conf; mount --bind hosts /etc/hosts
            touch ready; read go; exec \"$@\"";
        let run = self.unshared("-mn", script);
        let mut child = run.with(|command| _ = command.stdin(Stdio::piped())).spawn();
        eventually("the namespace is ready", || sandbox.path("ready").exists());

        let (up, is_up) = mpsc::channel();
        let (done, is_done) = mpsc::channel::<()>();
        let namespace = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
        let zone: Vec<Record> = network.zone.lines().map(Record::parse).collect();
        let server = thread::spawn(move || {
            // Only this thread moves.
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
            up.send(()).unwrap();
            let mut query = [0; 512];
            while is_done.try_recv() == Err(mpsc::TryRecvError::Empty) {
                if let Ok((length, from)) = socket.recv_from(&mut query) {
                    socket.send_to(&answer(&zone, &query[..length]), from).unwrap();
                }
            }
        });
        is_up.recv().unwrap();
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let ended = Ended::wait(child);
        drop(done);
        server.join().unwrap();
        ended
    }
}

/// A record of a zone.
struct Record {
    /// Without the dot at its end.
    name: String,
    kind: u16,
    /// Its data on the wire.
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

/// A name on the wire.
fn labels(name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for label in name.split('.') {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data
}

/// The answer to a query: the zone's records, or that there is no such name.
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
        // The name is the question's.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    reply
}
