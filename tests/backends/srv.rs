//! Nodes from an SRV record.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Ended, Network, Sandbox, eventually};

const NETWORK: Network<'static> = Network {
    is_bare: false,
    hosts: "127.0.0.1 localhost a.example.test b.example.test\n",
    zone: "_etcd._tcp.example.test. SRV 2 0 1001 b.example.test.
_etcd._tcp.example.test. SRV 1 0 1002 a.example.test.
_etcdv3._tcp.example.test. SRV 1 5 1003 a.example.test.
_consul._tcp.example.test. SRV 1 5 1005 a.example.test.
other.example.test. SRV 1 5 1004 b.example.test.",
};

/// Runs a pass in which no node answers.
fn asking(flags: &[&str]) -> Ended {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.confd(&["-onetime"]).arguments(flags).run_in(&sandbox, NETWORK);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended
}

#[test]
fn an_srv_record_names_the_nodes_in_place_of_those_given() {
    for (flags, record, nodes) in [
        (
            &["-backend", "etcd", "-srv-domain", "example.test", "-node", "http://127.0.0.1:1"][..],
            "_etcd._tcp.example.test.",
            "http://a.example.test:1002, http://b.example.test:1001",
        ),
        (
            &["-backend", "etcd", "-scheme", "https", "-srv-record", "other.example.test."],
            "other.example.test.",
            "https://b.example.test:1004",
        ),
        (
            &["-backend", "etcdv3", "-scheme", "https", "-srv-domain", "example.test"],
            "_etcdv3._tcp.example.test.",
            "a.example.test:1003",
        ),
        (
            &["-backend", "consul", "-scheme", "https", "-srv-domain", "example.test"],
            "_consul._tcp.example.test.",
            "a.example.test:1005",
        ),
        (
            &["-backend", "etcdv3", "-srv-domain", "nosuch", "-srv-record", "other.example.test."],
            "other.example.test.",
            "b.example.test:1004",
        ),
    ] {
        let ended = asking(flags);
        ended.expect(&format!("INFO SRV record set to {record}"));
        ended.expect(&format!("INFO Backend source(s) set to {nodes}"));
    }
}

#[test]
fn a_record_that_is_not_there_ends_the_start() {
    let ended = asking(&["-backend", "etcd", "-srv-domain", "nosuch.test"]);
    assert_eq!(
        ended.log(),
        [
            "INFO SRV record set to _etcd._tcp.nosuch.test.",
            "FATAL Cannot get nodes from SRV records lookup _etcd._tcp.nosuch.test. on 127.0.0.1:53: no such host",
        ]
    );
}

/// Runs a pass of a template that asks for services of a Consul that does not answer.
fn asking_for_services(table: &str, flags: &[&str]) -> Ended {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", r#"{{len (service "web")}}"#);
    let resource = format!("[template]\nsrc='app'\ndest='{}'\n", sandbox.path("out").display());
    sandbox.write("conf.d/app.toml", resource);
    sandbox.write("confd.toml", format!("[consul]\n{table}\n"));
    let ended = sandbox.confd(&["-onetime"]).arguments(flags).run_in(&sandbox, NETWORK);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended
}

/// The error of a query at a node at which nothing listens.
fn refused(node: &str) -> String {
    format!(
        "ERROR health.service(web|passing): cannot reach consul: {node}: connection refused (nothing \
         listens there) (resource app)"
    )
}

#[test]
fn the_record_of_the_backend_does_not_replace_the_nodes_of_the_table() {
    let backend = ["-backend", "consul", "-srv-domain", "example.test"];
    for (table, node) in [
        ("nodes = ['b.example.test:1006']", "http://b.example.test:1006"),
        ("datacenter = 'dc2'", "http://a.example.test:1005"),
    ] {
        asking_for_services(table, &backend).expect(&refused(node));
    }
}

#[test]
fn the_table_of_services_can_name_its_nodes_by_a_record() {
    let backend = ["-backend", "consul", "-node", "127.0.0.1:1"];
    for (table, record, scheme, node) in [
        (
            "srv_domain = 'example.test'",
            "_consul._tcp.example.test.",
            "http",
            "a.example.test:1005",
        ),
        (
            "scheme = 'https'\nnodes = ['x:1']\nsrv_record = 'other.example.test.'",
            "other.example.test.",
            "https",
            "b.example.test:1004",
        ),
    ] {
        for backend in [&backend[..], &["-backend", "env"]] {
            let ended = asking_for_services(table, backend);
            ended.expect(&format!("INFO SRV record set to {record}"));
            ended.expect(&format!("INFO Templates ask consul at {node}"));
            ended.expect(&refused(&format!("{scheme}://{node}")));
        }
    }
    let ended = asking_for_services("srv_domain = 'nosuch.test'", &["-backend", "env"]);
    ended.expect(
        "ERROR health.service(web|passing): Cannot get nodes from SRV records lookup \
         _consul._tcp.nosuch.test. on 127.0.0.1:53: no such host (resource app)",
    );
}

#[test]
fn a_hangup_looks_the_record_up_again_and_follows_the_nodes_that_it_names() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    let run = sandbox.confd(&["-watch", "-backend", "etcdv3", "-srv-domain", "example.test"]);
    let (daemon, world) = Daemon::start_in(run, &sandbox, NETWORK);
    daemon.wait_for("cannot reach etcd: http://a.example.test:1003: connection refused");
    world.within(|| {
        let servers = ["one", "two"].map(|value| {
            let server = Etcd::start(Release::Newest);
            server.put("/v", value);
            server
        });
        let name = |server: &Etcd| {
            let port = server.address().split_once(':').unwrap().1.to_owned();
            let record = "_etcdv3._tcp.example.test. SRV 1 5";
            world.names().set_zone(&format!("{record} {port} b.example.test."));
            daemon.signal(Signal::HUP);
            daemon.wait_for(&format!("INFO Backend source(s) set to b.example.test:{port}\n"));
        };
        for (server, value) in servers.iter().zip(["one", "two"]) {
            name(server);
            eventually("the file is that of the new node", || sandbox.output() == value);
        }
        // Without an answer the nodes stay.
        world.names().set_zone("");
        daemon.signal(Signal::HUP);
        daemon
            .wait_for("ERROR Cannot get nodes from SRV records lookup _etcdv3._tcp.example.test.");
        daemon.wait_for("WARNING the configuration in use stays");
        servers[1].put("/v", "three");
        eventually("the node in use is still followed", || sandbox.output() == "three");
        // If the nodes are the same, nothing is logged.
        let news = || daemon.stderr().matches("Backend source(s) set to").count();
        let before = news();
        name(&servers[1]);
        servers[1].put("/v", "four");
        eventually("the node goes on being followed", || sandbox.output() == "four");
        assert_eq!(news(), before, "{}", daemon.stderr());
    });
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_run_that_waits_for_data_waits_for_the_record_too() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    let words = ["-onetime", "-wait", "90s", "-backend", "etcdv3", "-srv-domain", "later.test"];
    let (run, world) = Daemon::start_in(sandbox.confd(&words), &sandbox, NETWORK);
    let refused = "lookup _etcdv3._tcp.later.test. on 127.0.0.1:53: no such host";
    run.wait_for(&format!(
        "INFO waiting for data, at most 90s: Cannot get nodes from SRV records {refused}"
    ));
    let server = world.within(|| Etcd::start(Release::Newest));
    let port = server.address().split_once(':').unwrap().1.to_owned();
    world.names().set_zone(&format!("_etcdv3._tcp.later.test. SRV 1 5 {port} a.example.test."));
    run.wait_for("the key /v does not exist (resource app)");
    world.within(|| server.put("/v", "one"));
    let ended = run.wait();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(0), "one"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("SRV record set to").count(), 1, "{}", ended.stderr);
}

#[test]
fn after_the_time_a_record_that_is_not_there_is_the_usual_error() {
    let ended = asking(&["-wait", "300ms", "-backend", "etcd", "-srv-domain", "nosuch.test"]);
    assert_eq!(ended.log().len(), 3, "{}", ended.stderr);
    ended.expect("FATAL Cannot get nodes from SRV records lookup _etcd._tcp.nosuch.test. on 127.0.0.1:53: no such host");
}

#[test]
fn with_exit_codes_a_record_that_is_not_there_is_missing_data() {
    for more in [&[][..], &["-wait", "300ms"]] {
        let sandbox = Sandbox::rendering("x");
        let words = ["-onetime", "-exit-codes", "-backend", "etcd", "-srv-domain", "nosuch.test"];
        let ended = sandbox.confd(&words).arguments(more).run_in(&sandbox, NETWORK);
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        assert!(ended.stderr.contains("FATAL Cannot get nodes from SRV"), "{}", ended.stderr);
    }
}

#[test]
fn a_signal_ends_the_start_while_a_name_server_is_waited_for() {
    let sandbox = Sandbox::rendering("x");
    // A network in which all packets are lost.
    sandbox.write("resolv.conf", "nameserver 192.0.2.1\n");
    let script = "ip link set lo up; ip link add eth0 type veth peer name peer
        ip link set eth0 up; ip link set peer up; ip addr add 192.0.2.2/24 dev eth0
        ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev eth0
        mount --bind resolv.conf /etc/resolv.conf; exec \"$@\"";
    let run = sandbox.confd(&["-watch", "-backend", "etcd", "-srv-domain", "example.test"]);
    let daemon = Daemon::start(run.unshared("-mn", script), sandbox.path("log"));
    daemon.wait_for("SRV record set to _etcd._tcp.example.test.");
    let told = Instant::now();
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.signal, Some(Signal::TERM.as_raw()), "{}", ended.stderr);
    assert!(told.elapsed() < Duration::from_secs(2), "{:?}", told.elapsed());
}
