//! Minutes of changes and faults on a real etcd, a real Consul and a real Redis. At the end every file must equal
//! the store, and confd must not have grown.
//!
//! `CONFD_SOAK_SECONDS` sets the time. Ten minutes by hand: `CONFD_SOAK_SECONDS=600 tests/run
//! --test main soak`.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::Signal;
use servers::{
    Consul, Etcd, Process, Proxy, Redis, Release, Traffic,
    http::{escape, exchange},
    redis::ask_at,
};

use crate::support::{Daemon, Sandbox, eventually, pause};

const RESOURCES: usize = 5;
const KEYS: usize = 20;
/// The pause between two changes. It makes 50 changes in a second.
const PAUSE: Duration = Duration::from_millis(20);
/// The length of a fault, and of the quiet time after it.
const FAULT: Duration = Duration::from_millis(700);
/// The growth that a process may show: what an allocator keeps, which is less than what a leak
/// loses.
const GROWTH_KIB: u64 = 8 * 1024;

#[expect(clippy::disallowed_methods, reason = "the environment says how long the test runs")]
fn duration() -> Duration {
    let given = std::env::var("CONFD_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(given.unwrap_or(20))
}

/// A simple random number generator, which is the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// A store that can be broken and whose data survives that.
trait Store {
    /// The name of the backend.
    const BACKEND: &str;
    /// What an address begins with.
    const SCHEME: &str = "http";

    fn start() -> Self;
    /// The address, as `127.0.0.1:PORT`.
    fn address(&self) -> String;
    /// Sets or deletes a key of the store at `address`. False if it is not certain that the store
    /// did so.
    fn change(address: &str, key: &str, value: Option<&str>) -> bool;
    /// Makes the store forget its history, if it can.
    fn forget(&self);
    /// The process, or `None` if it was killed.
    fn process(&self) -> Option<&Process>;
    fn kill(&mut self);
    /// Starts the store again after a fault. Returns when it is ready.
    fn restart(&mut self);
}

impl Store for Etcd {
    const BACKEND: &str = "etcdv3";

    fn start() -> Self {
        Etcd::start(Release::Newest)
    }

    fn address(&self) -> String {
        self.address()
    }

    fn change(address: &str, key: &str, value: Option<&str>) -> bool {
        let key = STANDARD.encode(key);
        let (request, body) = match value.map(|value| STANDARD.encode(value)) {
            Some(value) => {
                ("POST /v3/kv/put", format!("{{\"key\":\"{key}\",\"value\":\"{value}\"}}"))
            }
            None => ("POST /v3/kv/deleterange", format!("{{\"key\":\"{key}\"}}")),
        };
        let answer = exchange(address, request, &[], body.as_bytes());
        answer.is_ok_and(|answer| answer.status == 200)
    }

    fn forget(&self) {
        let revision = self.metric("etcd_debugging_mvcc_current_revision");
        let body = format!("{{\"revision\":{}}}", revision as u64);
        // An error is fine: the revision can have been compacted already.
        let _ = exchange(&self.address(), "POST /v3/kv/compaction", &[], body.as_bytes());
    }

    fn process(&self) -> Option<&Process> {
        self.is_running().then(|| self.process())
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn restart(&mut self) {
        self.restart();
        self.wait();
    }
}

impl Store for Consul {
    const BACKEND: &str = "consul";

    fn start() -> Self {
        Consul::durable()
    }

    fn address(&self) -> String {
        self.address()
    }

    fn change(address: &str, key: &str, value: Option<&str>) -> bool {
        let method = if value.is_some() { "PUT" } else { "DELETE" };
        let request = format!("{method} /v1/kv{}", escape(key));
        let answer = exchange(address, &request, &[], value.unwrap_or_default().as_bytes());
        answer.is_ok_and(|answer| answer.status == 200)
    }

    fn forget(&self) {}

    fn process(&self) -> Option<&Process> {
        self.is_running().then(|| self.process())
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn restart(&mut self) {
        self.restart();
        self.wait();
    }
}

impl Store for Redis {
    const BACKEND: &str = "redis";
    const SCHEME: &str = "redis";

    fn start() -> Self {
        Redis::start()
    }

    fn address(&self) -> String {
        self.address()
    }

    fn change(address: &str, key: &str, value: Option<&str>) -> bool {
        match value {
            Some(value) => ask_at(address, &["SET", key, value]).is_ok(),
            None => ask_at(address, &["DEL", key]).is_ok(),
        }
    }

    fn forget(&self) {}

    fn process(&self) -> Option<&Process> {
        self.is_running().then(|| self.process())
    }

    fn kill(&mut self) {
        self.kill();
    }

    fn restart(&mut self) {
        self.restart();
        self.wait();
    }
}

/// Writes and deletes random keys until `stop` is set. Returns the final content of the store.
fn write<S: Store>(address: &str, stop: &AtomicBool) -> BTreeMap<String, String> {
    let (mut pairs, mut dice, mut changes) = (BTreeMap::new(), Dice(7), 0_u64);
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        changes += 1;
        let key = format!("/soak/{}/{:02}", dice.roll(RESOURCES), dice.roll(KEYS));
        let value = (dice.roll(10) != 0).then(|| changes.to_string());
        eventually("the store is changed", || S::change(address, &key, value.as_deref()));
        match value {
            Some(value) => _ = pairs.insert(key, value),
            None => _ = pairs.remove(&key),
        }
        pause(PAUSE.saturating_sub(begun.elapsed()));
    }
    pairs
}

/// The content that the file of a resource must have.
fn expected(pairs: &BTreeMap<String, String>, resource: usize) -> String {
    let prefix = format!("/soak/{resource}/");
    let own = pairs.iter().filter(|(key, _)| key.starts_with(&prefix));
    own.map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Resident memory in KiB, and the number of open descriptors.
fn size(daemon: &Daemon) -> (u64, usize) {
    let process = format!("/proc/{}", daemon.pid());
    let status = fs::read_to_string(format!("{process}/status")).unwrap();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let resident = resident.trim().trim_end_matches(" kB").parse().unwrap();
    (resident, fs::read_dir(format!("{process}/fd")).unwrap().count())
}

#[test]
fn etcd() {
    soak::<Etcd>();
}

#[test]
fn consul() {
    soak::<Consul>();
}

#[test]
fn redis() {
    soak::<Redis>();
}

fn soak<S: Store>() {
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
    let mut store = S::start();
    let address = store.address();
    let proxy = Proxy::before(&address);
    let node = format!("{}://{}", S::SCHEME, proxy.address());
    let run = sandbox.confd(&["-watch", "-backend", S::BACKEND, "-log-level", "error"]);
    let daemon = Daemon::start(run.arguments(&["-node", &node]), sandbox.path("log"));

    let stop = AtomicBool::new(false);
    let end = Instant::now() + duration();
    let (pairs, early) = thread::scope(|scope| {
        let writer = scope.spawn(|| write::<S>(&address, &stop));
        let (mut dice, mut early, mut faults) = (Dice(11), None, 0);
        while Instant::now() < end {
            match dice.roll(7) {
                0 => proxy.set(Traffic::Held),
                1 => proxy.set(Traffic::Refused),
                2 => proxy.set(Traffic::Slow(Duration::from_millis(5))),
                3 => proxy.cut(),
                4 => store.process().unwrap().freeze(),
                5 => store.kill(),
                _ => {
                    store.forget();
                    proxy.cut();
                }
            }
            pause(FAULT);
            proxy.set(Traffic::Flows);
            match store.process() {
                Some(process) => process.thaw(),
                None => store.restart(),
            }
            pause(FAULT);
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
        eventually(&format!("{name} is what the store holds"), || sandbox.read(&name) == expected);
    }
    let (early, late) = (early.expect("at least five faults"), size(&daemon));
    assert!(late.0 < early.0 + GROWTH_KIB, "{} KiB became {} KiB", early.0, late.0);
    // The last file is in place before its reload has ended, and the reload has open pipes. Silent
    // connections also need time until they are closed.
    eventually("nothing is left behind", || sandbox.list("out").len() == RESOURCES);
    eventually(&format!("descriptors are as few as early on, which were {}", early.1), || {
        size(&daemon).1 <= early.1 + 4
    });
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
