//! `after`: resources that are processed after others.

use std::{fs, time::Duration};

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually, throughout};

/// A command that waits until the file `go` exists, or the tree is gone.
const HANG: &str = "until test -e go || ! test -e out; do sleep 0.01; done";

/// A sandbox with the resources `app` and `certs`, both of which print `/v` and note their reloads. `app`
/// comes after `certs`, although its name is smaller. `certs` runs a command of the test first.
fn tree(first: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", "after = ['certs']\nreload_cmd = 'echo app >> ran'");
    sandbox.resource(
        "certs",
        "{{getv \"/v\"}}",
        &format!("reload_cmd = '{first} && echo certs >> ran'"),
    );
    sandbox
}

/// confd in this mode, over `data.yaml`.
fn daemon(sandbox: &Sandbox, mode: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-backend", "file", "-file", "data.yaml"]).arguments(mode);
    Daemon::start(run, sandbox.path("log"))
}

/// Replaces the data atomically, as an editor does.
fn data(sandbox: &Sandbox, yaml: &str) {
    fs::rename(sandbox.write("data.new", yaml), sandbox.path("data.yaml")).unwrap();
}

fn run_with(sandbox: &Sandbox, value: u32) -> Run {
    sandbox.onetime_with(&format!("v: {value}\n"))
}

#[test]
fn a_onetime_run_processes_a_resource_after_those_that_it_names() {
    let sandbox = tree("true");
    sandbox.resource("a-check", "x", "after = ['app']\nreload_cmd = 'echo check >> ran'");
    run_with(&sandbox, 1).ok().expect_no("WARNING");
    assert_eq!(sandbox.read("ran"), "certs\napp\ncheck\n");
    // Without commands too, and the template of the later one sees the file of the earlier one.
    let sandbox = Sandbox::new();
    let seen = format!("{{{{fileExists \"{}\"}}}}", sandbox.path("out/z").display());
    sandbox.resource("a", &seen, "after = ['z']");
    sandbox.resource("b", &seen, "");
    sandbox.resource("z", "x", "");
    sandbox.onetime().ok();
    assert_eq!((sandbox.read("out/a").as_str(), sandbox.read("out/b").as_str()), ("true", "true"));
}

#[test]
fn a_resource_is_processed_although_one_that_it_names_has_failed() {
    for first in ["false", "exit 3"] {
        let sandbox = tree(first);
        run_with(&sandbox, 1).fails();
        assert_eq!(
            (sandbox.read("out/app").as_str(), sandbox.read("ran").as_str()),
            ("1", "app\n")
        );
    }
}

#[test]
fn a_group_is_named_by_its_name_or_by_one_of_its_resources() {
    for name in ["tls", "key"] {
        let sandbox = Sandbox::new();
        sandbox.resource(
            "app",
            "x",
            &format!("after = ['{name}']\nreload_cmd = 'echo app >> ran'"),
        );
        for part in ["cert", "key"] {
            sandbox.resource(
                part,
                "x",
                &format!("group = 'tls'\nreload_cmd = 'echo {part} >> ran'"),
            );
        }
        sandbox.onetime().ok().expect_no("WARNING");
        assert_eq!(sandbox.read("ran"), "cert\nkey\napp\n", "{name}");
    }
}

#[test]
fn a_cycle_is_shown_and_fails_only_its_resources() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "x", "after = ['b']");
    sandbox.resource("b", "x", "after = ['c']");
    sandbox.resource("c", "x", "after = ['a']");
    sandbox.resource("d", "x", "after = ['a']");
    sandbox.resource("e", "x", "");
    let ended = sandbox.onetime().fails();
    for name in ["a", "b", "c"] {
        let path = sandbox.path(&format!("conf.d/{name}.toml")).display().to_string();
        ended.expect(&format!(
            "ERROR Cannot process template resource {path} - after makes a cycle: a -> b -> c -> a"
        ));
    }
    assert!(ended.excerpts().join("\n").contains("a -> b means that a is processed after b"));
    assert_eq!(sandbox.list("out"), ["d", "e"]);
}

#[test]
fn a_name_that_does_not_exist_is_reported_once_and_changes_nothing() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "after = ['cert', 'broken']");
    sandbox.resource("certs", "x", "");
    sandbox.resource("broken", "x", "mode = 'x'");
    let ended = sandbox.onetime().fails();
    let path = sandbox.path("conf.d/app.toml").display().to_string();
    ended.expect(&format!(
        "WARNING {path}: after names \"cert\", and there is no such resource, did you mean \"certs\"?"
    ));
    assert_eq!(ended.stderr.matches("after names").count(), 1);
    assert_eq!(sandbox.list("out"), ["app", "certs"]);
}

#[test]
fn watch_mode_begins_the_later_pass_when_the_earlier_one_has_ended() {
    let sandbox = tree(HANG);
    let etcd = Etcd::start(Release::Newest);
    let put = |value: &str| etcd.put("/v", value);
    sandbox.write("go", "");
    put("1");
    let run = sandbox.confd(&["-watch", "-backend", "etcdv3", "-node", &etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("both were reloaded", || sandbox.read("ran") == "certs\napp\n");
    fs::remove_file(sandbox.path("go")).unwrap();
    put("2");
    eventually("the earlier file has changed", || sandbox.read("out/certs") == "2");
    throughout(Duration::from_millis(500), "the later file waits for the reload", || {
        sandbox.read("out/app") == "1"
    });
    // A newer value while the later resource waits.
    put("3");
    sandbox.write("go", "");
    eventually("both have the newest value", || {
        (sandbox.read("out/certs").as_str(), sandbox.read("out/app").as_str()) == ("3", "3")
    });
    eventually("the reload of the later one is the last", || {
        sandbox.read("ran").ends_with("certs\napp\n")
    });
    daemon.stop(Signal::TERM);
}

#[test]
fn in_watch_mode_a_failed_pass_of_the_earlier_resource_delays_the_later_one_no_longer() {
    let sandbox = tree("false");
    data(&sandbox, "v: 1\n");
    let daemon = daemon(&sandbox, &["-watch", "-retry-delay", "50s"]);
    eventually("the later resource has its file", || sandbox.read("ran") == "app\n");
    data(&sandbox, "v: 2\n");
    eventually("the later resource follows", || sandbox.read("out/app") == "2");
    daemon.stop(Signal::TERM);
}

#[test]
fn in_watch_mode_equal_reload_commands_of_both_do_not_wait_for_each_other() {
    let sandbox = Sandbox::new();
    let reload = "reload_cmd = 'echo reload >> ran'";
    sandbox.resource(
        "app",
        "{{getv \"/v\"}}",
        &format!("after = ['certs']\ndebounce = '50ms'\n{reload}"),
    );
    sandbox.resource("certs", "{{getv \"/v\"}}", reload);
    data(&sandbox, "v: 1\n");
    let daemon = daemon(&sandbox, &["-watch"]);
    // A reload that waits for the pass of the other gives up after five seconds, with a line.
    eventually("both were reloaded", || sandbox.read("ran") == "reload\nreload\n");
    let ended = daemon.stop(Signal::TERM);
    ended.expect_no("no longer waits");
}

#[test]
fn a_resource_that_is_removed_makes_no_other_wait() {
    let sandbox = tree(HANG);
    data(&sandbox, "v: 1\n");
    let daemon = daemon(&sandbox, &["-watch"]);
    eventually("the earlier file is there", || sandbox.read("out/certs") == "1");
    assert!(!sandbox.path("out/app").exists(), "the reload of certs has not ended");
    fs::remove_file(sandbox.path("conf.d/certs.toml")).unwrap();
    eventually("the later file is there", || sandbox.read("out/app") == "1");
    daemon.wait_for("after names \"certs\", and there is no such resource");
    sandbox.write("go", "");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_stop_ends_a_resource_that_waits() {
    let sandbox = tree(HANG);
    data(&sandbox, "v: 1\n");
    let daemon = daemon(&sandbox, &["-watch"]);
    eventually("the earlier file is there", || sandbox.read("out/certs") == "1");
    daemon.signal(Signal::TERM);
    sandbox.write("go", "");
    assert_eq!(daemon.wait().code, Some(0));
    assert!(!sandbox.path("out/app").exists(), "a stop begins no new pass");
}

#[test]
fn interval_mode_leaves_a_resource_out_while_one_that_it_names_hangs() {
    let sandbox = tree(HANG);
    sandbox.resource("other", "{{getv \"/v\"}}", "");
    data(&sandbox, "v: 1\n");
    let daemon = daemon(&sandbox, &["-interval", "1"]);
    eventually("the other resource has its file", || sandbox.read("out/other") == "1");
    data(&sandbox, "v: 2\n");
    eventually("the other resource follows", || sandbox.read("out/other") == "2");
    assert!(!sandbox.path("out/app").exists(), "the reload of certs has not ended");
    sandbox.write("go", "");
    eventually("both are done in their order", || sandbox.read("ran").ends_with("certs\napp\n"));
    assert_eq!(sandbox.read("out/app"), "2");
    daemon.stop(Signal::TERM);
}
