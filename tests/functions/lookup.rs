//! Names and services looked up in /etc/hosts and in the DNS.
//!
//! confd runs in namespaces of its own, where the only server is one of ours on 127.0.0.1:53.

use std::{
    collections::HashMap, fs::File, io::Write, net::UdpSocket, os::fd::AsFd, process::Stdio,
    sync::mpsc, thread, time::Duration,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::support::{Ended, Sandbox, eventually, needs_root};

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// Records by name and type, each as its data on the wire.
type Zone = HashMap<(&'static str, u16), Vec<Vec<u8>>>;

fn zone() -> Zone {
    let v6 = |last: u8| [&[0x20, 0x01, 0x0d, 0xb8][..], &[0; 11], &[last]].concat();
    HashMap::from([
        (("web.example.test", A), vec![vec![10, 0, 0, 9], vec![9, 9, 9, 9], vec![10, 0, 0, 10]]),
        (("web.example.test", AAAA), vec![v6(2), v6(1)]),
        (("v4.example.test", A), vec![vec![192, 0, 2, 1]]),
        (
            ("_http._tcp.example.test", SRV),
            vec![
                srv(20, 5, 80, "b.example.test"),
                srv(1, 5, 9, "a.example.test"),
                srv(10, 5, 100, "a.example.test"),
                srv(5, 0, 80, "c.example.test"),
            ],
        ),
        (("plain.example.test", SRV), vec![srv(1, 2, 3, "x.example.test")]),
    ])
}

/// The data of an SRV record.
fn srv(priority: u16, weight: u16, port: u16, target: &str) -> Vec<u8> {
    let mut data: Vec<u8> =
        [priority, weight, port].iter().flat_map(|number| number.to_be_bytes()).collect();
    for label in target.split('.') {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
}

/// The answer to a query: the zone's records, or that there is no such name.
fn answer(zone: &Zone, query: &[u8]) -> Vec<u8> {
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
    let known = zone.keys().any(|(known, _)| *known == name);
    let records = zone
        .iter()
        .find(|((known, of), _)| *known == name && *of == kind)
        .map_or(&[][..], |(_, records)| records);

    let mut reply = query[..2].to_vec();
    reply.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    reply.extend(question);
    for data in records {
        // The name is the question's.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60]);
        reply.extend((data.len() as u16).to_be_bytes());
        reply.extend(data);
    }
    reply
}

/// Runs confd where only `hosts` and the zone can be looked up.
fn run_in_zone(sandbox: &Sandbox, hosts: &str) -> Ended {
    needs_root();
    sandbox.write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
    sandbox.write("hosts", hosts);
    let script = "ip link set lo up; mount --bind resolv.conf /etc/resolv.conf; mount --bind hosts /etc/hosts
                  touch ready; read go; exec \"$@\"";
    let confd = sandbox.onetime().unshared("-mn", script);
    let mut child = confd.with(|command| _ = command.stdin(Stdio::piped())).spawn();
    eventually("the namespace is ready", || sandbox.path("ready").exists());

    let (up, is_up) = mpsc::channel();
    let (done, is_done) = mpsc::channel::<()>();
    let namespace = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
    let server = thread::spawn(move || {
        // Only this thread moves.
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
        let socket = UdpSocket::bind("127.0.0.1:53").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        up.send(()).unwrap();
        let zone = zone();
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
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended
}

#[test]
fn addresses_come_from_the_hosts_file_and_from_the_dns_sorted_as_text() {
    let sandbox = Sandbox::rendering(
        r#"{{lookupIP "myhost"}}
{{lookupIP "web.example.test"}}
{{lookupIPV4 "web.example.test"}}
{{lookupIPV6 "web.example.test"}}
{{lookupIPV6 "v4.example.test"}}
"#,
    );
    run_in_zone(&sandbox, "127.0.0.1 localhost\n192.0.2.77 myhost alias\n");
    assert_eq!(
        sandbox.output(),
        "[192.0.2.77]
[10.0.0.10 10.0.0.9 2001:db8::1 2001:db8::2 9.9.9.9]
[10.0.0.10 10.0.0.9 9.9.9.9]
[2001:db8::1 2001:db8::2]
[]
"
    );
}

#[test]
fn services_are_sorted_as_text_and_keep_the_final_dot() {
    let sandbox = Sandbox::rendering(
        r#"{{range lookupSRV "http" "tcp" "example.test"}}{{.Target}} {{.Port}} {{.Priority}} {{.Weight}}
{{end}}{{range lookupSRV "" "" "plain.example.test"}}{{.Target}}:{{.Port}}
{{end}}"#,
    );
    run_in_zone(&sandbox, "");
    // "a.example.test.100105" is less than "a.example.test.915", whatever the numbers say.
    assert_eq!(
        sandbox.output(),
        "a.example.test. 100 10 5
a.example.test. 9 1 5
b.example.test. 80 20 5
c.example.test. 80 5 0
x.example.test.:3
"
    );
}

#[test]
fn what_cannot_be_found_is_an_empty_list_and_a_warning() {
    let sandbox = Sandbox::rendering(
        r#"{{lookupIP "nosuch.example.test"}}{{lookupIPV4 ""}}{{len (lookupSRV "no" "tcp" "example.test")}}"#,
    );
    let ended = run_in_zone(&sandbox, "");
    assert_eq!(sandbox.output(), "[][]0");
    for name in ["nosuch.example.test", "_no._tcp.example.test"] {
        let told = |line: &String| line.starts_with("WARNING ") && line.contains(name);
        assert!(ended.log().iter().any(told), "{}", ended.stderr);
    }
}

#[test]
fn addresses_are_their_own_addresses() {
    super::gives(
        "{}",
        &[
            (r#"{{lookupIP "192.0.2.1"}} {{lookupIP "2001:DB8::1"}}"#, "[192.0.2.1] [2001:db8::1]"),
            (
                r#"{{lookupIP "::ffff:192.0.2.1"}} {{lookupIPV6 "::ffff:192.0.2.1"}}"#,
                "[192.0.2.1] []",
            ),
        ],
    );
}
