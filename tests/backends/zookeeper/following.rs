//! Changes in ZooKeeper, and faults, in watch mode.

use std::time::Duration;

use rustix::process::Signal;
use servers::{Proxy, Traffic, ZooKeeper};

use super::{asking, asking_for, onetime, watching};
use crate::support::{Sandbox, eventually, throughout};

#[test]
fn every_kind_of_change_reaches_the_file() {
    let server = ZooKeeper::start();
    let mut client = server.client();
    client.set("/app/a", b"1");
    let sandbox = asking_for("['/app', '/late/node']");
    let daemon = watching(&sandbox, &server.address(), &[]);
    let sees = |what: &str, expected: &str| eventually(what, || sandbox.output() == expected);
    sees("the first pass", "/app/a=1 ");
    client.set("/app/a", b"2");
    sees("data", "/app/a=2 ");
    client.set("/app/b/c", b"3");
    sees("a node two levels below", "/app/a=2 /app/b/c=3 ");
    client.set("/app/a/d", b"4");
    sees("a first child", "/app/a/d=4 /app/b/c=3 ");
    client.delete_only("/app/a/d");
    sees("the end of the last child", "/app/a=2 /app/b/c=3 ");
    client.delete_only("/app/b/c");
    client.delete_only("/app/b");
    sees("deletions", "/app/a=2 ");
    client.set("/late/node", b"5");
    sees("a node that did not exist", "/app/a=2 /late/node=5 ");
    client.delete("/late/node");
    sees("its end", "/app/a=2 ");
    client.delete("/app/a");
    sees("the end of everything", "");
    client.set("/app/x/y", b"6");
    sees("a new beginning", "/app/x/y=6 ");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    ended.expect_no("WARNING").expect_no("ERROR");
}

#[test]
fn every_resource_sees_every_change_by_one_session() {
    let server = ZooKeeper::start();
    let network = Proxy::before(&server.address());
    let sandbox = Sandbox::new();
    let names: Vec<String> = (0..10).map(|number| format!("r{number}")).collect();
    for name in &names {
        server.set(&format!("/{name}/v"), "0");
        sandbox.write(&format!("templates/{name}"), format!("{{{{getv \"/{name}/v\"}}}}"));
        let table =
            format!("[template]\nsrc = '{name}'\ndest = 'out/{name}'\nkeys = ['/{name}']\n");
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    let _daemon = watching(&sandbox, &network.address(), &[]);
    let all = |value: &str| names.iter().all(|name| sandbox.read(&format!("out/{name}")) == value);
    eventually("the first passes", || sandbox.list("out").len() == 10 && all("0"));
    for value in ["1", "2"] {
        names.iter().for_each(|name| server.set(&format!("/{name}/v"), value));
        eventually("all see it", || all(value));
    }
    assert_eq!(network.most_connections(), 1);
}

#[test]
fn changes_during_an_outage_are_seen_after_it_and_an_outage_deletes_nothing() {
    let mut server = ZooKeeper::start();
    server.set("/app/a", "1");
    let network = Proxy::before(&server.address());
    let sandbox = asking();
    let daemon = watching(&sandbox, &network.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    network.set(Traffic::Refused);
    network.cut();
    server.set("/app/a", "2");
    server.set("/app/b", "3");
    daemon.wait_for("cannot reach zookeeper");
    assert_eq!(sandbox.output(), "/app/a=1 ");
    network.set(Traffic::Flows);
    eventually("the changes", || sandbox.output() == "/app/a=2 /app/b=3 ");
    server.kill();
    throughout(Duration::from_secs(1), "the file stays", || {
        sandbox.output() == "/app/a=2 /app/b=3 "
    });
    server.restart();
    server.wait();
    server.set("/app/a", "4");
    eventually("a change after a restart", || sandbox.output() == "/app/a=4 /app/b=3 ");
}

#[test]
fn a_server_that_lost_its_data_is_read_again() {
    let mut server = ZooKeeper::start();
    server.set("/app/a", "1");
    server.set("/app/b", "2");
    let sandbox = asking();
    let _daemon = watching(&sandbox, &server.address(), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 /app/b=2 ");
    server.kill();
    server.wipe();
    server.restart();
    server.wait();
    server.set("/app/b", "3");
    eventually("what is there now", || sandbox.output() == "/app/b=3 ");
}

#[test]
fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut server = ZooKeeper::start();
    server.set("/app/a", "1");
    server.kill();
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &[]);
    daemon.wait_for("nothing listens there");
    server.restart();
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
}

#[test]
fn a_hung_server_and_a_network_that_loses_everything_are_noticed() {
    let (server, other) = (ZooKeeper::start(), ZooKeeper::start());
    server.set("/app/a", "1");
    other.set("/app/a", "of the other");
    let network = Proxy::before(&server.address());
    let sandbox = asking();
    let more = ["-node", &other.address(), "-session-timeout", "3s"];
    let _daemon = watching(&sandbox, &network.address(), &more);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    network.set(Traffic::Lost);
    eventually("the other server", || sandbox.output() == "/app/a=of the other ");
    network.set(Traffic::Flows);
    other.process().freeze();
    eventually("the first server again", || sandbox.output() == "/app/a=1 ");
}

#[test]
fn a_session_that_ended_is_replaced_and_everything_read_again() {
    let server = ZooKeeper::start();
    server.set("/app/a", "1");
    let sandbox = asking();
    let daemon = watching(&sandbox, &server.address(), &["-session-timeout", "1s"]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    for value in ["2", "3"] {
        daemon.signal(Signal::STOP);
        server.set("/app/a", value);
        // The session ends meanwhile.
        servers::pause(Duration::from_secs(2));
        daemon.signal(Signal::CONT);
        eventually("the change", || sandbox.output() == format!("/app/a={value} "));
    }
    server.set("/app/a", "4");
    eventually("a later change", || sandbox.output() == "/app/a=4 ");
}

#[test]
fn the_death_of_a_leader_is_survived() {
    let mut members = ZooKeeper::ensemble::<3>();
    members[0].set("/app/a", "1");
    let nodes: Vec<String> = members.iter().map(ZooKeeper::address).collect();
    let sandbox = asking();
    let _daemon = watching(&sandbox, &nodes.join(","), &[]);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    let leader = members.iter_mut().find(|member| member.is_leader()).unwrap();
    leader.kill();
    let follows = |member: &&ZooKeeper| member.is_running() && member.is_leader();
    eventually("a new leader", || members.iter().any(|member| follows(&member)));
    members.iter().find(follows).unwrap().set("/app/a", "2");
    eventually("the change", || sandbox.output() == "/app/a=2 ");
    let sandbox = asking();
    onetime(&sandbox, &nodes.join(",")).ok();
    assert_eq!(sandbox.output(), "/app/a=2 ");
}

#[test]
fn the_interval_mode_reads_again() {
    let server = ZooKeeper::start();
    server.set("/app/a", "1");
    let sandbox = asking();
    let run = sandbox.confd(&["-interval", "1", "-backend", "zookeeper"]);
    let run = run.arguments(&["-node", &server.address()]);
    let _daemon = crate::support::Daemon::start(run, sandbox.path("log"));
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    server.set("/app/a", "2");
    eventually("a later pass", || sandbox.output() == "/app/a=2 ");
}
