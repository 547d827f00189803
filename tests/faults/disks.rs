//! Full disks, read-only folders and missing folders.

use std::{fs, os::unix::fs::PermissionsExt};

use rustix::process::Signal;

use super::says;
use crate::support::{Daemon, Sandbox, eventually, needs_root};

/// A tree whose destination exists and whose reload leaves a trace.
fn outdated(template: &[u8]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", template, "reload_cmd = 'echo reload >> ran'");
    sandbox.write("out/app", "old");
    sandbox
}

/// Expects that the destination in `folder` is unchanged.
#[track_caller]
fn is_untouched(sandbox: &Sandbox, folder: &str) {
    assert_eq!(
        (sandbox.read(&format!("{folder}/app")), sandbox.list(folder)),
        ("old".into(), vec!["app".into()])
    );
    assert_eq!(sandbox.read("ran"), "");
}

/// A script that mounts a small file system at `out`, runs `then`, and at the end copies the
/// content of `out` to `after`.
fn on_a_small_disk(then: &str) -> String {
    format!(
        "mkdir after; mount -t tmpfs -o size=256k tmpfs out; echo -n old > out/app; code=0
         {then}
         cp -a out/. after/; exit $code"
    )
}

#[test]
fn a_full_disk_keeps_the_old_file() {
    let sandbox = outdated(&[b'x'; 1_000_000]);
    let ended = sandbox.onetime().unshared("-m", &on_a_small_disk("\"$@\" || code=$?")).fails();
    says(&ended, &["ERROR write ", "/out/.app", ": no space left on device"]);
    is_untouched(&sandbox, "after");
}

#[test]
fn a_full_disk_under_a_mounted_file_puts_the_old_content_back() {
    let sandbox = outdated(&[b'x'; 1_000_000]);
    // The disk has room for the stage file, but not for the mounted one.
    let script = on_a_small_disk(
        "mkdir roomy; mount -t tmpfs tmpfs roomy; touch roomy/app; mount --bind out/app roomy/app
         \"$@\" || code=$?; ls -A roomy > left",
    );
    sandbox.write(
        "conf.d/app.toml",
        "[template]\nsrc = 'app.tmpl'\ndest = 'roomy/app'\nkeys = ['/']\nreload_cmd = 'echo reload >> ran'\n",
    );
    let ended = sandbox.onetime().unshared("-m", &script).fails();
    says(&ended, &["ERROR write roomy/app: no space left on device; the old content was put back"]);
    is_untouched(&sandbox, "after");
    assert_eq!(sandbox.read("left"), "app\n");
}

#[test]
fn a_folder_without_write_permission_is_named() {
    let sandbox = outdated(b"new");
    let set_mode =
        |mode| fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(mode)).unwrap();
    set_mode(0o555);
    let ended = sandbox.onetime().unprivileged().fails();
    set_mode(0o755);
    says(
        &ended,
        &[&format!("ERROR open {}/.app", sandbox.path("out").display()), ": permission denied"],
    );
    is_untouched(&sandbox, "out");
}

#[test]
fn a_read_only_file_system_is_named() {
    let sandbox = outdated(b"new");
    let script = "mount --bind out out; mount -o remount,bind,ro out; \"$@\"";
    let ended = sandbox.onetime().unshared("-m", script).fails();
    says(
        &ended,
        &[&format!("ERROR open {}/.app", sandbox.path("out").display()), ": read-only file system"],
    );
    is_untouched(&sandbox, "out");
}

#[test]
fn a_file_in_sync_needs_no_writable_folder() {
    let sandbox = outdated(b"old");
    let script = "mount --bind out out; mount -o remount,bind,ro out; \"$@\"";
    sandbox.onetime().unshared("-m", script).ok();
    is_untouched(&sandbox, "out");
}

#[test]
fn a_file_as_folder_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("out/app", "old");
    sandbox.write("templates/t", "new");
    sandbox.write("conf.d/t.toml", "[template]\nsrc = 't'\ndest = 'out/app/below'\n");
    let ended = sandbox.onetime().fails();
    says(&ended, &["ERROR open out/app/.below", ": not a directory"]);
    is_untouched(&sandbox, "out");
}

#[test]
fn one_folder_that_fails_does_not_keep_the_others_from_being_written() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/t", "new");
    for (name, folder) in [("a", "out"), ("b", "missing"), ("c", "out")] {
        sandbox.write(
            &format!("conf.d/{name}.toml"),
            format!("[template]\nsrc = 't'\ndest = '{folder}/{name}'\n"),
        );
    }
    let ended = sandbox.onetime().fails();
    says(&ended, &["ERROR open missing/.b", ": no such file or directory"]);
    assert_eq!(sandbox.list("out"), ["a", "c"]);
}

#[test]
fn a_name_too_long_for_a_file_is_an_error_that_names_it() {
    let sandbox = Sandbox::new();
    let name = "n".repeat(256);
    sandbox.write("templates/t", "new");
    sandbox.write("conf.d/t.toml", format!("[template]\nsrc = 't'\ndest = 'out/{name}'\n"));
    let ended = sandbox.onetime().fails();
    says(&ended, &[&format!("ERROR open out/.{name}"), ": file name too long"]);
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_folder_that_cannot_be_read_gets_its_file_with_one_warning() {
    needs_root();
    let sandbox = Sandbox::new();
    for name in ["app", "web"] {
        sandbox.resource(name, "{{getv \"/v\"}}", "");
    }
    let set_mode =
        |mode| fs::set_permissions(sandbox.path("out"), fs::Permissions::from_mode(mode)).unwrap();
    let warning = format!(
        "WARNING open {}: permission denied; the files in it are in place, but",
        sandbox.path("out").display()
    );
    let warnings = |log: &str| log.lines().filter(|line| line.contains(&warning)).count();
    set_mode(0o333);
    let ended = sandbox.onetime_with("v: 0").unprivileged().ok();
    assert_eq!((warnings(&ended.stderr), sandbox.output().as_str()), (1, "0"));
    for mode in ["-watch", "-interval=1"] {
        let confd = sandbox.confd(&[mode, "-backend", "file", "-file", "data.yaml"]);
        let daemon = Daemon::start(confd.unprivileged(), sandbox.path("log"));
        for value in ["1", "2", "3"] {
            fs::rename(sandbox.write("data.new", format!("v: {value}")), sandbox.path("data.yaml"))
                .unwrap();
            eventually("the file is new", || sandbox.output() == value);
        }
        let ended = daemon.stop(Signal::TERM);
        ended.expect_no("ERROR");
        assert_eq!(warnings(&ended.stderr), 1, "{}", ended.stderr);
    }
    set_mode(0o755);
}
