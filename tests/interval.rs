//! Interval mode: a resource that hangs blocks no other, and its command is not started twice.

use std::{fs, time::Duration};

use rustix::process::Signal;
use servers::names::Manner;

use crate::support::{Daemon, Network, Run, Sandbox, eventually, throughout};

/// A command that waits until the file `go` exists or the tree is gone. Each start adds a line to
/// `started`.
const HANG: &str = "echo >> started; until test -e go || ! test -e out; do sleep 0.01; done";

/// confd with a pass each second over `data.yaml`.
fn each_second(sandbox: &Sandbox, more: &[&str]) -> Run {
    sandbox.confd(&["-interval", "1", "-backend", "file", "-file", "data.yaml"]).arguments(more)
}

fn start(sandbox: &Sandbox, more: &[&str]) -> Daemon {
    Daemon::start(each_second(sandbox, more), sandbox.path("log"))
}

/// Replaces the data atomically, as an editor does.
fn data(sandbox: &Sandbox, yaml: &str) {
    fs::rename(sandbox.write("data.new", yaml), sandbox.path("data.yaml")).unwrap();
}

#[track_caller]
fn becomes(sandbox: &Sandbox, name: &str, content: &str) {
    eventually(&format!("{name} is {content:?}"), || sandbox.read(name) == content);
}

/// The number of hanging commands that were started.
fn started(sandbox: &Sandbox) -> usize {
    sandbox.read("started").lines().count()
}

/// A tree with resources that follow `/v` and one, `hung`, that hangs.
fn hanging(hung: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c", "y", "z"] {
        sandbox.resource(name, "{{getv \"/v\"}}", "");
    }
    // Resources with commands of their own must not be blocked either.
    sandbox.resource(
        "d",
        "{{getv \"/v\"}}",
        "check_cmd = 'cat {{.src}} >> d.checks; echo >> d.checks'\nreload_cmd = 'cat out/d >> d.reloads; echo >> d.reloads'",
    );
    sandbox.resource(hung, "{{getv \"/v\"}}", more);
    data(&sandbox, "v: 0");
    sandbox
}

/// Expects that all resources of [`hanging`] except `hung` get new data.
#[track_caller]
fn others_follow(sandbox: &Sandbox, hung: &str, values: std::ops::RangeInclusive<u32>) {
    for value in values {
        data(sandbox, &format!("v: {value}"));
        for name in ["a", "b", "c", "d", "y", "z"].iter().filter(|name| **name != hung) {
            becomes(sandbox, &format!("out/{name}"), &value.to_string());
        }
        eventually("the reload of d", || {
            sandbox.read("d.reloads").lines().last() == Some(&value.to_string())
        });
    }
}

#[test]
fn a_hanging_reload_blocks_no_other_resource() {
    // The hanging resource is the first, in the middle, or the last.
    for hung in ["a", "c", "z"] {
        let reload = format!("reload_cmd = '{HANG}; cat out/{hung} >> reloads; echo >> reloads'");
        let sandbox = hanging(hung, &reload);
        let daemon = start(&sandbox, &[]);
        eventually("the reload has begun", || started(&sandbox) == 1);
        others_follow(&sandbox, hung, 1..=2);
        assert_eq!((started(&sandbox), sandbox.read("reloads").as_str()), (1, ""));
        sandbox.write("go", "");
        // The resource gets the pass that it missed.
        becomes(&sandbox, &format!("out/{hung}"), "2");
        eventually("the file that came last is reloaded", || {
            sandbox.read("reloads").lines().last() == Some("2")
        });
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn a_hanging_check_blocks_no_other_resource() {
    for hung in ["a", "c", "z"] {
        let sandbox = hanging(hung, &format!("check_cmd = '{HANG}'"));
        let daemon = start(&sandbox, &[]);
        eventually("the check has begun", || started(&sandbox) == 1);
        others_follow(&sandbox, hung, 1..=2);
        assert_eq!((started(&sandbox), sandbox.read(&format!("out/{hung}"))), (1, String::new()));
        sandbox.write("go", "");
        becomes(&sandbox, &format!("out/{hung}"), "2");
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn several_hanging_commands_block_no_other_resource() {
    let sandbox = hanging("a", &format!("check_cmd = '{HANG}'"));
    for nth in 0..40 {
        // Equal commands would wait for each other.
        sandbox.resource(&format!("h{nth}"), "x", &format!("reload_cmd = '{HANG}; : {nth}'"));
    }
    let daemon = start(&sandbox, &[]);
    eventually("all of them have begun", || started(&sandbox) == 41);
    others_follow(&sandbox, "a", 1..=2);
    sandbox.write("go", "");
    becomes(&sandbox, "out/a", "2");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_command_that_hangs_through_several_intervals_is_not_started_again() {
    for command in ["check_cmd", "reload_cmd"] {
        let sandbox = hanging("a", &format!("{command} = '{HANG}'"));
        let daemon = start(&sandbox, &[]);
        eventually("the command has begun", || started(&sandbox) == 1);
        let mut value: u32 = 0;
        throughout(Duration::from_millis(3500), "one command runs", || {
            value += 1;
            data(&sandbox, &format!("v: {value}"));
            started(&sandbox) == 1
        });
        let seen = sandbox.read("out/b").parse().unwrap_or(0);
        assert!(seen > 0, "there was no pass meanwhile: {}", daemon.stderr());
        sandbox.write("go", "");
        becomes(&sandbox, "out/a", &value.to_string());
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn a_hanging_reload_that_succeeds_in_the_end_runs_once() {
    let sandbox = hanging("a", &format!("reload_cmd = '{HANG}'"));
    let daemon = start(&sandbox, &[]);
    eventually("the reload has begun", || started(&sandbox) == 1);
    data(&sandbox, "v: 0 # as before");
    sandbox.write("templates/b.tmpl", "another");
    becomes(&sandbox, "out/b", "another");
    sandbox.write("go", "");
    eventually("nothing is owed", || !sandbox.path("out/.a.reload-pending").exists());
    // The next passes have nothing to do.
    sandbox.write("templates/b.tmpl", "one more");
    becomes(&sandbox, "out/b", "one more");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    assert_eq!(started(&sandbox), 1);
}

#[test]
fn resources_and_templates_that_come_while_a_command_hangs_are_loaded() {
    let sandbox = hanging("a", &format!("check_cmd = '{HANG}'"));
    let daemon = start(&sandbox, &[]);
    eventually("the check has begun", || started(&sandbox) == 1);
    sandbox.resource("new", "new {{getv \"/v\"}}", "");
    becomes(&sandbox, "out/new", "new 0");
    sandbox.write("templates/b.tmpl", "changed {{getv \"/v\"}}");
    becomes(&sandbox, "out/b", "changed 0");
    fs::remove_file(sandbox.path("conf.d/c.toml")).unwrap();
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/new", "new 1");
    assert_eq!(sandbox.read("out/c"), "0", "its resource is gone");
    assert_eq!(started(&sandbox), 1);
    sandbox.write("go", "");
    becomes(&sandbox, "out/a", "1");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn failures_of_other_resources_are_logged_and_retried_while_a_command_hangs() {
    let sandbox = hanging("a", &format!("check_cmd = '{HANG}'"));
    let daemon = start(&sandbox, &[]);
    eventually("the check has begun", || started(&sandbox) == 1);
    sandbox.write("templates/b.tmpl", "{{getv \"/nokey\"}}");
    daemon.wait_for("key does not exist: /nokey");
    sandbox.write("templates/b.tmpl", "mended");
    becomes(&sandbox, "out/b", "mended");
    daemon.stop(Signal::KILL);
}

/// A template that waits for a name server that never answers. It takes at least a minute, because
/// each lookup takes at least a second.
const WAITS: &str = "{{getv \"/v\"}}{{if exists \"/slow\"}}{{range seq 1 60}}\
                     {{lookupIP (printf \"host%d.example.test\" .)}}{{end}}{{end}}";

#[test]
fn a_template_that_waits_for_a_name_server_blocks_no_other_resource() {
    for hung in ["a", "c", "z"] {
        let sandbox = hanging(hung, "");
        sandbox.write(&format!("templates/{hung}.tmpl"), WAITS);
        let run = each_second(&sandbox, &["-log-level", "error"]);
        let (daemon, world) = Daemon::start_in(run, &sandbox, Network::default());
        becomes(&sandbox, &format!("out/{hung}"), "0");
        world.names().set_manner(Manner::Silent);
        for value in 1..=3 {
            data(&sandbox, &format!("{{v: {value}, slow: 1}}"));
            for name in ["a", "b", "c", "d", "y", "z"].iter().filter(|name| **name != hung) {
                becomes(&sandbox, &format!("out/{name}"), &value.to_string());
            }
        }
        assert_eq!(sandbox.read(&format!("out/{hung}")), "0");
        assert!(world.names().unanswered() > 0, "the template waited");
        world.names().set_manner(Manner::Answers);
        eventually("the file of the newest state", || {
            sandbox.read(&format!("out/{hung}")).starts_with("3[]")
        });
        daemon.stop(Signal::KILL);
    }
}

#[test]
fn a_stop_signal_ends_a_hanging_command_after_the_shutdown_timeout() {
    for more in [format!("check_cmd = '{HANG}'"), format!("reload_cmd = '{HANG}'")] {
        let sandbox = hanging("c", &more);
        let daemon = start(&sandbox, &["-shutdown-timeout", "100ms"]);
        eventually("the command has begun", || started(&sandbox) == 1);
        others_follow(&sandbox, "c", 1..=1);
        let ended = daemon.stop(Signal::TERM);
        assert_eq!(ended.signal, Some(Signal::TERM.as_raw()), "{}", ended.stderr);
        let staged = sandbox
            .list("out")
            .into_iter()
            .find(|name| name.starts_with(".c") && name != ".c.reload-pending");
        assert_eq!(staged, None);
        // The change is not lost: the next run writes the file.
        sandbox.write("go", "");
        sandbox.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"]).ok();
        assert_eq!(sandbox.read("out/c"), "1");
        assert!(!sandbox.path("out/.c.reload-pending").exists());
    }
}

#[test]
fn a_stop_signal_ends_a_template_that_waits() {
    let sandbox = hanging("c", "");
    sandbox.write("templates/c.tmpl", WAITS);
    let run = each_second(&sandbox, &["-shutdown-timeout", "100ms", "-log-level", "error"]);
    let (daemon, world) = Daemon::start_in(run, &sandbox, Network::default());
    becomes(&sandbox, "out/c", "0");
    world.names().set_manner(Manner::Silent);
    data(&sandbox, "{v: 1, slow: 1}");
    becomes(&sandbox, "out/z", "1");
    eventually("the template waits", || world.names().unanswered() > 0);
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.signal, Some(Signal::TERM.as_raw()), "{}", ended.stderr);
    assert_eq!(sandbox.read("out/c"), "0");
}

#[test]
fn a_stop_signal_lets_a_hanging_command_end_and_starts_no_new_pass() {
    let sandbox = hanging("a", &format!("check_cmd = '{HANG}'\nreload_cmd = 'touch reloaded'"));
    let daemon = start(&sandbox, &[]);
    eventually("the check has begun", || started(&sandbox) == 1);
    others_follow(&sandbox, "a", 1..=1);
    daemon.signal(Signal::TERM);
    sandbox.write("go", "");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.log().last().unwrap(), "INFO Captured terminated. Exiting...");
    // Its pass began when `/v` was 0.
    assert_eq!(sandbox.read("out/a"), "0");
    assert!(sandbox.path("reloaded").exists());
}

#[test]
fn a_hangup_counts_for_all_while_a_command_hangs() {
    let sandbox = hanging("a", &format!("check_cmd = '{HANG}'"));
    sandbox.write("confd.toml", "prefix = '/one'");
    data(&sandbox, "{one: {v: 1}, two: {v: 2}}");
    let daemon = start(&sandbox, &["-interval", "600"]);
    eventually("the check has begun", || started(&sandbox) == 1);
    becomes(&sandbox, "out/z", "1");
    sandbox.write("confd.toml", "prefix = '/two'");
    daemon.signal(Signal::HUP);
    becomes(&sandbox, "out/z", "2");
    sandbox.write("go", "");
    becomes(&sandbox, "out/a", "2");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn data_that_change_back_after_a_failed_reload_are_written_without_healing() {
    let sandbox = Sandbox::new();
    let reload = "heal = false\nreload_cmd = 'test ! -e failing'";
    sandbox.resource("app", "{{getv \"/v\"}}", reload);
    data(&sandbox, "v: 0");
    let daemon = start(&sandbox, &[]);
    daemon.wait_for("out/app has been updated");
    sandbox.write("failing", "");
    data(&sandbox, "v: 1");
    daemon.wait_for("ERROR");
    becomes(&sandbox, "out/app", "1");
    // The reload of the file with the old data also fails.
    data(&sandbox, "v: 0");
    becomes(&sandbox, "out/app", "0");
    daemon.stop(Signal::TERM);
}

#[test]
fn a_resource_that_missed_a_pass_gets_another_also_if_it_became_free_during_that_pass() {
    let sandbox = Sandbox::new();
    let hung =
        "reload_cmd = 'until test -e go || ! test -e out; do sleep 0.01; done; echo >> ended'";
    let slow = "reload_cmd = 'test ! -e armed || { touch reached; until test -e finish || ! test -e out; do sleep 0.01; done; }'";
    sandbox.resource("hung", "{{getv \"/v\"}}", hung);
    sandbox.resource("slow", "{{getv \"/v\"}}", slow);
    data(&sandbox, "v: 0");
    let run = sandbox.confd(&["-interval", "600", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for("out/slow has been updated");
    sandbox.write("armed", "");
    data(&sandbox, "v: 1");
    daemon.signal(Signal::HUP);
    eventually("the second pass waits for the other resource", || sandbox.path("reached").exists());
    sandbox.write("go", "");
    daemon.wait_for("out/hung has been updated");
    sandbox.write("finish", "");
    becomes(&sandbox, "out/hung", "1");
    daemon.stop(Signal::TERM);
}
