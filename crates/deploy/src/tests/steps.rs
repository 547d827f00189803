//! The steps of a transaction that succeeds, in confd's order and words.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::CheckCommand;

#[test]
fn a_new_file_is_put_in_place_with_confds_lines() {
    let mut site = Site::new();
    site.target.check_cmd = Some(CheckCommand::new("grep -q new {{.src}}"));
    site.target.reload_cmd = Some("echo reloaded".into());
    let steps = site.observe();
    assert_eq!(site.deploy("new\n").expect("deployed"), Outcome::Updated);
    assert_eq!(
        site.plain_steps(&steps),
        [
            "DEBUG Comparing candidate config to DIR/app.conf",
            "INFO Target config DIR/app.conf out of sync",
            "DEBUG Running grep -q new DIR/.app.conf#",
            "DEBUG \"\"",
            "DEBUG Overwriting target config DIR/app.conf",
            "DEBUG Running echo reloaded",
            "DEBUG \"reloaded\\n\"",
            "INFO Target config DIR/app.conf has been updated",
        ]
    );
    assert_eq!((site.content().as_str(), site.mode()), ("new\n", 0o644));
    assert_eq!(site.names(), ["app.conf"]);
}

#[test]
fn a_changed_file_is_replaced_with_its_differences_logged() {
    let site = Site::with("old");
    let steps = site.observe();
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(
        site.plain_steps(&steps),
        [
            "DEBUG Comparing candidate config to DIR/app.conf",
            "INFO DIR/app.conf has md5sum 149603e6c03516362a8da23f624db945 \
             should be 22af645d1859cb5ca6da0c484f1f37ea",
            "INFO Target config DIR/app.conf out of sync",
            "DEBUG Overwriting target config DIR/app.conf",
            "INFO Target config DIR/app.conf has been updated",
        ]
    );
    assert_eq!(site.content(), "new");
}

#[test]
fn a_file_in_sync_is_not_written() {
    let mut site = Site::with("same");
    site.target.check_cmd = Some(CheckCommand::new(site.note("check")));
    site.target.reload_cmd = Some(site.note("reload").into());
    let folder_before = fs::metadata(site.folder.path()).expect("metadata");
    let before = fs::metadata(&site.target.dest).expect("metadata");
    let steps = site.observe();
    assert_eq!(site.deploy("same").expect("deployed"), Outcome::Unchanged);
    assert_eq!(
        site.plain_steps(&steps),
        [
            "DEBUG Comparing candidate config to DIR/app.conf",
            "DEBUG Target config DIR/app.conf in sync",
        ]
    );
    let after = fs::metadata(&site.target.dest).expect("metadata");
    let folder_after = fs::metadata(site.folder.path()).expect("metadata");
    assert_eq!((before.ino(), before.ctime_nsec()), (after.ino(), after.ctime_nsec()));
    // A stage file would have changed the folder's time.
    assert_eq!(
        (folder_before.mtime(), folder_before.mtime_nsec()),
        (folder_after.mtime(), folder_after.mtime_nsec())
    );
    assert_eq!(site.notes(), "");
}

#[test]
fn noop_says_what_it_would_do_and_does_nothing() {
    let mut site = Site::with("old");
    site.options.noop = true;
    site.target.check_cmd = Some(CheckCommand::new(site.note("check")));
    site.target.reload_cmd = Some(site.note("reload").into());
    let steps = site.observe();
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::WouldUpdate);
    let warning = "WARNING Noop mode enabled. DIR/app.conf will not be modified";
    assert_eq!(
        site.plain_steps(&steps),
        [
            "DEBUG Comparing candidate config to DIR/app.conf",
            "INFO DIR/app.conf has md5sum 149603e6c03516362a8da23f624db945 \
             should be 22af645d1859cb5ca6da0c484f1f37ea",
            warning,
        ]
    );
    assert_eq!((site.content().as_str(), site.names()), ("old", vec!["app.conf".to_owned()]));

    let steps = site.observe();
    assert_eq!(site.deploy("old").expect("deployed"), Outcome::Unchanged);
    assert_eq!(
        site.plain_steps(&steps),
        ["DEBUG Comparing candidate config to DIR/app.conf", warning]
    );
    assert_eq!(site.notes(), "");
}

#[test]
fn sync_only_runs_no_command() {
    let mut site = Site::with("old");
    site.options.sync_only = true;
    site.target.check_cmd = Some(CheckCommand::new("exit 1"));
    site.target.reload_cmd = Some(site.note("reload").into());
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!((site.content().as_str(), site.notes().as_str()), ("new", ""));
    assert_eq!(site.names(), ["app.conf"]);
}

#[test]
fn reload_follows_a_commit_and_the_check() {
    let mut site = Site::with("old");
    let dest = site.target.dest.display().to_string();
    let ran = site.path("ran").display().to_string();
    site.target.check_cmd = Some(CheckCommand::new(format!("cat {dest} {{{{.src}}}} > {ran}")));
    site.target.reload_cmd = Some(format!("cat {dest} >> {ran}").into());
    site.deploy("new").expect("deployed");
    assert_eq!(site.notes(), "oldnewnew");
}

#[test]
fn an_empty_reload_command_means_no_command() {
    let mut site = Site::new();
    site.target.reload_cmd = Some("".into());
    let steps = site.observe();
    site.deploy("new").expect("deployed");
    assert!(!steps.all().iter().any(|line| line.contains("Running")));
}

#[test]
fn a_reload_command_reaches_the_shell_untouched() {
    let mut site = Site::new();
    let ran = site.path("ran").display().to_string();
    site.target.reload_cmd = Some(format!("printf '%s %%' '{{{{.src}}}}' > {ran}").into());
    let steps = site.observe();
    site.deploy("new").expect("deployed");
    assert_eq!(site.notes(), "{{.src}} %");
    assert!(steps.all().iter().any(|line| line.contains("Running printf '%s %%' '{{.src}}' >")));
}

#[test]
fn the_check_command_may_execute_the_stage_file() {
    let mut site = Site::new();
    site.target.mode = Some(0o755);
    site.target.check_cmd = Some(CheckCommand::new("{{.src}} --check"));
    let script = format!("#!/bin/sh\necho \"$1\" > {}\n", site.path("ran").display());
    site.deploy(&script).expect("deployed");
    assert_eq!(site.notes(), "--check\n");
}

#[test]
fn a_kept_stage_file_is_named_and_stays() {
    let mut site = Site::with("same");
    site.options.keep_stage_file = true;
    let steps = site.observe();
    assert_eq!(site.deploy("same").expect("deployed"), Outcome::Unchanged);
    assert_eq!(
        site.plain_steps(&steps),
        [
            "INFO Keeping staged file: DIR/.app.conf#",
            "DEBUG Comparing candidate config to DIR/app.conf",
            "DEBUG Target config DIR/app.conf in sync",
        ]
    );
    assert_eq!(site.names().len(), 2);

    site.target.check_cmd = Some(CheckCommand::new("exit 3"));
    site.deploy("bad").expect_err("refused");
    assert_eq!(site.names().len(), 3);

    site.options.noop = true;
    site.deploy("new").expect("deployed");
    assert_eq!(site.names().len(), 4);
}

#[test]
fn a_kept_stage_file_that_was_renamed_leaves_no_second_one() {
    let mut site = Site::with("old");
    site.options.keep_stage_file = true;
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(site.names(), ["app.conf"]);
}

#[test]
fn only_nine_bits_of_a_mode_are_applied() {
    for (mode, applied) in [(0o4755, 0o755), (0o1777, 0o777), (0o100_644, 0o644), (0, 0)] {
        let mut site = Site::new();
        site.target.mode = Some(mode);
        site.deploy("x").expect("deployed");
        assert_eq!(site.mode(), applied);
    }
}

#[test]
fn without_a_mode_the_existing_one_stays() {
    let site = Site::with("old");
    set_mode(&site.target.dest, 0o640);
    site.deploy("new").expect("deployed");
    assert_eq!(site.mode(), 0o640);
}

#[test]
fn a_mode_alone_is_a_difference() {
    let mut site = Site::with("same");
    site.target.mode = Some(0o600);
    let steps = site.observe();
    assert_eq!(site.deploy("same").expect("deployed"), Outcome::Updated);
    assert_eq!(
        site.plain(&steps.lines()[0]),
        "INFO DIR/app.conf has mode -rw-r--r-- should be -rw-------"
    );
    assert_eq!(site.mode(), 0o600);
}

#[test]
fn an_inherited_setuid_bit_is_lost_once() {
    let site = Site::with("same");
    set_mode(&site.target.dest, 0o4755);
    let steps = site.observe();
    assert_eq!(site.deploy("same").expect("deployed"), Outcome::Updated);
    assert_eq!(
        site.plain(&steps.lines()[0]),
        "INFO DIR/app.conf has mode urwxr-xr-x should be -rwxr-xr-x"
    );
    assert_eq!(site.deploy("same").expect("deployed"), Outcome::Unchanged);
}

#[test]
fn a_link_is_replaced_and_its_target_is_not_touched() {
    let site = Site::new();
    fs::write(site.path("real"), "old").expect("write");
    set_mode(&site.path("real"), 0o640);
    symlink("real", &site.target.dest).expect("link");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert!(fs::symlink_metadata(&site.target.dest).expect("metadata").is_file());
    assert_eq!((site.content().as_str(), site.mode()), ("new", 0o640));
    assert_eq!(fs::read_to_string(site.path("real")).expect("read"), "old");
}

#[test]
fn a_dangling_link_is_replaced() {
    let site = Site::new();
    symlink("nowhere", &site.target.dest).expect("link");
    assert_eq!(site.deploy("new").expect("deployed"), Outcome::Updated);
    assert_eq!(site.content(), "new");
    assert_eq!(site.names(), ["app.conf"]);
}

#[test]
fn an_empty_and_a_binary_file_are_files() {
    let site = Site::new();
    assert_eq!(site.deploy("").expect("deployed"), Outcome::Updated);
    assert_eq!(site.deploy("").expect("deployed"), Outcome::Unchanged);
    let binary = Bytes::from_static(b"\xff\0\xfe");
    let staged = site.stage(&binary).expect("staged");
    site.finish(staged).expect("deployed");
    assert_eq!(fs::read(&site.target.dest).expect("read"), binary);
}

#[test]
fn a_destination_named_twice_ends_as_if_deployed_one_after_the_other() {
    let site = Site::with("second");
    let first = site.stage("first").expect("staged");
    let second = site.stage("second").expect("staged");
    assert_eq!(stage_file(&second), None);
    let (steps, mut durable) = (site.steps.observer(), Durable::new());
    let outcomes = run(async {
        [
            first.finish(&steps, &mut durable, Disk::Here, &AtOnce).await.expect("deployed"),
            second.finish(&steps, &mut durable, Disk::Here, &AtOnce).await.expect("deployed"),
        ]
    });
    assert_eq!(outcomes.map(only), [Outcome::Updated, Outcome::Updated]);
    assert_eq!(site.content(), "second");
}

#[test]
fn a_mode_inherited_while_staging_is_the_one_at_commit() {
    let site = Site::with("old");
    let staged = site.stage("new").expect("staged");
    set_mode(&site.target.dest, 0o600);
    site.finish(staged).expect("deployed");
    assert_eq!((site.content().as_str(), site.mode()), ("new", 0o600));
}

#[test]
fn a_stage_file_has_confds_name_and_is_complete_before_anything_is_decided() {
    let mut site = Site::new();
    site.target.mode = Some(0o640);
    let staged = site.stage("new").expect("staged");
    let path = stage_file(&staged).expect("a stage file").to_owned();
    assert_eq!(site.plain(path.display()), "DIR/.app.conf#");
    let metadata = fs::metadata(&path).expect("metadata");
    assert_eq!((metadata.mode() & 0o7777, metadata.size()), (0o640, 3));
    assert!(!site.target.dest.exists());
    drop(staged);
    assert_eq!(site.names(), [""; 0]);
}

#[test]
fn readers_see_old_or_new() {
    let site = Site::new();
    let old = "old ".repeat(50_000);
    let new = "new!".repeat(50_000);
    site.deploy(&old).expect("deployed");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = (0, 0);
            while !done.load(Ordering::Relaxed) {
                let content = site.content();
                if content == old {
                    seen.0 += 1;
                } else {
                    assert!(content == new, "a mix of old and new");
                    seen.1 += 1;
                }
            }
            seen
        });
        for round in 0..50 {
            site.deploy(if round % 2 == 0 { &new } else { &old }).expect("deployed");
        }
        done.store(true, Ordering::Relaxed);
        let seen = reader.join().expect("no mix");
        assert!(seen.0 + seen.1 > 0);
    });
}
