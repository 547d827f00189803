//! What counts as a change, and what the log says about it.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
};

use super::{dest, logged, outdated};
use crate::support::{Sandbox, needs_root};

/// MD5 of `old` and `new`.
const OLD: &str = "149603e6c03516362a8da23f624db945";
const NEW: &str = "22af645d1859cb5ca6da0c484f1f37ea";

fn set_mode(sandbox: &Sandbox, mode: u32) {
    fs::set_permissions(sandbox.path("out/app"), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn each_difference_is_a_line_in_the_order_owner_group_mode_content() {
    needs_root();
    let sandbox = outdated("mode = '0644'\ncheck_cmd = 'true'\nreload_cmd = 'true'");
    set_mode(&sandbox, 0o600);
    chown(sandbox.path("out/app"), Some(1000), Some(1001)).unwrap();
    let ended = sandbox.onetime().ok();
    let dest = dest(&sandbox);
    assert_eq!(
        logged(&ended),
        [
            format!("INFO {dest} has UID 1000 should be 0"),
            format!("INFO {dest} has GID 1001 should be 0"),
            format!("INFO {dest} has mode -rw------- should be -rw-r--r--"),
            format!("INFO {dest} has md5sum {OLD} should be {NEW}"),
            format!("INFO Target config {dest} out of sync"),
            format!("INFO Target config {dest} has been updated"),
        ]
    );
    assert_eq!(
        (sandbox.output(), sandbox.mode("out/app"), sandbox.owner("out/app")),
        ("new".into(), 0o644, (0, 0))
    );
}

#[test]
fn at_debug_each_step_is_a_line() {
    let sandbox = outdated("check_cmd = 'echo fine'\nreload_cmd = 'echo done'");
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    let dest = dest(&sandbox);
    let steps = [
        format!("DEBUG Comparing candidate config to {dest}"),
        format!("INFO {dest} has md5sum {OLD} should be {NEW}"),
        format!("INFO Target config {dest} out of sync"),
        "DEBUG Running echo fine".into(),
        "DEBUG \"fine\\n\"".into(),
        format!("DEBUG Overwriting target config {dest}"),
        "DEBUG Running echo done".into(),
        "DEBUG \"done\\n\"".into(),
        format!("INFO Target config {dest} has been updated"),
    ];
    let log = ended.log();
    let first =
        log.iter().position(|line| *line == steps[0]).unwrap_or_else(|| panic!("{}", ended.stderr));
    assert_eq!(log[first..first + steps.len()], steps, "{}", ended.stderr);
}

#[test]
fn a_new_file_has_no_differences() {
    let sandbox = Sandbox::rendering("new");
    let ended = sandbox.onetime().ok();
    let dest = dest(&sandbox);
    assert_eq!(
        logged(&ended),
        [
            format!("INFO Target config {dest} out of sync"),
            format!("INFO Target config {dest} has been updated"),
        ]
    );
    assert_eq!(sandbox.mode("out/app"), 0o644);
}

#[test]
fn a_file_in_sync_is_left_alone_and_no_command_runs() {
    let sandbox = outdated("check_cmd = 'echo check >> ran'\nreload_cmd = 'echo reload >> ran'");
    sandbox.onetime().ok();
    let identity = |name: &str| {
        let found = fs::metadata(sandbox.path(name)).unwrap();
        (found.ino(), found.mtime_nsec(), found.ctime_nsec())
    };
    let before = (identity("out/app"), identity("out"));
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    ended.expect(&format!("DEBUG Target config {} in sync", dest(&sandbox)));
    ended.expect_no("out of sync");
    // The folder was not changed either, so nothing was staged.
    assert_eq!((identity("out/app"), identity("out")), before);
    assert_eq!(sandbox.read("ran"), "check\nreload\n");
}

#[test]
fn the_mode_of_an_existing_file_is_kept_and_the_umask_does_not_matter() {
    let sandbox = outdated("");
    set_mode(&sandbox, 0o751);
    let confd = sandbox.onetime().through(&["sh", "-c", "umask 077; exec \"$@\"", "sh"]);
    let ended = confd.ok();
    assert_eq!((sandbox.output(), sandbox.mode("out/app")), ("new".into(), 0o751));
    ended.expect_no("has mode");
    fs::remove_file(sandbox.path("out/app")).unwrap();
    sandbox.onetime().through(&["sh", "-c", "umask 077; exec \"$@\"", "sh"]).ok();
    assert_eq!(sandbox.mode("out/app"), 0o644);
}

#[test]
fn the_owner_of_an_existing_file_is_not_kept() {
    needs_root();
    let sandbox = outdated("");
    chown(sandbox.path("out/app"), Some(1000), Some(0)).unwrap();
    sandbox.onetime().ok().expect(&format!("INFO {} has UID 1000 should be 0", dest(&sandbox)));
    assert_eq!(sandbox.owner("out/app"), (0, 0));
}

#[test]
fn a_mode_or_an_owner_alone_is_a_change() {
    needs_root();
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "same",
        "mode = '0600'\nuid = 1000\ngid = 1001\nreload_cmd = 'echo reload >> ran'",
    );
    sandbox.write("out/app", "same");
    let ended = sandbox.onetime().ok();
    let dest = dest(&sandbox);
    for line in [
        "has UID 0 should be 1000",
        "has GID 0 should be 1001",
        "has mode -rw-r--r-- should be -rw-------",
    ] {
        ended.expect(&format!("INFO {dest} {line}"));
    }
    ended.expect_no("md5sum");
    assert_eq!((sandbox.mode("out/app"), sandbox.owner("out/app")), (0o600, (1000, 1001)));
    sandbox.onetime().ok().expect_no("out of sync");
    assert_eq!(sandbox.read("ran"), "reload\n");
}

#[test]
fn an_inherited_setuid_bit_is_lost_once() {
    let sandbox = outdated("");
    sandbox.write("out/app", "new");
    set_mode(&sandbox, 0o4755);
    let ended = sandbox.onetime().ok();
    ended.expect(&format!("INFO {} has mode urwxr-xr-x should be -rwxr-xr-x", dest(&sandbox)));
    assert_eq!(sandbox.mode("out/app"), 0o755);
    sandbox.onetime().ok().expect_no("out of sync");
}

#[test]
fn a_destination_that_cannot_be_read_is_reported_and_replaced() {
    let sandbox = outdated("");
    set_mode(&sandbox, 0);
    let ended = sandbox.onetime().unprivileged().ok();
    ended.expect(&format!("ERROR open {}: permission denied", dest(&sandbox)));
    ended.expect(&format!("INFO Target config {} has been updated", dest(&sandbox)));
    set_mode(&sandbox, 0o600);
    assert_eq!(sandbox.output(), "new");
}

#[test]
fn values_never_reach_the_log() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/password\"}}", "");
    let ended =
        sandbox.onetime().arguments(&["-log-level", "debug"]).env("PASSWORD", "hunter2").ok();
    assert_eq!(sandbox.output(), "hunter2");
    ended.expect_no("hunter2");
    assert!(ended.stderr.contains("/password"), "the key's name is in the log");
}
