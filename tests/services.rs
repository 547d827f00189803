//! Templates that ask Consul for services, whatever the backend.

mod faults;
mod rights;

use std::{fs, path::Path};

use rustix::process::Signal;
use servers::{Consul, eventually};

use crate::support::{Daemon, Sandbox, consul_with};

/// The body that registers an instance of the service `web`.
fn instance(id: &str, port: u16, status: &str) -> String {
    format!(
        r#"{{"Node": "node-{id}", "Address": "127.0.0.1", "Service": {{"ID": "{id}", "Service": "web", "Port": {port}}},
            "Check": {{"CheckID": "{id}", "Name": "http", "Status": "{status}", "ServiceID": "{id}"}}}}"#
    )
}

fn register(consul: &Consul, id: &str, port: u16, status: &str) {
    consul.ask("PUT /v1/catalog/register", instance(id, port, status).as_bytes());
}

/// Waits until the file `name` of the sandbox has this content.
#[track_caller]
fn becomes(sandbox: &Sandbox, name: &str, content: &str) {
    let path = sandbox.path(name);
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    eventually(&format!("{name} is {content:?}"), || read(&path) == content);
}

const INSTANCES: &str = r#"{{range service "web"}}{{.ID}}:{{.Port}} {{end}}"#;

#[test]
fn a_onetime_run_renders_services_until_nothing_is_missing() {
    let sandbox = Sandbox::new();
    let nested = r#"{{range services}}{{if ne .Name "consul"}}{{.Name}}:{{range service .Name}} {{.Port}}{{end}}{{end}}{{end}}"#;
    sandbox.resource("app", nested, "");
    let one = instance("a", 80, "passing");
    let _consul = consul_with(&sandbox, [&*one, &instance("b", 81, "critical")]);
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("out/app"), "web: 80");
}

#[test]
fn a_consul_that_does_not_answer_fails_the_resource_that_asks_and_no_other() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    sandbox.resource("plain", "text", "");
    let consul = consul_with(&sandbox, []);
    let address = consul.address();
    drop(consul);
    let ended = sandbox.onetime().fails();
    let text = format!(
        "ERROR health.service(web|passing): cannot reach consul: http://{address}: connection refused \
         (nothing listens there) (resource app)"
    );
    ended.expect(&text);
    assert_eq!(sandbox.read("out/plain"), "text");
    assert!(!sandbox.path("out/app").exists());
}

#[test]
fn the_default_address_names_the_table_that_is_missing() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    for more in [&[][..], &["-node", "127.0.0.1:1"]] {
        // A network of its own, in which nothing listens.
        let run = sandbox.onetime().arguments(more);
        let ended = run.unshared("-n", "ip link set lo up; exec \"$@\"").run();
        ended.expect(
            "ERROR health.service(web|passing): cannot reach consul: http://127.0.0.1:8500: connection \
             refused (nothing listens there; this is the default address, because no [consul] nodes in \
             confd.toml is given) (resource app)",
        );
    }
}

#[test]
fn a_wrong_table_is_an_error_of_the_resource_that_asks() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    sandbox.write("confd.toml", "[consul]\nscheme = 'ftp'\nnode = 'x'\n");
    let ended = sandbox.onetime().fails();
    ended.expect("WARNING confd.toml:3: unknown key \"node\" in [consul], did you mean \"nodes\"?");
    ended.expect("ERROR consul: scheme is \"http\" or \"https\", not \"ftp\" (resource app)");
}

#[test]
fn without_a_template_that_asks_nothing_is_connected_to() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "text", "");
    sandbox.write("confd.toml", "[consul]\nscheme = 'ftp'\n");
    sandbox.onetime().ok().expect_no("Templates ask");
}

#[test]
fn watch_mode_follows_instances_and_their_health() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "a:80 ");
    register(&consul, "b", 81, "passing");
    becomes(&sandbox, "out/app", "a:80 b:81 ");
    register(&consul, "a", 80, "critical");
    becomes(&sandbox, "out/app", "b:81 ");
    consul.ask("PUT /v1/catalog/deregister", br#"{"Node": "node-b"}"#);
    becomes(&sandbox, "out/app", "");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_new_table_counts_after_a_sighup() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let _consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    let right = sandbox.read("confd.toml");
    sandbox.write("confd.toml", "[consul]\nscheme = 'ftp'\n");
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for("ERROR consul: scheme is \"http\" or \"https\", not \"ftp\"");
    daemon.wait_for("waiting for health.service(web|passing) (resource app)");
    sandbox.write("confd.toml", right);
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "out/app", "a:80 ");
}

#[test]
fn a_table_with_a_mistyped_key_does_not_move_a_running_daemon() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    let right = sandbox.read("confd.toml");
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "a:80 ");
    sandbox.write("confd.toml", right.replace("nodes", "node"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("unknown key \"node\" in [consul], did you mean \"nodes\"?");
    daemon.wait_for("WARNING the configuration in use stays");
    register(&consul, "b", 81, "passing");
    becomes(&sandbox, "out/app", "a:80 b:81 ");
    // A key that is merely unknown changes nothing, and does not stop other changes.
    sandbox.write("confd.toml", format!("log-level = 'debug'\n{right}later = 1\n"));
    daemon.signal(Signal::HUP);
    daemon.wait_for("unknown key \"later\" in [consul]");
    daemon.wait_for(" DEBUG ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn an_outage_of_consul_keeps_the_file_and_is_reported() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let mut consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "a:80 ");
    consul.kill();
    daemon.wait_for("health.service(web|passing): cannot reach consul");
    assert_eq!(sandbox.read("out/app"), "a:80 ");
    // It has lost everything.
    consul.restart();
    eventually("Consul is ready", || consul.is_ready());
    register(&consul, "b", 81, "passing");
    becomes(&sandbox, "out/app", "b:81 ");
    drop(daemon);
}

#[test]
fn interval_mode_renders_the_newest_answers() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    let run = sandbox.confd(&["-interval", "1", "-backend", "env"]);
    let _daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "a:80 ");
    register(&consul, "b", 81, "passing");
    becomes(&sandbox, "out/app", "a:80 b:81 ");
}

#[test]
fn a_reload_follows_a_change_of_services_and_no_other_change() {
    let sandbox = Sandbox::new();
    let reload = format!("reload_cmd = 'echo >>{}'", sandbox.path("reloads").display());
    sandbox.resource("app", INSTANCES, &reload);
    let consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let _daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "reloads", "\n");
    // Another service concerns the resource in nothing.
    let other = instance("x", 90, "passing").replace("\"web\"", "\"other\"");
    consul.ask("PUT /v1/catalog/register", other.as_bytes());
    register(&consul, "b", 81, "passing");
    becomes(&sandbox, "reloads", "\n\n");
    assert_eq!(sandbox.read("out/app"), "a:80 b:81 ");
}

#[test]
fn the_settings_of_the_backend_consul_are_used_where_the_table_gives_nothing() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let consul = consul_with(&sandbox, [&*instance("a", 80, "passing")]);
    fs::remove_file(sandbox.path("confd.toml")).unwrap();
    let address = consul.address();
    sandbox.confd(&["-onetime", "-backend", "consul", "-node", &address]).ok();
    assert_eq!(sandbox.read("out/app"), "a:80 ");
}
