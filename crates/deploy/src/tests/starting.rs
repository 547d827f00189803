//! The start command of a file that did not exist before.

use std::process::{Command, Stdio};

use super::*;
use crate::testing::{DIE_AT, variable};
use crate::{OnReloadFailure, Program};

/// The text of the marker of a pending reload.
const MARKER: &str = ".app.conf.reload-pending";

/// A target whose commands note that they ran. The start command fails while there is a file `broken`.
fn starting(mut target: Target) -> Target {
    let folder = target.dest.parent().expect("a folder").display().to_string();
    let start = format!("echo start >> {folder}/ran; test ! -e {folder}/broken");
    target.start_cmd = Some(Program::Shell(start.into()));
    target.reload_cmd = Some(Program::Shell(format!("echo reload >> {folder}/ran").into()));
    target
}

fn site() -> Site {
    let site = Site::new();
    Site { target: starting(site.target.clone()), ..site }
}

#[test]
fn the_start_command_runs_in_place_of_the_reload_when_the_file_is_created() {
    let site = site();
    site.deploy("one").expect("created");
    assert_eq!(site.notes(), "start\n");
    assert_eq!(site.deploy("one").expect("in sync"), Outcome::Unchanged);
    site.deploy("two").expect("replaced");
    assert_eq!(site.notes(), "start\nreload\n");
    fs::remove_file(&site.target.dest).expect("removed");
    site.deploy("two").expect("created again");
    assert_eq!(site.notes(), "start\nreload\nstart\n");
    assert_eq!(site.names(), ["app.conf", "ran"]);
}

#[test]
fn without_a_reload_command_it_runs_only_when_the_file_is_created() {
    let mut site = site();
    site.target.reload_cmd = None;
    site.deploy("one").expect("created");
    site.deploy("two").expect("replaced");
    assert_eq!((site.notes().as_str(), site.names().len()), ("start\n", 2));
}

#[test]
fn a_start_that_failed_is_tried_again_as_a_start_until_it_succeeds() {
    let site = site();
    fs::write(site.path("broken"), "").expect("write");
    assert!(matches!(site.deploy("one"), Err(Error::Reload { .. })));
    assert!(matches!(site.deploy("one"), Err(Error::PendingReload { .. })));
    // Other content makes no reload of a service that was never started.
    assert!(matches!(site.deploy("two"), Err(Error::Reload { .. })));
    fs::remove_file(site.path("broken")).expect("removed");
    assert_eq!(site.deploy("two").expect("started"), Outcome::Reloaded);
    assert_eq!(site.notes(), "start\nstart\nstart\nstart\n");
    site.deploy("three").expect("replaced");
    assert!(site.notes().ends_with("start\nreload\n"));
    assert_eq!(site.names(), ["app.conf", "ran"]);
}

#[test]
fn a_pending_reload_becomes_a_start_when_the_file_is_created_again() {
    let mut site = site();
    let reload = site.target.reload_cmd.replace(Program::Shell("false".into()));
    site.write("old");
    site.deploy("one").expect_err("the reload fails");
    site.target.reload_cmd = reload;
    fs::remove_file(&site.target.dest).expect("removed");
    fs::write(site.path("broken"), "").expect("write");
    site.deploy("one").expect_err("the start fails");
    fs::remove_file(site.path("broken")).expect("removed");
    assert_eq!(site.deploy("one").expect("started"), Outcome::Reloaded);
    assert_eq!(site.notes(), "start\nstart\n");
}

#[test]
fn a_pending_start_is_forgotten_when_the_target_has_no_command_any_more() {
    let mut site = site();
    site.target.reload_cmd = None;
    fs::write(site.path("broken"), "").expect("write");
    site.deploy("one").expect_err("the start fails");
    assert!(site.names().contains(&MARKER.to_owned()));
    site.target.start_cmd = None;
    site.deploy("one").expect("in sync");
    assert!(!site.names().contains(&MARKER.to_owned()));
}

#[test]
fn a_pending_start_of_a_target_that_has_only_a_reload_command_now_is_a_reload() {
    let mut site = site();
    fs::write(site.path("broken"), "").expect("write");
    site.deploy("one").expect_err("the start fails");
    site.target.start_cmd = None;
    assert_eq!(site.deploy("one").expect("reloaded"), Outcome::Reloaded);
    assert_eq!(site.notes(), "start\nreload\n");
}

#[test]
fn a_start_that_is_rolled_back_removes_the_file_and_runs_no_command_again() {
    // Only a file that depends on data may be absent again.
    let mut site = site();
    (site.target.on_reload_failure, site.target.may_be_held) = (OnReloadFailure::RollBack, true);
    site.target.below = Some(site.folder.path().to_owned());
    fs::write(site.path("broken"), "").expect("write");
    assert!(matches!(site.deploy("one"), Err(Error::RolledBack { again: None, .. })));
    assert!(matches!(site.deploy("one"), Err(Error::Held { .. })));
    assert_eq!((site.notes().as_str(), site.target.dest.exists()), ("start\n", false));
    assert!(!site.names().contains(&MARKER.to_owned()));
    fs::remove_file(site.path("broken")).expect("removed");
    site.deploy("two").expect("created");
    assert_eq!(site.notes(), "start\nstart\n");
}

#[test]
fn the_options_that_forbid_commands_forbid_the_start() {
    let mut site = site();
    site.options.noop = true;
    assert_eq!(site.deploy("one").expect("would be created"), Outcome::WouldUpdate);
    (site.options.noop, site.options.sync_only) = (false, true);
    site.deploy("one").expect("created");
    assert_eq!((site.notes().as_str(), site.names().len()), ("", 1));
}

/// The variable with the folder of another process.
const FOLDER: &str = "DEPLOY_TEST_START";

/// The other process's part of the test below: one transaction that creates the file.
#[test]
fn create_and_die() {
    let Some(folder) = variable(FOLDER) else { return };
    let site = Site { target: starting(target_in(Path::new(&folder), "app.conf")), ..Site::new() };
    site.deploy("one").expect("created");
}

#[test]
fn a_start_is_not_forgotten_if_the_process_is_killed_at_any_step() {
    for has_old_marker in [false, true] {
        for nth in 0.. {
            let site = site();
            if has_old_marker {
                fs::write(site.path(MARKER), "a reload is pending\n").expect("write");
            }
            let program = std::env::current_exe().expect("the test program");
            let status = Command::new(program)
                .args(["tests::starting::create_and_die", "--exact"])
                .env(FOLDER, site.folder.path())
                .env(DIE_AT, nth.to_string())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let is_whole = status.expect("started").success();
            let before = site.notes();
            site.deploy("one").expect("created");
            let expected = if is_whole { before } else { before + "start\n" };
            assert_eq!(site.notes(), expected, "killed at {nth}");
            assert!(site.notes().starts_with("start\n"), "killed at {nth}");
            assert!(!site.names().contains(&MARKER.to_owned()), "killed at {nth}");
            if is_whole {
                assert!(nth > 2, "killed at no step");
                break;
            }
        }
    }
}

#[test]
fn a_set_with_files_that_are_created_and_replaced_starts_and_reloads() {
    let folder = tempfile::tempdir().expect("a folder");
    let targets = ["a", "b"].map(|name| Arc::new(starting(target_in(folder.path(), name))));
    fs::write(&targets[1].dest, "old").expect("write");
    let members = targets.map(|target| Member::file(target, Bytes::from("new")));
    let staged = Transaction::stage(members.into(), &Options::default()).expect("staged");
    let observer = Steps::default().observer();
    run(staged.finish(&observer, &mut Durable::new(), Disk::Here, &AtOnce)).expect("deployed");
    let ran = fs::read_to_string(folder.path().join("ran")).expect("notes");
    assert_eq!(ran, "start\nreload\n");
    assert_eq!(names_in(folder.path()), ["a", "b", "ran"]);
}
