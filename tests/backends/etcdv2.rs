//! Keys from etcd by version 2 of its API.

use std::fs;

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Sandbox, eventually};

/// A sandbox with one resource that asks for the key `/app`.
fn asking() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "{{range gets \"/app/*\"}}{{.Key}}={{.Value}} {{end}}");
    sandbox
        .write("conf.d/app.toml", "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['/app']\n");
    sandbox
}

fn server() -> Etcd {
    Etcd::start_with(Release::Debian, &["--enable-v2=true"])
}

fn put(server: &Etcd, key: &str, value: &str) {
    server.put_of_version_2(key, value.as_bytes(), None);
}

#[test]
fn the_two_versions_of_the_api_have_separate_stores() {
    let server = server();
    server.put("/app/a", "3");
    put(&server, "/app/a", "2");
    put(&server, "/apple", "4");
    for (backend, expected) in [("etcdv2", "/app/a=2 "), ("etcdv3", "/app/a=3 ")] {
        let sandbox = asking();
        sandbox.confd(&["-onetime", "-backend", backend, "-node", &server.url()]).ok();
        assert_eq!(sandbox.output(), expected);
    }
}

#[test]
fn a_key_that_does_not_exist_is_no_error() {
    let server = server();
    let sandbox = asking();
    sandbox.confd(&["-onetime", "-backend", "etcdv2", "-node", &server.url()]).ok();
    assert_eq!(sandbox.output(), "");
}

#[test]
fn the_default_node_is_that_of_todays_etcd() {
    let sandbox = asking();
    let run = || sandbox.confd(&["-onetime", "-backend", "etcdv2"]);
    let places = |nodes: &str| format!("INFO Backend source(s) set to {nodes}");
    run().run().expect(&places("http://127.0.0.1:2379"));
    let peers = "http://127.0.0.1:1,http://127.0.0.1:2";
    let ended = run().env("ETCDCTL_PEERS", peers).fails();
    ended.expect(&places("http://127.0.0.1:1, http://127.0.0.1:2"));
}

#[test]
fn the_command_line_of_the_fork_reads_it_too() {
    let server = server();
    put(&server, "/app/a", "1");
    let sandbox = asking();
    sandbox.bare(&["etcdv2", "--onetime", "--confdir", ".", "-n", &server.url()]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
}

#[test]
fn changes_are_followed_through_a_kill_of_the_server() {
    let mut server = server();
    put(&server, "/app/a", "1");
    let sandbox = asking();
    let run = sandbox.confd(&["-watch", "-backend", "etcdv2", "-node", &server.url()]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let file = || fs::read_to_string(sandbox.path("out/app")).unwrap_or_default();
    eventually("the first state", || file() == "/app/a=1 ");
    put(&server, "/app/b", "2");
    eventually("a change", || file() == "/app/a=1 /app/b=2 ");
    server.kill();
    daemon.wait_for("ERROR cannot reach etcd: http://127.0.0.1:");
    server.restart();
    server.wait();
    server.of_version_2("DELETE", "/v2/keys/app/a", "", None);
    eventually("a change after the outage", || file() == "/app/b=2 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
