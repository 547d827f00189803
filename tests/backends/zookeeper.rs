//! Keys from ZooKeeper.

mod access;
mod following;

use servers::ZooKeeper;

use crate::support::{Daemon, Run, Sandbox};

/// A resource that prints the pairs below `/`, in four levels.
const DUMP: &str = "{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*/*\"}}{{.Key}}={{.Value}} {{end}}";

/// A sandbox with one resource that asks for these keys, written in TOML.
fn asking_for(keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    let table = format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = {keys}\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox
}

/// A sandbox with one resource that asks for the key `/app`.
fn asking() -> Sandbox {
    asking_for("['/app']")
}

/// For a busy machine, where a server can be silent for longer than the default allows.
const PATIENT: [&str; 2] = ["-session-timeout", "30s"];

fn onetime(sandbox: &Sandbox, node: &str) -> Run {
    sandbox.confd(&["-onetime", "-backend", "zookeeper", "-node", node]).arguments(&PATIENT)
}

fn watching(sandbox: &Sandbox, node: &str, more: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-watch", "-backend", "zookeeper", "-node", node]);
    Daemon::start(run.arguments(&PATIENT).arguments(more), sandbox.path("log"))
}

/// What a onetime run prints for these keys.
#[track_caller]
fn read(server: &ZooKeeper, keys: &str) -> String {
    let sandbox = asking_for(keys);
    onetime(&sandbox, &server.address()).ok();
    sandbox.output()
}

#[test]
fn a_key_is_the_nodes_without_children_at_its_path_and_below() {
    let server = ZooKeeper::start();
    let mut client = server.client();
    for (path, data) in [
        ("/app", "of an inner node"),
        ("/app/a", "1"),
        ("/app/b", "of an inner node"),
        ("/app/b/c", "2"),
        ("/app/empty", ""),
        ("/apple", "3"),
    ] {
        client.set(path, data.as_bytes());
    }
    for (keys, expected) in [
        ("['/app']", "/app/a=1 /app/empty= /app/b/c=2 "),
        ("['/app/*']", "/app/a=1 /app/empty= /app/b/c=2 "),
        ("['/app/b']", "/app/b/c=2 "),
        ("['/app/a', '/apple']", "/apple=3 /app/a=1 "),
        ("['/none', '/app/none/x', '/app/a/x']", ""),
        ("['/app/*', '/none']", "/app/a=1 /app/empty= /app/b/c=2 "),
    ] {
        assert_eq!(read(&server, keys), expected, "{keys}");
    }
    // The root has the servers' own data too.
    let all = read(&server, "['/']");
    assert!(all.contains("/apple=3 ") && all.contains("/zookeeper/config="), "{all}");
}

#[test]
fn values_are_bytes() {
    let server = ZooKeeper::start();
    let bytes = b"\0\xff\r\n\"<\xe2\x82\xac";
    server.set("/app/a", bytes);
    let sandbox = Sandbox::rendering("{{getv \"/app/a\"}}");
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(std::fs::read(sandbox.path("out/app")).unwrap(), bytes);
}

#[test]
fn many_nodes_are_read_whole() {
    let server = ZooKeeper::start();
    let mut client = server.client();
    for numbers in (0..20_000).collect::<Vec<_>>().chunks(1_000) {
        let nodes: Vec<(String, &[u8])> =
            numbers.iter().map(|number| (format!("/app/{number}"), &b"x"[..])).collect();
        client.create_together(&nodes);
    }
    let sandbox = asking();
    sandbox.write("templates/app", "{{len (gets \"/app/*\")}}");
    onetime(&sandbox, &server.address()).ok();
    assert_eq!(sandbox.output(), "20000");
}

#[test]
fn the_command_line_of_the_fork_reads_zookeeper_too() {
    let server = ZooKeeper::start();
    server.set("/app/a", "1");
    let sandbox = asking();
    let confdir = sandbox.root().to_str().unwrap().to_owned();
    let run = sandbox.bare(&["zookeeper", "--confdir", &confdir, "--config-file", "confd.toml"]);
    let run = run.arguments(&["--onetime", "-n", &server.address(), "--dial-timeout", "20s"]);
    run.ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
}
