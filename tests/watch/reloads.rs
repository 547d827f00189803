//! Equal reload commands: never two at the same time, and once for the resources of one change.

use std::time::Duration;

use rustix::process::Signal;
use servers::{Etcd, Release};

use super::{data, watching};
use crate::support::{Daemon, Sandbox, eventually, throughout, within};

/// A command that fails if it runs twice at the same time, and otherwise adds the content of all
/// destinations to `reloads`, as one line.
const RELOAD: &str = "mkdir reloading || touch overlapped; until test ! -e hold; do sleep 0.01; \
                      done; cat out/* >> reloads; echo >> reloads; rmdir reloading; test ! -e fails";

/// The resources `names`, each of which renders `/NAME/v` and has the reload command [`RELOAD`].
fn reloading(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in names {
        add(&sandbox, name, "");
    }
    sandbox
}

/// Adds a resource, or replaces it.
fn add(sandbox: &Sandbox, name: &str, more: &str) {
    let dest = sandbox.path(&format!("out/{name}"));
    sandbox.write(&format!("templates/{name}.tmpl"), format!("{{{{getv \"/{name}/v\"}}}}"));
    let table = format!(
        "[template]\nsrc = '{name}.tmpl'\ndest = '{}'\nkeys = ['/{name}']\n\
         reload_cmd = '{RELOAD}'\n{more}\n",
        dest.display()
    );
    sandbox.write(&format!("conf.d/{name}.toml"), table);
}

/// Gives all of these keys the same value in one step.
fn set(sandbox: &Sandbox, names: &[&str], value: &str) {
    let pairs: Vec<String> = names.iter().map(|name| format!("{name}: {{v: {value}}}")).collect();
    data(sandbox, &format!("{{{}}}", pairs.join(", ")));
}

/// The reloads so far, one a line.
fn reloads(sandbox: &Sandbox) -> Vec<String> {
    sandbox.read("reloads").lines().map(str::to_owned).collect()
}

#[track_caller]
fn reloaded(sandbox: &Sandbox, expected: &[&str]) {
    eventually(&format!("{expected:?} are the reloads"), || reloads(sandbox) == expected);
}

/// The markers of pending reloads.
fn markers(sandbox: &Sandbox) -> usize {
    sandbox.list("out").iter().filter(|name| name.ends_with(".reload-pending")).count()
}

#[track_caller]
fn nothing_is_pending(sandbox: &Sandbox) {
    eventually("no reload is pending", || markers(sandbox) == 0);
    assert!(!sandbox.path("overlapped").exists());
}

#[test]
fn one_transaction_of_etcd_is_one_reload_after_the_last_file() {
    let server = Etcd::start(Release::Debian);
    let sandbox = reloading(&["a", "b", "c"]);
    let set = |value| server.put_all(&[("/a/v", value), ("/b/v", value), ("/c/v", value)]);
    set("0");
    let arguments = ["-watch", "-backend", "etcd", "-node", &server.address()];
    let daemon = Daemon::start(sandbox.confd(&arguments), sandbox.path("log"));
    reloaded(&sandbox, &["000"]);
    set("1");
    reloaded(&sandbox, &["000", "111"]);
    for name in ["a", "b", "c"] {
        let dest = sandbox.path(&format!("out/{name}"));
        let line = format!("INFO Target config {} has been updated", dest.display());
        eventually(&line, || daemon.stderr().matches(&line).count() == 2);
    }
    nothing_is_pending(&sandbox);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    assert_eq!(reloads(&sandbox), ["000", "111"]);
}

#[test]
fn a_change_of_fifty_resources_is_one_reload() {
    let names: Vec<String> = (0..50).map(|number| format!("r{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let sandbox = reloading(&names);
    set(&sandbox, &names, "0");
    let daemon = watching(&sandbox, &[]);
    reloaded(&sandbox, &[&"0".repeat(50)]);
    nothing_is_pending(&sandbox);
    set(&sandbox, &names, "1");
    reloaded(&sandbox, &[&"0".repeat(50), &"1".repeat(50)]);
    nothing_is_pending(&sandbox);
    daemon.stop(Signal::TERM);
}

#[test]
fn a_failed_check_does_not_keep_away_the_reload_of_the_others() {
    let sandbox = reloading(&["a", "b"]);
    add(&sandbox, "c", "check_cmd = 'test ! -e bad'");
    set(&sandbox, &["a", "b", "c"], "0");
    let daemon = watching(&sandbox, &[]);
    reloaded(&sandbox, &["000"]);
    sandbox.write("bad", "");
    set(&sandbox, &["a", "b", "c"], "1");
    reloaded(&sandbox, &["000", "110"]);
    std::fs::remove_file(sandbox.path("bad")).unwrap();
    reloaded(&sandbox, &["000", "110", "111"]);
    daemon.stop(Signal::TERM);
}

#[test]
fn a_check_that_hangs_delays_the_reload_of_the_others_by_seconds_and_only_once() {
    let sandbox = reloading(&["a", "b"]);
    add(&sandbox, "c", "check_cmd = 'until test ! -e bad; do sleep 0.01; done'");
    set(&sandbox, &["a", "b", "c"], "0");
    let daemon = watching(&sandbox, &[]);
    reloaded(&sandbox, &["000"]);
    sandbox.write("bad", "");
    set(&sandbox, &["a", "b", "c"], "1");
    within(Duration::from_secs(9), "the reload without c", || reloads(&sandbox).len() == 2);
    daemon.wait_for("its reload no longer waits for another resource with the same reload_cmd");
    set(&sandbox, &["a", "b", "c"], "2");
    within(Duration::from_secs(4), "the next one at once", || reloads(&sandbox).len() == 3);
    std::fs::remove_file(sandbox.path("bad")).unwrap();
    eventually("the last reload", || reloads(&sandbox).last().is_some_and(|all| all == "222"));
    nothing_is_pending(&sandbox);
    daemon.stop(Signal::TERM);
}

#[test]
fn a_change_during_a_check_does_not_delay_the_reload_after_the_check() {
    let sandbox = reloading(&["b"]);
    add(&sandbox, "a", "check_cmd = 'touch checks; until test ! -e bad; do sleep 0.01; done'");
    set(&sandbox, &["a", "b"], "0");
    let daemon = watching(&sandbox, &[]);
    reloaded(&sandbox, &["00"]);
    sandbox.write("bad", "");
    std::fs::remove_file(sandbox.path("checks")).unwrap();
    data(&sandbox, "{a: {v: 1}, b: {v: 0}}");
    eventually("the check of a runs", || sandbox.path("checks").exists());
    set(&sandbox, &["a", "b"], "2");
    eventually("the second change has arrived", || sandbox.read("out/b") == "2");
    std::fs::remove_file(sandbox.path("bad")).unwrap();
    eventually("the last reload", || reloads(&sandbox).last().is_some_and(|all| all == "22"));
    nothing_is_pending(&sandbox);
    let ended = daemon.stop(Signal::TERM);
    ended.expect_no("no longer waits");
}

#[test]
fn reloads_of_different_changes_never_overlap_and_one_serves_all_that_wait() {
    let names = ["a", "b", "c"];
    let sandbox = reloading(&names);
    set(&sandbox, &names, "0");
    let daemon = watching(&sandbox, &[]);
    reloaded(&sandbox, &["000"]);
    nothing_is_pending(&sandbox);
    sandbox.write("hold", "");
    data(&sandbox, "{a: {v: 1}, b: {v: 0}, c: {v: 0}}");
    eventually("the reload of a runs", || sandbox.path("reloading").exists());
    // The lines of b and c are written when their files are in place.
    data(&sandbox, "{a: {v: 1}, b: {v: 1}, c: {v: 0}}");
    eventually("b is in place", || sandbox.read("out/b") == "1");
    data(&sandbox, "{a: {v: 1}, b: {v: 1}, c: {v: 1}}");
    eventually("c is in place", || sandbox.read("out/c") == "1");
    assert_eq!(markers(&sandbox), 3);
    throughout(Duration::from_millis(300), "they wait", || !sandbox.path("overlapped").exists());
    std::fs::remove_file(sandbox.path("hold")).unwrap();
    reloaded(&sandbox, &["000", "111", "111"]);
    nothing_is_pending(&sandbox);
    daemon.stop(Signal::TERM);
    assert_eq!(reloads(&sandbox).len(), 3);
}

#[test]
fn a_failed_reload_is_a_failure_of_each_and_the_retries_are_one_reload_too() {
    let names = ["a", "b", "c"];
    let sandbox = reloading(&names);
    set(&sandbox, &names, "0");
    sandbox.write("fails", "");
    let daemon = watching(&sandbox, &[]);
    let failures = |name: &str| {
        let first = format!("ERROR exit status 1 (resource {name})");
        let again = format!("failed again: exit status 1: {RELOAD} (resource {name})");
        let log = daemon.stderr();
        log.matches(&first).count() + log.matches(&again).count()
    };
    eventually("each has failed twice", || names.iter().all(|name| failures(name) >= 2));
    assert_eq!(markers(&sandbox), 3);
    std::fs::remove_file(sandbox.path("fails")).unwrap();
    nothing_is_pending(&sandbox);
    for name in names {
        assert_eq!(reloads(&sandbox).len(), failures(name) + 1, "{name}: {}", daemon.stderr());
    }
    daemon.stop(Signal::TERM);
}

#[test]
fn a_stop_lets_the_common_reload_end() {
    let names = ["a", "b", "c"];
    let sandbox = reloading(&names);
    set(&sandbox, &names, "0");
    sandbox.write("hold", "");
    let daemon = watching(&sandbox, &[]);
    eventually("the reload runs", || sandbox.path("reloading").exists());
    daemon.signal(Signal::TERM);
    std::fs::remove_file(sandbox.path("hold")).unwrap();
    assert_eq!(daemon.wait().code, Some(0));
    assert_eq!((reloads(&sandbox), markers(&sandbox)), (vec!["000".to_owned()], 0));
}

#[test]
fn after_a_kill_during_the_common_reload_the_next_run_reloads_once() {
    let names = ["a", "b", "c"];
    let sandbox = reloading(&names);
    set(&sandbox, &names, "0");
    sandbox.write("hold", "");
    let daemon = watching(&sandbox, &[]);
    eventually("the reload runs", || sandbox.path("reloading").exists());
    daemon.stop(Signal::KILL);
    assert_eq!(markers(&sandbox), 3);
    // The command lives on, and ends.
    std::fs::remove_file(sandbox.path("hold")).unwrap();
    eventually("the command ends", || !sandbox.path("reloading").exists());
    assert_eq!(reloads(&sandbox), ["000"]);
    let daemon = watching(&sandbox, &[]);
    reloaded(&sandbox, &["000", "000"]);
    nothing_is_pending(&sandbox);
    daemon.stop(Signal::TERM);
    assert_eq!(reloads(&sandbox).len(), 2);
}

#[test]
fn two_resources_of_one_file_do_not_wait_for_each_other() {
    let sandbox = reloading(&["a", "b"]);
    let table = sandbox.read("conf.d/b.toml").replace("/out/b'", "/out/a'");
    sandbox.write("conf.d/b.toml", table);
    set(&sandbox, &["a", "b"], "0");
    let daemon = watching(&sandbox, &[]);
    within(Duration::from_secs(4), "the first reload", || !reloads(&sandbox).is_empty());
    set(&sandbox, &["a", "b"], "1");
    within(Duration::from_secs(4), "the reload", || {
        reloads(&sandbox).last().is_some_and(|all| all == "1")
    });
    daemon.stop(Signal::TERM);
    assert!(!sandbox.path("overlapped").exists());
}

#[test]
fn in_interval_mode_they_run_in_order_and_never_overlap() {
    let names = ["a", "b", "c"];
    let sandbox = reloading(&names);
    set(&sandbox, &names, "0");
    let run = sandbox.confd(&["-interval", "1", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    // As with Go confd, each resource is reloaded before the next is written.
    reloaded(&sandbox, &["0", "00", "000"]);
    sandbox.write("hold", "");
    set(&sandbox, &names, "1");
    // A resource that takes long does not keep the next ones away.
    eventually("all are in place", || {
        names.iter().all(|name| sandbox.read(&format!("out/{name}")) == "1")
    });
    throughout(Duration::from_millis(500), "they wait", || !sandbox.path("overlapped").exists());
    std::fs::remove_file(sandbox.path("hold")).unwrap();
    reloaded(&sandbox, &["0", "00", "000", "111", "111"]);
    nothing_is_pending(&sandbox);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
