//! `-noop`, `-sync-only` and `-keep-stage-file`.

use super::{dest, is_stage_name, logged, outdated};
use crate::support::{Ended, Sandbox};

const COMMANDS: &str = "check_cmd = 'echo check >> ran'\nreload_cmd = 'echo reload >> ran'";

/// The stage file that the log says was kept, as a path below the sandbox.
fn kept(sandbox: &Sandbox, ended: &Ended) -> String {
    let log = ended.log();
    let start = format!("INFO Keeping staged file: {}/", sandbox.root().display());
    let mut paths = log.iter().filter_map(|line| line.strip_prefix(&start));
    let path = paths.next().unwrap_or_else(|| panic!("{}", ended.stderr)).to_owned();
    assert_eq!(paths.next(), None);
    assert!(is_stage_name(path.strip_prefix("out/").unwrap(), "app"), "{path}");
    path
}

#[test]
fn noop_reports_differences_and_changes_nothing() {
    let sandbox = outdated(COMMANDS);
    let ended = sandbox.onetime().arguments(&["-noop"]).ok();
    let dest = dest(&sandbox);
    let log = logged(&ended);
    assert_eq!(log.len(), 2, "{}", ended.stderr);
    assert!(log[0].starts_with(&format!("INFO {dest} has md5sum ")));
    assert_eq!(log[1], format!("WARNING Noop mode enabled. {dest} will not be modified"));
    assert_eq!(
        (sandbox.output(), sandbox.list("out"), sandbox.read("ran")),
        ("old".into(), vec!["app".into()], String::new())
    );
}

#[test]
fn noop_is_reported_also_without_a_difference_or_a_destination() {
    let sandbox = outdated(COMMANDS);
    let warning = format!("WARNING Noop mode enabled. {} will not be modified", dest(&sandbox));
    sandbox.write("out/app", "new");
    assert_eq!(logged(&sandbox.onetime().arguments(&["-noop"]).ok()), [warning.as_str()]);
    std::fs::remove_file(sandbox.path("out/app")).unwrap();
    let created = format!("INFO {} does not exist and would be created", dest(&sandbox));
    assert_eq!(logged(&sandbox.onetime().arguments(&["-noop"]).ok()), [created, warning]);
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn sync_only_replaces_the_file_and_runs_no_command() {
    let sandbox = outdated(
        "check_cmd = 'echo check >> ran; false'\nreload_cmd = 'echo reload >> ran; false'",
    );
    let ended = sandbox.onetime().arguments(&["-sync-only"]).ok();
    ended.expect(&format!("INFO Target config {} has been updated", dest(&sandbox)));
    assert_eq!(
        (sandbox.output(), sandbox.list("out"), sandbox.read("ran")),
        ("new".into(), vec!["app".into()], String::new())
    );
}

#[test]
fn a_stage_file_is_kept_where_it_does_not_become_the_destination() {
    for (flags, content, commands, code) in [
        (&["-keep-stage-file", "-noop"][..], "old", "", 0),
        (&["-keep-stage-file"], "new", "", 0),
        (&["-keep-stage-file"], "old", "check_cmd = 'false'", 1),
    ] {
        let sandbox = outdated(commands);
        sandbox.write("out/app", content);
        let ended = sandbox.onetime().arguments(flags).run();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        let path = kept(&sandbox, &ended);
        assert_eq!((sandbox.read(&path), sandbox.output()), ("new".into(), content.into()));

        // It stays, because a person is to read it: it is not a leftover.
        sandbox.onetime().run();
        assert_eq!(sandbox.read(&path), "new");
    }
}

#[test]
fn a_kept_stage_file_that_becomes_the_destination_leaves_nothing_behind() {
    let sandbox = outdated("");
    let ended = sandbox.onetime().arguments(&["-keep-stage-file"]).ok();
    kept(&sandbox, &ended);
    assert_eq!((sandbox.output(), sandbox.list("out")), ("new".into(), vec!["app".into()]));
}
