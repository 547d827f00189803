//! `on_reload_failure = "rollback"` and `health_cmd`: a new file that the service does not accept is
//! taken back.

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A command that adds the content of `out/app` to `reloads`, and fails if it is `bad`.
const RELOAD: &str = "reload_cmd = 'cat out/app >> reloads; test \"$(cat out/app)\" != bad'";

/// A sandbox with a resource that renders `/v` and rolls back.
fn rolling_back(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let more = format!("on_reload_failure = 'rollback'\nmode = '0640'\n{more}\n");
    sandbox.resource("app", "{{getv \"/v\"}}\n", &more);
    sandbox
}

fn run_with(sandbox: &Sandbox, value: &str) -> Run {
    sandbox.onetime_with(&format!("v: {value}"))
}

/// confd in the mode of these arguments, with the keys of `etcd`.
fn daemon(sandbox: &Sandbox, etcd: &Etcd, mode: &[&str], log: &str) -> Daemon {
    let run = sandbox.confd(mode).arguments(&["-backend", "etcd", "-node", &etcd.url()]);
    Daemon::start(run, sandbox.path(log))
}

#[track_caller]
fn becomes(sandbox: &Sandbox, name: &str, content: &str) {
    eventually(&format!("{name} is {content:?}"), || sandbox.read(name) == content);
}

#[test]
fn a_onetime_run_rolls_back_fails_and_does_not_try_the_content_again() {
    let sandbox = rolling_back(RELOAD);
    run_with(&sandbox, "one").ok();
    let dest = sandbox.path("out/app").display().to_string();
    let ended = run_with(&sandbox, "bad").fails();
    ended.expect(&format!(
        "WARNING Rolled back: {dest} is the former file again. Its reload failed: exit status 1. The \
         new content is not tried again until it changes"
    ));
    let why = "was rolled back, because its reload failed: exit status 1 (resource app)";
    ended.expect(&format!("ERROR {dest} {why}"));
    assert_eq!((sandbox.output(), sandbox.mode("out/app")), ("one\n".into(), 0o640));
    assert_eq!(sandbox.read("reloads"), "one\nbad\none\n");
    let ended = run_with(&sandbox, "bad").fails();
    ended.expect(&format!(
        "ERROR {dest} stays as it is: its reload has failed with this content, which is not tried \
         again until it changes (resource app)"
    ));
    assert_eq!(sandbox.read("reloads"), "one\nbad\none\n");
    assert_eq!(sandbox.list("out"), [".app.held", "app"]);
    run_with(&sandbox, "two").ok();
    assert_eq!(sandbox.list("out"), ["app"]);
    assert_eq!(sandbox.read("reloads"), "one\nbad\none\ntwo\n");
}

#[test]
fn a_watching_confd_rolls_back_once_and_a_restarted_one_remembers() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = rolling_back(RELOAD);
    etcd.put("/v", "one");
    let first = daemon(&sandbox, &etcd, &["-watch", "-reconcile", "1s"], "log");
    becomes(&sandbox, "reloads", "one\n");
    etcd.put("/v", "bad");
    becomes(&sandbox, "reloads", "one\nbad\none\n");
    // A reconcile finds it held back.
    first.wait_for("stays as it is: its reload has failed with this content");
    assert_eq!(sandbox.output(), "one\n");
    assert_eq!(first.stop(Signal::TERM).code, Some(0));
    let second = daemon(&sandbox, &etcd, &["-watch"], "log2");
    second.wait_for("stays as it is: its reload has failed with this content");
    assert_eq!(sandbox.read("reloads"), "one\nbad\none\n");
    etcd.put("/v", "two");
    becomes(&sandbox, "reloads", "one\nbad\none\ntwo\n");
    second.wait_for("has been updated");
    assert_eq!(sandbox.list("out"), ["app"]);
    assert_eq!(second.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_confd_with_an_interval_rolls_back_and_goes_on() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = rolling_back(RELOAD);
    etcd.put("/v", "one");
    let daemon = daemon(&sandbox, &etcd, &["-interval", "1"], "log");
    becomes(&sandbox, "reloads", "one\n");
    etcd.put("/v", "bad");
    daemon.wait_for("stays as it is: its reload has failed with this content");
    assert_eq!(sandbox.read("reloads"), "one\nbad\none\n");
    etcd.put("/v", "two");
    becomes(&sandbox, "reloads", "one\nbad\none\ntwo\n");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_confd_that_is_killed_during_the_reload_rolls_back_at_its_next_start() {
    let sandbox = rolling_back(
        "reload_cmd = 'cat out/app >> reloads; test \"$(cat out/app)\" != bad || \
         { test -e refuse || exec sleep 60; exit 3; }'",
    );
    run_with(&sandbox, "one").ok();
    let run = run_with(&sandbox, "bad");
    let killed = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "reloads", "one\nbad\n");
    assert_eq!(killed.stop(Signal::KILL).code, None);
    assert_eq!(sandbox.output(), "bad\n");
    assert_eq!(sandbox.list("out"), [".app.former", ".app.reload-pending", ".app.trial", "app"]);
    sandbox.write("refuse", "");
    run_with(&sandbox, "bad").fails().expect_no("another program");
    assert_eq!(sandbox.read("reloads"), "one\nbad\nbad\none\n");
    assert_eq!(sandbox.list("out"), [".app.held", "app"]);
}

#[test]
fn each_resource_of_a_shared_reload_decides_for_itself() {
    let sandbox = Sandbox::new();
    let reload = "reload_cmd = 'cat out/* | tr \"\\n\" \" \" >> reloads; echo >> reloads; \
                  ! grep -q bad out/*'";
    let policy = "on_reload_failure = 'rollback'";
    sandbox.resource("keeps", "{{getv \"/v\"}}\n", reload);
    sandbox.resource("rolls", "{{getv \"/v\"}}\n", &format!("{reload}\n{policy}"));
    let etcd = Etcd::start(Release::Debian);
    etcd.put("/v", "one");
    let daemon = daemon(&sandbox, &etcd, &["-watch"], "log");
    becomes(&sandbox, "reloads", "one one \n");
    etcd.put("/v", "bad");
    daemon.wait_for("Rolled back: ");
    daemon.wait_for("keeps is in place but its reload is pending");
    assert_eq!(
        (sandbox.read("out/keeps"), sandbox.read("out/rolls")),
        ("bad\n".into(), "one\n".into())
    );
    etcd.put("/v", "two");
    eventually("both have the new content", || {
        sandbox.read("reloads").ends_with("two two \n") && sandbox.list("out") == ["keeps", "rolls"]
    });
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_health_check_decides_whether_a_file_is_applied() {
    let health = "health_cmd = 'echo x >> tries; test -e healthy'\nhealth_interval = '10ms'";
    let sandbox = rolling_back(&format!("{RELOAD}\n{health}\nhealth_window = '30s'"));
    let run = run_with(&sandbox, "one");
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("it is tried again", || sandbox.read("tries").lines().count() > 3);
    assert!(!daemon.stderr().contains("has been updated"));
    sandbox.write("healthy", "");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0));
    ended.expect_no("ERROR");
    std::fs::remove_file(sandbox.path("healthy")).unwrap();
    let sandbox_resource = format!("{RELOAD}\n{health}\nhealth_window = '50ms'");
    sandbox.resource("app", "{{getv \"/v\"}}\n", &sandbox_resource);
    let ended = run_with(&sandbox, "two").fails();
    let log = ended.log();
    let text = "ERROR health_cmd did not succeed within 50ms (";
    assert!(log.iter().any(|line| line.starts_with(text)), "{log:?}");
    assert_eq!(sandbox.list("out"), [".app.reload-pending", "app"]);
    sandbox.write("healthy", "");
    let dest = sandbox.path("out/app").display().to_string();
    run_with(&sandbox, "two").ok().expect(&format!("INFO {dest} has been reloaded"));
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn keys_without_effect_and_words_that_are_unknown_are_reported() {
    let sandbox = rolling_back("health_cmd = 'true'");
    let log = run_with(&sandbox, "one").ok().log();
    for key in ["on_reload_failure", "health_cmd"] {
        let end = format!(": {key} has no effect without reload_cmd");
        assert!(log.iter().any(|line| line.ends_with(&end)), "{log:?}");
    }
    let sandbox = Sandbox::new();
    sandbox.resource("app", "", "on_reload_failure = 'revert'");
    let log = sandbox.onetime().fails().log();
    let end = "unknown on_reload_failure \"revert\"; the known ones are \"keep\", \"rollback\"";
    assert!(log.iter().any(|line| line.ends_with(end)), "{log:?}");
}

#[test]
fn while_content_is_held_back_a_pending_reload_of_the_former_file_fails_the_run() {
    let sandbox = rolling_back("reload_cmd = 'test ! -e down'");
    run_with(&sandbox, "one").ok();
    sandbox.write("down", "");
    run_with(&sandbox, "bad").fails();
    assert_eq!(sandbox.list("out"), [".app.held", ".app.reload-pending", "app"]);
    // The file in place is not what the store says, whatever becomes of its reload.
    run_with(&sandbox, "bad").fails();
    std::fs::remove_file(sandbox.path("down")).unwrap();
    run_with(&sandbox, "bad").fails();
    assert_eq!(sandbox.list("out"), [".app.held", "app"]);
    run_with(&sandbox, "two").ok();
    assert_eq!(sandbox.output(), "two\n");
}

#[test]
fn a_file_without_a_former_one_stays_in_place_and_its_reload_is_pending() {
    let sandbox = rolling_back("reload_cmd = 'test -e up'");
    for _ in 0..2 {
        let ended = run_with(&sandbox, "one").run();
        assert!(ended.stderr.contains("pending"), "{}", ended.stderr);
        assert_eq!(sandbox.list("out"), [".app.reload-pending", "app"]);
    }
    sandbox.write("up", "");
    run_with(&sandbox, "one").ok();
    // A file that a person has deleted comes back, whatever its service says.
    std::fs::remove_file(sandbox.path("out/app")).unwrap();
    std::fs::remove_file(sandbox.path("up")).unwrap();
    run_with(&sandbox, "one").fails();
    assert_eq!((sandbox.output(), sandbox.list("out").len()), ("one\n".into(), 2));
}
