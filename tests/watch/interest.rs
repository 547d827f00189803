//! What resources that come and go at SIGHUP cost the store, counted at real servers.

use rustix::process::Signal;
use servers::{Consul, Etcd, Proxy, Release};

use crate::support::{Daemon, Sandbox, eventually};

/// Adds a resource that prints the key `/NAME` to `out/NAME`, and counts its passes in `passes`.
fn add(sandbox: &Sandbox, name: &str) {
    let passes = sandbox.path("passes").display().to_string();
    sandbox.write(
        &format!("conf.d/{name}.toml"),
        format!(
            "[template]\nsrc = 'app'\ndest = 'out/{name}'\nkeys = ['/{name}']\n\
             reload_cmd = 'echo {name} >> {passes}'\n"
        ),
    );
}

fn sandbox(names: &[String]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", "{{range gets \"/*\"}}{{.Key}}={{.Value}}{{end}}");
    names.iter().for_each(|name| add(&sandbox, name));
    sandbox
}

fn reloads(sandbox: &Sandbox) -> usize {
    sandbox.read("passes").lines().count()
}

/// How many requests the server has answered that read keys, and how many ranges of keys it has read.
fn readings(server: &Etcd) -> (f64, f64) {
    let handled =
        |method| format!("grpc_server_handled_total{{grpc_code=\"OK\",grpc_method=\"{method}\"");
    let requests = server.metric(&handled("Range")) + server.metric(&handled("Txn"));
    (requests, server.metric("etcd_mvcc_range_total "))
}

fn watches(server: &Etcd) -> f64 {
    server.metric("etcd_debugging_mvcc_watcher_total ")
}

fn etcd_reads_one_range_for_one_more(release: Release) {
    let server = Etcd::start(release);
    let names: Vec<String> = (0..1_000).map(|number| format!("r{number:04}")).collect();
    for name in ["r0000", "r0999", "new"] {
        server.put(&format!("/{name}"), "1");
    }
    let sandbox = sandbox(&names);
    let arguments = ["-watch", "-backend", "etcd", "-node", &server.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    eventually("the first passes", || reloads(&sandbox) == 1_000);
    eventually("all are followed", || watches(&server) == 1_000.0);
    let (requests, ranges) = readings(&server);
    add(&sandbox, "new");
    daemon.signal(Signal::HUP);
    eventually("the new file", || reloads(&sandbox) > 1_000);
    assert_eq!(sandbox.read("out/new"), "/new=1");
    let after = readings(&server);
    // The event of the folder and the signal come together, and the second can interrupt the
    // reading that the first has begun. It is then made again.
    let (requests, ranges) = (after.0 - requests, after.1 - ranges);
    assert!(ranges == requests && requests <= 2.0, "{ranges} ranges in {requests} requests");
    assert_eq!(server.metric("etcd_debugging_mvcc_watch_stream_total "), 1.0);

    // Both kinds of resources are followed, and one that goes costs nothing.
    std::fs::remove_file(sandbox.path("conf.d/r0500.toml")).unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_for("r0500.toml is gone");
    eventually("its watch ends", || watches(&server) == 1_000.0);
    assert_eq!(readings(&server), after);
    assert_eq!(reloads(&sandbox), 1_001, "the other files are as they were");
    for name in ["new", "r0999"] {
        server.put(&format!("/{name}"), "2");
        eventually("a change", || sandbox.read(&format!("out/{name}")) == format!("/{name}=2"));
    }
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn one_resource_more_than_a_thousand_reads_one_range_of_etcd() {
    etcd_reads_one_range_for_one_more(Release::Newest);
}

#[test]
fn one_resource_more_than_a_thousand_reads_one_range_of_an_older_etcd() {
    etcd_reads_one_range_for_one_more(Release::Debian);
}

#[test]
fn one_resource_more_lists_one_prefix_of_consul() {
    let server = Consul::start();
    let proxy = Proxy::before(&server.address());
    let names: Vec<String> = (0..10).map(|number| format!("r{number}")).collect();
    server.put_all(names.iter().map(|name| (&**name, "1")));
    server.put("new", "1");
    let sandbox = sandbox(&names);
    let arguments = ["-watch", "-backend", "consul", "-node", &proxy.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    eventually("the first passes", || reloads(&sandbox) == 10);
    // For each, one listing, one query that waits, and one for the key that guards the listing.
    eventually("the queries", || proxy.requests().len() == 30);
    add(&sandbox, "new");
    daemon.signal(Signal::HUP);
    eventually("the new file", || reloads(&sandbox) > 10);
    assert_eq!(sandbox.read("out/new"), "/new=1");
    let is_its = |line: &String| line.starts_with("GET /v1/kv/new?");
    let waits = |line: &String| is_its(line) && line.contains("index=");
    eventually("its queries", || {
        proxy.requests().iter().skip(30).filter(|line| waits(line)).count() >= 2
    });
    // The event of the folder or the signal can interrupt a request, which is then made again.
    let requests = proxy.requests();
    assert!(requests.len() <= 36 && requests.iter().skip(30).all(is_its), "{requests:?}");
    assert_eq!(reloads(&sandbox), 11);
    server.put("r5", "2");
    eventually("a change", || sandbox.read("out/r5") == "/r5=2");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
