//! A failed reload puts the former file back, and the new content is not tried again.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::testing::{DIE_AT, variable};
use crate::{
    CommandError, Health, HeldBy, Hold, OnReloadFailure, Program, ReloadCommand, Reloader,
};

fn shell(text: impl Into<std::ffi::OsString>) -> Program {
    Program::Shell(text.into())
}

/// A target whose reload notes the content, and fails if it is `bad`.
fn on_trial(mut target: Target) -> Target {
    let (dest, folder) = (target.dest.display(), target.dest.parent().expect("a folder").display());
    let reload = format!("cat {dest} >> {folder}/ran; test \"$(cat {dest})\" != bad || exit 7");
    target.reload_cmd = Some(shell(reload));
    target.on_reload_failure = OnReloadFailure::RollBack;
    target.may_be_held = true;
    target
}

fn site_with(content: &str) -> Site {
    let mut site = Site::with(content);
    site.target = on_trial(site.target);
    site
}

#[test]
fn a_failed_reload_puts_the_former_file_back() {
    let site = site_with("old\n");
    set_mode(&site.target.dest, 0o640);
    let former = fs::metadata(&site.target.dest).expect("metadata").ino();
    let steps = site.observe();
    let error = site.deploy("bad\n").expect_err("the reload fails");
    let dest = site.target.dest.display();
    assert_eq!(
        error.to_string(),
        format!("{dest} was rolled back, because its reload failed: exit status 7")
    );
    assert!(error.waits_for_a_change() && !error.is_written());
    let lines = site.plain_steps(&steps);
    let expected = "WARNING Rolled back: DIR/app.conf is the former file again. Its reload failed: \
                    exit status 7. The new content is not tried again until it changes";
    assert!(lines.iter().any(|line| line == expected), "{lines:?}");
    assert_eq!((site.content(), site.mode()), ("old\n".into(), 0o640));
    assert_eq!(fs::metadata(&site.target.dest).expect("metadata").ino(), former);
    assert_eq!(site.notes(), "bad\nold\n");
    assert_eq!(site.names(), [".app.conf.held", "app.conf", "ran"]);
    // The content is not tried again, also by another process.
    for _ in 0..2 {
        let error = site.deploy("bad\n").expect_err("held back");
        let text = "stays as it is: its reload has failed with this content";
        assert!(error.to_string().contains(text), "{error}");
        assert!(error.waits_for_a_change());
    }
    assert_eq!(site.notes(), "bad\nold\n");
    assert_eq!(site.deploy("good\n").expect("deployed"), Outcome::Updated);
    assert_eq!(
        (site.content(), site.names()),
        ("good\n".into(), vec!["app.conf".into(), "ran".into()])
    );
    site.deploy("bad\n").expect_err("the content has changed in between, and is tried again");
    assert_eq!(site.notes(), "bad\nold\ngood\nbad\ngood\n");
}

#[test]
fn a_hold_ends_when_the_template_gives_the_former_content_again() {
    let site = site_with("old\n");
    site.deploy("bad\n").expect_err("the reload fails");
    assert_eq!(site.deploy("old\n").expect("in sync"), Outcome::Unchanged);
    assert_eq!(site.names(), ["app.conf", "ran"]);
}

#[test]
fn without_a_former_file_the_new_one_stays_and_its_reload_is_pending() {
    let site = Site::new();
    let site = Site { target: on_trial(site.target.clone()), ..site };
    let error = site.deploy("bad\n").expect_err("the reload fails");
    assert!(matches!(error, Error::Reload { .. }), "{error}");
    assert_eq!(site.names(), [".app.conf.reload-pending", "app.conf", "ran"]);
    let error = site.deploy("bad\n").expect_err("the reload fails again");
    assert!(matches!(error, Error::PendingReload { is_held: false, .. }), "{error}");
    assert_eq!(site.deploy("good\n").expect("deployed"), Outcome::Updated);
    assert_eq!(site.names(), ["app.conf", "ran"]);
}

#[test]
fn a_new_file_of_a_set_is_removed_again_if_a_former_file_is_put_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let targets = ["a", "b"].map(|name| on_trial(target_in(folder.path(), name)));
    fs::write(&targets[0].dest, "old\n").expect("write");
    let members = targets.map(|target| Member::file(target, "bad"));
    let staged = Transaction::stage(members.into(), &Options::default()).expect("staged");
    let observer = Steps::default().observer();
    let error = run(staged.finish(&observer, &mut Durable::new(), Disk::Here, &AtOnce));
    assert!(matches!(error, Err(Error::RolledBack { .. })), "{error:?}");
    assert!(!names_in(folder.path()).contains(&"b".to_owned()));
    assert_eq!(fs::read_to_string(folder.path().join("a")).expect("a file"), "old\n");
}

/// Runs commands that never end.
struct Never;

impl Reloader for Never {
    async fn reload(&self, _: &ReloadCommand<'_>) -> Result<(), Arc<CommandError>> {
        std::future::pending().await
    }
}

#[test]
fn a_trial_that_a_process_has_left_ends_although_there_is_no_newer_content() {
    for (content, in_place) in [("bad\n", "old\n"), ("good\n", "good\n")] {
        let site = site_with("old\n");
        let staged = site.stage(content).expect("staged");
        run(async {
            let (observer, mut durable) = (site.steps.observer(), Durable::new());
            tokio::select! {
                biased;
                ended = staged.finish(&observer, &mut durable, Disk::Here, &Never) => {
                    panic!("{ended:?}");
                }
                () = std::future::ready(()) => {}
            }
        });
        assert_eq!(site.content(), content);
        let kept = || Transaction::keep_pending([Arc::new(site.target.clone())], &site.options);
        let tried = site.finish(kept().expect("a reload is pending"));
        assert_eq!(site.content(), in_place);
        assert!(kept().is_none(), "{:?}", site.names());
        if content == in_place {
            assert_eq!(tried.expect("reloaded"), Outcome::Reloaded);
            assert_eq!(site.names(), ["app.conf", "ran"]);
        } else {
            assert!(matches!(tried, Err(Error::RolledBack { .. })), "{tried:?}");
            let error = site.deploy(content).expect_err("held back");
            assert!(matches!(error, Error::Held { .. }), "{error}");
        }
    }
}

#[test]
fn a_reload_that_fails_after_the_rollback_stays_pending() {
    let mut site = site_with("old\n");
    let up = site.path("up").display().to_string();
    site.target.reload_cmd =
        Some(shell(format!("{}; test -e {up} || exit 7", site.note("reload"))));
    let error = site.deploy("new\n").expect_err("the service is down");
    let text = "; the reload of the former file is pending, because it failed too: exit status 7";
    assert!(error.to_string().ends_with(text), "{error}");
    assert!(!error.waits_for_a_change());
    assert_eq!(site.content(), "old\n");
    let error = site.deploy("new\n").expect_err("still down");
    assert!(matches!(error, Error::PendingReload { is_held: true, .. }), "{error}");
    fs::write(site.path("up"), "").expect("write");
    let steps = site.observe();
    let error = site.deploy("new\n").expect_err("held back");
    assert!(matches!(error, Error::Held { .. }), "{error}");
    let lines = site.plain_steps(&steps);
    assert!(lines.contains(&"INFO DIR/app.conf has been reloaded".into()), "{lines:?}");
    assert_eq!(site.names(), [".app.conf.held", "app.conf", "ran", "up"]);
}

#[test]
fn a_file_that_another_program_has_changed_is_not_rolled_back() {
    let mut site = site_with("old\n");
    let dest = site.target.dest.display().to_string();
    site.target.reload_cmd = Some(shell(format!("echo edited > {dest}; exit 7")));
    let steps = site.observe();
    let error = site.deploy("new\n").expect_err("the reload fails");
    assert!(error.is_written());
    let lines = site.plain_steps(&steps);
    let expected = "WARNING DIR/app.conf is not rolled back: another program changed it after confd \
                    had replaced it";
    assert!(lines.iter().any(|line| line == expected), "{lines:?}");
    assert_eq!(site.content(), "edited\n");
    assert_eq!(site.names(), [".app.conf.reload-pending", "app.conf"]);
}

#[test]
fn a_health_check_is_tried_for_its_window_and_decides_about_the_reload() {
    let mut site = site_with("old\n");
    let tries = site.path("tries").display().to_string();
    site.target.health = Some(Health {
        command: shell(format!("echo x >> {tries}; test $(wc -l < {tries}) -ge 3")),
        timeout: Duration::ZERO,
        window: Duration::from_secs(60),
        interval: Duration::from_millis(1),
    });
    assert_eq!(site.deploy("new\n").expect("healthy"), Outcome::Updated);
    assert_eq!(fs::read_to_string(&tries).expect("tries"), "x\nx\nx\n");
    let health = site.target.health.as_mut().expect("set");
    health.command = shell(format!("test \"$(cat {})\" != newer", site.target.dest.display()));
    health.window = Duration::from_secs(1);
    let error = site.deploy("newer\n").expect_err("the service does not work");
    let text = "its reload failed: health_cmd did not succeed within 1s (";
    assert!(error.to_string().contains(text), "{error}");
    assert!(error.waits_for_a_change());
    assert_eq!(site.content(), "new\n");
    site.target.on_reload_failure = OnReloadFailure::Keep;
    site.target.may_be_held = false;
    let error = site.deploy("newer\n").expect_err("the service does not work");
    assert!(error.is_written());
    assert!(site.names().contains(&".app.conf.reload-pending".into()));
}

#[test]
fn content_that_a_person_puts_in_place_is_not_held_back() {
    let mut site = site_with("old\n");
    site.target.reload_cmd = Some(shell("false"));
    site.deploy("new\n").expect_err("the reload fails");
    assert_eq!(site.content(), "old\n");
    fs::write(&site.target.dest, "new\n").expect("write");
    site.target.reload_cmd = Some(shell("true"));
    site.deploy("new\n").expect("in sync");
    assert_eq!((site.content(), site.names()), ("new\n".into(), vec!["app.conf".into()]));
}

#[test]
fn content_that_a_person_holds_after_it_was_staged_is_not_put_in_place() {
    let mut site = Site::with("old");
    site.target.may_be_held = true;
    let staged = site.stage("new").expect("staged");
    let contents = vec![staged.contents().expect("a digest")];
    Hold::new(HeldBy::Person, contents).set(&site.target.dest).expect("held");
    assert_eq!(site.finish(staged).expect("held"), Outcome::Unchanged);
    assert_eq!(site.content(), "old");
    assert_eq!(site.names(), [".app.conf.held", "app.conf"]);
    let step = "INFO DIR/app.conf stays as confd rollback has put it back, until its content changes or \
                confd release ends that";
    assert!(site.plain_steps(&site.steps).contains(&step.to_owned()));
}

#[test]
fn a_hold_of_content_in_place_that_came_after_staging_does_not_end() {
    let mut site = Site::with("new");
    site.target.may_be_held = true;
    let staged = site.stage("new").expect("staged");
    let contents = vec![staged.contents().expect("a digest")];
    // The older version is about to be put in place.
    Hold::new(HeldBy::Person, contents).set(&site.target.dest).expect("held");
    assert_eq!(site.finish(staged).expect("in sync"), Outcome::Unchanged);
    assert_eq!(site.names(), [".app.conf.held", "app.conf"]);
}

#[test]
fn a_new_mode_alone_is_not_rolled_back() {
    let mut site = site_with("old\n");
    site.target.mode = Some(0o640);
    site.target.reload_cmd = Some(shell("false"));
    let error = site.deploy("old\n").expect_err("the reload fails");
    assert!(error.is_written() && !error.waits_for_a_change(), "{error}");
    assert_eq!(site.names(), [".app.conf.reload-pending", "app.conf"]);
}

#[test]
fn a_health_check_that_hangs_is_stopped_also_without_a_window() {
    let mut site = site_with("old\n");
    for window in [Duration::ZERO, Duration::from_millis(20)] {
        site.target.health = Some(Health {
            command: shell("exec sleep 1000"),
            timeout: Duration::ZERO,
            window,
            interval: Duration::from_millis(10),
        });
        let error = site.deploy("new\n").expect_err("it hangs");
        assert!(error.to_string().contains("health_cmd did not succeed within"), "{error}");
        Hold::release(&site.target.dest).expect("released");
    }
}

#[test]
fn a_set_is_rolled_back_together() {
    let folder = tempfile::tempdir().expect("a folder");
    let targets: Vec<Arc<Target>> =
        ["a", "b"].map(|name| Arc::new(on_trial(target_in(folder.path(), name)))).into();
    let deploy = |contents: [&'static str; 2]| {
        let members = targets.iter().zip(contents);
        let members = members.map(|(target, content)| Member::file(Arc::clone(target), content));
        let staged = Transaction::stage(members.collect(), &Options::default())?;
        let observer = Steps::default().observer();
        run(staged.finish(&observer, &mut Durable::new(), Disk::Elsewhere, &AtOnce))
    };
    deploy(["old a\n", "old b\n"]).expect("deployed");
    let error = deploy(["new a\n", "bad\n"]).expect_err("one reload fails");
    assert!(error.waits_for_a_change(), "{error}");
    let content = |name: &str| fs::read_to_string(folder.path().join(name)).expect("a file");
    assert_eq!((content("a"), content("b")), ("old a\n".into(), "old b\n".into()));
    let error = deploy(["new a\n", "bad\n"]).expect_err("held back");
    let Error::Held { dests } = error else { panic!("{error}") };
    assert_eq!(dests.len(), 2);
    // A file that has its newest content is not named.
    let error = deploy(["old a\n", "bad\n"]).expect_err("one reload fails");
    let b = folder.path().join("b");
    assert!(matches!(&error, Error::RolledBack { dests, .. } if *dests == [b.clone()]), "{error}");
    let error = deploy(["old a\n", "bad\n"]).expect_err("held back");
    assert!(matches!(&error, Error::Held { dests } if *dests == [b.clone()]), "{error}");
    deploy(["new a\n", "bad\n"]).expect_err("one reload fails");
    assert_eq!(names_in(folder.path()), [".a.held", ".b.held", "a", "b", "ran"]);
    // The set has changed, although only one of its contents has.
    deploy(["newer a\n", "bad\n"]).expect_err("one reload fails");
    deploy(["newer a\n", "new b\n"]).expect("deployed");
    assert_eq!(names_in(folder.path()), ["a", "b", "ran"]);
}

#[test]
fn damaged_files_beside_a_destination_stop_no_pass_and_do_not_stay() {
    let journal = ".confd-transaction-0471149721";
    let beside = ["trial", "former", "held", "reload-pending"].map(|it| format!(".app.conf.{it}"));
    for name in beside.iter().map(String::as_str).chain([journal]) {
        for text in ["", "garbage", "garbage\0trial 1\0/etc/passwd\0\0\0remove\0\0end\0"] {
            let site = site_with("old\n");
            fs::write(site.path(name), text).expect("write");
            set_mode(&site.path(name), 0o600);
            crate::sweep([site.target.dest.as_path()], &site.options, &site.steps);
            assert_eq!(site.content(), "old\n", "{name}: {text:?}");
            assert_eq!(
                site.deploy("new\n").expect("deployed"),
                Outcome::Updated,
                "{name}: {text:?}"
            );
            assert_eq!(site.names(), ["app.conf", "ran"], "{name}: {text:?}");
        }
    }
}

/// The variable with the folder of another process.
const FOLDER: &str = "DEPLOY_TEST_ROLLBACK";

/// The other process's part of the tests below: one transaction with bad content.
#[test]
fn roll_back_and_die() {
    let Some(folder) = variable(FOLDER) else { return };
    let (site, folder) = (Site::new(), Path::new(&folder));
    let site = Site { target: removable(on_trial(target_in(folder, "app.conf"))), ..site };
    site.deploy("bad\n").expect_err("the reload fails");
}

/// The same target for a file that depends on data: that it is not there can be what it goes back to.
fn removable(target: Target) -> Target {
    Target { below: target.dest.parent().map(Path::to_owned), ..target }
}

/// Deploys bad content in another process, which dies at its nth failpoint. Returns whether it did.
fn die_at(site: &Site, nth: usize) -> bool {
    die_in("roll_back_and_die", site.folder.path(), nth)
}

/// Runs this test for the folder in another process, which dies at its nth failpoint. Returns whether it
/// did.
fn die_in(test: &str, folder: &Path, nth: usize) -> bool {
    let program = std::env::current_exe().expect("the test program");
    let status = Command::new(program)
        .args([&format!("tests::rollback::{test}"), "--exact"])
        .env(FOLDER, folder)
        .env(DIE_AT, nth.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    !status.expect("started").success()
}

#[test]
fn a_rollback_killed_at_any_step_is_completed_by_the_next_pass() {
    for former in [Some("old\n"), None] {
        let mut points = 0;
        loop {
            let site = match former {
                Some(content) => site_with(content),
                None => {
                    let site = Site::new();
                    Site { target: removable(on_trial(site.target.clone())), ..site }
                }
            };
            let killed = die_at(&site, points);
            let content = fs::read_to_string(&site.target.dest).ok();
            let is_whole = content.as_deref() == former || content.as_deref() == Some("bad\n");
            assert!(is_whole, "killed at {points}: {content:?}");
            // The reload of what is in place is pending, or has been made.
            let is_pending = site.names().contains(&".app.conf.reload-pending".into());
            let has_run = site.notes().ends_with(content.as_deref().unwrap_or_default());
            assert!(content.as_deref() == former || is_pending || has_run, "killed at {points}");
            // A next pass with the same content, in a process that knows nothing.
            crate::sweep([site.target.dest.as_path()], &site.options, &site.steps);
            site.deploy("bad\n").expect_err("the reload fails, or has failed");
            let content = fs::read_to_string(&site.target.dest).ok();
            assert_eq!(content.as_deref(), former, "killed at {points}");
            assert!(Hold::of(&site.target.dest).is_some(), "killed at {points}");
            let mut names = site.names();
            names.retain(|name| !["app.conf", "ran", ".app.conf.held"].contains(&&**name));
            assert_eq!(names, <[String; 0]>::default(), "killed at {points}");
            site.deploy("good\n").expect("deployed");
            assert_eq!(site.names(), ["app.conf", "ran"], "killed at {points}");
            if !killed {
                break;
            }
            points += 1;
        }
        assert!(points > 8, "only {points} failpoints");
    }
}

/// Two files of one service, which notes both and refuses bad ones.
fn pair_in(folder: &Path) -> Vec<Arc<Target>> {
    let shown = folder.display();
    let reload =
        format!("echo $(cat {shown}/a {shown}/b) >> {shown}/ran; test \"$(cat {shown}/b)\" != bad");
    let target =
        |name| Target { reload_cmd: Some(shell(&reload)), ..on_trial(target_in(folder, name)) };
    ["a", "b"].map(|name| Arc::new(target(name))).into()
}

fn deploy_pair(folder: &Path, content: &'static str) -> Result<Vec<Outcome>, Error> {
    let members = pair_in(folder).into_iter().map(|target| Member::file(target, content));
    let staged = Transaction::stage(members.collect(), &Options::default())?;
    let observer = Steps::default().observer();
    run(staged.finish(&observer, &mut Durable::new(), Disk::Elsewhere, &AtOnce))
}

/// The other process's part of the test below.
#[test]
fn roll_back_a_pair_and_die() {
    let Some(folder) = variable(FOLDER) else { return };
    deploy_pair(Path::new(&folder), "bad\n").expect_err("the reload fails");
}

#[test]
fn a_pending_reload_sees_no_half_of_a_rollback_that_was_killed() {
    for points in 0.. {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        deploy_pair(folder, "old\n").expect("deployed");
        let killed = die_in("roll_back_a_pair_and_die", folder, points);
        let dests = pair_in(folder).into_iter().map(|target| target.dest.clone());
        let dests: Vec<_> = dests.collect();
        let (options, steps) = (Options::default(), Steps::default());
        crate::sweep(dests.iter().map(|dest| dest.as_path()), &options, &steps);
        // Newer content cannot be made.
        if let Some(kept) = Transaction::keep_pending(pair_in(folder), &options) {
            let observer = steps.observer();
            let _ = run(kept.finish(&observer, &mut Durable::new(), Disk::Here, &AtOnce));
        }
        let ran = fs::read_to_string(folder.join("ran")).expect("reloads");
        for line in ran.lines() {
            assert!(["old old", "bad bad"].contains(&line), "killed at {points}:\n{ran}");
        }
        let content = |name: &str| fs::read_to_string(folder.join(name)).expect("a file");
        assert_eq!(content("a"), content("b"), "killed at {points}");
        deploy_pair(folder, "good\n").expect("deployed");
        assert_eq!(names_in(folder), ["a", "b", "ran"], "killed at {points}");
        if !killed {
            assert!(points > 12, "only {points} failpoints");
            break;
        }
    }
}

#[test]
fn newer_content_before_the_reload_keeps_the_former_file_that_is_known_to_be_good() {
    let mut points = 0;
    loop {
        let site = site_with("old\n");
        let killed = die_at(&site, points);
        let is_in_place = site.content() == "bad\n";
        let mut newer = Site { target: site.target.clone(), ..Site::new() };
        newer.target.reload_cmd = Some(shell("exit 7"));
        newer.deploy("newer\n").expect_err("the reload fails");
        assert_eq!(site.content(), "old\n", "killed at {points}, in place: {is_in_place}");
        if !killed {
            break;
        }
        points += 1;
    }
}
