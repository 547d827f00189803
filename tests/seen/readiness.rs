//! Health, readiness and status.

use crate::support::{Sandbox, eventually};

use super::{ask, becomes_ready, connected, data, get, json, shown};

#[test]
fn health_is_ok_and_other_paths_and_methods_are_refused() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &[]);
    let health = get(port, "/health").unwrap();
    assert_eq!((health.code, &*health.body), (200, "ok"));
    assert!(health.head.contains("content-type: text/plain; charset=utf-8"), "{}", health.head);
    let nothing = get(port, "/nothing").unwrap();
    assert_eq!((nothing.code, &*nothing.body), (404, "404 page not found\n"));
    let head = ask(connected(port).unwrap(), "HEAD", "/health").unwrap();
    assert_eq!((head.code, &*head.body), (200, ""));
    for method in ["POST", "DELETE", "NONSENSE"] {
        let refused = ask(connected(port).unwrap(), method, "/health").unwrap();
        assert_eq!(refused.code, 405, "{method}");
        assert!(refused.head.contains("allow: GET, HEAD"), "{}", refused.head);
    }
}

#[test]
fn it_is_ready_only_while_every_resource_has_applied_its_newest_data() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.resource("other", "x", "reload_cmd = 'test -e allowed'");
    data(&sandbox, "w: 1");
    let (_daemon, port) = shown(&sandbox, &["-retry-max-delay", "1s"]);
    let says = |text: &str| {
        eventually(text, || {
            let ready = get(port, "/ready").unwrap();
            ready.code == 503 && ready.body.contains(text)
        });
    };
    says("app: template: app.tmpl:1:2");
    says("other: the reload failed: exit status 1: test -e allowed\n");
    let details = json(port, "/ready/detailed");
    assert_eq!(details["healthy"], false, "{details}");
    assert_eq!(details["message"], "2 resources are not applied");
    assert_eq!(details["details"]["other"], "the reload failed: exit status 1: test -e allowed");
    sandbox.write("allowed", "");
    data(&sandbox, "v: 1");
    becomes_ready(port);
    assert_eq!(get(port, "/ready").unwrap().body, "ok");
    let details = json(port, "/ready/detailed");
    assert_eq!(details["healthy"], true, "{details}");
    assert_eq!(details["message"], "file: all resources are applied (2)");
    assert_eq!(details["details"]["app"], "in sync");
    assert!(details["duration_ms"].as_u64().is_some(), "{details}");
    assert!(details["checked_at"].as_str().unwrap().ends_with('Z'), "{details}");
    data(&sandbox, "w: 1");
    says("app: template: app.tmpl:1:2");
}

#[test]
fn a_resource_that_is_not_required_does_not_count() {
    let sandbox = Sandbox::rendering("x");
    sandbox.resource("other", "{{getv \"/none\"}}", "required = false");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &[]);
    becomes_ready(port);
    eventually("its failure is shown", || {
        json(port, "/ready/detailed")["details"]["other"].as_str().unwrap().contains("/none")
    });
    let message = "file: all required resources are applied (1), and 1 other is not";
    assert_eq!(json(port, "/ready/detailed")["message"], message);
}

#[test]
fn a_resource_file_that_cannot_be_used_is_a_reason_too() {
    let sandbox = Sandbox::rendering("x");
    sandbox.write("conf.d/bad.toml", "[template]\nsrc = 1\n");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &[]);
    eventually("the file is named", || get(port, "/ready").unwrap().body.starts_with("bad: "));
    let status = json(port, "/status");
    assert_eq!(status["problems"][0]["name"], "bad");
    std::fs::remove_file(sandbox.path("conf.d/bad.toml")).unwrap();
    becomes_ready(port);
}

#[test]
fn the_status_says_of_each_resource_what_is_applied_and_what_is_pending() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.resource("other", "{{getv \"/v\"}}", "reload_cmd = 'exit 7'");
    data(&sandbox, "v: secret-value");
    let (_daemon, port) = shown(&sandbox, &[]);
    eventually("one is applied and one has failed", || {
        let status = json(port, "/status");
        status["resources"][0]["state"] == "in_sync" && status["resources"][1]["state"] == "failed"
    });
    let status = json(port, "/status");
    assert_eq!(status["ready"], false);
    assert_eq!(status["backend"]["name"], "file");
    assert!(status["backend"]["error"].is_null(), "{status}");
    let [app, other] = [&status["resources"][0], &status["resources"][1]];
    assert_eq!((&app["name"], &app["required"]), (&"app".into(), &true.into()));
    assert_eq!(app["dests"][0], sandbox.path("out/app").display().to_string());
    assert!(app["applied"]["at"].as_str().unwrap().ends_with('Z'), "{status}");
    assert!(app["behind_since"].is_null() && app["error"].is_null(), "{status}");
    assert!(other["applied"].is_null(), "{status}");
    assert_eq!(other["pending"]["only_reload"], true);
    assert!(other["pending"]["next_try"].is_string(), "{status}");
    assert_eq!(other["error"]["kind"], "reload");
    let text = other["error"]["text"].as_str().unwrap();
    assert!(text.starts_with("the reload failed: exit status 7: "), "{text}");
    for path in ["/status", "/ready", "/ready/detailed"] {
        assert!(!get(port, path).unwrap().body.contains("secret-value"), "{path}");
    }
}

#[test]
fn with_noop_a_file_that_would_change_is_not_applied() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let (_daemon, port) = shown(&sandbox, &["-noop"]);
    eventually("it says why", || {
        get(port, "/ready").unwrap().body == "app: would change, but for noop\n"
    });
}

#[test]
fn in_interval_mode_it_is_ready_after_the_first_pass() {
    let sandbox = Sandbox::rendering("x");
    let [port] = servers::free_ports();
    let address = format!(":{port}");
    let run = sandbox.confd(&["-backend", "env", "-metrics-addr", &address]);
    let _daemon = crate::support::Daemon::start(run, sandbox.path("log"));
    eventually("it is ready", || get(port, "/ready").is_ok_and(|answer| answer.code == 200));
    let six = std::net::TcpStream::connect(("::1", port)).unwrap();
    assert_eq!(ask(six, "GET", "/ready").unwrap().body, "ok");
}
