//! Lines that do not count when a destination is compared with its new content.

use super::*;
use crate::{Expression, OnReloadFailure};

/// A site that ignores lines which begin with `# made`.
fn ignoring() -> Site {
    let mut site = Site::new();
    site.target.ignore_lines = Some(Expression::parse("^# made").expect("an expression"));
    site
}

#[test]
fn a_change_of_ignored_lines_alone_replaces_nothing() {
    let site = ignoring();
    site.deploy("# made at 1\na\n").expect("deployed");
    for same in ["# made at 2\na\n", "# made at 22222\na\n", "a\n", "a\n# made\n# made\n"] {
        assert_eq!(site.deploy(same).expect("in sync"), Outcome::Unchanged, "{same}");
        assert_eq!(site.content(), "# made at 1\na\n");
    }
    assert_eq!(site.names(), ["app.conf"]);
}

#[test]
fn any_other_change_replaces_the_whole_file() {
    let site = ignoring();
    for content in
        ["# made at 1\na\n", "# made at 2\nb\n", "# made at 3\nb", "# Made\nb", "# made at 4\n"]
    {
        assert_eq!(site.deploy(content).expect("deployed"), Outcome::Updated, "{content}");
        assert_eq!(site.content(), content);
    }
}

#[test]
fn another_mode_replaces_the_file_by_the_new_content() {
    let mut site = ignoring();
    site.deploy("# made at 1\na\n").expect("deployed");
    site.target.mode = Some(0o600);
    assert_eq!(site.deploy("# made at 2\na\n").expect("deployed"), Outcome::Updated);
    assert_eq!((site.content().as_str(), site.mode()), ("# made at 2\na\n", 0o600));
}

#[test]
fn a_kept_stage_file_does_not_replace_a_file_with_other_ignored_lines() {
    let mut site = ignoring();
    site.deploy("# made at 1\na\n").expect("deployed");
    site.options.keep_stage_file = true;
    assert_eq!(site.deploy("# made at 2\na\n").expect("in sync"), Outcome::Unchanged);
    assert_eq!((site.content().as_str(), site.names().len()), ("# made at 1\na\n", 2));
}

#[test]
fn a_file_that_has_only_ignored_lines_more_is_the_same_although_it_is_much_longer() {
    let site = ignoring();
    site.write(&("# made\n".repeat(100_000) + "a\n"));
    assert_eq!(site.deploy("a\n").expect("in sync"), Outcome::Unchanged);
}

#[test]
fn content_that_was_rolled_back_is_not_tried_again_with_other_ignored_lines() {
    let mut site = ignoring();
    site.target.on_reload_failure = OnReloadFailure::RollBack;
    site.target.may_be_held = true;
    site.target.reload_cmd = Some(format!("! grep -q bad {}", site.target.dest.display()).into());
    site.deploy("# made at 1\ngood\n").expect("deployed");
    let error = site.deploy("# made at 2\nbad\n").expect_err("rolled back");
    assert!(matches!(error, Error::RolledBack { .. }), "{error}");
    let error = site.deploy("# made at 3\nbad\n").expect_err("held back");
    assert!(matches!(error, Error::Held { .. }), "{error}");
    assert_eq!(site.content(), "# made at 1\ngood\n");
}
