//! `-onetime -wait`: a run waits for the store and for the keys that it needs.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use servers::{Consul, Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually, throughout};

const WAIT: [&str; 4] = ["-onetime", "-exit-codes", "-wait", "90s"];

/// A sandbox whose resource needs two keys.
fn needing(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/app/host\"}}:{{getv \"/app/port\"}}", more);
    sandbox
}

/// A run of the file backend that waits for at most `wait`.
fn with_files(sandbox: &Sandbox, data: &str, wait: &str) -> Run {
    sandbox.onetime_with(data).arguments(&["-exit-codes", "-wait", wait])
}

fn start(sandbox: &Sandbox, more: &[&str]) -> Daemon {
    Daemon::start(sandbox.confd(&WAIT).arguments(more), sandbox.path("log"))
}

#[test]
fn a_run_waits_for_an_etcd_that_starts_later_and_for_keys_that_are_set_later() {
    let mut server = Etcd::start(Release::Newest);
    server.kill();
    let sandbox = needing("");
    let run = start(&sandbox, &["-backend", "etcdv3", "-node", &server.url()]);
    run.wait_for("INFO waiting for data, at most 90s: ");
    server.restart();
    server.wait();
    run.wait_for("these keys do not exist: /app/host, /app/port (resource app)");
    server.put("/app/host", "h");
    run.wait_for("at most 90s: the key /app/port does not exist (resource app)");
    assert!(!sandbox.path("out/app").exists());
    server.put("/app/port", "80");
    let ended = run.wait();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(0), "h:80"), "{}", ended.stderr);
    ended.expect_no("ERROR");
    let said = ended.stderr.matches("waiting for data").count();
    assert!((3..=4).contains(&said), "{}", ended.stderr);
}

#[test]
fn a_run_waits_for_a_consul_that_starts_later() {
    let mut server = Consul::start();
    server.kill();
    let sandbox = needing("");
    let run = start(&sandbox, &["-backend", "consul", "-node", &server.address()]);
    run.wait_for("INFO waiting for data");
    server.restart();
    server.wait();
    server.put("app/host", "h");
    server.put("app/port", "80");
    let ended = run.wait();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(0), "h:80"), "{}", ended.stderr);
    ended.expect_no("ERROR");
}

#[test]
fn a_run_waits_for_the_consul_that_its_templates_ask() {
    let mut server = Consul::start();
    server.kill();
    let sandbox = Sandbox::rendering("{{range service \"consul|any\"}}{{.Name}}{{end}}");
    sandbox.write("confd.toml", format!("[consul]\nnodes = ['{}']\n", server.address()));
    let run = start(&sandbox, &["-backend", "env"]);
    run.wait_for("INFO waiting for data");
    server.restart();
    server.wait();
    let ended = run.wait();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(0), "consul"), "{}", ended.stderr);
}

#[test]
fn a_complete_resource_is_done_at_once_and_is_done_only_once() {
    let sandbox = needing("");
    sandbox.resource("other", "{{getv \"/other\"}}", "reload_cmd = 'echo >> reloads'");
    sandbox.write("data.yaml", "other: x");
    let run = start(&sandbox, &["-backend", "file", "-file", "data.yaml", "-log-level", "debug"]);
    eventually("the other file is there", || sandbox.read("reloads") == "\n");
    run.wait_for("/app/host, /app/port");
    // The file backend may see a file that is half written.
    let rounds = || run.stderr().matches("app.tmpl").count();
    eventually("there are more rounds", || rounds() > 6);
    sandbox.write("new.yaml", "other: y\napp: {host: h, port: '80'}");
    std::fs::rename(sandbox.path("new.yaml"), sandbox.path("data.yaml")).unwrap();
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!((sandbox.output().as_str(), sandbox.read("out/other").as_str()), ("h:80", "x"));
    assert_eq!(sandbox.read("reloads"), "\n");
    assert_eq!(ended.stderr.matches("waiting for data").count(), 1, "{}", ended.stderr);
}

#[test]
fn after_the_time_the_errors_and_the_exit_code_are_the_usual_ones() {
    let sandbox = needing("");
    let begun = Instant::now();
    let usual = sandbox.onetime_with("a: b").arguments(&["-exit-codes"]).run();
    let waited = with_files(&sandbox, "a: b", "700ms").run();
    assert!(begun.elapsed() >= Duration::from_millis(700));
    assert_eq!((usual.code, waited.code), (Some(3), Some(3)), "{}", waited.stderr);
    let without_wait =
        |log: Vec<String>| log.into_iter().filter(|line| !line.contains("waiting")).collect();
    let (usual_log, waited_log): (Vec<_>, Vec<_>) = (usual.log(), without_wait(waited.log()));
    assert_eq!(waited_log, usual_log);
    assert_eq!(waited.excerpts(), usual.excerpts());
    let ended = sandbox.onetime_with("a: b").arguments(&["-wait", "100ms"]).run();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn a_store_that_never_answers_is_reported_after_the_time() {
    let sandbox = needing("");
    let words = ["-onetime", "-exit-codes", "-wait", "300ms", "-backend", "etcdv3"];
    let ended = sandbox.confd(&words).arguments(&["-node", "http://127.0.0.1:1"]).run();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("waiting for data").count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.matches(" ERROR ").count(), 1, "{}", ended.stderr);
}

#[test]
fn required_keys_are_waited_for_and_other_failures_are_not() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "required_keys = ['/app/port']");
    sandbox.resource("broken", "{{if}}", "");
    sandbox.resource("check", "x", "check_cmd = 'echo >> checks; exit 1'");
    sandbox.write("data.yaml", "a: b");
    let run = start(&sandbox, &["-backend", "file", "-file", "data.yaml"]);
    run.wait_for("required_keys: /app/port is missing (resource app)");
    run.wait_for("Config check failed");
    throughout(Duration::from_millis(500), "it waits", || !run.has_ended());
    sandbox.write("data.yaml", "app: {port: '80'}");
    let ended = run.wait();
    assert_eq!((ended.code, sandbox.output().as_str()), (Some(1), "x"), "{}", ended.stderr);
    assert_eq!(sandbox.read("checks"), "\n");
    ended.expect("WARNING 2 of 3 resources failed: broken, check");
}

#[test]
fn a_run_without_anything_to_wait_for_ends_at_once() {
    let begun = Instant::now();
    let sandbox = needing("");
    let data = "app: {host: h, port: '80'}";
    let ended = with_files(&sandbox, data, "90s").ok();
    ended.expect_no("waiting");
    let sandbox = Sandbox::rendering("{{if}}");
    assert_eq!(with_files(&sandbox, data, "90s").run().code, Some(1));
    let sandbox = Sandbox::new();
    assert_eq!(with_files(&sandbox, data, "90s").run().code, Some(0));
    let sandbox = needing("on_missing = 'empty'");
    with_files(&sandbox, "a: b", "90s").ok();
    assert_eq!(sandbox.output(), ":");
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_file_that_is_kept_is_kept_after_the_time() {
    let sandbox = needing("on_missing = 'keep'");
    sandbox.write("out/app", "old");
    let ended = with_files(&sandbox, "a: b", "300ms").ok();
    let keys = "these keys do not exist: /app/host, /app/port (resource app)";
    ended.expect(&format!("INFO waiting for data, at most 300ms: {keys}"));
    let dest = sandbox.path("out/app").display().to_string();
    ended.expect(&format!("WARNING {dest} stays as it is: {keys}"));
    assert_eq!(sandbox.output(), "old");
}

#[test]
fn a_store_that_refuses_is_not_waited_for() {
    let server = Consul::with_tokens();
    let sandbox = needing("");
    let begun = Instant::now();
    let node = server.address();
    let words = ["-backend", "consul", "-node", &node, "-auth-token", "another"];
    let ended = start(&sandbox, &words).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(60));
    ended.expect_no("waiting");
}

#[test]
fn a_warning_of_a_template_that_waits_is_written_once() {
    let sandbox = Sandbox::rendering("{{lookupIP \"no.such.invalid\"}}{{getv \"/app/port\"}}");
    sandbox.write("data.yaml", "a: b");
    let run = start(&sandbox, &["-backend", "file", "-file", "data.yaml", "-log-level", "debug"]);
    eventually("there were some rounds", || run.stderr().matches("app.tmpl").count() > 6);
    sandbox.write("data.yaml", "app: {port: '80'}");
    let ended = run.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("no.such.invalid").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_stop_signal_ends_a_run_that_waits() {
    let sandbox = needing("");
    sandbox.write("data.yaml", "a: b");
    let run = start(&sandbox, &["-backend", "file", "-file", "data.yaml"]);
    run.wait_for("waiting for data");
    assert_eq!(run.stop(Signal::TERM).signal, Some(Signal::TERM.as_raw()));
}

#[test]
fn wait_is_for_onetime_and_in_confd_toml_it_counts_only_there() {
    let sandbox = needing("on_missing = 'empty'");
    for mode in ["-watch", "-interval=1"] {
        let ended = sandbox.confd(&["-backend", "env", "-wait", "60s", mode]).run();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let first = ended.stderr.lines().next();
        assert_eq!(first, Some("-wait is for -onetime: a daemon waits by itself"));
        assert!(ended.stderr.contains("Usage of"), "{}", ended.stderr);
    }
    sandbox.write("confd.toml", "wait = '300ms'\n");
    let daemon = Daemon::start(sandbox.confd(&["-backend", "env"]), sandbox.path("log"));
    daemon.wait_for("Starting confd");
    daemon.stop(Signal::TERM);
    let sandbox = needing("");
    sandbox.write("confd.toml", "wait = '300ms'\n");
    let ended = sandbox.onetime_with("a: b").fails();
    assert!(ended.stderr.contains("waiting for data, at most 300ms"), "{}", ended.stderr);
}
