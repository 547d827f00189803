//! The files in `examples/compose/`, run unchanged: `docker-compose` starts a whole chain with an
//! engine of its own, and the images are made of folders of this machine.
//!
//! Each test scales the service from one container to five and back under load, and expects that no
//! request is lost. Then it kills the leader of the store, confd and the engine, and expects that
//! the balancer serves exactly the containers that run.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod images;
#[path = "../chains/kept.rs"]
mod kept;
mod leader;
#[path = "../chains/load.rs"]
#[expect(dead_code, reason = "the tests of the folders in `examples/` use the rest")]
mod load;
mod project;

/// What the load needs of the tests that it is shared with.
mod support {
    pub(crate) use servers::{eventually, pause};
}

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use servers::PATIENCE;
use support::{eventually, pause};

use kept::Kept;
use leader::Store;
use load::Load;
use project::{Balancer, HOST_ADDRESS, Project};

/// The address of the pair of HAProxys, and where it listens.
const PAIR_ADDRESS: &str = "172.30.77.100";
const PAIR: &str = "172.30.77.100:80";

#[test]
fn with_consul_and_nginx_no_request_is_lost_and_what_dies_heals() {
    let mut project = Project::start("consul", &["test/nginx", "test/consul"]);
    let balancers = ["balancer", "balancer-consul-template"].map(nginx);
    let addresses = [8080, 8081].map(|port| format!("{HOST_ADDRESS}:{port}"));
    scales_and_heals(&project, Store::Consul, &balancers, &addresses);
    survives_the_engine(&mut project, &balancers, &addresses);
}

#[test]
fn with_etcd_and_nginx_no_request_is_lost_and_what_dies_heals() {
    let mut project = Project::start("etcd", &["test/nginx", "test/etcd"]);
    has_three_names(&project);
    let balancers = ["balancer"].map(nginx);
    let addresses = [format!("{HOST_ADDRESS}:8080")];
    scales_and_heals(&project, Store::Etcd, &balancers, &addresses);
    survives_the_engine(&mut project, &balancers, &addresses);
}

#[test]
fn with_a_pair_of_haproxys_no_request_is_lost_and_the_address_moves_to_the_living_one() {
    let images = ["test/nginx", "test/haproxy", "test/etcd"];
    let mut project = Project::start("haproxy", &images);
    let balancers = ["balancer1", "balancer2"];
    let balancers = balancers.map(|service| Balancer { service, file: "/etc/haproxy.cfg" });
    let addresses = [PAIR.to_owned()];
    scales_and_heals(&project, Store::Etcd, &balancers, &addresses);

    // The first one is killed, and the second one is stopped.
    for stop in [false, true] {
        let before = holder(&project);
        if stop {
            project.compose(&["stop", before]);
            assert_eq!(project.exit_code(before), 0, "{}", project.log());
        } else {
            project.crash(before);
        }
        eventually("the other balancer has the address", || holder(&project) != before);
        answers(&project, PAIR);
        project.compose(&["start", before]);
        balancers.iter().for_each(|balancer| project.settles(balancer));
    }
    survives_the_engine(&mut project, &balancers, &addresses);
}

/// The one of the pair that has the address.
#[track_caller]
fn holder(project: &Project) -> &'static str {
    let mut holder = None;
    eventually("one of the pair has the address", || {
        let holders =
            ["balancer1", "balancer2"].map(|service| project.holds(service, PAIR_ADDRESS));
        holder = match holders {
            [true, false] => Some("balancer1"),
            [false, true] => Some("balancer2"),
            _ => None,
        };
        holder.is_some()
    });
    holder.unwrap()
}

fn nginx(service: &'static str) -> Balancer {
    Balancer { service, file: "/etc/nginx/balancer.conf" }
}

/// The image of the program starts confd, and the other programs by their names.
#[track_caller]
fn has_three_names(project: &Project) {
    let image = project.engine.ask("GET /images/confd/json", &Value::Null);
    assert_eq!(image["Config"]["Entrypoint"], json!(["confd"]));
    for (name, flag, printed) in [
        ("confd", "-version", "confd 0."),
        ("consul-template", "-v", "consul-template v0."),
        ("registrator", "--version", "0."),
    ] {
        let output = project.run("confd", name, flag);
        assert!(output.starts_with(printed), "{name}: {output:?}");
    }
}

/// Scales from one container to five, to one and to three, then kills the leader of the store and
/// the confd of the first balancer, all under load: no request is lost.
#[track_caller]
fn scales_and_heals(project: &Project, store: Store, balancers: &[Balancer], addresses: &[String]) {
    let settles = || balancers.iter().for_each(|balancer| project.settles(balancer));
    settles();
    addresses.iter().for_each(|address| answers(project, address));
    // A balancer at the second address serves clients that open a connection for each request.
    let load = |(nth, address): (usize, &String)| match nth {
        0 => Load::with_kept_connections(address),
        _ => Load::on(address),
    };
    let loads: Vec<_> = project.engine.within(|| addresses.iter().enumerate().map(load).collect());
    let goes_on = || loads.iter().for_each(|load| load.goes_on(200));
    for number in [5, 1, 3] {
        project.scale(number);
        settles();
        goes_on();
    }

    store.loses_its_leader(project);
    project.kill_confd(&balancers[0]);
    project.scale(2);
    settles();
    goes_on();
    for load in loads {
        let tally = load.end();
        assert!(tally.lost.is_empty(), "{:#?}\n{}", tally.lost, project.log());
        assert!(tally.answers.len() >= 5, "{:?}", tally.answers);
    }
}

/// Kills the engine and starts it again: the balancers serve what runs then, and follow changes.
#[track_caller]
fn survives_the_engine(project: &mut Project, balancers: &[Balancer], addresses: &[String]) {
    project.engine.kill();
    project.engine.restart();
    project.engine.wait();
    balancers.iter().for_each(|balancer| project.settles(balancer));
    project.scale(3);
    balancers.iter().for_each(|balancer| project.settles(balancer));
    addresses.iter().for_each(|address| answers(project, address));
}

/// Waits until requests to this address are answered: many in a row, because a process of nginx that
/// ends after a reload answers for a moment by the file before.
#[track_caller]
fn answers(project: &Project, address: &str) {
    let end = Instant::now() + PATIENCE;
    let mut in_a_row = 0;
    while in_a_row < 50 {
        let answer = project.engine.within(|| Kept::new(address).get());
        in_a_row = if answer.is_ok() { in_a_row + 1 } else { 0 };
        pause(Duration::from_millis(20));
        assert!(in_a_row > 0 || Instant::now() < end, "{answer:?}\n{}", project.log());
    }
}
