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

use support::eventually;

use leader::Store;
use load::Load;
use project::{Balancer, HOST_ADDRESS, Project};

#[test]
fn with_consul_and_nginx_no_request_is_lost_and_what_dies_heals() {
    let project = Project::start("consul", &["test/nginx", "test/consul"]);
    let balancers = ["balancer", "balancer-consul-template"].map(nginx);
    lives(project, Store::Consul, &balancers, &[8080, 8081]);
}

#[test]
fn with_etcd_and_nginx_no_request_is_lost_and_what_dies_heals() {
    let project = Project::start("etcd", &["test/nginx", "test/etcd"]);
    lives(project, Store::Etcd, &["balancer"].map(nginx), &[8080]);
}

fn nginx(service: &'static str) -> Balancer {
    Balancer { service, file: "/etc/nginx/balancer.conf" }
}

/// Scales, kills and expects. The first balancer is confd's.
fn lives(mut project: Project, store: Store, balancers: &[Balancer], ports: &[u16]) {
    let settles = |project: &Project| balancers.iter().for_each(|each| project.settles(each));
    let addresses: Vec<_> = ports.iter().map(|port| format!("{HOST_ADDRESS}:{port}")).collect();
    settles(&project);
    let load = |(nth, address): (usize, &String)| match nth {
        0 => Load::with_kept_connections(address),
        _ => Load::on(address),
    };
    let loads: Vec<_> = project.engine.within(|| addresses.iter().enumerate().map(load).collect());
    let goes_on = || loads.iter().for_each(|load| load.goes_on(200));
    for number in [5, 1, 3] {
        project.scale(number);
        settles(&project);
        goes_on();
    }

    store.loses_its_leader(&project);
    project.kill_confd(&balancers[0]);
    project.scale(2);
    settles(&project);
    goes_on();
    for load in loads {
        let tally = load.end();
        assert!(tally.lost.is_empty(), "{:#?}\n{}", tally.lost, project.log());
        assert!(tally.answers.len() >= 5, "{:?}", tally.answers);
    }

    project.engine.kill();
    project.engine.restart();
    project.engine.wait();
    settles(&project);
    project.scale(3);
    settles(&project);
    for address in &addresses {
        project
            .engine
            .within(|| eventually("requests are answered", || load::get(address).is_ok()));
    }
}
