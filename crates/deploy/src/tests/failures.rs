//! Transactions that fail: their errors, and the files they leave.

use std::process::Command;
use std::time::Duration;

use super::*;
use crate::CheckCommand;
use crate::testing::wait_until;

#[test]
fn a_failed_check_changes_nothing() {
    let mut site = Site::with("old");
    set_mode(&site.target.dest, 0o604);
    site.target.mode = Some(0o600);
    site.target.reload_cmd = Some(site.note("reload").into());
    site.target.check_cmd = Some(CheckCommand::new("echo no; exit 3"));
    let before = fs::metadata(&site.target.dest).expect("metadata");
    let steps = site.observe();
    let error = site.deploy("new").expect_err("refused");
    assert_eq!(error.to_string(), "Config check failed: exit status 3");
    assert!(!error.is_written());
    assert_eq!(steps.lines().last().expect("a line"), "ERROR \"no\\n\"");
    let after = fs::metadata(&site.target.dest).expect("metadata");
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
    assert_eq!((site.content().as_str(), site.notes().as_str()), ("old", ""));
    assert_eq!(site.names(), ["app.conf"]);
}

#[test]
fn a_check_that_is_killed_says_so() {
    let mut site = Site::new();
    site.target.check_cmd = Some(CheckCommand::new("kill -9 $$"));
    let error = site.deploy("new").expect_err("killed");
    assert_eq!(error.to_string(), "Config check failed: signal: killed");
    assert_eq!(site.names(), [""; 0]);
}

#[test]
fn a_malformed_check_command_fails_only_when_it_is_needed() {
    let mut site = Site::with("same");
    site.target.check_cmd = Some(CheckCommand::new("true {{base .src}}"));
    assert_eq!(site.deploy("same").expect("in sync"), Outcome::Unchanged);
    let steps = site.observe();
    let error = site.deploy("new").expect_err("no template");
    assert_eq!(
        error.to_string(),
        "Config check failed: template: checkcmd:1: function \"base\" not defined"
    );
    assert!(!steps.all().iter().any(|line| line.contains("Running")));
    assert_eq!((site.content().as_str(), site.names().len()), ("same", 1));
}

#[test]
fn a_check_that_hangs_is_stopped() {
    let mut site = Site::with("old");
    site.target.check_timeout = Some(Duration::from_millis(50));
    site.target.check_cmd = Some(CheckCommand::new("sleep 1000"));
    let steps = site.observe();
    let error = site.deploy("new").expect_err("stopped");
    assert_eq!(error.to_string(), "Config check failed: timed out after 50ms");
    let lines = steps.lines();
    assert_eq!(
        lines[lines.len() - 2..],
        [
            "WARNING stopping after 50ms, its time limit: sleep 1000",
            "ERROR the command printed nothing (timed out after 50ms): sleep 1000"
        ]
    );
    assert_eq!((site.content().as_str(), site.names().len()), ("old", 1));
}

#[test]
fn a_reload_that_hangs_is_stopped_and_stays_pending() {
    let mut site = Site::with("old");
    site.target.reload_timeout = Some(Duration::from_millis(50));
    site.target.reload_cmd = Some("sleep 1000".into());
    let error = site.deploy("new").expect_err("stopped");
    assert_eq!(error.to_string(), "timed out after 50ms");
    assert!(matches!(error, Error::Reload { .. }));
    assert_eq!(site.names(), [".app.conf.reload-pending", "app.conf"]);
}

#[test]
fn the_limit_of_a_target_counts_more_than_that_of_the_run() {
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (own, of_run, limit) in [
        (None, None, None),
        (None, seconds(60), seconds(60)),
        (seconds(1), seconds(60), seconds(1)),
        (seconds(90), seconds(60), seconds(90)),
        (seconds(0), seconds(60), None),
        (None, seconds(0), None),
    ] {
        let mut target = Target::new("a");
        (target.check_timeout, target.reload_timeout) = (own, own);
        let check = Options { check_timeout: of_run, ..Options::default() };
        let reload = Options { reload_timeout: of_run, ..Options::default() };
        assert_eq!((target.check_limit(&check), target.reload_limit(&reload)), (limit, limit));
        assert_eq!(target.check_limit(&reload), own.filter(|own| !own.is_zero()));
    }
}

#[test]
fn no_failure_leaves_a_stage_file() {
    let site = Site::new();
    fs::create_dir(&site.target.dest).expect("folder");
    let error = site.deploy("new").expect_err("a folder");
    assert_eq!(site.plain(&error), "rename DIR/.app.conf# DIR/app.conf: file exists");
    assert_eq!(site.names(), ["app.conf"]);
    assert!(site.target.dest.is_dir());
}

#[test]
fn a_folder_as_destination_is_an_error_in_gos_words() {
    let mut site = Site::new();
    let folder = site.path("d");
    fs::create_dir(&folder).expect("folder");
    site.target.dest = PathBuf::from(format!("{}/", folder.display()));
    let error = site.deploy("new").expect_err("a folder");
    let text = site.plain(&error);
    assert!(text.starts_with("rename DIR/d/.d"), "{text}");
    assert!(text.ends_with(" DIR/d/: file exists"), "{text}");
    assert_eq!(names_in(&folder), [""; 0]);
}

#[test]
fn a_missing_folder_is_named_and_not_created() {
    let mut site = Site::new();
    site.target.dest = site.path("missing/app.conf");
    let error = site.deploy("new").expect_err("no folder");
    assert_eq!(site.plain(&error), "open DIR/missing/.app.conf#: no such file or directory");
    assert_eq!(site.names(), [""; 0]);

    fs::write(site.path("missing"), "").expect("write");
    let error = site.deploy("new").expect_err("no folder");
    assert_eq!(site.plain(&error), "open DIR/missing/.app.conf#: not a directory");
}

#[test]
fn an_empty_destination_fails_late_as_in_confd() {
    let mut site = Site::new();
    site.target.dest = PathBuf::new();
    let staged = site.stage("x").expect("staged");
    let path = stage_file(&staged).expect("a stage file").display().to_string();
    assert!(path.starts_with("./.."), "{path}");
    let error = site.finish(staged);
    let expected = format!("rename {path} : no such file or directory");
    assert_eq!(error.expect_err("no name").to_string(), expected);
    assert!(!Path::new(&path).exists());
}

#[test]
fn a_name_that_is_too_long_is_an_error() {
    let mut site = Site::new();
    site.target.dest = site.path(&"x".repeat(256));
    let error = site.deploy("new").expect_err("too long").to_string();
    assert!(error.starts_with("open ") && error.ends_with(": file name too long"), "{error}");
}

#[test]
fn a_failed_commit_leaves_no_reload_pending() {
    let mut site = Site::new();
    site.target.reload_cmd = Some(site.note("reload").into());
    fs::create_dir(&site.target.dest).expect("folder");
    site.deploy("new").expect_err("a folder");
    assert_eq!((site.names(), site.notes()), (vec!["app.conf".to_owned()], String::new()));
}

#[test]
fn a_dropped_transaction_kills_its_check_and_leaves_no_stage_file() {
    let mut site = Site::with("old");
    let started = site.path("started");
    let check = format!("echo $$ > {0}.tmp; mv {0}.tmp {0}; sleep 1000", started.display());
    site.target.check_cmd = Some(CheckCommand::new(check));
    run(async {
        let running = crate::testing::wait_until_async("the check runs", || started.exists());
        tokio::select! {
            _ = site.deploy_async("new") => panic!("the check does not end"),
            () = running => {}
        }
    });
    let group = fs::read_to_string(&started).expect("read").trim().to_owned();
    wait_until("the check is gone", || {
        let alive = Command::new("pgrep").args(["-r", "R,S,D", "-g", &group]).output();
        alive.expect("pgrep").stdout.is_empty()
    });
    fs::remove_file(&started).expect("remove");
    assert_eq!((site.content().as_str(), site.names()), ("old", vec!["app.conf".to_owned()]));
}

#[test]
fn a_stage_file_that_was_not_reported_is_not_kept() {
    let mut site = Site::new();
    site.options.keep_stage_file = true;
    drop(site.stage("new").expect("staged"));
    assert_eq!(site.names(), [""; 0]);
}
