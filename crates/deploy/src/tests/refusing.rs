//! File systems that refuse renames, modes or deletions. bindfs shows a folder with such limits. Each
//! test runs in a mount namespace of its own, which needs root.

use super::worlds::sh;
use super::*;
use crate::testing::{World, in_world};

/// A site whose destination `out/app.conf` is on a file system with these limits of bindfs. The files
/// are in `real`. Every test unmounts `out` by [`unmount`] in the end.
fn limited(limits: &str) -> Site {
    let mut site = Site::new();
    let dir = site.folder.path().display().to_string();
    sh(&format!(
        "cd {dir}; mkdir real out; bindfs {limits} real out || {{
         echo 'bindfs is needed: tests/install-servers installs it'; exit 1; }}"
    ));
    site.target.dest = site.path("out/app.conf");
    site
}

fn unmount(site: &Site) {
    sh(&format!("umount {}", site.path("out").display()));
}

fn names(site: &Site) -> Vec<String> {
    names_in(&site.path("real"))
}

const NO_RENAME_NO_MODE: &str = "--rename-deny --chmod-deny";

#[test]
fn a_new_file_has_its_mode_where_renames_and_modes_are_refused() {
    let test = "tests::refusing::a_new_file_has_its_mode_where_renames_and_modes_are_refused";
    in_world(World::Mounts, test, || {
        for (mode, expected) in [(Some(0o640), 0o640), (None, 0o644)] {
            let mut site = limited(NO_RENAME_NO_MODE);
            site.target.mode = mode;
            let outcome = site.deploy("new").map_err(|error| site.plain(error));
            let found = fs::metadata(site.path("real/app.conf")).map(|found| found.mode() & 0o7777);
            unmount(&site);
            assert_eq!(outcome, Ok(Outcome::Updated));
            assert_eq!(found.expect("a destination"), expected);
            assert_eq!(fs::read_to_string(site.path("real/app.conf")).expect("read"), "new");
            assert_eq!(names(&site), ["app.conf"]);
        }
    });
}

#[test]
fn no_stage_file_is_left_where_open_files_cannot_be_removed() {
    let test = "tests::refusing::no_stage_file_is_left_where_open_files_cannot_be_removed";
    in_world(World::Mounts, test, || {
        let mut site = limited(NO_RENAME_NO_MODE);
        fs::write(site.path("real/app.conf"), "old").expect("write");
        set_mode(&site.path("real/app.conf"), 0o644);
        site.deploy("new").expect("deployed");
        assert_eq!(names(&site), ["app.conf"]);
        site.target.mode = Some(0o600);
        for _ in 0..3 {
            let error = site.deploy("newer").expect_err("the mode is refused");
            assert_eq!(site.plain(&error), "chmod DIR/out/app.conf: operation not permitted");
        }
        unmount(&site);
        assert_eq!(names(&site), ["app.conf"]);
        assert_eq!(fs::read_to_string(site.path("real/app.conf")).expect("read"), "new");
    });
}

#[test]
fn a_sweep_removes_leftovers_where_open_files_cannot_be_removed() {
    let test = "tests::refusing::a_sweep_removes_leftovers_where_open_files_cannot_be_removed";
    in_world(World::Mounts, test, || {
        let site = limited("--rename-deny");
        let place = crate::place::Place::of(&site.target.dest).expect("a name");
        let leftover = place.file_name(crate::place::FileKind::Passing, 1);
        fs::write(site.path("real").join(leftover), "").expect("write");
        let swept =
            crate::sweep([site.target.dest.as_path()], &site.options, &*site.steps.observer());
        unmount(&site);
        assert_eq!((swept, names(&site)), (1, vec![]));
    });
}

const MARKER: &str = "real/.app.conf.reload-pending";

#[test]
fn a_reload_runs_once_where_its_marker_cannot_be_removed() {
    let test = "tests::refusing::a_reload_runs_once_where_its_marker_cannot_be_removed";
    in_world(World::Mounts, test, || {
        let mut site = limited("--delete-deny");
        let dir = site.folder.path().display().to_string();
        let reload = format!("cat {dir}/{MARKER} > {dir}/marker; {}", site.note("reload"));
        site.target.reload_cmd = Some(reload.clone().into());
        for (content, count) in [("new", 1), ("newer", 2)] {
            let steps = site.observe();
            assert_eq!(site.deploy(content).expect("deployed"), Outcome::Updated);
            // The first time the log says why the marker stays.
            let warnings = steps.lines().iter().filter(|line| line.starts_with("WARN")).count();
            assert_eq!(warnings, if count == 1 { 1 } else { 0 }, "{:?}", steps.lines());
            // The reload is pending while it runs.
            let text = fs::read_to_string(site.path("marker")).expect("a copy");
            assert!(text.contains("has not succeeded"), "{text}");
            let steps = site.observe();
            assert_eq!(site.deploy(content).expect("in sync"), Outcome::Unchanged);
            assert_eq!(steps.lines(), [""; 0]);
            assert_eq!(site.notes(), "reload\n".repeat(count));
        }
        site.target.reload_cmd = Some("exit 1".into());
        site.deploy("newest").expect_err("the reload fails");
        site.deploy("newest").expect_err("the reload is pending");
        site.target.reload_cmd = Some(reload.into());
        assert_eq!(site.deploy("newest").expect("reloaded"), Outcome::Reloaded);
        assert_eq!(site.deploy("newest").expect("in sync"), Outcome::Unchanged);
        unmount(&site);
    });
}

#[test]
fn a_failed_commit_sets_no_reload_pending_where_the_marker_cannot_be_removed() {
    let test = "tests::refusing::\
                a_failed_commit_sets_no_reload_pending_where_the_marker_cannot_be_removed";
    in_world(World::Mounts, test, || {
        let mut site = limited("--delete-deny");
        site.target.reload_cmd = Some(site.note("reload").into());
        site.deploy("new").expect("deployed");
        let done = fs::read_to_string(site.path(MARKER)).expect("a marker");
        assert!(done.contains("No reload is pending"), "{done}");
        fs::remove_file(site.path("real/app.conf")).expect("removed");
        fs::create_dir(site.path("real/app.conf")).expect("a folder");
        site.deploy("newer").expect_err("a folder");
        let text = fs::read_to_string(site.path(MARKER)).expect("a marker");
        unmount(&site);
        assert_eq!((text, site.notes()), (done, "reload\n".to_owned()));
    });
}
