//! Keys that a template asks for and that do not exist: the error names all of them, and
//! `on_missing` says what is done.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox, eventually, throughout};

const DATA: &str = "app:\n  name: shop\n  port: '80'\n";

const TEMPLATE: &str = "{{getv \"/app/name\"}}:{{getv \"/app/prot\"}}:{{getv \"/app/host\"}}";

fn sandbox(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", TEMPLATE, more);
    sandbox
}

/// A daemon that follows `data.yaml`.
fn follow(sandbox: &Sandbox, mode: &[&str]) -> Daemon {
    let source = ["-backend", "file", "-file", "data.yaml", "-log-level", "debug"];
    Daemon::start(sandbox.confd(&[mode, &source].concat()), sandbox.path("log"))
}

/// How often a line of the log that is shown by default has this text.
fn shown(daemon: &Daemon, text: &str) -> usize {
    let log = daemon.stderr();
    log.lines().filter(|line| line.contains(text) && !line.contains("DEBUG")).count()
}

#[test]
fn an_error_lists_every_missing_key_with_the_nearest_names() {
    let tera =
        "{{ getv(key='/app/name') }}{{ getv(key='/app/prot') }}{{ getv(key='/app/address') }}";
    let go = TEMPLATE.replace("/app/host", "/app/address");
    for (template, more, place) in [
        (go.as_str(), "", "app.tmpl:1:23: executing \"app.tmpl\" at <getv \"/app/prot\">"),
        (tera, "engine = 'tera'", "app.tmpl:1:30"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", template, more);
        let ended = sandbox.onetime_with(DATA).fails();
        let first =
            format!("ERROR template: {place}: error calling getv: key does not exist: /app/prot");
        ended.expect(&first);
        let lines = ended.excerpts();
        let list = [
            "    = 2 keys are missing:",
            "    =   /app/prot: did you mean \"/app/port\"?",
            "    =   /app/address",
        ];
        assert_eq!(lines[lines.len() - 3..], list, "{}", ended.stderr);
        assert_eq!(lines.iter().filter(|line| line.contains("did you mean")).count(), 1);
    }
}

#[test]
fn a_single_missing_key_has_its_hint_and_no_list() {
    let ended = Sandbox::rendering("{{getv \"/app/prot\"}}{{getv \"/app/prot\"}}")
        .onetime_with(DATA)
        .fails();
    let lines = ended.excerpts();
    assert_eq!(lines.last(), Some(&"    = did you mean \"/app/port\"?"));
    ended.expect_no("missing:");
}

#[test]
fn keys_made_of_values_are_listed_only_with_show_values() {
    let template = "{{getv \"/x\"}}{{getv (printf \"/of/%s\" (getv \"/app/name\"))}}";
    let sandbox = Sandbox::rendering(template);
    let hidden = sandbox.onetime_with(DATA).fails();
    assert_eq!(hidden.excerpts().last(), Some(&"    =   a key made of a value"));
    hidden.expect_no("shop");
    let shown = sandbox.onetime_with(DATA).arguments(&["-show-values"]).fails();
    assert_eq!(shown.excerpts().last(), Some(&"    =   /of/shop"));
}

#[test]
fn the_reason_that_holds_for_all_keys_is_written_once() {
    let ended = Sandbox::rendering("{{getv \"/a\"}}{{getv \"/b\"}}").onetime_with("{}").fails();
    let lines = ended.excerpts();
    let below = [
        "    = the source has no key at /",
        "    = 2 keys are missing:",
        "    =   /a",
        "    =   /b",
    ];
    assert_eq!(lines[lines.len() - 4..], below);
}

#[test]
fn with_empty_missing_keys_read_as_empty_and_one_warning_names_them() {
    let sandbox = sandbox("on_missing = 'empty'");
    let ended = sandbox.onetime_with(DATA).ok();
    let keys = "/app/prot, /app/host (resource app)";
    ended.expect(&format!("WARNING these keys do not exist and read as empty: {keys}"));
    assert_eq!(sandbox.output(), "shop::");
    let tera =
        "{% set a = get(key='/a') %}{{ a.key }}={{ a.value }}{{ getv(key='/b', default='c') }}";
    sandbox.resource("app", tera, "engine = 'tera'\non_missing = 'empty'");
    let ended = sandbox.onetime_with(DATA).ok();
    ended.expect("WARNING the key /a does not exist and reads as empty (resource app)");
    assert_eq!(sandbox.output(), "/a=c");
}

#[test]
fn a_daemon_warns_again_only_when_other_keys_are_missing() {
    let sandbox = sandbox("on_missing = 'empty'");
    sandbox.write("data.yaml", DATA);
    let daemon = follow(&sandbox, &["-watch"]);
    eventually("the file is there", || sandbox.output() == "shop::");
    sandbox.write("data.yaml", DATA.replace("shop", "mall"));
    eventually("the change is applied", || sandbox.output() == "mall::");
    assert_eq!(shown(&daemon, "read as empty: /app/prot, /app/host"), 1);
    sandbox.write("data.yaml", format!("{DATA}  host: h\n"));
    eventually("the change is applied", || sandbox.output() == "shop::h");
    assert_eq!(shown(&daemon, "the key /app/prot does not exist and reads as empty"), 1);
    sandbox.write("data.yaml", format!("{DATA}  host: h\n  prot: p\n"));
    eventually("the change is applied", || sandbox.output() == "shop:p:h");
    sandbox.write("data.yaml", DATA);
    eventually("the change is applied", || sandbox.output() == "shop::");
    assert_eq!(shown(&daemon, "read as empty: /app/prot, /app/host"), 2);
    daemon.stop(Signal::TERM);
}

#[test]
fn with_keep_a_onetime_run_keeps_the_file_and_fails_only_without_one() {
    let sandbox = sandbox("on_missing = 'keep'\ncheck_cmd = 'touch checked'");
    let run = || sandbox.onetime_with(DATA).arguments(&["-exit-codes"]);
    let ended = run().run();
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("    = 2 keys are missing:"), "{}", ended.stderr);
    sandbox.write("out/app", "old");
    let ended = run().ok();
    let dest = sandbox.path("out/app").display().to_string();
    let keys = "these keys do not exist: /app/prot, /app/host (resource app)";
    ended.expect(&format!("WARNING {dest} stays as it is: {keys}"));
    ended.expect_no("ERROR");
    assert_eq!(sandbox.output(), "old");
    assert!(!sandbox.path("checked").exists());
}

#[test]
fn with_keep_a_daemon_waits_for_the_keys_and_tries_nothing_again() {
    let sandbox = sandbox("on_missing = 'keep'\nretry_delay = '1ms'");
    sandbox.write("data.yaml", DATA);
    sandbox.write("out/app", "old");
    let daemon = follow(&sandbox, &["-watch"]);
    daemon.wait_for("stays as it is");
    let passes = || daemon.stderr().matches("Using source template").count();
    sandbox.write("data.yaml", DATA.replace("shop", "mall"));
    eventually("there was one more pass", || passes() == 2);
    throughout(Duration::from_millis(300), "nothing is tried again", || {
        (passes(), sandbox.output().as_str()) == (2, "old")
    });
    assert_eq!(shown(&daemon, "stays as it is"), 1);
    sandbox.write("data.yaml", format!("{DATA}  host: h\n  prot: p\n"));
    eventually("the keys are used", || sandbox.output() == "shop:p:h");
    assert_eq!(shown(&daemon, "ERROR"), 0);
    // A key that is deleted again is news.
    sandbox.write("data.yaml", DATA);
    eventually("a line says so", || shown(&daemon, "stays as it is") == 2);
    assert_eq!(sandbox.output(), "shop:p:h");
    // A template that needs fewer keys is used at once.
    sandbox.write("templates/app.tmpl", "{{getv \"/app/name\"}}");
    eventually("the new template is used", || sandbox.output() == "shop");
    daemon.stop(Signal::TERM);
}

#[test]
fn with_keep_and_without_a_file_a_daemon_fails_once_and_waits() {
    let sandbox = sandbox("on_missing = 'keep'\nretry_delay = '1ms'");
    sandbox.write("data.yaml", DATA);
    let daemon = follow(&sandbox, &["-watch"]);
    daemon.wait_for("ERROR");
    let passes = || daemon.stderr().matches("Using source template").count();
    throughout(Duration::from_millis(300), "nothing is tried again", || passes() == 1);
    sandbox.write("data.yaml", format!("{DATA}  host: h\n  prot: p\n"));
    eventually("the keys are used", || sandbox.output() == "shop:p:h");
    daemon.stop(Signal::TERM);
}

#[test]
fn with_keep_a_pending_reload_is_still_tried_again() {
    let sandbox = sandbox(
        "on_missing = 'keep'\nretry_delay = '10ms'\nretry_factor = '1'\nreload_cmd = 'test -e ready'",
    );
    sandbox.write("data.yaml", format!("{DATA}  host: h\n  prot: p\n"));
    let daemon = follow(&sandbox, &["-watch"]);
    daemon.wait_for("its reload is pending");
    sandbox.write("data.yaml", DATA);
    daemon.wait_for("/app/prot");
    sandbox.write("ready", "");
    eventually("the reload is done", || sandbox.list("out") == ["app"]);
    assert_eq!(sandbox.output(), "shop:p:h");
    daemon.wait_for("stays as it is");
    daemon.stop(Signal::TERM);
}

#[test]
fn with_keep_interval_mode_says_it_once() {
    let sandbox = sandbox("on_missing = 'keep'");
    sandbox.write("data.yaml", DATA);
    sandbox.write("out/app", "old");
    let daemon = follow(&sandbox, &["-interval", "1"]);
    let passes = || daemon.stderr().matches("Using source template").count();
    eventually("there were three passes", || passes() >= 3);
    assert_eq!((shown(&daemon, "stays as it is"), shown(&daemon, "ERROR")), (1, 0));
    daemon.stop(Signal::TERM);
}

#[test]
fn a_kept_file_is_no_version_and_changes_no_numbers() {
    let sandbox = sandbox("on_missing = 'keep'\nbackup = 3\nmax_shrink = '20%'");
    let full = format!("{DATA}  host: h\n  prot: p\n");
    let run = |data: &str| sandbox.onetime_with(data).arguments(&["-state-dir", "state"]);
    run(&full).ok();
    run(DATA).ok().expect_no("max_shrink");
    // The number of keys of what was applied last is that of the first run.
    sandbox.resource("app", "{{getv \"/app/name\"}} and more", "backup = 3\nmax_shrink = '20%'");
    run(DATA).fails().expect_no("stays as it is: these keys");
    let words = ["history", "app", "-state-dir", "state", "-config-file", "confd.toml", "-confdir"];
    let history = sandbox.bare(&words).arguments(&[sandbox.root()]).ok();
    assert_eq!(history.stdout.lines().count(), 1, "{}", history.stdout);
}

#[test]
fn the_files_of_a_group_are_kept_together_if_all_are_there() {
    let sandbox = sandbox("on_missing = 'keep'\ngroup = 'both'");
    sandbox.resource("other", "{{getv \"/app/name\"}}", "group = 'both'");
    sandbox.write("out/app", "old");
    let ended = sandbox.onetime_with(DATA).fails();
    assert!(ended.stderr.contains("= 2 keys are missing:"), "{}", ended.stderr);
    assert!(!sandbox.path("out/other").exists());
    sandbox.write("out/other", "older");
    let ended = sandbox.onetime_with(DATA).ok();
    ended.expect_no("ERROR");
    assert!(ended.stderr.contains("stays as it is: these keys do not exist"), "{}", ended.stderr);
    assert_eq!((sandbox.output().as_str(), sandbox.read("out/other").as_str()), ("old", "older"));
    sandbox.onetime_with(&format!("{DATA}  host: h\n  prot: p\n")).ok();
    assert_eq!(sandbox.read("out/other"), "shop");
}

#[test]
fn another_word_for_on_missing_is_refused() {
    let sandbox = sandbox("on_missing = 'ignore'");
    let path = sandbox.path("conf.d/app.toml").display().to_string();
    let why = "unknown on_missing \"ignore\"; the known ones are \"error\", \"empty\", \"keep\"";
    let ended = sandbox.onetime_with(DATA).fails();
    ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
}
