//! `backup`, `confd history`, `confd rollback` and `confd release`: older versions of a file.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use rustix::process::Signal;
use servers::{Etcd, Release};

use crate::support::{Daemon, Ended, Run, Sandbox, eventually};

/// A resource that renders `/v`, keeps versions and notes its reloads.
fn keeping(more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let more = format!("backup = 3\nreload_cmd = 'cat out/app >> reloads'\n{more}\n");
    sandbox.resource("app", "{{getv \"/v\"}}\n", &more);
    sandbox
}

fn run_with(sandbox: &Sandbox, value: &str) -> Run {
    sandbox.onetime_with(&format!("v: {value}")).arguments(&["-state-dir", "state"])
}

/// A command about the versions of a resource.
fn command(sandbox: &Sandbox, words: &[&str]) -> Run {
    sandbox.write("confd.toml", "");
    let flags = ["-config-file", "confd.toml", "-confdir", ".", "-state-dir", "state"];
    sandbox.bare(&[words, &flags].concat())
}

/// The lines of `confd history`, without their times.
fn history(sandbox: &Sandbox) -> Vec<String> {
    let ended = command(sandbox, &["history", "app"]).ok();
    let line = |line: &str| {
        let words = line.split_whitespace().filter(|word| !word.ends_with('Z'));
        words.collect::<Vec<_>>().join(" ")
    };
    // A history without versions has a line too.
    let lines = ended.stdout.lines().filter(|line| !line.starts_with("there are no versions"));
    lines.map(line).collect()
}

#[test]
fn the_last_versions_are_listed_and_one_is_put_back_and_held_until_the_content_changes() {
    let sandbox = keeping("");
    sandbox.write("out/app", "before\n");
    for value in ["one", "two", "three"] {
        run_with(&sandbox, value).ok();
    }
    // The one in place, and the three before it.
    let found = "1 7 bytes found in place";
    assert_eq!(history(&sandbox), ["4 6 bytes in place /v", "3 4 bytes /v", "2 4 bytes /v", found]);
    let ended = command(&sandbox, &["rollback", "app"]).ok();
    assert!(ended.stdout.contains(" is version 3 again, and stays so until "), "{}", ended.stdout);
    assert_eq!(sandbox.output(), "two\n");
    let held = run_with(&sandbox, "three").ok();
    assert!(held.stderr.contains("stays as confd rollback has put it back"), "{}", held.stderr);
    assert_eq!(
        (sandbox.output(), sandbox.read("reloads")),
        ("two\n".into(), "one\ntwo\nthree\ntwo\n".into())
    );
    let listed = history(&sandbox);
    assert!(listed[0].contains(" is held since"), "{listed:?}");
    assert_eq!(listed[2], "3 4 bytes held /v");
    command(&sandbox, &["rollback", "app.toml", "--to", "2"]).ok();
    assert_eq!(sandbox.output(), "one\n");
    run_with(&sandbox, "three").ok();
    assert_eq!(sandbox.output(), "one\n");
    run_with(&sandbox, "four").ok();
    assert_eq!((sandbox.output(), sandbox.list("out")), ("four\n".into(), vec!["app".into()]));
}

#[test]
fn a_version_comes_back_with_its_mode_also_if_the_resource_preserves_that_of_the_file() {
    let sandbox = keeping("preserve = true\nmode = '0600'");
    run_with(&sandbox, "one").ok();
    run_with(&sandbox, "two").ok();
    fs::set_permissions(sandbox.path("out/app"), Permissions::from_mode(0o644)).unwrap();
    run_with(&sandbox, "three").ok();
    assert_eq!(sandbox.mode("out/app"), 0o644);
    command(&sandbox, &["rollback", "app", "--to", "1"]).ok();
    assert_eq!((sandbox.output().as_str(), sandbox.mode("out/app")), ("one\n", 0o600));
}

#[test]
fn a_release_lets_the_next_pass_put_the_newest_content_in_place() {
    let sandbox = keeping("");
    run_with(&sandbox, "one").ok();
    run_with(&sandbox, "two").ok();
    command(&sandbox, &["rollback", "app"]).ok();
    let ended = command(&sandbox, &["release", "app"]).ok();
    let text = "gets its newest content with the next pass of confd, which SIGHUP starts at once; where \
                confd has a control socket, -control-socket names it, and confd release starts the pass";
    assert!(ended.stdout.contains(text), "{}", ended.stdout);
    assert_eq!(
        command(&sandbox, &["release", "app"]).ok().stdout,
        "the resource app is not held\n"
    );
    run_with(&sandbox, "two").ok();
    assert_eq!(sandbox.output(), "two\n");
}

#[test]
fn a_running_confd_leaves_a_version_alone_that_was_put_back() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = keeping("");
    let start = |log: &str| {
        let flags =
            ["-watch", "-reconcile", "1s", "-state-dir", "state", "-backend", "etcd", "-node"];
        Daemon::start(sandbox.confd(&flags).arguments(&[etcd.url()]), sandbox.path(log))
    };
    let becomes = |content: &str| {
        eventually(&format!("the file is {content:?}"), || sandbox.output() == content);
    };
    etcd.put("/v", "one");
    let first = start("log");
    becomes("one\n");
    etcd.put("/v", "two");
    eventually("two versions are kept", || history(&sandbox).len() == 2);
    command(&sandbox, &["rollback", "app"]).ok();
    first.wait_for("stays as confd rollback has put it back");
    assert_eq!(sandbox.output(), "one\n");
    assert_eq!(first.stop(Signal::TERM).code, Some(0));
    let second = start("log2");
    second.wait_for("stays as confd rollback has put it back");
    assert_eq!(sandbox.output(), "one\n");
    command(&sandbox, &["release", "app"]).ok();
    becomes("two\n");
    command(&sandbox, &["rollback", "app"]).ok();
    assert_eq!(sandbox.output(), "one\n");
    etcd.put("/v", "three");
    becomes("three\n");
    assert_eq!(second.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_hangup_after_a_release_brings_the_newest_content_at_once() {
    let sandbox = keeping("");
    for value in ["one", "two"] {
        run_with(&sandbox, value).ok();
    }
    let flags = ["-watch", "-state-dir", "state", "-backend", "file", "-file", "data.yaml"];
    let daemon = Daemon::start(sandbox.confd(&flags), sandbox.path("log"));
    command(&sandbox, &["rollback", "app"]).ok();
    daemon.wait_for("stays as confd rollback has put it back");
    command(&sandbox, &["release", "app"]).ok();
    assert_eq!(sandbox.output(), "one\n");
    daemon.signal(Signal::HUP);
    eventually("the newest content is back", || sandbox.output() == "two\n");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_held_version_is_a_state_and_a_release_brings_the_newest_content_at_once() {
    let sandbox = keeping("");
    for value in ["one", "two"] {
        run_with(&sandbox, value).ok();
    }
    for mode in [&["-watch"][..], &["-interval", "3600"]] {
        let flags = [
            "-state-dir",
            "state",
            "-backend",
            "file",
            "-file",
            "data.yaml",
            "-control-socket",
            "c",
        ];
        let daemon = Daemon::start(sandbox.confd(mode).arguments(&flags), sandbox.path("log"));
        let asked =
            |words: &[&str]| command(&sandbox, words).arguments(&["-control-socket", "c"]).run();
        let is_in = |state: &str| {
            let holds = || asked(&["status"]).stdout.contains(&format!("\napp       {state} "));
            eventually(&format!("the state is {state}"), holds);
        };
        is_in("in_sync");
        command(&sandbox, &["rollback", "app"]).ok();
        // In interval mode the next pass would be in an hour.
        assert_eq!(asked(&["run", "app"]).code, Some(0));
        is_in("held: version 1");
        let document: serde_json::Value =
            serde_json::from_str(&asked(&["status", "-json"]).stdout).unwrap();
        let resource = &document["resources"][0];
        assert_eq!((&resource["state"], &resource["held_version"]), (&"held".into(), &1.into()));
        assert_eq!((&document["ready"], sandbox.output().as_str()), (&true.into(), "one\n"));
        let released = asked(&["release", "app"]);
        assert_eq!((released.code, sandbox.output().as_str()), (Some(0), "two\n"));
        assert!(
            released.stdout.ends_with("out/app has its newest content\n"),
            "{}",
            released.stdout
        );
        is_in("in_sync");
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn a_release_whose_pass_fails_says_why() {
    let sandbox = keeping("check_cmd = '! test -e strict'");
    for value in ["one", "two"] {
        run_with(&sandbox, value).ok();
    }
    let flags = [
        "-watch",
        "-state-dir",
        "state",
        "-backend",
        "file",
        "-file",
        "data.yaml",
        "-control-socket",
        "c",
    ];
    let daemon = Daemon::start(sandbox.confd(&flags), sandbox.path("log"));
    command(&sandbox, &["rollback", "app"]).ok();
    sandbox.write("strict", "");
    let released =
        command(&sandbox, &["release", "app"]).arguments(&["-control-socket", "c"]).run();
    assert_eq!((released.code, sandbox.output().as_str()), (Some(1), "one\n"));
    let text =
        "the resource app is not held any more, and its pass has failed: Config check failed";
    assert!(released.stderr.contains(text), "{}", released.stderr);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn the_commands_are_commands_only_as_the_first_word() {
    let sandbox = keeping("");
    for word in ["history", "rollback", "release"] {
        let ended = sandbox.bare(&["-onetime", word]).run();
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        let line = format!("{word} must be the first word of the command line\n");
        assert!(ended.stderr.starts_with(&line), "{}", ended.stderr);
    }
    let ended = sandbox.bare(&["histroy", "app"]).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.contains("did you mean \"history\"?"), "{}", ended.stderr);
}

#[test]
fn a_version_that_its_check_refuses_changes_nothing() {
    let sandbox = keeping("check_cmd = '! test -e strict'");
    run_with(&sandbox, "one").ok();
    run_with(&sandbox, "two").ok();
    sandbox.write("strict", "");
    let ended = command(&sandbox, &["rollback", "app"]).fails();
    assert!(ended.stderr.contains("Config check failed"), "{}", ended.stderr);
    assert_eq!((sandbox.output(), sandbox.list("out")), ("two\n".into(), vec!["app".into()]));
}

#[test]
fn the_commands_of_a_rollback_have_the_variables_of_every_pass() {
    let sandbox =
        keeping("check_cmd = 'set -u; echo $CONFD_RESOURCE:$CONFD_CHANGED_KEYS: >> checks'");
    for value in ["one", "two"] {
        run_with(&sandbox, value).ok();
    }
    sandbox.write("checks", "");
    command(&sandbox, &["rollback", "app"]).ok();
    assert_eq!(sandbox.read("checks"), "conf.d/app.toml::\n");
}

#[test]
fn a_state_folder_that_cannot_be_written_costs_only_the_versions() {
    let sandbox = keeping("");
    sandbox.write("state", "a file");
    let ended = run_with(&sandbox, "one").ok();
    let lines = ended.stderr.lines().filter(|line| line.contains("no versions of")).count();
    assert_eq!(lines, 1, "{}", ended.stderr);
    assert_eq!(sandbox.output(), "one\n");
}

#[test]
fn errors_name_what_there_is() {
    let sandbox = keeping("");
    for (words, text) in [
        (&["history", "apt"][..], "there is no resource \"apt\" in conf.d, did you mean \"app\"?"),
        (&["rollback", "app"], "there are no versions of the resource app in state: backup = 5"),
        (&["history"], "write confd history RESOURCE [-json], and then flags such as -confdir"),
        (&["rollback", "app", "--to", "x"], "-to is followed by the number of a version"),
    ] {
        let ended = command(&sandbox, words).fails();
        assert!(ended.stderr.contains(text), "{}", ended.stderr);
    }
    let ended = command(&sandbox, &["history", "app"]).ok();
    let text =
        "there are no versions of the resource app in state: backup = 5 in its file keeps five";
    assert!(ended.stdout.contains(text), "{}", ended.stdout);
    run_with(&sandbox, "one").ok();
    let ended = command(&sandbox, &["rollback", "app"]).fails();
    let text = "the resource app has no version before the present one; its versions are 1";
    assert!(ended.stderr.contains(text), "{}", ended.stderr);
    let ended = command(&sandbox, &["rollback", "app", "--to", "9"]).fails();
    assert!(ended.stderr.contains("has no version 9; its versions are 1"), "{}", ended.stderr);
}

#[test]
fn max_shrink_counts_the_keys_of_the_newest_version_after_a_restart() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{len (ls \"/v\")}}\n", "backup = 2\nmax_shrink = '50%'");
    let run = |yaml: &str| sandbox.onetime_with(yaml).arguments(&["-state-dir", "state"]);
    run("v: {a: 1, b: 2, c: 3, d: 4}").ok();
    let ended = run("v: {a: 1}").fails();
    assert!(ended.stderr.contains("max_shrink: 1 key after 4 keys"), "{}", ended.stderr);
}

#[test]
fn content_whose_reload_failed_is_not_put_in_place_again_after_a_rollback() {
    let sandbox = keeping("");
    run_with(&sandbox, "one").ok();
    sandbox.resource(
        "app",
        "{{getv \"/v\"}}\n",
        "backup = 3\nreload_cmd = 'echo run >> reloads; ! grep bad out/app'\n",
    );
    run_with(&sandbox, "bad").fails();
    command(&sandbox, &["rollback", "app"]).ok();
    assert_eq!(sandbox.output(), "one\n");
    run_with(&sandbox, "bad").ok();
    assert_eq!(sandbox.output(), "one\n");
}

#[test]
fn a_confd_that_runs_does_not_repeat_the_reload_of_a_rollback() {
    let etcd = Etcd::start(Release::Debian);
    let sandbox = Sandbox::new();
    let reload = "backup = 3\nreload_cmd = 'echo begun >> reloads; \
                  if grep -q one out/app && test -e wait; then while ! test -e go; do :; done; fi; \
                  echo done >> reloads'\n";
    sandbox.resource("app", "{{getv \"/v\"}}\n", reload);
    etcd.put("/v", "one");
    let flags = ["-watch", "-reconcile", "1s", "-state-dir", "state", "-backend", "etcd", "-node"];
    let run = sandbox.confd(&flags).arguments(&[etcd.url()]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("one is kept", || history(&sandbox).len() == 1);
    etcd.put("/v", "two");
    eventually("two are kept", || history(&sandbox).len() == 2);
    sandbox.write("reloads", "");
    sandbox.write("wait", "");
    let rollback = command(&sandbox, &["rollback", "app"]).spawn();
    // The daemon sees the hold while the command of the rollback still reloads.
    daemon.wait_for("stays as confd rollback has put it back");
    eventually("the rollback reloads", || sandbox.read("reloads") == "begun\n");
    sandbox.write("go", "");
    assert_eq!(Ended::wait(rollback).code, Some(0));
    let lines = || daemon.stderr().matches("stays as confd rollback").count();
    let before = lines();
    eventually("the daemon has looked again", || lines() > before);
    assert_eq!(sandbox.read("reloads"), "begun\ndone\n");
}

#[test]
fn a_rollback_that_is_killed_during_its_check_holds_nothing() {
    let check = "check_cmd = 'test ! -e slow || { touch checking; sleep 100; }'";
    let sandbox = keeping(check);
    for value in ["one", "two"] {
        run_with(&sandbox, value).ok();
    }
    sandbox.write("slow", "");
    let mut rollback = command(&sandbox, &["rollback", "app"]).spawn();
    eventually("the check", || sandbox.path("checking").exists());
    rollback.kill().unwrap();
    rollback.wait().unwrap();
    fs::remove_file(sandbox.path("slow")).unwrap();
    assert!(!command(&sandbox, &["history", "app"]).ok().stdout.contains("held"));
    fs::write(sandbox.path("out/app"), "edited\n").unwrap();
    run_with(&sandbox, "two").ok();
    assert_eq!(sandbox.output(), "two\n");
}

#[test]
fn a_rollback_says_why_it_cannot_be_and_changes_nothing() {
    let sandbox = keeping("");
    run_with(&sandbox, "one").ok();
    run_with(&sandbox, "two").ok();
    let ended = command(&sandbox, &["rollback", "app", "-noop"]).fails();
    assert!(ended.stderr.contains("-noop has no meaning here"), "{}", ended.stderr);
    std::os::unix::fs::chown(sandbox.path("state"), Some(1), None).unwrap();
    let ended = command(&sandbox, &["rollback", "app"]).fails();
    assert!(ended.stderr.contains("belongs to the user 1"), "{}", ended.stderr);
    std::os::unix::fs::chown(sandbox.path("state"), Some(0), None).unwrap();
    sandbox.resource("app", "{{getv \"/v\"}}\n", "");
    let ended = command(&sandbox, &["rollback", "app"]).fails();
    assert!(ended.stderr.contains("has no backup any more"), "{}", ended.stderr);
    assert_eq!((sandbox.output(), sandbox.list("out")), ("two\n".into(), vec!["app".into()]));
}

#[test]
fn without_commands_a_version_names_the_keys_that_changed() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/a\"}}{{getv \"/b\"}}\n", "backup = 3\n");
    let etcd = Etcd::start(Release::Debian);
    etcd.put("/a", "1");
    etcd.put("/b", "1");
    let flags = ["-watch", "-state-dir", "state", "-backend", "etcd", "-node"];
    let run = sandbox.confd(&flags).arguments(&[etcd.url()]);
    let _daemon = Daemon::start(run, sandbox.path("log"));
    eventually("one is kept", || history(&sandbox).len() == 1);
    etcd.put("/b", "2");
    eventually("two are kept", || history(&sandbox).len() == 2);
    assert!(history(&sandbox)[0].ends_with("in place /b"), "{:?}", history(&sandbox));
}

#[test]
fn with_backup_1_there_is_one_version_to_go_back_to() {
    let sandbox = keeping("");
    let toml = sandbox.read("conf.d/app.toml").replace("backup = 3", "backup = 1");
    sandbox.write("conf.d/app.toml", toml);
    for value in ["one", "two", "three"] {
        run_with(&sandbox, value).ok();
    }
    assert_eq!(history(&sandbox), ["3 6 bytes in place /v", "2 4 bytes /v"]);
    command(&sandbox, &["rollback", "app"]).ok();
    assert_eq!(sandbox.output(), "two\n");
}

#[test]
fn a_history_is_also_shown_as_json() {
    let sandbox = keeping("");
    let json = || {
        let ended = command(&sandbox, &["history", "app", "--json"]).ok();
        serde_json::from_str::<serde_json::Value>(&ended.stdout).unwrap()
    };
    let dest = sandbox.path("out/app").display().to_string();
    let nothing = serde_json::json!({
        "resource": "app", "files": [dest.as_str()], "hold": null, "versions": [],
    });
    assert_eq!(json(), nothing);
    run_with(&sandbox, "one").ok();
    run_with(&sandbox, "two").ok();
    command(&sandbox, &["rollback", "app"]).ok();
    let mut found = json();
    let time = |value: &mut serde_json::Value| {
        let time = value.take();
        assert!(
            time.as_str().is_some_and(|time| time.len() == 20 && time.ends_with('Z')),
            "{time}"
        );
    };
    time(&mut found["hold"]["since"]);
    time(&mut found["versions"][0]["at"]);
    time(&mut found["versions"][1]["at"]);
    let expected = serde_json::json!({
        "resource": "app",
        "files": [dest.as_str()],
        "hold": { "by": "person", "since": null },
        "versions": [
            {
                "number": 2, "at": null, "bytes": 4, "changed": "/v",
                "in_place": false,
            },
            {
                "number": 1, "at": null, "bytes": 4, "changed": "/v",
                "in_place": true,
            },
        ],
    });
    assert_eq!(found, expected);
    let ended = command(&sandbox, &["rollback", "app", "--json"]).fails();
    assert!(ended.stderr.contains("-json"), "{}", ended.stderr);
}
