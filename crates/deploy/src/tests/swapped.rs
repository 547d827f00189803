//! The folder of a destination that is swapped for a link while a transaction works in it.

use std::os::unix::fs::symlink;

use super::*;
use crate::CheckCommand;

/// A site whose destination is in the folder `conf`, beside a folder `elsewhere` with a file of the
/// same name.
fn site() -> Site {
    let mut site = Site::new();
    for name in ["conf", "elsewhere"] {
        fs::create_dir(site.path(name)).expect("a folder");
    }
    site.target = target_in(&site.path("conf"), "app.conf");
    site.write("old");
    fs::write(site.path("elsewhere/app.conf"), "foreign").expect("write");
    site
}

/// Swaps the folder for a link to `elsewhere`, which gets a second name of the stage file.
const SWAP: &str = "ln conf/.app.conf* elsewhere/; mv conf moved; ln -s elsewhere conf";

fn swap(site: &Site) {
    let mut shell = std::process::Command::new("/bin/sh");
    let status = shell.args(["-ec", SWAP]).current_dir(site.folder.path()).status();
    assert!(status.expect("a shell").success());
}

fn foreign(site: &Site) -> String {
    fs::read_to_string(site.path("elsewhere/app.conf")).expect("a file")
}

#[test]
fn a_folder_that_is_swapped_after_staging_redirects_neither_file_nor_marker() {
    for mode in [None, Some(0o600)] {
        let mut site = site();
        site.target.mode = mode;
        site.target.reload_cmd = Some(site.note("reload").into());
        let staged = site.stage("new").expect("staged");
        swap(&site);
        let error = site.finish(staged).expect_err("swapped");
        let text = "DIR/conf/app.conf: another program replaced its folder while the file was put in place";
        assert_eq!(site.plain(error), text);
        assert_eq!(foreign(&site), "foreign");
        assert_eq!(names_in(&site.path("elsewhere")).len(), 2);
        assert_eq!(names_in(&site.path("moved")), ["app.conf"]);
        assert_eq!(site.notes(), "");
    }
}

#[test]
fn a_folder_that_is_swapped_before_the_check_is_not_checked() {
    let mut site = site();
    site.target.check_cmd = Some(CheckCommand::new("cat {{.src}}"));
    let staged = site.stage("new").expect("staged");
    fs::rename(site.path("conf"), site.path("moved")).expect("moved");
    let name = stage_file(&staged).expect("a stage file");
    fs::write(site.path("elsewhere").join(name.file_name().expect("a name")), "secret")
        .expect("write");
    symlink("elsewhere", site.path("conf")).expect("a link");
    let steps = site.observe();
    site.finish(staged).expect_err("swapped");
    assert!(!steps.all().iter().any(|line| line.contains("secret")), "{:?}", steps.all());
    assert_eq!(names_in(&site.path("moved")), ["app.conf"]);
    assert_eq!(names_in(&site.path("elsewhere")).len(), 2);
}

#[test]
fn a_folder_that_is_swapped_during_the_check_redirects_nothing() {
    let mut site = site();
    let root = site.folder.path().display();
    site.target.check_cmd = Some(CheckCommand::new(format!("cd {root} && {SWAP}")));
    site.deploy("new").expect_err("swapped");
    assert_eq!(foreign(&site), "foreign");
}

#[test]
fn a_stage_file_is_removed_from_its_own_folder_only() {
    let site = site();
    let staged = site.stage("new").expect("staged");
    swap(&site);
    drop(staged);
    assert_eq!(names_in(&site.path("elsewhere")).len(), 2);
    assert_eq!(names_in(&site.path("moved")), ["app.conf"]);
}

#[test]
fn a_set_whose_folder_is_swapped_redirects_nothing() {
    let site = site();
    let members = ["app.conf", "web.conf"]
        .map(|name| Member::file(target_in(&site.path("conf"), name), "new"));
    let staged = Transaction::stage(members.into(), &site.options).expect("staged");
    swap(&site);
    site.finish(staged).expect_err("swapped");
    assert_eq!(foreign(&site), "foreign");
    // The set was put back, in the folder where it is now.
    assert_eq!(names_in(&site.path("moved")), ["app.conf"]);
    assert_eq!(fs::read_to_string(site.path("moved/app.conf")).expect("a file"), "old");
}

#[test]
fn a_folder_that_was_swapped_before_its_sync_is_an_error() {
    let site = site();
    let staged = site.stage("new").expect("staged");
    let mut durable = Durable::new();
    run(staged.finish(&site.steps.observer(), &mut durable, Disk::Here, &AtOnce))
        .expect("deployed");
    fs::rename(site.path("conf"), site.path("moved")).expect("moved");
    symlink("elsewhere", site.path("conf")).expect("a link");
    let errors = durable.sync(&|_: &Step<'_>| {});
    let text = "DIR/conf: another program replaced this folder while confd worked in it";
    assert_eq!(site.plain(only(errors)), text);
}

#[test]
fn a_reload_command_keeps_no_folder_open() {
    // Many transactions can wait for their reloads at the same time.
    let mut site = site();
    let ran = site.path("ran").display().to_string();
    // Other tests close their files while `ls` looks at them, which is a failure to it.
    site.target.reload_cmd = Some(format!("ls -l /proc/$PPID/fd > {ran} || true").into());
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    let conf = site.path("conf").display().to_string();
    assert!(site.notes().contains("->") && !site.notes().contains(&conf), "{}", site.notes());
    assert_eq!(names_in(&site.path("conf")), ["app.conf"]);
}

#[test]
fn a_folder_that_is_a_link_keeps_its_meaning() {
    let mut site = site();
    symlink("conf", site.path("link")).expect("a link");
    site.target.dest = site.path("link/app.conf");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(fs::read_to_string(site.path("conf/app.conf")).expect("a file"), "new");
    // A link that leads to another folder is followed from the next transaction on.
    fs::remove_file(site.path("link")).expect("removed");
    symlink("elsewhere", site.path("link")).expect("a link");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(foreign(&site), "new");
}
