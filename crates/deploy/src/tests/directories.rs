//! Missing folders above a destination.

use std::os::unix::fs::symlink;

use super::*;
use crate::testing::{World, in_world};

/// A site whose destination is in folders that are missing.
fn in_folders(mode: u32) -> Site {
    let mut site = Site::new();
    site.target.dest = site.path("a/b/app.conf");
    site.target.make_directories = Some(mode);
    site
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).expect("a folder").mode() & 0o7777
}

#[test]
fn missing_folders_are_created_with_their_mode_and_others_stay_as_they_are() {
    let site = in_folders(0o711);
    set_mode(site.folder.path(), 0o750);
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(site.content(), "new");
    let modes = ["", "a", "a/b"].map(|name| mode_of(&site.path(name)));
    assert_eq!(modes, [0o750, 0o711, 0o711]);
    assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
    fs::remove_dir_all(site.path("a/b")).expect("removed");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
}

#[test]
fn the_umask_does_not_count_for_folders() {
    let test = "tests::directories::the_umask_does_not_count_for_folders";
    in_world(World::Umask, test, || {
        let site = in_folders(0o755);
        site.deploy("new").expect("deployed");
        assert_eq!([mode_of(&site.path("a")), mode_of(&site.path("a/b"))], [0o755; 2]);
    });
}

#[test]
fn a_folder_inherits_the_group_and_the_setgid_bit_of_the_folder_above() {
    let site = in_folders(0o755);
    set_mode(site.folder.path(), 0o2755);
    site.deploy("new").expect("deployed");
    assert_eq!(mode_of(&site.path("a/b")), 0o2755);
}

#[test]
fn without_being_asked_for_no_folder_is_created() {
    let mut site = in_folders(0o755);
    site.target.make_directories = None;
    let error = site.deploy("new").expect_err("no folder");
    assert!(error.hint().is_some_and(|hint| hint.ends_with("or set make_directories = true")));
    assert_eq!(site.names(), [""; 0]);
}

#[test]
fn noop_creates_no_folder_and_reports_the_file_that_would_be_created() {
    let mut site = in_folders(0o755);
    site.options.noop = true;
    let steps = site.observe();
    assert_eq!(site.deploy("new").expect("would be created"), Outcome::WouldUpdate);
    let lines = site.plain_steps(&steps);
    assert!(
        lines.contains(&"INFO DIR/a/b/app.conf does not exist and would be created".to_owned())
    );
    assert_eq!(site.names(), [""; 0]);
}

#[test]
fn links_to_folders_are_followed_and_a_link_to_nothing_is_an_error() {
    let site = in_folders(0o755);
    fs::create_dir(site.path("real")).expect("a folder");
    symlink("real", site.path("a")).expect("a link");
    site.deploy("new").expect("deployed");
    assert!(site.path("real/b/app.conf").exists());
    fs::remove_dir_all(site.path("real")).expect("removed");
    let error = site.deploy("new").expect_err("nothing behind the link");
    assert!(error.to_string().ends_with("no such file or directory"), "{error}");
    assert_eq!(site.names(), ["a"]);
}

#[test]
fn a_file_in_the_place_of_a_folder_is_an_error_that_names_it() {
    let site = in_folders(0o755);
    fs::write(site.path("a"), "a file").expect("written");
    let error = site.deploy("new").expect_err("no folder");
    assert!(site.plain(&error).ends_with("not a directory"), "{error}");
    assert_eq!(fs::read(site.path("a")).expect("still a file"), b"a file");
}

#[test]
fn a_folder_that_cannot_be_created_is_named() {
    let test = "tests::directories::a_folder_that_cannot_be_created_is_named";
    in_world(World::Nobody, test, || {
        let mut site = in_folders(0o755);
        site.target.dest = "/no-such-folder/b/app.conf".into();
        let error = site.deploy("new").expect_err("no permission");
        assert_eq!(error.to_string(), "mkdir /no-such-folder: permission denied");
    });
}
