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

#[test]
fn an_item_whose_place_is_taken_keeps_its_error_and_delays_no_other() {
    // A folder in the place of a file.
    let sandbox = tenants(HOST, DEST, "reload_cmd = 'echo reload >> log'");
    fs::create_dir(sandbox.path("out/a.conf")).unwrap();
    let ended = run_with(&sandbox, &[("a", "1"), ("b", "1")]).fails();
    let why = "out/a.conf is a folder, and no file is put in its place: remove it, or rename it, for \
               the item /t/a (resource app)";
    assert!(ended.stderr.contains(why), "{}", ended.stderr);
    assert_eq!(
        (sandbox.read("out/b.conf"), sandbox.read("log")),
        ("b 1\n".into(), "reload\n".into())
    );
    fs::remove_dir(sandbox.path("out/a.conf")).unwrap();
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).ok();
    assert_eq!(sandbox.read("out/a.conf"), "a 1\n");
    // A link on the way to a file, and a folder that is missing.
    let sandbox = tenants(HOST, "out/{{.name}}/file", "");
    fs::create_dir_all(sandbox.path("elsewhere")).unwrap();
    fs::create_dir(sandbox.path("out/b")).unwrap();
    std::os::unix::fs::symlink(sandbox.path("elsewhere"), sandbox.path("out/a")).unwrap();
    let ended = run_with(&sandbox, &[("a", "1"), ("b", "1"), ("c", "1")]).fails();
    assert!(ended.stderr.contains("out/a is a symbolic link"), "{}", ended.stderr);
    assert!(ended.stderr.contains("for the item /t/a; so it is for /t/c"), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/b/file"), "b 1\n");
    assert!(sandbox.list("elsewhere").is_empty());
    run_with(&sandbox, &[("b", "2")]).ok();
}

#[test]
fn an_item_that_fails_its_check_keeps_its_file_and_the_others_are_made() {
    let more = "check_cmd = '! grep -q bad {{.src}}'\nreload_cmd = 'echo reload >> log'";
    let sandbox = tenants(HOST, DEST, more);
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).ok();
    for host in ["2", "3"] {
        let ended = run_with(&sandbox, &[("a", "bad"), ("b", host), ("c", "bad")]).fails();
        let why = "Config check failed: exit status 1, for the item /t/a; so it is for /t/c";
        assert!(ended.stderr.contains(why), "{}", ended.stderr);
        let (a, b) = (sandbox.read("out/a.conf"), sandbox.read("out/b.conf"));
        assert_eq!((a.as_str(), b), ("a 1\n", format!("b {host}\n")));
    }
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf", "b.conf"]);
    let ended = run_with(&sandbox, &[("a", "bad")]).arguments(&["-exit-codes"]).run();
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert_eq!(sandbox.list("out"), [".app.confd-files", "a.conf"]);
    run_with(&sandbox, &[("a", "4"), ("c", "4")]).ok();
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/c.conf"), "a 4\nc 4\n");
    assert_eq!(sandbox.read("log"), "reload\n".repeat(5));
}

#[test]
fn in_watch_mode_an_item_that_fails_its_check_is_tried_again_beside_the_others() {
    let more = "check_cmd = '! grep -q bad {{.src}}; test ! -e closed'\nretry_delay = '10ms'\n\
                retry_max_delay = '10ms'";
    let sandbox = tenants(HOST, DEST, &more.replace("; test", " && test"));
    let data = |a: &str, b: &str| format!("t:\n  a:\n    host: {a}\n  b:\n    host: {b}\n");
    sandbox.write("data.yaml", data("bad", "1"));
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    eventually("the good file is made", || sandbox.read("out/b.conf") == "b 1\n");
    daemon.wait_for("for the item /t/a");
    sandbox.write("data.yaml", data("bad", "2"));
    eventually("the good file is changed", || sandbox.read("out/b.conf") == "b 2\n");
    assert!(!sandbox.path("out/a.conf").exists());
    // A check that fails for a reason outside of the keys is tried again.
    sandbox.write("closed", "");
    sandbox.write("data.yaml", data("3", "2"));
    let checks = || daemon.stderr().matches("Config check failed").count();
    let before = checks();
    eventually("the check fails again", || checks() > before + 1);
    fs::remove_file(sandbox.path("closed")).unwrap();
    eventually("the file is made", || sandbox.read("out/a.conf") == "a 3\n");
    sandbox.write("data.yaml", data("bad", "2"));
    eventually("the check fails again", || checks() > before + 3);
    sandbox.write("data.yaml", "t:\n  b:\n    host: 2\n");
    eventually("the file of the item that is gone is removed", || {
        !sandbox.path("out/a.conf").exists()
    });
    daemon.stop(Signal::TERM);
}

#[test]
fn the_items_of_a_group_are_all_or_nothing() {
    let more = "group = 'g'\ncheck_cmd = '! grep -q bad {{.src}}'";
    let sandbox = tenants(HOST, DEST, more);
    sandbox.resource("other", "{{getv \"/x\"}}", "group = 'g'");
    run_with(&sandbox, &[("a", "1"), ("b", "1")]).ok();
    run_with(&sandbox, &[("a", "bad"), ("b", "2")]).fails();
    assert_eq!(sandbox.read("out/a.conf") + &sandbox.read("out/b.conf"), "a 1\nb 1\n");
}

#[test]
fn a_file_of_two_resources_is_that_of_the_first_by_name() {
    let sandbox = tenants("app\n", DEST, "after = ['other']");
    let other = sandbox.read("conf.d/app.toml").replace("/t/*", "/u/*").replace("'app'", "'other'");
    sandbox.write("conf.d/other.toml", other.replace("after = ['other']", ""));
    sandbox.write("templates/other", "other\n");
    sandbox.write("data.yaml", "t: {x: {k: v}}\nu: {x: {k: v}, w: {k: v}}\n");
    let run = sandbox.confd(&["-interval", "1", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("stderr"));
    let refused = || daemon.stderr().matches("the resource app has the same dest").count();
    eventually("the item of the second resource is refused twice", || refused() >= 2);
    assert_eq!(sandbox.read("out/x.conf") + &sandbox.read("out/w.conf"), "app\nother\n");
    assert!(daemon.stderr().contains("for the item /u/x (resource other)"), "{}", daemon.stderr());
    // When the first resource has no such item any more, the second one gets the file.
    sandbox.write("data.yaml", "t: {z: {k: v}}\nu: {x: {k: v}, w: {k: v}}\n");
    eventually("the second resource has the file", || sandbox.read("out/x.conf") == "other\n");
    daemon.stop(Signal::TERM);
    // A resource whose dest is no pattern comes before all items.
    sandbox.resource("single", "single\n", "");
    let toml = sandbox.read("conf.d/single.toml").replace("out/single", "out/x.conf");
    sandbox.write("conf.d/single.toml", toml);
    let ended = sandbox.onetime_with("u: {x: {k: v}}\n").fails();
    assert!(ended.stderr.contains("the resource single has the same dest"), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/x.conf"), "single\n");
}
