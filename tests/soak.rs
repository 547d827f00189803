//! Minutes of changes and faults at once, on a real etcd: at the end every file equals the store,
//! and confd has not grown.
//!
//! `CONFD_SOAK_SECONDS` says how long; ten minutes by hand: `CONFD_SOAK_SECONDS=600 tests/run
//! --test main soak`.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::Signal;
use servers::{Etcd, Proxy, Release, Traffic};

use crate::support::{Daemon, Sandbox, eventually};

const RESOURCES: usize = 5;
const KEYS: usize = 20;
/// The pause between two changes: 50 a second.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a fault lasts, and how long it is quiet after it.
const FAULT: Duration = Duration::from_millis(700);
/// What a process may grow by while it works: what an allocator keeps, not what a leak loses.
const GROWTH_KIB: u64 = 8 * 1024;

fn duration() -> Duration {
    let given = std::env::var("CONFD_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(20))
}

/// Random enough for this, and the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Asks etcd's JSON gateway, until it answers.
fn post(server: &str, path: &str, body: &str) {
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let attempt = || -> std::io::Result<bool> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer.starts_with("HTTP/1.1 200"))
    };
    eventually(&format!("etcd answers to {path}"), || attempt().unwrap_or(false));
}

/// Writes and deletes random keys until told to stop; gives what the store then holds.
fn write(server: &str, stop: &AtomicBool) -> BTreeMap<String, String> {
    let (mut pairs, mut dice, mut changes) = (BTreeMap::new(), Dice(7), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        changes += 1;
        let key = format!("/soak/{}/{:02}", dice.roll(RESOURCES), dice.roll(KEYS));
        let encoded = STANDARD.encode(&key);
        if dice.roll(10) == 0 {
            post(server, "/v3/kv/deleterange", &format!("{{\"key\":\"{encoded}\"}}"));
            pairs.remove(&key);
        } else {
            let value = STANDARD.encode(changes.to_string());
            let body = format!("{{\"key\":\"{encoded}\",\"value\":\"{value}\"}}");
            post(server, "/v3/kv/put", &body);
            pairs.insert(key, changes.to_string());
        }
        thread::sleep(PAUSE.saturating_sub(begun.elapsed()));
    }
    pairs
}

/// What the file of a resource has to be.
fn expected(pairs: &BTreeMap<String, String>, resource: usize) -> String {
    let prefix = format!("/soak/{resource}/");
    let own = pairs.iter().filter(|(key, _)| key.starts_with(&prefix));
    own.map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Resident memory in KiB and open descriptors.
fn size(daemon: &Daemon) -> (u64, usize) {
    let process = format!("/proc/{}", daemon.pid());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (resident, fs::read_dir(format!("{process}/fd")).unwrap().count())
}

#[test]
fn soak() {
    let sandbox = Sandbox::new();
    for resource in 0..RESOURCES {
        let name = format!("r{resource}");
        sandbox.write(
            &format!("templates/{name}.tmpl"),
            format!(
                "{{{{range gets \"/soak/{resource}/*\"}}}}{{{{.Key}}}}={{{{.Value}}}}\n{{{{end}}}}"
            ),
        );
        sandbox.write(
            &format!("conf.d/{name}.toml"),
            format!(
                "[template]\nsrc = '{name}.tmpl'\ndest = '{}'\nkeys = ['/soak/{resource}']\n\
                 check_cmd = 'test -e {{{{.src}}}}'\nreload_cmd = 'true'\n",
                sandbox.path(&format!("out/{name}")).display()
            ),
        );
    }
    let mut server = Etcd::start(Release::Newest);
    let address = server.address();
    let proxy = Proxy::before(&address);
    let node = format!("http://{}", proxy.address());
    let run = sandbox.confd(&["-watch", "-backend", "etcdv3", "-log-level", "error"]);
    let daemon = Daemon::start(run.arguments(&["-node", &node]), sandbox.path("log"));

    let stop = AtomicBool::new(false);
    let end = Instant::now() + duration();
    let (pairs, early) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(&address, &stop));
        let (mut dice, mut early, mut faults) = (Dice(11), None, 0);
        while Instant::now() < end {
            match dice.roll(7) {
                0 => proxy.set(Traffic::Held),
                1 => proxy.set(Traffic::Refused),
                2 => proxy.set(Traffic::Slow(Duration::from_millis(5))),
                3 => proxy.cut(),
                4 => server.process().freeze(),
                5 => server.kill(),
                _ => {
                    let revision = server.metric("etcd_debugging_mvcc_current_revision");
                    let body = format!("{{\"revision\":{}}}", revision as u64);
                    // It may have been compacted already; that is no fault of ours.
                    let _ = TcpStream::connect(&address).and_then(|mut stream| {
                        write!(
                            stream,
                            "POST /v3/kv/compaction HTTP/1.1\r\nHost: etcd\r\n\
                             Content-Length: {}\r\n\r\n{body}",
                            body.len()
                        )
                    });
                    proxy.cut();
                }
            }
            thread::sleep(FAULT);
            proxy.set(Traffic::Flows);
            if server.is_running() {
                server.process().thaw();
            } else {
                server.restart();
                server.wait();
            }
            thread::sleep(FAULT);
            faults += 1;
            if faults == 5 {
                early = Some(size(&daemon));
            }
        }
        stop.store(true, Ordering::Relaxed);
        (writer.join().unwrap(), early)
    });

    for resource in 0..RESOURCES {
        let (name, expected) = (format!("out/r{resource}"), expected(&pairs, resource));
        eventually(&format!("{name} is what etcd holds"), || sandbox.read(&name) == expected);
    }
    let (early, late) = (early.expect("at least five faults"), size(&daemon));
    assert!(late.0 < early.0 + GROWTH_KIB, "{} KiB became {} KiB", early.0, late.0);
    assert!(late.1 <= early.1 + 4, "{} descriptors became {}", early.1, late.1);
    assert_eq!(sandbox.list("out").len(), RESOURCES, "{:?}", sandbox.list("out"));
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
