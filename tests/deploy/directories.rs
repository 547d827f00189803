//! Missing folders of a destination.

use std::fs;

use rustix::process::Signal;

use super::dest;
use crate::support::{Daemon, Sandbox, eventually};

/// A sandbox without the folder `out`. `lines` are added to the resource.
fn without_folder(lines: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", lines);
    fs::remove_dir(sandbox.path("out")).unwrap();
    sandbox
}

#[test]
fn missing_folders_are_created_with_their_mode_if_the_resource_asks_for_it() {
    for (lines, mode) in [
        ("make_directories = true", 0o755),
        ("make_directories = true\ndir_mode = '0700'", 0o700),
        ("make_directories = true\ndir_mode = '0775'", 0o775),
    ] {
        let sandbox = without_folder(lines);
        sandbox.onetime().through(&["sh", "-c", "umask 077; exec \"$@\"", "sh"]).ok();
        assert_eq!((sandbox.output().as_str(), sandbox.mode("out")), ("x", mode));
    }
    for lines in ["", "make_directories = false"] {
        let sandbox = without_folder(lines);
        sandbox.onetime().fails();
        assert!(!sandbox.path("out").exists(), "{lines}");
    }
}

#[test]
fn noop_creates_no_folder_and_says_that_the_file_would_be_created() {
    let sandbox = without_folder("make_directories = true");
    let before = sandbox.list("");
    let ended = sandbox.onetime().arguments(&["-noop"]).ok();
    ended.expect(&format!("INFO {} does not exist and would be created", dest(&sandbox)));
    let left: Vec<_> = sandbox.list("").into_iter().filter(|name| name != "confd.toml").collect();
    assert_eq!(left, before);
}

#[test]
fn a_check_sees_the_stage_file_in_the_new_folder() {
    let sandbox = without_folder("make_directories = true\ncheck_cmd = 'grep -q x {{.src}}'");
    sandbox.onetime().ok();
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn watch_mode_creates_a_folder_again_that_another_program_has_removed() {
    let sandbox = without_folder("make_directories = true");
    let run = sandbox.confd(&["-backend", "env", "-watch"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for("app has been updated");
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    eventually("the file is back", || sandbox.output() == "x");
    daemon.stop(Signal::TERM);
}
