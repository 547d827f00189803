//! File systems that refuse or ignore modes, owners and renames, as network and cloud file systems
//! do. bindfs shows a folder with such limits.

use std::path::Path;

use super::says;
use crate::support::{Ended, Sandbox, search_path};

/// Runs a onetime pass `passes` times with `out` on a file system with these limits of bindfs. The
/// files are in `real` afterwards. Returns the last pass.
#[track_caller]
fn run(sandbox: &Sandbox, limits: &str, passes: usize) -> Ended {
    let path = search_path() + ":/usr/sbin:/sbin";
    let found = path.split(':').any(|folder| Path::new(folder).join("bindfs").exists());
    assert!(found, "bindfs is not installed: run tests/install-servers (as root) first");
    let script = format!(
        "mkdir -p real; bindfs {limits} real out
         for nth in $(seq {}); do \"$@\"; done; exec \"$@\"",
        passes - 1
    );
    sandbox.onetime().unshared("-m", &script).run()
}

/// A tree whose destination exists with mode 0664, and whose reload leaves a line.
fn outdated(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", &format!("reload_cmd = 'echo reload >> ran'\n{more}"));
    sandbox.write("real/app", "old");
    set_mode(&sandbox, 0o664);
    sandbox
}

fn set_mode(sandbox: &Sandbox, mode: u32) {
    let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(sandbox.path("real/app"), permissions).unwrap();
}

/// Expects that the file was written and its service reloaded, once in all passes.
#[track_caller]
fn is_written_once(sandbox: &Sandbox, ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let written = (sandbox.read("real/app"), sandbox.read("ran"), sandbox.list("real"));
    assert_eq!(written, ("new".into(), "reload\n".into(), vec!["app".into()]), "{}", ended.stderr);
}

/// The warnings about attributes in the log.
fn warnings(ended: &Ended) -> Vec<String> {
    ended.log().into_iter().filter(|line| line.starts_with("WARNING the file system")).collect()
}

const REFUSING: &str = "--chmod-deny --chown-deny --chgrp-deny";
/// As CIFS shows its files.
const SHOWING: &str = "--perms=0755 --force-user=1000 --force-group=1001";

#[test]
fn a_file_system_that_refuses_modes_and_owners_gets_its_files() {
    for create in ["", "--create-with-perms=0640"] {
        for exists in [true, false] {
            let sandbox = outdated("");
            if !exists {
                std::fs::remove_file(sandbox.path("real/app")).unwrap();
            }
            is_written_once(&sandbox, &run(&sandbox, &format!("{REFUSING} {create}"), 3));
            // The file is created with its mode, because the mode cannot be set later.
            if create.is_empty() {
                assert_eq!(sandbox.mode("real/app"), 0o644);
            }
        }
    }
}

#[test]
fn a_file_system_that_shows_another_mode_and_owner_gets_its_files_once() {
    for policy in [REFUSING, "--chmod-ignore --chown-ignore --chgrp-ignore", ""] {
        let sandbox = outdated("");
        is_written_once(&sandbox, &run(&sandbox, &format!("{SHOWING} {policy}"), 3));
    }
}

#[test]
fn one_warning_shows_what_a_file_system_did_not_set() {
    let sandbox = outdated("");
    sandbox.resource("web", "new", "");
    let ended = run(&sandbox, &format!("{SHOWING} {REFUSING}"), 1);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(
        (sandbox.list("real"), sandbox.read("ran")),
        (vec!["app".into(), "web".into()], "reload\n".into())
    );
    let out = sandbox.path("out");
    let expected = format!(
        "WARNING the file system of {} keeps its own attributes: {} has owner 1000:1001 instead of \
         0:0",
        out.display(),
        sandbox.path("out/app").display(),
    );
    assert_eq!(warnings(&ended), [expected], "{}", ended.stderr);
    // Nothing is written, so nothing is said.
    assert_eq!(warnings(&run(&sandbox, &format!("{SHOWING} {REFUSING}"), 1)), [""; 0]);
}

#[test]
fn a_mode_or_an_owner_that_is_asked_for_and_refused_is_an_error() {
    for (more, error) in [
        ("mode = '0600'", ": operation not permitted"),
        ("uid = 1002", "app should belong to 1002:0 and stays as it was)"),
        ("gid = 1002", "app should belong to 0:1002 and stays as it was)"),
    ] {
        let sandbox = outdated(more);
        let ended = run(&sandbox, &format!("{SHOWING} {REFUSING}"), 1);
        assert_eq!(ended.code, Some(1), "{more}: {}", ended.stderr);
        says(&ended, &["ch", "/out/.app", error]);
        assert_eq!((sandbox.read("real/app"), sandbox.read("ran")), ("old".into(), "".into()));
        assert_eq!(sandbox.list("real"), ["app"]);
    }
}

#[test]
fn a_mode_and_an_owner_that_the_file_system_has_anyway_can_be_asked_for() {
    let sandbox = outdated("mode = '0755'\nuid = 1000\ngid = 1001");
    let ended = run(&sandbox, &format!("{SHOWING} {REFUSING}"), 3);
    is_written_once(&sandbox, &ended);
    assert_eq!(warnings(&ended), [""; 0]);
    let sandbox = outdated("mode = '0640'");
    is_written_once(&sandbox, &run(&sandbox, REFUSING, 3));
    assert_eq!(sandbox.mode("real/app"), 0o640);
}

#[test]
fn a_mode_that_is_asked_for_and_ignored_is_a_warning() {
    let sandbox = outdated("mode = '0600'");
    let ended = run(&sandbox, &format!("{SHOWING} --chmod-ignore"), 1);
    is_written_once(&sandbox, &ended);
    assert!(
        warnings(&ended).iter().any(|line| line.contains("mode -rwxr-xr-x instead of -rw-------")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_file_system_that_refuses_renames_is_written_in_place() {
    for limits in ["--rename-deny", "--rename-deny --chmod-deny"] {
        for exists in [true, false] {
            let sandbox = outdated("");
            if !exists {
                std::fs::remove_file(sandbox.path("real/app")).unwrap();
            }
            is_written_once(&sandbox, &run(&sandbox, limits, 3));
            assert_eq!(sandbox.mode("real/app"), if exists { 0o664 } else { 0o644 });
        }
    }
}
