//! Destinations that must not leave a folder.

use std::os::unix::fs::symlink;

use super::*;
use crate::Member;

/// A site whose destination is `in/a/b/app.conf` and must not leave `in`. The folders exist.
fn confined() -> Site {
    let mut site = Site::new();
    fs::create_dir_all(site.path("in/a/b")).expect("folders");
    fs::create_dir_all(site.path("out/b")).expect("folders");
    site.target.dest = site.path("in/a/b/app.conf");
    site.target.below = Some(site.path("in"));
    site
}

#[test]
fn a_destination_below_its_folder_is_replaced_and_removed_as_usual() {
    let site = confined();
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
    let absent = Member::absent(site.target.clone());
    let staged = Transaction::stage(vec![absent], &site.options).expect("staged");
    assert_eq!(site.finish(staged).expect("removed"), Outcome::Removed);
    assert_eq!(names_in(&site.path("in/a/b")), [""; 0]);
}

#[test]
fn a_link_below_the_folder_is_refused_by_its_name_and_nothing_is_written_behind_it() {
    for make_directories in [None, Some(0o755)] {
        for noop in [false, true] {
            let mut site = confined();
            site.target.make_directories = make_directories;
            site.options.noop = noop;
            fs::remove_dir_all(site.path("in/a")).expect("removed");
            symlink(site.path("out"), site.path("in/a")).expect("a link");
            fs::write(site.path("out/b/app.conf"), "of another program").expect("write");
            let expected = "DIR/in/a is a symbolic link, and confd follows none below DIR/in: replace \
                            it by a folder, or write the folder that it leads to in dest";
            let error = site.deploy("new").expect_err("refused");
            assert_eq!(site.plain(error), expected);
            let absent = vec![Member::absent(site.target.clone())];
            let error = Transaction::stage(absent, &site.options).expect_err("refused");
            assert_eq!(site.plain(error), expected);
            if make_directories.is_some() {
                site.target.dest = site.path("in/a/new/app.conf");
                assert_eq!(site.plain(site.deploy("new").expect_err("refused")), expected);
            }
            assert_eq!(names_in(&site.path("out")), ["b"]);
            assert_eq!(names_in(&site.path("out/b")), ["app.conf"]);
            assert_eq!(
                fs::read_to_string(site.path("out/b/app.conf")).expect("read"),
                "of another program"
            );
        }
    }
}

#[test]
fn links_in_the_path_of_the_folder_itself_are_followed() {
    let mut site = confined();
    symlink(site.path("in"), site.path("link")).expect("a link");
    site.target.below = Some(site.path("link"));
    site.target.dest = site.path("link/a/b/app.conf");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(names_in(&site.path("in/a/b")), ["app.conf"]);
    site.target.dest = site.path("link/c/d/app.conf");
    site.target.make_directories = Some(0o755);
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(names_in(&site.path("in/c/d")), ["app.conf"]);
}

#[test]
fn a_destination_that_is_not_below_its_folder_is_refused() {
    let mut site = confined();
    for dest in ["out/app.conf", "in/../out/app.conf", "in/a/../../out/app.conf", "inner/x"] {
        site.target.dest = site.path(dest);
        let error = site.plain(site.deploy("new").expect_err("refused"));
        assert!(error.ends_with("is not below DIR/in, so no file is put there"), "{error}");
    }
    assert_eq!(names_in(&site.path("out")), ["b"]);
}

#[test]
fn a_destination_that_is_a_link_is_replaced_and_the_file_that_it_leads_to_stays() {
    let site = confined();
    fs::write(site.path("out/file"), "of another program").expect("write");
    symlink(site.path("out/file"), &site.target.dest).expect("a link");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert!(!site.target.dest.is_symlink());
    let text = fs::read_to_string(site.path("out/file")).expect("read");
    assert_eq!(text, "of another program");
}
