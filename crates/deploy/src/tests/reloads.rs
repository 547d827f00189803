//! A reload stays pending until it succeeds.

use super::*;

const MARKER: &str = ".app.conf.reload-pending";

/// A site whose reload fails, with `exit status 7`, until the file `up` exists.
fn site_with_a_service_that_is_down() -> Site {
    let mut site = Site::with("old");
    let up = site.path("up").display().to_string();
    site.target.reload_cmd =
        Some(format!("{}; test -e {up} || exit 7", site.note("reload")).into());
    site
}

#[test]
fn a_failed_reload_is_tried_again_by_the_next_pass() {
    let site = site_with_a_service_that_is_down();
    let steps = site.observe();
    let error = site.deploy("new").expect_err("the service is down");
    assert_eq!(error.to_string(), "exit status 7");
    assert!(error.is_written());
    assert_eq!(site.content(), "new");
    let command = site.target.reload_cmd.clone().expect("a command");
    let silent =
        site.plain(format!("ERROR the command printed nothing (exit status 7): {command}"));
    let lines: Vec<String> = steps.lines().iter().map(|line| site.plain(line)).collect();
    assert_eq!(
        lines[1..],
        [
            "INFO Target config DIR/app.conf out of sync",
            &*silent,
            "WARNING DIR/app.conf is in place but its reload is pending; it will be tried again",
        ]
    );

    let steps = site.observe();
    let error = site.deploy("new").expect_err("the service is still down");
    let (dest, command) = (site.target.dest.display(), site.target.reload_cmd.as_ref());
    let expected = format!(
        "the reload of {dest} is still pending, because it failed again: exit status 7: {}",
        command.expect("a command")
    );
    assert_eq!(error.to_string(), expected);
    assert!(error.is_written());
    let lines: Vec<String> = steps.lines().iter().map(|line| site.plain(line)).collect();
    assert_eq!(lines, [&*silent]);

    fs::write(site.path("up"), "").expect("write");
    let steps = site.observe();
    assert_eq!(site.deploy("new").expect("reloaded"), Outcome::Reloaded);
    let lines: Vec<String> = steps.lines().iter().map(|line| site.plain(line)).collect();
    assert_eq!(lines, ["INFO DIR/app.conf has been reloaded",]);
    assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
    assert_eq!(site.notes(), "reload\nreload\nreload\n");
    assert_eq!(site.names(), ["app.conf", "ran", "up"]);
}

#[test]
fn the_marker_exists_from_before_the_commit_until_after_the_reload() {
    let mut site = Site::with("old");
    // The state that a crash between commit and reload would leave.
    site.target.reload_cmd =
        Some(format!("ls -A {0} > {0}/ran", site.folder.path().display()).into());
    site.deploy("new").expect("deployed");
    assert_eq!(site.notes(), format!("{MARKER}\napp.conf\nran\n"));
    assert_eq!(site.names(), ["app.conf", "ran"]);
}

#[test]
fn the_marker_explains_itself_and_is_private() {
    let site = site_with_a_service_that_is_down();
    site.deploy("new").expect_err("the service is down");
    let text = fs::read_to_string(site.path(MARKER)).expect("a marker");
    let dest = site.target.dest.display();
    assert!(text.starts_with(&format!("{dest} was replaced by confd")), "{text}");
    assert!(text.ends_with("\n") && text.lines().count() == 1);
    assert_eq!(fs::metadata(site.path(MARKER)).expect("metadata").mode() & 0o7777, 0o600);
}

#[test]
fn newer_content_replaces_the_pending_reload_by_its_own() {
    let site = site_with_a_service_that_is_down();
    site.deploy("new").expect_err("the service is down");
    fs::write(site.path("up"), "").expect("write");
    assert_eq!(site.deploy("newer").expect("deployed"), Outcome::Updated);
    assert_eq!(site.notes(), "reload\nreload\n");
    assert!(!site.path(MARKER).exists());
}

#[test]
fn noop_and_sync_only_leave_a_pending_reload_pending() {
    let mut site = site_with_a_service_that_is_down();
    site.deploy("new").expect_err("the service is down");
    for options in [
        Options { noop: true, ..Options::default() },
        Options { sync_only: true, ..Options::default() },
    ] {
        site.options = options;
        assert_eq!(site.deploy("new").expect("in sync"), Outcome::Unchanged);
    }
    assert!(site.path(MARKER).exists());
    assert_eq!(site.notes(), "reload\n");
}

#[test]
fn without_a_reload_command_nothing_is_pending() {
    for content in ["new", "newer"] {
        let mut site = site_with_a_service_that_is_down();
        site.deploy("new").expect_err("the service is down");
        site.target.reload_cmd = None;
        site.deploy(content).expect("deployed");
        assert!(!site.path(MARKER).exists());
    }
}

#[test]
fn a_failed_check_leaves_the_pending_reload_of_the_old_content() {
    let mut site = site_with_a_service_that_is_down();
    site.deploy("new").expect_err("the service is down");
    site.target.check_cmd = Some(crate::CheckCommand::new("exit 1"));
    site.deploy("bad").expect_err("refused");
    fs::write(site.path("up"), "").expect("write");
    assert_eq!(site.deploy("new").expect("reloaded"), Outcome::Reloaded);
}

#[test]
fn a_failed_commit_leaves_an_earlier_pending_reload() {
    let site = site_with_a_service_that_is_down();
    fs::write(site.path(MARKER), "").expect("write");
    fs::remove_file(&site.target.dest).expect("remove");
    fs::create_dir(&site.target.dest).expect("folder");
    site.deploy("new").expect_err("a folder");
    assert!(site.path(MARKER).exists());
}

#[test]
fn a_marker_is_never_written_through_a_link() {
    let site = site_with_a_service_that_is_down();
    fs::write(site.path("victim"), "precious").expect("write");
    std::os::unix::fs::symlink("victim", site.path(MARKER)).expect("link");
    fs::write(site.path("up"), "").expect("write");
    site.deploy("new").expect("deployed");
    assert_eq!(fs::read_to_string(site.path("victim")).expect("read"), "precious");
    assert!(!site.path(MARKER).is_symlink());
}

#[test]
fn a_dropped_transaction_leaves_its_reload_pending() {
    let mut site = Site::with("old");
    let started = site.path("started");
    site.target.reload_cmd = Some(format!("touch {}; sleep 1000", started.display()).into());
    run(async {
        let running = crate::testing::wait_until_async("the reload runs", || started.exists());
        tokio::select! {
            _ = site.deploy_async("new") => panic!("the reload does not end"),
            () = running => {}
        }
    });
    assert_eq!(site.content(), "new");
    site.target.reload_cmd = Some("true".into());
    assert_eq!(site.deploy("new").expect("reloaded"), Outcome::Reloaded);
}

/// A reloader that counts the open descriptors that lead into a folder.
struct Counting {
    folder: PathBuf,
    open: std::sync::Mutex<Vec<PathBuf>>,
}

impl crate::Reloader for Counting {
    async fn reload(&self, _: &crate::ReloadCommand<'_>) -> Result<(), Arc<crate::CommandError>> {
        let all = fs::read_dir("/proc/self/fd").expect("descriptors");
        let open = all
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .filter(|path| path.starts_with(&self.folder));
        self.open.lock().expect("no panic while held").extend(open);
        Ok(())
    }
}

#[test]
fn a_transaction_that_waits_for_its_reload_holds_no_descriptor() {
    let mut site = Site::with("old");
    site.target.reload_cmd = Some("true".into());
    site.target.check_cmd = Some(crate::CheckCommand::new("true"));
    let mut other = site.target.clone();
    other.dest = site.path("other.conf");
    let reloader = Counting { folder: site.folder.path().to_owned(), open: Default::default() };
    let targets = [Arc::new(site.target.clone()), Arc::new(other)];
    for (content, targets) in [("new", &targets[..1]), ("newer", &targets[..])] {
        // The last time the destinations are in sync, and only their reload is pending.
        for disk in [Disk::Here, Disk::Elsewhere, Disk::Here] {
            let members = targets.iter().map(|target| Member::file(Arc::clone(target), content));
            let staged = Transaction::stage(members.collect(), &site.options).expect("staged");
            let mut durable = Durable::new();
            run(staged.finish(&site.steps.observer(), &mut durable, disk, &reloader))
                .expect("deployed");
            fs::write(site.path(MARKER), "").expect("write");
        }
    }
    let open = reloader.open.into_inner().expect("no panic while held");
    assert!(open.is_empty(), "{open:?}");
}

#[test]
fn a_transaction_that_keeps_changes_nothing_and_tries_a_pending_reload_again() {
    let site = site_with_a_service_that_is_down();
    site.deploy("new").expect_err("the service is down");
    set_mode(&site.target.dest, 0o600);
    let keep = || {
        let kept = Transaction::keep([Arc::new(site.target.clone())], &site.options);
        let kept = kept.expect("a folder");
        assert!(kept.stays() && !kept.is_in_sync() && kept.contents().is_none());
        site.finish(kept)
    };
    assert!(matches!(keep(), Err(Error::PendingReload { .. })));
    fs::write(site.path("up"), "").expect("write");
    assert_eq!(keep().expect("reloaded"), Outcome::Reloaded);
    assert_eq!(keep().expect("nothing to do"), Outcome::Unchanged);
    assert_eq!((site.content().as_str(), site.mode()), ("new", 0o600));
    assert_eq!(site.notes(), "reload\nreload\nreload\n");
    assert_eq!(site.names(), ["app.conf", "ran", "up"]);
}
