//! `start_cmd`: the command after a file was created.

use std::fs;

use rustix::process::Signal;

use super::dest;
use crate::support::{Daemon, Run, Sandbox, eventually};

/// A sandbox whose commands note that they ran. The start fails while there is a file `broken`.
fn noting(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let more = format!(
        "start_cmd = 'echo start >> ran; test ! -e broken'\nreload_cmd = 'echo reload >> ran'\n{more}\n"
    );
    sandbox.resource("app", "{{getv \"/v\"}}", &more);
    sandbox
}

fn run_with(sandbox: &Sandbox, value: &str) -> Run {
    sandbox.onetime_with(&format!("v: {value}\n"))
}

#[test]
fn a_new_file_is_started_and_a_changed_one_is_reloaded() {
    let sandbox = noting("");
    run_with(&sandbox, "one").ok().expect_no("WARNING");
    run_with(&sandbox, "one").ok();
    assert_eq!(sandbox.read("ran"), "start\n");
    run_with(&sandbox, "two").ok();
    assert_eq!(sandbox.read("ran"), "start\nreload\n");
    fs::remove_file(sandbox.path("out/app")).unwrap();
    run_with(&sandbox, "two").arguments(&["-sync-only"]).ok();
    assert_eq!(sandbox.read("ran"), "start\nreload\n");
}

#[test]
fn a_start_that_failed_is_tried_by_every_run_until_it_succeeds() {
    let sandbox = noting("");
    sandbox.write("broken", "");
    let ended = run_with(&sandbox, "one").fails();
    let below = ended.excerpts().join("\n");
    assert!(below.contains("the start_cmd of the resource app failed: "), "{below}");
    let again = run_with(&sandbox, "one").ok();
    assert!(again.stderr.contains("is still pending, because it failed again"), "{}", again.stderr);
    fs::remove_file(sandbox.path("broken")).unwrap();
    let done = run_with(&sandbox, "one").ok();
    done.expect(&format!("INFO {} has been reloaded", dest(&sandbox)));
    assert_eq!(sandbox.read("ran"), "start\nstart\nstart\n");
    run_with(&sandbox, "two").ok();
    assert!(sandbox.read("ran").ends_with("start\nreload\n"));
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn a_health_check_belongs_to_a_start_too() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "x",
        "start_cmd = 'echo start >> ran'\nhealth_cmd = 'test -e healthy'\nhealth_window = '0'",
    );
    sandbox.onetime().fails().expect_no("has no effect");
    sandbox.write("healthy", "");
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("ran"), "start\nstart\n");
}

#[test]
fn a_start_command_can_be_a_template_or_a_list_and_knows_its_file() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "x",
        "reload_template = true\nstart_cmd = ['sh', '-c', 'echo $0 $CONFD_DEST > ran', '{{.dest}}']",
    );
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("ran"), format!("{} {}\n", dest(&sandbox), dest(&sandbox)));
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "start_cmd = 'echo {{.dest}}'");
    let ended = sandbox.onetime().ok();
    assert!(ended.stderr.contains("start_cmd contains {{: it is no template"), "{}", ended.stderr);
}

#[test]
fn watch_mode_starts_at_the_creation_and_reloads_at_each_change() {
    let sandbox = noting("");
    sandbox.write("data.yaml", "v: one\n");
    let run = || {
        sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml", "-retry-delay", "50ms"])
    };
    sandbox.write("broken", "");
    let daemon = Daemon::start(run(), sandbox.path("log"));
    eventually("the start is tried again", || sandbox.read("ran").starts_with("start\nstart\n"));
    daemon.stop(Signal::TERM);
    fs::remove_file(sandbox.path("broken")).unwrap();
    sandbox.write("ran", "");
    // The start is still pending for the next process.
    let daemon = Daemon::start(run(), sandbox.path("log"));
    eventually("the start has succeeded", || sandbox.list("out") == ["app"]);
    sandbox.write("data.yaml", "v: two\n");
    eventually("the change is reloaded", || sandbox.read("ran") == "start\nreload\n");
    fs::remove_file(sandbox.path("out/app")).unwrap();
    eventually("a file that was deleted is started again", || {
        sandbox.read("ran") == "start\nreload\nstart\n"
    });
    daemon.stop(Signal::TERM);
}
