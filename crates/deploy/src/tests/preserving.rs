//! Destinations that keep their owner and mode.

use std::os::unix::fs::chown;

use super::*;
use crate::testing::{World, in_world};

/// A site whose target asks for an owner and a mode, and for those of an existing file to be kept.
fn preserving() -> Site {
    let mut site = Site::new();
    site.target.preserve = true;
    site.target.mode = Some(0o600);
    site
}

#[test]
fn an_existing_file_keeps_its_mode_and_a_new_one_gets_that_of_the_target() {
    let site = preserving();
    site.deploy("first").expect("deployed");
    assert_eq!(site.mode(), 0o600);
    set_mode(&site.target.dest, 0o640);
    assert_eq!(site.deploy("first").expect("in sync"), Outcome::Unchanged);
    assert_eq!(site.deploy("second").expect("deployed"), Outcome::Updated);
    assert_eq!((site.content().as_str(), site.mode()), ("second", 0o640));
}

#[test]
fn an_existing_file_keeps_its_owner_and_a_new_one_gets_that_of_the_target() {
    let test =
        "tests::preserving::an_existing_file_keeps_its_owner_and_a_new_one_gets_that_of_the_target";
    in_world(World::Mounts, test, || {
        let owner = |site: &Site| {
            let found = fs::metadata(&site.target.dest).expect("a destination");
            (found.uid(), found.gid())
        };
        let mut site = preserving();
        (site.target.uid, site.target.gid) = (Some(1000), Some(1001));
        site.deploy("first").expect("deployed");
        assert_eq!(owner(&site), (1000, 1001));
        chown(&site.target.dest, Some(2000), Some(2001)).expect("given away");
        assert_eq!(site.deploy("first").expect("in sync"), Outcome::Unchanged);
        site.deploy("second").expect("deployed");
        assert_eq!((site.content().as_str(), owner(&site)), ("second", (2000, 2001)));
    });
}
