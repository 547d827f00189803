//! `ignore_lines`: lines of a file that do not count when it is compared.

use rustix::process::Signal;

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A sandbox whose template prints a time and a value, and whose reloads are noted.
fn dated(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let more =
        format!("ignore_lines = '^# made '\nreload_cmd = 'echo reload >> reloads'\n{more}\n");
    sandbox.resource("app", "# made {{getv \"/time\"}}\n{{getv \"/value\"}}\n", &more);
    sandbox
}

fn run_with(sandbox: &Sandbox, time: u32, value: &str) -> Run {
    sandbox.onetime_with(&format!("time: {time}\nvalue: {value}\n"))
}

#[test]
fn a_change_of_ignored_lines_alone_replaces_and_reloads_nothing() {
    let sandbox = dated("");
    run_with(&sandbox, 1, "a").ok();
    run_with(&sandbox, 2, "a").ok().expect_no("out of sync");
    assert_eq!(sandbox.output(), "# made 1\na\n");
    let noop = run_with(&sandbox, 3, "a").arguments(&["-noop"]).ok();
    noop.expect_no("md5sum");
    run_with(&sandbox, 4, "b").ok();
    assert_eq!(
        (sandbox.output(), sandbox.read("reloads")),
        ("# made 4\nb\n".into(), "reload\nreload\n".into())
    );
}

#[test]
fn a_reload_that_failed_is_tried_again_although_ignored_lines_have_changed() {
    let sandbox = dated("");
    let resource = sandbox.read("conf.d/app.toml");
    sandbox
        .write("conf.d/app.toml", resource.replace("echo reload", "test -e works && echo reload"));
    run_with(&sandbox, 1, "a").fails();
    sandbox.write("works", "");
    run_with(&sandbox, 2, "a").ok();
    assert_eq!(
        (sandbox.output(), sandbox.read("reloads")),
        ("# made 1\na\n".into(), "reload\n".into())
    );
}

#[test]
fn a_file_that_a_person_has_put_back_stays_although_ignored_lines_change() {
    let sandbox = dated("backup = 3");
    let state = ["-state-dir", "state"];
    run_with(&sandbox, 1, "a").arguments(&state).ok();
    run_with(&sandbox, 2, "b").arguments(&state).ok();
    let flags =
        ["rollback", "app", "-config-file", "confd.toml", "-confdir", ".", "-state-dir", "state"];
    sandbox.bare(&flags).ok();
    run_with(&sandbox, 3, "b").arguments(&state).ok();
    assert_eq!(sandbox.output(), "# made 1\na\n");
    run_with(&sandbox, 4, "c").arguments(&state).ok();
    assert_eq!(sandbox.output(), "# made 4\nc\n");
}

#[test]
fn watch_mode_leaves_a_file_alone_whose_ignored_lines_change_and_heals_every_other_change() {
    let sandbox = dated("");
    sandbox.write("data.yaml", "time: 1\nvalue: a\n");
    sandbox.resource("other", "{{getv \"/time\"}}", "");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("both files are there", || {
        !sandbox.output().is_empty() && sandbox.read("out/other") == "1"
    });
    sandbox.write("data.yaml", "time: 2\nvalue: a\n");
    eventually("the other file has changed", || sandbox.read("out/other") == "2");
    sandbox.write("data.yaml", "time: 3\nvalue: b\n");
    eventually("the file has changed", || sandbox.output() == "# made 3\nb\n");
    sandbox.write("out/app", "# made by hand\nx\n");
    eventually("the file is healed", || sandbox.output() == "# made 3\nb\n");
    sandbox.write("out/app", "# made by hand\nb\n");
    sandbox.write("data.yaml", "time: 4\nvalue: b\n");
    eventually("the other file has changed", || sandbox.read("out/other") == "4");
    daemon.stop(Signal::TERM);
    assert_eq!(sandbox.output(), "# made by hand\nb\n");
}

#[test]
fn a_malformed_expression_is_an_error_of_the_resource() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "ignore_lines = '('");
    let ended = sandbox.onetime().fails();
    let path = sandbox.path("conf.d/app.toml").display().to_string();
    ended.expect(&format!(
        "ERROR Cannot process template resource {path} - ignore_lines: error parsing regexp: missing \
         closing ): `(`"
    ));
    let below = ended.excerpts().join("\n");
    assert!(below.contains("ignore_lines is a regular expression in Go's syntax"), "{below}");
}
