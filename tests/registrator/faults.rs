//! Engines, registries and the program itself end at any moment, and containers come and go all the
//! while. In the end the registry holds the containers that run, and no others.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use servers::names::NameServer;
use servers::{Consul, Engine, Etcd, Release, consul::Setup, eventually, pause};

use crate::containers::Images;
use crate::program::{Program, Start};
use crate::registry::Registry;
use crate::world::{CONSUL, ETCD, HOST_ADDRESS};

/// The name of the host that the program sees.
const HOST: &str = "h1";

/// The tests, with their names.
pub(crate) const TESTS: [(&str, fn()); 11] = [
    ("faults::an_engine_that_ends_and_begins_again_loses_nothing", engine_restarts),
    ("faults::a_consul_that_loses_its_data_gets_its_services_again", consul_is_wiped),
    ("faults::an_etcd_that_loses_its_data_gets_its_keys_again", etcd_is_wiped),
    ("faults::an_etcd_of_version_2_that_loses_its_data_gets_its_keys_again", etcd2_is_wiped),
    ("faults::what_happens_while_an_etcd_of_version_2_is_away_is_made_up_for", etcd2_is_away),
    ("faults::what_happens_while_consul_is_away_is_made_up_for", consul_is_away),
    ("faults::the_name_of_the_host_is_looked_up_until_it_is_found_and_only_if_needed", host_lookup),
    ("faults::a_service_is_as_healthy_as_its_container_in_consul", health_in_consul),
    ("faults::a_service_is_as_healthy_as_its_container_in_etcd", health_in_etcd),
    ("faults::killed_100_times_with_consul_only_the_living_ones_are_left", killed_with_consul),
    ("faults::killed_100_times_with_etcd_only_the_living_ones_are_left", killed_with_etcd),
];

/// A store in the engine's network.
enum Store {
    Consul(Consul),
    Etcd(Etcd),
    /// An etcd that is used by version 2 of its API.
    Etcd2(Etcd),
}

/// An engine, a store and the program.
struct Rig {
    program: Option<Program>,
    store: Store,
    engine: Engine,
    /// The hosts file that the program sees.
    hosts: String,
}

impl Rig {
    fn start(store: fn() -> Store) -> Rig {
        let engine = Engine::start(HOST_ADDRESS);
        Images::new(&engine).make(&engine, "nginx", &Value::Null);
        let store = engine.within(store);
        let hosts = format!("127.0.0.1 localhost\n{HOST_ADDRESS} {HOST}\n");
        Rig { program: None, store, engine, hosts }
    }

    /// Starts the program with these flags.
    fn run(&mut self, flags: &[&str]) {
        let uri = match self.store {
            Store::Consul(_) => format!("consul://{CONSUL}"),
            Store::Etcd(_) => format!("etcd://{ETCD}/services"),
            Store::Etcd2(_) => format!("etcd2://{ETCD}/services"),
        };
        let start = Start {
            arguments: flags.iter().map(|flag| (*flag).to_owned()).chain([uri]).collect(),
            environment: BTreeMap::from([
                ("PATH".to_owned(), "/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
                ("DOCKER_HOST".to_owned(), format!("unix://{}", self.engine.socket().display())),
            ]),
            host: HOST.to_owned(),
            hosts: self.hosts.clone(),
            has_default_socket: false,
        };
        let engine = &self.engine;
        self.program = Some(engine.within(|| Program::start(engine.folder(), &start)));
    }

    /// Does something with the store in its network.
    fn with_store(&mut self, work: impl FnOnce(&mut Store) + Send) {
        let store = &mut self.store;
        self.engine.within(|| work(store));
    }

    /// Waits until the registry holds exactly what the engine runs.
    #[track_caller]
    fn settles(&self) {
        let registry = match self.store {
            Store::Consul(_) => Registry::Consul {
                address: CONSUL.to_owned(),
                data: self.engine.folder().join("consul"),
            },
            Store::Etcd(_) => Registry::Etcd { address: ETCD.to_owned(), is_v2: false },
            Store::Etcd2(_) => Registry::Etcd { address: ETCD.to_owned(), is_v2: true },
        };
        self.engine.within(|| {
            eventually("the registry holds the containers that run", || {
                registered(&registry.state()) == running(&self.engine)
            });
        });
    }
}

/// Starts a container with a port of the engine's choice.
fn start(engine: &Engine, name: &str) {
    let body = json!({
        "Image": "nginx",
        "Cmd": ["0", "-", "-"],
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]}},
    });
    let made = engine.ask(&format!("POST /containers/create?name={name}"), &body);
    let id = made["Id"].as_str().unwrap();
    engine.ask(&format!("POST /containers/{id}/start"), &Value::Null);
}

fn remove(engine: &Engine, name: &str) {
    engine.ask(&format!("DELETE /containers/{name}?force=1"), &Value::Null);
}

/// The ports of the containers that run, by the ids of their services.
fn running(engine: &Engine) -> BTreeMap<String, String> {
    let listed = engine.ask("GET /containers/json", &Value::Null);
    let service = |listed: &Value| {
        let name = listed["Names"][0].as_str()?.trim_start_matches('/').to_owned();
        Some((format!("{HOST}:{name}:80"), listed["Ports"][0]["PublicPort"].to_string()))
    };
    listed.as_array().unwrap().iter().filter_map(service).collect()
}

/// The ports in a registry, by the ids of their services.
fn registered(state: &Value) -> BTreeMap<String, String> {
    let list = |name: &str| state[name].as_array().cloned().unwrap_or_default();
    let services = list("services");
    let services = services
        .iter()
        .map(|service| (service["id"].as_str().unwrap().to_owned(), service["port"].to_string()));
    let keys = list("keys");
    let keys = keys.iter().filter_map(|pair| {
        let (_, id) = pair["key"].as_str()?.rsplit_once('/')?;
        let (_, port) = pair["value"].as_str()?.rsplit_once(':')?;
        Some((id.to_owned(), port.to_owned()))
    });
    services.chain(keys).collect()
}

fn consul() -> Store {
    let (_, port) = CONSUL.rsplit_once(':').unwrap();
    let setup = Setup { port: port.parse().ok(), ..Setup::default() };
    Store::Consul(Consul::start_as(&setup))
}

fn etcd() -> Store {
    Store::Etcd(etcd_with(&[]))
}

fn etcd2() -> Store {
    Store::Etcd2(etcd_with(&["--enable-v2=true"]))
}

fn etcd_with(more: &[&str]) -> Etcd {
    let (_, port) = ETCD.rsplit_once(':').unwrap();
    Etcd::start_at(Release::Debian, port.parse().unwrap(), more)
}

impl Store {
    fn kill(&mut self) {
        match self {
            Store::Consul(server) => server.kill(),
            Store::Etcd(server) | Store::Etcd2(server) => server.kill(),
        }
    }

    fn wipe(&mut self) {
        match self {
            Store::Consul(server) => server.wipe(),
            Store::Etcd(server) | Store::Etcd2(server) => server.wipe(),
        }
    }

    fn restart(&mut self) {
        match self {
            Store::Consul(server) => {
                server.restart();
                server.wait();
            }
            Store::Etcd(server) | Store::Etcd2(server) => {
                server.restart();
                server.wait();
            }
        }
    }
}

fn engine_restarts() {
    let mut rig = Rig::start(consul);
    rig.run(&[]);
    start(&rig.engine, "web-a");
    start(&rig.engine, "web-b");
    rig.settles();
    rig.engine.kill();
    rig.engine.restart();
    rig.engine.wait();
    start(&rig.engine, "web-c");
    remove(&rig.engine, "web-a");
    rig.settles();
    // Its containers end with it.
    rig.engine.stop();
    rig.engine.restart();
    rig.engine.wait();
    start(&rig.engine, "web-d");
    rig.settles();
}

fn is_wiped(store: fn() -> Store) {
    let mut rig = Rig::start(store);
    rig.run(&[]);
    start(&rig.engine, "web-a");
    start(&rig.engine, "web-b");
    rig.settles();
    rig.with_store(|store| {
        store.kill();
        store.wipe();
        store.restart();
    });
    rig.settles();
}

fn consul_is_wiped() {
    is_wiped(consul);
}

fn etcd_is_wiped() {
    is_wiped(etcd);
}

fn etcd2_is_wiped() {
    is_wiped(etcd2);
}

fn is_away(store: fn() -> Store) {
    let mut rig = Rig::start(store);
    rig.run(&[]);
    start(&rig.engine, "web-a");
    start(&rig.engine, "web-b");
    rig.settles();
    rig.with_store(Store::kill);
    start(&rig.engine, "web-c");
    remove(&rig.engine, "web-b");
    start(&rig.engine, "web-b");
    remove(&rig.engine, "web-a");
    rig.with_store(Store::restart);
    rig.settles();
}

fn consul_is_away() {
    is_away(consul);
}

fn etcd2_is_away() {
    is_away(etcd2);
}

fn host_lookup() {
    let mut rig = Rig::start(etcd);
    rig.hosts = "127.0.0.1 localhost\n".to_owned();
    let names = rig.engine.within(|| NameServer::start_at(([127, 0, 0, 1], 53).into(), ""));
    start(&rig.engine, "web-a");
    start(&rig.engine, "web-b");
    let are_at = |rig: &Rig, address: &str| {
        let registry = Registry::Etcd { address: ETCD.to_owned(), is_v2: false };
        rig.engine.within(|| {
            eventually(&format!("both are registered at {address}"), || {
                let state = registry.state();
                let keys = state["keys"].as_array().cloned().unwrap_or_default();
                let is_there = |pair: &Value| pair["value"].as_str().unwrap().starts_with(address);
                keys.len() == 2 && keys.iter().all(is_there)
            });
        });
    };
    rig.run(&["-ip", "10.0.0.9"]);
    are_at(&rig, "10.0.0.9:");
    assert_eq!(names.queries(), Vec::<String>::new());
    rig.program = None;
    rig.run(&[]);
    are_at(&rig, "0.0.0.0:");
    names.set_zone(&format!("{HOST}. A {HOST_ADDRESS}"));
    are_at(&rig, &format!("{HOST_ADDRESS}:"));
    rig.settles();
}

/// The program is killed and started again at random moments, while containers come and go.
fn killed(store: fn() -> Store, flags: &[&str]) {
    const KILLS: u32 = 100;

    let mut rig = Rig::start(store);
    // A fixed sequence, so that a failure can be repeated.
    let mut state = 12_345_u64;
    let is_over = AtomicBool::new(false);
    let socket = rig.engine.socket();
    thread::scope(|scope| {
        scope.spawn(|| come_and_go(&socket, &is_over));
        for _ in 0..KILLS {
            rig.run(flags);
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // The pause is the moment of the kill.
            pause(Duration::from_millis(10 + (state >> 33) % 200));
            rig.program = None;
        }
        is_over.store(true, Ordering::Relaxed);
    });
    rig.run(flags);
    rig.settles();
}

/// Starts and removes containers until `is_over`.
fn come_and_go(socket: &std::path::Path, is_over: &AtomicBool) {
    let ask = |request: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("Content-Type", "application/json")];
        servers::http::exchange_at(socket, request, &headers, body.as_bytes()).unwrap()
    };
    let mut nth = 0;
    while !is_over.load(Ordering::Relaxed) {
        let body = json!({
            "Image": "nginx",
            "Cmd": ["0", "-", "-"],
            "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]}},
        });
        let name = format!("c{nth}");
        ask(&format!("POST /containers/create?name={name}"), &body);
        ask(&format!("POST /containers/{name}/start"), &Value::Null);
        if nth >= 3 {
            let old = nth - 3;
            ask(&format!("DELETE /containers/c{old}?force=1"), &Value::Null);
        }
        nth += 1;
    }
}

fn killed_with_consul() {
    killed(consul, &["-prune"]);
}

fn killed_with_etcd() {
    killed(etcd, &["-prune"]);
}

/// The health check of a container succeeds, and fails again. `is_passing` says whether readers of
/// the registry see a healthy service.
fn health(store: fn() -> Store, is_passing: fn() -> bool) {
    const INTERVAL: u64 = 200_000_000;

    let mut rig = Rig::start(store);
    rig.run(&["-health"]);
    let check =
        json!({"Test": ["CMD", "test", "-e", "/healthy"], "Interval": INTERVAL, "Retries": 1});
    let body = json!({
        "Image": "nginx",
        "Cmd": ["0", "-", "-"],
        "Healthcheck": check,
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": ""}]}},
    });
    let engine = &rig.engine;
    engine.ask("POST /containers/create?name=web", &body);
    engine.ask("POST /containers/web/start", &Value::Null);
    let execute = |command: &[&str]| {
        let made = engine.ask("POST /containers/web/exec", &json!({"Cmd": command}));
        engine.ask(&format!("POST /exec/{}/start", made["Id"].as_str().unwrap()), &json!({}));
    };
    let has_status = |status: &str| {
        eventually("the health check has its result", || {
            let inspected = engine.ask("GET /containers/web/json", &Value::Null);
            inspected["State"]["Health"]["Status"] == status
        });
    };
    has_status("unhealthy");
    assert!(!engine.within(is_passing));
    execute(&["touch", "/healthy"]);
    engine.within(|| eventually("the service is healthy", is_passing));
    execute(&["mv", "/healthy", "/sick"]);
    has_status("unhealthy");
    engine.within(|| eventually("the service is unhealthy", || !is_passing()));
}

fn health_in_consul() {
    health(consul, || {
        let answer =
            servers::http::exchange(CONSUL, "GET /v1/health/service/nginx?passing", &[], b"");
        answer.is_ok_and(|answer| answer.text().contains("h1:web:80"))
    });
}

fn health_in_etcd() {
    health(etcd, || {
        let registry = Registry::Etcd { address: ETCD.to_owned(), is_v2: false };
        registered(&registry.state()).contains_key("h1:web:80")
    });
}
