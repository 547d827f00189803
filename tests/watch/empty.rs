//! Watch mode without resources: it keeps running, reports this once, and loads resources that
//! appear.

use std::{
    fs,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use super::{becomes, data, watching};
use crate::support::{Daemon, Run, Sandbox, eventually, throughout, within};

/// The time within which new resources must be loaded without a signal.
const SOON: Duration = Duration::from_secs(10);

/// The time for which a daemon must keep running.
const A_WHILE: Duration = Duration::from_secs(3);

const NONE: &str = "WARNING Found no templates";

/// confd with the folder `confd`, which need not exist.
fn on_folder(sandbox: &Sandbox) -> Run {
    let run = sandbox.bare(&["-config-file", "none", "-watch", "-backend", "file", "-file"]);
    run.arguments(&["data.yaml", "-confdir", "confd", "-interval", "1"])
}

/// A tree for [`on_folder`] in the folder `tree`, with one resource that renders `/v` to `out/app`.
fn tree(sandbox: &Sandbox, tree: &str) {
    let dest = sandbox.path("out/app");
    sandbox.write(&format!("{tree}/templates/app.tmpl"), "{{getv \"/v\"}}");
    sandbox.write(
        &format!("{tree}/conf.d/app.toml"),
        format!("[template]\nsrc = 'app.tmpl'\ndest = '{}'\nkeys = ['/']\n", dest.display()),
    );
}

/// Expects that the daemon keeps running and does not log `text` again.
#[track_caller]
fn stays(daemon: &Daemon, text: &str) {
    let count = || daemon.stderr().matches(text).count();
    let before = count();
    throughout(A_WHILE, "confd goes on", || !daemon.has_ended());
    assert_eq!(count(), before, "{}", daemon.stderr());
}

/// Sends a hangup and waits until confd has handled it.
#[track_caller]
fn hang_up(daemon: &Daemon) {
    let count = || daemon.stderr().matches("Captured hangup").count();
    let before = count();
    daemon.signal(Signal::HUP);
    eventually("the hangup is taken", || count() > before);
}

#[test]
fn without_resources_watch_mode_keeps_running_and_reports_it_once() {
    for backend in [&["-backend", "env"][..], &["-backend", "file", "-file", "data.yaml"]] {
        let sandbox = Sandbox::new();
        data(&sandbox, "v: 0");
        // Neither an interval nor a reconcile causes a second report.
        let run = sandbox.confd(&["-watch", "-interval", "1", "-reconcile", "500ms"]);
        let daemon = Daemon::start(run.arguments(backend), sandbox.path("log"));
        daemon.wait_for(NONE);
        stays(&daemon, NONE);
        assert_eq!(daemon.stderr().matches(NONE).count(), 1, "{}", daemon.stderr());
        let ended = daemon.stop(Signal::TERM);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(ended.log().last().unwrap(), "INFO Captured terminated. Exiting...");
    }
}

#[test]
fn without_resources_a_onetime_run_ends_although_watch_is_set() {
    let sandbox = Sandbox::new();
    sandbox.onetime().arguments(&["-watch"]).ok().expect(NONE);
}

#[test]
fn a_hangup_loads_the_first_resource() {
    let sandbox = Sandbox::new();
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for(NONE);
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    hang_up(&daemon);
    becomes(&sandbox, "out/app", "0");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_hangup_loads_the_first_resource_where_folders_cannot_be_watched() {
    let sandbox = Sandbox::new();
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let script = "echo 0 > /proc/sys/user/max_inotify_watches; exec \"$@\"";
    let daemon = Daemon::start(run.unshared("-Ur", script), sandbox.path("log"));
    daemon.wait_for(NONE);
    sandbox.resource("app", "x", "");
    hang_up(&daemon);
    becomes(&sandbox, "out/app", "x");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_hangup_that_finds_no_resource_or_removes_the_last_does_not_end_confd() {
    let sandbox = Sandbox::new();
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for(NONE);
    for round in 1..=2 {
        hang_up(&daemon);
        sandbox.resource("app", format!("round {round}"), "");
        hang_up(&daemon);
        becomes(&sandbox, "out/app", &format!("round {round}"));
        fs::remove_file(sandbox.path("conf.d/app.toml")).unwrap();
        hang_up(&daemon);
        eventually("the resource is gone", || {
            daemon.stderr().matches("conf.d/app.toml is gone").count() == round
        });
    }
    stays(&daemon, NONE);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_resource_that_appears_in_an_empty_conf_d_is_loaded_by_itself() {
    let sandbox = Sandbox::new();
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for(NONE);
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    within(SOON, "the file is there", || sandbox.output() == "0");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_conf_d_that_appears_later_is_loaded_by_itself() {
    let sandbox = Sandbox::new();
    fs::create_dir_all(sandbox.path("confd")).unwrap();
    tree(&sandbox, "later");
    data(&sandbox, "v: 0");
    let daemon = Daemon::start(on_folder(&sandbox), sandbox.path("log"));
    daemon.wait_for("confd/conf.d: no such file or directory");
    stays(&daemon, "no such file or directory");
    for folder in ["templates", "conf.d"] {
        let from = sandbox.path(&format!("later/{folder}"));
        fs::rename(from, sandbox.path(&format!("confd/{folder}"))).unwrap();
    }
    within(SOON, "the file is there", || sandbox.output() == "0");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_conf_d_that_is_filled_step_by_step_is_loaded_by_itself() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("confd")).unwrap();
    data(&sandbox, "v: 0");
    let daemon = Daemon::start(on_folder(&sandbox), sandbox.path("log"));
    daemon.wait_for("confd/conf.d: no such file or directory");
    // As an archive is unpacked: folders first, and the resource before its template.
    fs::create_dir(sandbox.path("confd/conf.d")).unwrap();
    fs::create_dir(sandbox.path("confd/conf.d/sub")).unwrap();
    let dest = sandbox.path("out/app");
    sandbox.write(
        "confd/conf.d/sub/app.toml",
        format!("[template]\nsrc = 'app.tmpl'\ndest = '{}'\nkeys = ['/']\n", dest.display()),
    );
    daemon.wait_for("Missing template: ");
    sandbox.write("confd/templates/app.tmpl", "{{getv \"/v\"}}");
    within(SOON, "the file is there", || sandbox.output() == "0");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_confdir_that_appears_later_is_loaded_by_itself() {
    // The folder is moved to its place, or a link to it appears later, or a dangling link gets its
    // target.
    for way in ["moved", "linked", "behind a link"] {
        let sandbox = Sandbox::new();
        tree(&sandbox, "later");
        data(&sandbox, "v: 0");
        if way == "behind a link" {
            symlink("place", sandbox.path("confd")).unwrap();
        }
        let daemon = Daemon::start(on_folder(&sandbox), sandbox.path("log"));
        daemon.wait_for("WARNING Cannot load template resources: confdir 'confd' does not exist");
        stays(&daemon, "does not exist");
        match way {
            "moved" => fs::rename(sandbox.path("later"), sandbox.path("confd")).unwrap(),
            "linked" => symlink("later", sandbox.path("confd")).unwrap(),
            _ => fs::rename(sandbox.path("later"), sandbox.path("place")).unwrap(),
        }
        within(SOON, &format!("the file is there: {way}"), || sandbox.output() == "0");
        data(&sandbox, "v: 1");
        becomes(&sandbox, "out/app", "1");
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn a_conf_d_that_goes_away_and_comes_back_is_loaded_again() {
    let sandbox = Sandbox::new();
    tree(&sandbox, "confd");
    data(&sandbox, "v: 0");
    let daemon = Daemon::start(on_folder(&sandbox), sandbox.path("log"));
    becomes(&sandbox, "out/app", "0");
    fs::rename(sandbox.path("confd/conf.d"), sandbox.path("away")).unwrap();
    stays(&daemon, "FATAL");
    let resource = sandbox.read("away/app.toml").replace("out/app", "out/other");
    sandbox.write("away/app.toml", resource);
    fs::rename(sandbox.path("away"), sandbox.path("confd/conf.d")).unwrap();
    within(SOON, "the file of the resource as it is now", || sandbox.read("out/other") == "0");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn with_a_broken_resource_alone_watch_mode_stays_and_loads_its_repair() {
    let sandbox = Sandbox::new();
    sandbox.write("conf.d/app.toml", "no toml");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    daemon.wait_for("conf.d/app.toml - toml: line 1");
    stays(&daemon, "conf.d/app.toml - toml: line 1");
    let begun = Instant::now();
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    becomes(&sandbox, "out/app", "0");
    assert!(begun.elapsed() < SOON, "after {:?}", begun.elapsed());
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
