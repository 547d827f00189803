//! Reloads: they run only after a change, and again until they succeed.

use super::{dest, outdated};
use crate::support::Sandbox;

const MARKER: &str = ".app.reload-pending";

/// A tree whose reload succeeds once a file `allowed` exists. It counts its tries in `ran`.
fn reluctant() -> Sandbox {
    outdated("reload_cmd = 'echo reload >> ran; test -e allowed || exit 7'")
}

#[test]
fn a_failed_reload_is_an_error_and_the_new_file_is_in_place() {
    let sandbox = reluctant();
    let ended = sandbox.onetime().fails();
    ended.expect("ERROR exit status 7").expect("FATAL exit status 7").expect_no("has been updated");
    assert_eq!(
        (sandbox.output(), sandbox.list("out")),
        ("new".into(), vec![MARKER.into(), "app".into()])
    );
    assert_eq!(sandbox.mode(&format!("out/{MARKER}")), 0o600);
}

#[test]
fn a_failed_reload_is_tried_by_every_run_until_it_succeeds() {
    let sandbox = reluctant();
    let again = format!("DEBUG {} has a pending reload; trying it again", dest(&sandbox));
    let debug = ["-log-level", "debug"];
    sandbox.onetime().arguments(&debug).fails().expect_no("trying it again");
    sandbox.onetime().arguments(&debug).ok().expect(&again);
    assert_eq!(
        (sandbox.read("ran"), sandbox.list("out")),
        ("reload\nreload\n".into(), vec![MARKER.into(), "app".into()])
    );

    sandbox.write("allowed", "");
    let ended = sandbox.onetime().ok();
    ended.expect(&format!("INFO {} has been reloaded", dest(&sandbox)));
    // The line about the result is enough.
    ended.expect_no("out of sync").expect_no("trying it again");
    assert_eq!(
        (sandbox.read("ran"), sandbox.list("out")),
        ("reload\nreload\nreload\n".into(), vec!["app".into()])
    );

    sandbox.onetime().ok().expect_no("pending");
    assert_eq!(sandbox.read("ran"), "reload\nreload\nreload\n");
}

#[test]
fn a_new_change_pays_the_debt_of_the_last_one() {
    let sandbox = reluctant();
    sandbox.onetime().fails();
    sandbox.write("allowed", "");
    sandbox.write("templates/app.tmpl", "newer");
    sandbox
        .onetime()
        .ok()
        .expect(&format!("INFO Target config {} has been updated", dest(&sandbox)));
    assert_eq!(
        (sandbox.output(), sandbox.list("out"), sandbox.read("ran")),
        ("newer".into(), vec!["app".into()], "reload\nreload\n".into())
    );
}

#[test]
fn noop_and_sync_only_leave_a_pending_reload_pending() {
    let sandbox = reluctant();
    sandbox.onetime().fails();
    for flag in ["-noop", "-sync-only"] {
        sandbox.onetime().arguments(&[flag]).ok();
        assert_eq!(
            (sandbox.list("out"), sandbox.read("ran")),
            (vec![MARKER.into(), "app".into()], "reload\n".into())
        );
    }
}

#[test]
fn a_reload_that_was_cut_off_is_made_up_for() {
    let sandbox =
        outdated("reload_cmd = 'echo reload >> ran; test -e allowed || kill -KILL $PPID'");
    assert_eq!(sandbox.onetime().run().signal, Some(9));
    assert_eq!((sandbox.output(), sandbox.read("ran")), ("new".into(), "reload\n".into()));
    sandbox.write("allowed", "");
    sandbox.onetime().ok();
    assert_eq!(
        (sandbox.read("ran"), sandbox.list("out")),
        ("reload\nreload\n".into(), vec!["app".into()])
    );
}

#[test]
fn without_a_change_there_is_no_reload() {
    let sandbox = outdated("reload_cmd = 'echo reload >> ran'");
    for _ in 0..3 {
        sandbox.onetime().ok();
    }
    assert_eq!(sandbox.read("ran"), "reload\n");
}

#[test]
fn a_failing_resource_does_not_keep_others_from_being_deployed() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "x", "check_cmd = 'exit 1'");
    sandbox.resource("b", "x", "reload_cmd = 'exit 2'");
    sandbox.resource("c", "{{getv \"/nokey\"}}", "");
    sandbox.resource("d", "fine", "");
    let ended = sandbox.onetime().fails();
    assert_eq!(sandbox.list("out"), [".b.reload-pending", "b", "d"]);
    ended.expect("ERROR Config check failed: exit status 1").expect("ERROR exit status 2");
    // The last error is logged again at the end.
    let last = ended.log().pop().unwrap();
    assert!(last.starts_with("FATAL template: c.tmpl:1:2:"), "{last}");
}

#[test]
fn a_pending_reload_is_tried_although_the_check_refuses_newer_content() {
    let sandbox = outdated(
        "check_cmd = 'grep -q new {{.src}}'\nreload_cmd = 'echo reload >> ran; test -e allowed || exit 7'",
    );
    sandbox.onetime().fails();
    sandbox.write("templates/app.tmpl", "bad");
    let ended = sandbox.onetime().fails();
    let dest = dest(&sandbox);
    ended.expect(&format!(
        "WARNING the reload of {dest} is still pending, because it failed again: exit status 7: echo \
         reload >> ran; test -e allowed || exit 7 (resource app)"
    ));
    ended.expect("FATAL Config check failed: exit status 1").expect_no("FATAL exit status 7");
    assert_eq!((sandbox.output(), sandbox.read("ran")), ("new".into(), "reload\nreload\n".into()));
    sandbox.write("allowed", "");
    let ended = sandbox.onetime().fails();
    ended.expect(&format!("INFO {dest} has been reloaded"));
    ended.expect("FATAL Config check failed: exit status 1");
    assert_eq!(sandbox.list("out"), ["app"]);
    sandbox.onetime().fails().expect_no("reloaded");
    assert_eq!(sandbox.read("ran"), "reload\nreload\nreload\n");
}
