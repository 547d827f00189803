//! `for_each`: what happens when something fails for an item, and what confd says about it.

use std::fs;

use rustix::process::Signal;

use super::items::{DEST, HOST, run_with, tenants};
use crate::support::{Daemon, eventually};

/// Commands that note their names and their files, and fail while a file `refuse` is there.
const COMMANDS: &str = "reload_cmd = 'echo \"reload $CONFD_DEST\" >> log; test ! -e refuse'\n\
                        remove_cmd = 'echo \"remove $CONFD_DEST\" >> log; test ! -e refuse'\n\
                        on_reload_failure = 'rollback'";

#[test]
fn after_a_rollback_the_command_suits_the_file_that_is_there_or_is_not() {
    let sandbox = tenants(HOST, DEST, COMMANDS);
    let path = |name: &str| sandbox.path(&format!("out/{name}.conf")).display().to_string();
    let log = || sandbox.read("log").replace(&path("a"), "a").replace(&path("b"), "b");
    let says = |expected: &str| {
        assert_eq!(log(), expected);
        fs::remove_file(sandbox.path("log")).unwrap();
    };
    run_with(&sandbox, &[("a", "1")]).ok();
    says("reload a\n");
    sandbox.write("refuse", "");
    // The file of an item that is gone comes back: the service reads it again.
    run_with(&sandbox, &[]).fails();
    says("remove a\nreload a\n");
    // That failed too, and is tried again.
    fs::remove_file(sandbox.path("refuse")).unwrap();
    run_with(&sandbox, &[]).fails();
    says("reload a\n");
    assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
    // The file of a new item is removed again: the service forgets it.
    sandbox.write("refuse", "");
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).fails();
    says("reload b\nremove b\n");
    fs::remove_file(sandbox.path("refuse")).unwrap();
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).fails();
    says("remove b\n");
    assert!(!sandbox.path("out/b.conf").exists());
}

#[test]
fn a_line_about_missing_keys_names_their_items() {
    let empty = tenants(HOST, DEST, "on_missing = 'empty'");
    let data = "t:\n  a:\n    x: y\n  b:\n    host: 2\n  c:\n    x: y\n";
    empty.onetime_with(data).ok().expect(
        "WARNING these keys do not exist and read as empty: /host of the item /t/a, /host of the item \
         /t/c (resource app)",
    );
    let keep = tenants(HOST, DEST, "");
    run_with(&keep, &[("a", "1"), ("b", "1"), ("c", "1")]).ok();
    keep.write("conf.d/app.toml", keep.read("conf.d/app.toml") + "on_missing = 'keep'\n");
    keep.onetime_with(data).ok().expect(
        "WARNING files stay as they are, because these keys do not exist: /host of the item /t/a, \
         /host of the item /t/c (resource app)",
    );
    assert_eq!(keep.read("out/a.conf") + &keep.read("out/b.conf"), "a 1\nb 2\n");
    // A long list has its first hundred keys.
    let items: String = (0..120).map(|nth| format!("  i{nth:03}: {{x: y}}\n")).collect();
    let ended = empty.onetime_with(&format!("t:\n{items}")).ok();
    let end = "/host of the item /t/i099 and 20 more (resource app)";
    assert!(ended.log().iter().any(|line| line.ends_with(end)), "{}", ended.stderr);
}

#[test]
fn a_daemon_says_once_which_files_of_items_are_kept() {
    let sandbox = tenants(HOST, DEST, "on_missing = 'keep'");
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).ok();
    let data = |host: &str| format!("t:\n  a:\n    x: y\n  b:\n    host: {host}\n");
    sandbox.write("data.yaml", data("2"));
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    daemon.wait_for("/host of the item /t/a");
    for host in ["3", "4"] {
        sandbox.write("data.yaml", data(host));
        eventually("the other file is made", || {
            sandbox.read("out/b.conf") == format!("b {host}\n")
        });
    }
    assert_eq!(daemon.stderr().matches("/host of the item /t/a").count(), 1);
    daemon.stop(Signal::TERM);
}

#[test]
fn the_file_of_an_item_that_was_deleted_by_hand_stays_when_its_reload_fails() {
    let sandbox = tenants(HOST, DEST, COMMANDS);
    let both = [("a", "1"), ("b", "1")];
    run_with(&sandbox, &both).ok();
    fs::remove_file(sandbox.path("out/a.conf")).unwrap();
    sandbox.write("refuse", "");
    let ended = run_with(&sandbox, &both).fails();
    assert!(ended.stderr.contains("is in place but its reload is pending"), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
    fs::remove_file(sandbox.path("refuse")).unwrap();
    run_with(&sandbox, &both).ok();
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf", "b.conf"]);
}
