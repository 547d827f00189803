//! Folders in which other users and programs do what they like.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{chown, symlink};

use super::*;
use crate::place::{FileKind, Place};
use crate::{CheckCommand, sweep};

/// A site with a secret file elsewhere, and a destination with the content `old`.
fn beside_a_secret() -> (Site, TempDir, PathBuf) {
    let other = tempfile::tempdir().expect("a folder");
    let secret = other.path().join("secret");
    fs::write(&secret, "secret").expect("write");
    (Site::with("old"), other, secret)
}

/// Replaces a file by a link.
fn swap(path: &Path, target: &Path) {
    fs::remove_file(path).expect("a file");
    symlink(target, path).expect("a link");
}

#[test]
fn a_swapped_stage_file_is_not_checked_and_not_put_in_place() {
    for check in [true, false] {
        let (mut site, _other, secret) = beside_a_secret();
        set_mode(site.folder.path(), 0o777);
        site.target.check_cmd = check.then(|| CheckCommand::new("cat {{.src}}"));
        let staged = site.stage("new").expect("staged");
        swap(&stage_file(&staged).expect("a stage file"), &secret);
        let steps = site.observe();
        let error = site.finish(staged).expect_err("swapped");
        let text = "DIR/.app.conf# was replaced by another program: it is neither checked nor put in place";
        assert_eq!(site.plain(error), text);
        assert!(!steps.all().iter().any(|line| line.contains("secret")), "{:?}", steps.all());
        assert_eq!(site.content(), "old");
    }
}

#[test]
fn a_stage_file_that_is_swapped_in_a_folder_of_ours_is_noticed() {
    let (site, _other, secret) = beside_a_secret();
    let staged = site.stage("new").expect("staged");
    swap(&stage_file(&staged).expect("a stage file"), &secret);
    let error = site.finish(staged).expect_err("swapped");
    assert!(matches!(error, Error::Swapped { .. }), "{error}");
}

#[test]
fn a_stage_file_that_is_swapped_during_the_check_is_not_put_in_place() {
    let (mut site, _other, secret) = beside_a_secret();
    let swap = format!("ln -sf {} {{{{.src}}}}", secret.display());
    site.target.check_cmd = Some(CheckCommand::new(swap));
    site.deploy("new").expect_err("swapped");
    assert_eq!(site.content(), "old");
    assert!(!fs::symlink_metadata(&site.target.dest).expect("metadata").is_symlink());
}

#[test]
fn a_check_may_replace_the_stage_file() {
    let mut site = Site::with("old");
    site.target.check_cmd = Some(CheckCommand::new("sed -i s/new/newer/ {{.src}}"));
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(site.content(), "newer");
}

#[test]
fn a_name_of_any_length_is_deployed_reloaded_and_swept() {
    for length in [1, 239, 240, 244, 245, 255] {
        let mut site = Site::new();
        let name = "x".repeat(length);
        site.target = target_in(site.folder.path(), &name);
        site.target.reload_cmd = Some("exit 7".into());
        site.deploy("new").expect_err("the service is down");
        assert_eq!(site.content(), "new", "{length}");
        site.target.reload_cmd = Some("true".into());
        assert_eq!(site.deploy("new").expect("reloaded"), Outcome::Reloaded, "{length}");
        let staged = site.stage("newer").expect("staged");
        let leftover = fs::read(stage_file(&staged).expect("a stage file")).expect("a file");
        let path = stage_file(&staged).expect("a stage file");
        drop(staged);
        fs::write(path, leftover).expect("a leftover");
        assert_eq!(sweep([&*site.target.dest], &site.options, &|_: &Step<'_>| {}), 1, "{length}");
        assert_eq!(site.names(), [name]);
    }
}

#[test]
fn a_folder_with_the_name_of_a_marker_is_no_pending_reload() {
    let mut site = Site::with("new");
    fs::create_dir_all(site.path(".app.conf.reload-pending/x")).expect("a folder");
    site.target.reload_cmd = Some(site.note("reload").into());
    assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
    assert_eq!(site.notes(), "");
    let error = site.deploy("newer").expect_err("no marker can be made");
    assert_eq!(site.plain(error), "open DIR/.app.conf.reload-pending: is a directory");
    assert_eq!(site.content(), "new");
}

#[test]
fn names_that_are_taken_stop_no_deployment() {
    let site = Site::with("old");
    let place = Place::of(&site.target.dest).expect("a place");
    let named = |number| site.folder.path().join(place.file_name(FileKind::Passing, number));
    let first = named(0);
    fs::write(&first, "").expect("a file");
    for taken in 1..100_000 {
        fs::hard_link(&first, named(taken))
            // A file system has a limit of links to one file.
            .or_else(|_| fs::write(named(taken), ""))
            .expect("a file");
    }
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    let staged = site.stage("newer").expect("staged");
    let path = stage_file(&staged).expect("a stage file");
    drop(staged);
    for entry in fs::read_dir(site.folder.path()).expect("a folder") {
        let entry = entry.expect("an entry");
        if entry.file_name().as_bytes().starts_with(b".app.conf") {
            fs::remove_file(entry.path()).expect("removed");
        }
    }
    fs::write(path, "").expect("a leftover");
    assert_eq!(sweep([&*site.target.dest], &site.options, &|_: &Step<'_>| {}), 1);
}

#[test]
fn a_folder_that_another_user_can_write_is_reported_once() {
    let site = Site::with("old");
    set_mode(site.folder.path(), 0o777);
    chown(site.folder.path(), Some(1000), Some(1000)).expect("root");
    let steps = site.observe();
    site.deploy("new").expect("deployed");
    site.deploy("newer").expect("deployed");
    let lines = steps.lines();
    let warnings: Vec<_> = lines.iter().filter(|line| line.starts_with("WARNING")).collect();
    assert_eq!(warnings.len(), 1, "{lines:?}");
    assert!(site.plain(warnings[0]).starts_with("WARNING DIR can be written by"), "{warnings:?}");
}
