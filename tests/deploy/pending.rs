//! Reloads that are pending from an earlier run: a onetime run tries them again and warns, but does
//! not fail because of them.

use std::path::Path;

use rustix::process::Signal;

use super::dest;
use crate::support::{Daemon, Ended, Run, Sandbox, eventually, search_path};

/// A reload that succeeds once there is a file `service`. Each try is a line of `tries`, each
/// success a line of `reloads`.
const RELOAD: &str =
    "reload_cmd = 'echo try >> tries; test -e service || exit 7; echo reload >> reloads'";

/// The marker of the resource `app`.
const MARKER: &str = "out/.app.reload-pending";

/// A tree with the resource `app`, whose file is in place and whose reload is pending from an
/// earlier run.
fn pending() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", RELOAD);
    let first = sandbox.onetime().fails();
    first.expect("ERROR exit status 7").expect("FATAL exit status 7");
    assert_eq!((sandbox.output().as_str(), sandbox.path(MARKER).exists()), ("new", true));
    sandbox
}

/// Whether a line warns that the reload of this destination is pending.
fn warns(line: &str, dest: &str) -> bool {
    line.starts_with("WARNING ") && line.contains(dest) && line.contains("reload")
}

/// Expects that a run succeeded, warned once about the pending reload of `app` and logged no FATAL
/// line.
#[track_caller]
fn only_warned(sandbox: &Sandbox, ended: &Ended) {
    let warnings = ended.log().iter().filter(|line| warns(line, &dest(sandbox))).count();
    assert_eq!((ended.code, warnings), (Some(0), 1), "{}", ended.stderr);
    ended.expect_no("FATAL");
}

/// `confd`, found in `PATH`, in a shell script that is run in the sandbox.
fn script(sandbox: &Sandbox, script: &str) -> Run {
    let folder = Path::new(env!("CARGO_BIN_EXE_confd")).parent().unwrap();
    let path = format!("{}:{}", folder.display(), search_path());
    Run::new("sh", sandbox.root()).arguments(&["-c", script]).env("PATH", path)
}

/// The entrypoint of the tutorials, limited to ten rounds.
const ENTRYPOINT: &str = "
    until confd -onetime -backend env -confdir . -config-file none; do
        echo \"[app] waiting for confd to create initial configuration\" >> rounds
        test $(wc -l < rounds) -lt 10 || exit 9
    done";

#[test]
fn the_entrypoint_of_the_tutorials_ends_at_its_second_round() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", RELOAD);
    let ended = script(&sandbox, ENTRYPOINT).ok();
    assert_eq!(sandbox.read("rounds").lines().count(), 1, "{}", ended.stderr);
    assert_eq!(sandbox.read("tries"), "try\ntry\n", "each round tries the reload");
    assert!(sandbox.path(MARKER).exists(), "the reload is still owed");
    assert!(ended.log().iter().any(|line| warns(line, &dest(&sandbox))), "{}", ended.stderr);
}

#[test]
fn the_entrypoint_ends_with_several_reloads_that_cannot_succeed_yet() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.resource(name, "new", RELOAD);
    }
    sandbox.resource("d", "new", "");
    let ended = script(&sandbox, ENTRYPOINT).ok();
    assert_eq!(sandbox.read("rounds").lines().count(), 1, "{}", ended.stderr);
    for name in ["a", "b", "c"] {
        let dest = sandbox.path(&format!("out/{name}")).display().to_string();
        assert!(ended.log().iter().any(|line| warns(line, &dest)), "{name}: {}", ended.stderr);
        assert!(sandbox.path(&format!("out/.{name}.reload-pending")).exists());
    }
}

#[test]
fn the_entrypoint_still_waits_for_a_key() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/nokey\"}}", RELOAD);
    assert_eq!(script(&sandbox, ENTRYPOINT).run().code, Some(9));
    assert_eq!(sandbox.read("tries"), "");
}

#[test]
fn the_daemon_that_follows_the_entrypoint_makes_the_reload() {
    for mode in [&["-watch"][..], &["-interval", "1"]] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", RELOAD);
        script(&sandbox, ENTRYPOINT).ok();
        let run = sandbox.confd(&["-backend", "env"]).arguments(mode);
        let daemon = Daemon::start(run, sandbox.path("log"));
        let tries = || sandbox.read("tries").lines().count();
        eventually("the daemon tries the reload", || tries() > 2);
        assert!(sandbox.path(MARKER).exists());
        sandbox.write("service", "");
        eventually("the reload is made", || !sandbox.path(MARKER).exists());
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
        assert_eq!(sandbox.read("reloads"), "reload\n", "{mode:?}");
    }
}

#[test]
fn a_run_in_which_only_a_pending_reload_fails_succeeds_and_leaves_it_pending() {
    let sandbox = pending();
    for tries in 2..5 {
        only_warned(&sandbox, &sandbox.onetime().run());
        assert_eq!(sandbox.read("tries").lines().count(), tries);
        assert_eq!(sandbox.list("out"), [".app.reload-pending", "app"]);
        assert_eq!(sandbox.mode(MARKER), 0o600);
    }
    sandbox.write("service", "");
    sandbox.onetime().ok().expect_no("WARNING");
    assert_eq!(
        (sandbox.list("out"), sandbox.read("reloads")),
        (vec!["app".into()], "reload\n".into())
    );
}

#[test]
fn pending_reloads_that_fail_again_do_not_count_as_failed_resources() {
    let sandbox = Sandbox::new();
    for name in ["one", "two"] {
        sandbox.resource(name, "new", "reload_cmd = 'false'");
    }
    sandbox.onetime().fails().expect("WARNING 2 of 2 resources failed: one, two");
    sandbox.onetime().ok().expect_no("resources failed");
    sandbox.resource("zero", "new", "check_cmd = 'false'");
    sandbox.onetime().fails().expect_no("resources failed");
}

#[test]
fn a_reload_that_was_aborted_is_pending_too() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "new",
        "reload_cmd = 'test -e cut && exit 7; touch cut; kill -KILL $PPID'",
    );
    assert_eq!(sandbox.onetime().run().signal, Some(9));
    only_warned(&sandbox, &sandbox.onetime().run());
    assert!(sandbox.path(MARKER).exists());
}

#[test]
fn a_reload_that_a_daemon_left_pending_does_not_fail_a_onetime_run() {
    for mode in [&["-watch"][..], &["-interval", "1"]] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", RELOAD);
        let run = sandbox.confd(&["-backend", "env"]).arguments(mode);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for("its reload is pending");
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
        only_warned(&sandbox, &sandbox.onetime().run());
    }
}

#[test]
fn a_run_that_replaces_the_file_fails_with_its_reload_even_if_one_was_pending_before() {
    // The content differs, the file is missing, or only its mode differs.
    for change in ["content", "removal", "mode"] {
        let sandbox = pending();
        match change {
            "content" => _ = sandbox.write("templates/app.tmpl", "newer"),
            "removal" => std::fs::remove_file(sandbox.path("out/app")).unwrap(),
            _ => sandbox.resource("app", "new", &format!("mode = '0600'\n{RELOAD}")),
        }
        sandbox.onetime().fails().expect("FATAL exit status 7");
        // For the next run, only this reload is pending.
        only_warned(&sandbox, &sandbox.onetime().run());
    }
}

#[test]
fn any_other_failure_beside_a_pending_reload_fails_the_run() {
    let failing: [(&str, &str, &str); 4] = [
        ("x", "check_cmd = 'exit 3'", "FATAL Config check failed: exit status 3"),
        ("x", "reload_cmd = 'exit 4'", "FATAL exit status 4"),
        (
            "{{getv \"/nokey\"}}",
            "",
            "FATAL template: OTHER.tmpl:1:2: executing \"OTHER.tmpl\" at \
                                     <getv \"/nokey\">: error calling getv: key does not exist: /nokey",
        ),
        (
            "{{",
            "",
            "FATAL Unable to process template FOLDER/templates/OTHER.tmpl, template: \
                    OTHER.tmpl:1: unclosed action",
        ),
    ];
    for (template, more, fatal) in failing {
        // The other resource comes before or after the one with the pending reload.
        for other in ["aaa", "zzz"] {
            let sandbox = pending();
            sandbox.resource(other, template, more);
            let ended = sandbox.onetime().fails();
            let folder = sandbox.root().display().to_string();
            let fatal = fatal.replace("OTHER", other).replace("FOLDER", &folder);
            assert_eq!(ended.log().last(), Some(&fatal), "{}", ended.stderr);
            assert!(
                ended.log().iter().any(|line| warns(line, &dest(&sandbox))),
                "{}",
                ended.stderr
            );
            assert_eq!(sandbox.read("tries"), "try\ntry\n");
        }
    }
}

#[test]
fn an_invalid_resource_file_beside_a_pending_reload_fails_the_run() {
    let sandbox = pending();
    sandbox.write("conf.d/zzz.toml", "no toml");
    let ended = sandbox.onetime().fails();
    let last = ended.log().pop().unwrap();
    assert!(last.starts_with("FATAL Cannot process template resource "), "{last}");
}

#[test]
fn the_resource_with_the_pending_reload_may_fail_in_other_ways() {
    for (template, check, fatal) in [
        ("newer", "check_cmd = 'exit 3'", "FATAL Config check failed: exit status 3"),
        ("{{getv \"/nokey\"}}", "", "FATAL template: app.tmpl:1:2: "),
    ] {
        let sandbox = pending();
        sandbox.resource("app", template, &format!("{check}\n{RELOAD}"));
        let last = sandbox.onetime().fails().log().pop().unwrap();
        assert!(last.starts_with(fatal), "{last}");
        assert_eq!((sandbox.output().as_str(), sandbox.path(MARKER).exists()), ("new", true));
    }
}

#[test]
fn a_store_that_is_down_fails_the_run_although_a_reload_is_pending() {
    let sandbox = pending();
    sandbox.confd(&["-onetime", "-backend", "file", "-file", "nosuch.yaml"]).fails();
    assert!(sandbox.path(MARKER).exists());
}

#[test]
fn a_pending_reload_ends_when_the_resource_has_no_reload_cmd_any_more() {
    // The file is in sync, or is replaced by the run that finds the marker.
    for template in ["new", "newer"] {
        let sandbox = pending();
        sandbox.resource("app", template, "");
        sandbox.onetime().arguments(&["-noop"]).ok();
        assert!(sandbox.path(MARKER).exists(), "a run with -noop removes nothing");
        let ended = sandbox.onetime().ok();
        ended.expect_no("WARNING");
        let line = format!("INFO {} had a reload pending", dest(&sandbox));
        assert!(ended.log().iter().any(|said| said.starts_with(&line)), "{}", ended.stderr);
        assert_eq!(sandbox.list("out"), ["app"]);
        sandbox.resource("app", template, RELOAD);
        sandbox.onetime().ok().expect_no("reload pending");
    }
}

#[test]
fn a_pending_reload_stays_pending_in_a_run_without_commands() {
    let sandbox = pending();
    sandbox.onetime().arguments(&["-sync-only"]).ok();
    assert!(sandbox.path(MARKER).exists());
}

#[test]
fn the_warning_about_a_pending_reload_names_the_file_and_the_command() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", "reload_cmd = 'exit 7'");
    sandbox.onetime().fails();
    let warning = format!(
        "WARNING the reload of {} is still pending, because it failed again: exit status 7: exit 7 \
         (resource app)",
        dest(&sandbox)
    );
    sandbox.onetime().ok().expect(&warning);
}
