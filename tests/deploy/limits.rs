//! Time limits of check and reload commands, and reports about slow commands.

use std::{thread, time::Duration};

use rustix::process::{Pid, Signal, test_kill_process};

use super::{dest, outdated};
use crate::support::{Daemon, Ended, Run, Sandbox, eventually, throughout};

/// The flags of interval and watch mode.
const DAEMONS: [&[&str]; 2] = [&["-watch"], &["-interval", "1"]];

/// A command that prints a line, records its process number and that of a background child, and
/// hangs.
const HANG: &str =
    "echo begun; echo $$ >> pids; sleep 100 > /dev/null 2>&1 & echo $! >> pids; wait";

/// Like [`HANG`], but its processes ignore SIGTERM.
const DEAF: &str = "trap \"\" TERM; echo begun; echo $$ >> pids; sleep 100 > /dev/null 2>&1 & \
                    echo $! >> pids; for i in $(seq 600); do sleep 0.1; done";

/// The beginning of a check's error. A reload's error has no such beginning.
const CHECK: &str = "Config check failed: ";

/// Whether a process has ended. A zombie counts as ended.
fn is_gone(pid: Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_err() || stat.contains(") Z ")
}

/// Expects that the commands that recorded their numbers (`count` in all) have ended.
#[track_caller]
fn all_are_gone(sandbox: &Sandbox, count: usize) {
    let pids = sandbox.read("pids");
    assert_eq!(pids.lines().count(), count, "{pids}");
    for pid in pids.lines().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()) {
        eventually("the command and what it started are gone", || is_gone(pid));
    }
}

/// Whether a line (`LEVEL message`) reports that a command exceeded its limit. The lines before it
/// show which command was stopped, and its output.
fn is_reported(line: &str, start: &str, limit: &str) -> bool {
    line.starts_with(&format!("{start}timed out after {limit}"))
}

/// Expects that a run failed because a command exceeded its limit. `start` is the beginning of its
/// error.
#[track_caller]
fn tells(ended: &Ended, start: &str, limit: &str) {
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let printed = |line: &String| line.starts_with("ERROR \"begun\\n");
    assert!(ended.log().iter().any(printed), "{}", ended.stderr);
    for level in ["ERROR", "FATAL"] {
        let reports = |line: &String| is_reported(line, &format!("{level} {start}"), limit);
        assert_eq!(ended.log().iter().filter(|line| reports(line)).count(), 1, "{}", ended.stderr);
    }
}

/// Waits until a daemon has reported that a command of this resource exceeded its limit.
#[track_caller]
fn daemon_tells(daemon: &Daemon, start: &str, limit: &str, resource: &str) {
    let start = format!("]: ERROR {start}");
    let own = format!(" (resource {resource})");
    eventually(&format!("{resource} is told to have taken {limit}"), || {
        let log = daemon.stderr();
        let mut lines = log.lines().filter_map(|line| Some(&line[line.find(&start)?..]));
        lines.any(|line| is_reported(line, &start, limit) && line.ends_with(&own))
    });
}

/// Starts a daemon with backend `env`.
fn start(sandbox: &Sandbox, mode: &[&str], more: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-backend", "env"]).arguments(mode).arguments(more);
    Daemon::start(run, sandbox.path("log"))
}

#[test]
fn a_check_that_takes_too_long_is_ended_with_its_group_and_changes_nothing() {
    for command in [HANG, DEAF] {
        let sandbox = outdated(&format!(
            "check_cmd = '{command}'\ncheck_timeout = '1s'\nreload_cmd = 'touch reloaded'"
        ));
        tells(&sandbox.onetime().run(), CHECK, "1s");
        assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));
        assert!(!sandbox.path("reloaded").exists());
        all_are_gone(&sandbox, 2);
    }
}

#[test]
fn a_reload_that_takes_too_long_is_ended_with_its_group_and_stays_pending() {
    for command in [HANG, DEAF] {
        let sandbox = outdated(&format!(
            "reload_cmd = 'test -e allowed || {{ {command}; }}'\nreload_timeout = '1s'"
        ));
        let ended = sandbox.onetime().run();
        tells(&ended, "", "1s");
        ended.expect_no("has been updated");
        assert_eq!(
            (sandbox.output(), sandbox.list("out")),
            ("new".into(), vec![".app.reload-pending".into(), "app".into()])
        );
        all_are_gone(&sandbox, 2);
        sandbox.write("allowed", "");
        sandbox.onetime().ok();
        assert_eq!(sandbox.list("out"), ["app"]);
    }
}

#[test]
fn a_command_is_asked_to_end_before_it_is_killed() {
    let polite = "trap \"echo bye; touch polite; exit 0\" TERM; echo begun; for i in $(seq 6000); do sleep 0.01; done";
    for (start, which) in [(CHECK, "check"), ("", "reload")] {
        let sandbox = outdated(&format!("{which}_cmd = '{polite}'\n{which}_timeout = '1s'"));
        // It has failed, although it then ends with exit code 0.
        let ended = sandbox.onetime().run();
        tells(&ended, start, "1s");
        let printed = |line: &String| line.starts_with("ERROR \"") && line.ends_with("bye\\n\"");
        assert!(ended.log().iter().any(printed), "{}", ended.stderr);
        assert!(sandbox.path("polite").exists());
    }
}

#[test]
fn the_flags_are_the_limits_of_resources_without_one() {
    for (flags, keys, told) in [
        (["-check-cmd-timeout", "1500ms"], format!("check_cmd = '{HANG}'"), Some((CHECK, "1.5s"))),
        (["-reload-cmd-timeout", "1s"], format!("reload_cmd = '{HANG}'"), Some(("", "1s"))),
        // Each flag limits its own kind of command only.
        (["-reload-cmd-timeout", "100ms"], "check_cmd = 'sleep 1'".into(), None),
        (["-check-cmd-timeout", "100ms"], "reload_cmd = 'sleep 1'".into(), None),
        // A resource's own limit wins, shorter or longer. Zero means no limit.
        (
            ["-check-cmd-timeout", "1h"],
            format!("check_cmd = '{HANG}'\ncheck_timeout = '1s'"),
            Some((CHECK, "1s")),
        ),
        (
            ["-reload-cmd-timeout", "1h"],
            format!("reload_cmd = '{HANG}'\nreload_timeout = '1s'"),
            Some(("", "1s")),
        ),
        (
            ["-check-cmd-timeout", "100ms"],
            "check_cmd = 'sleep 1'\ncheck_timeout = '1m'".into(),
            None,
        ),
        (
            ["-check-cmd-timeout", "100ms"],
            "check_cmd = 'sleep 1'\ncheck_timeout = '0s'".into(),
            None,
        ),
        (
            ["-reload-cmd-timeout", "100ms"],
            "reload_cmd = 'sleep 1'\nreload_timeout = '0s'".into(),
            None,
        ),
    ] {
        let sandbox = outdated(&keys);
        let ended = sandbox.onetime().arguments(&flags).run();
        match told {
            Some((start, limit)) => {
                tells(&ended, start, limit);
                all_are_gone(&sandbox, 2);
            }
            None => assert_eq!(ended.code, Some(0), "{flags:?} {keys}: {}", ended.stderr),
        }
    }
}

#[test]
fn without_a_limit_a_onetime_run_waits() {
    let sandbox = outdated("check_cmd = 'sleep 3'\nreload_cmd = 'sleep 3'");
    sandbox.onetime().ok().expect_no("still running");
    assert_eq!(sandbox.output(), "new");
}

#[test]
fn a_limit_that_is_not_reached_changes_nothing() {
    let sandbox = outdated(
        "check_cmd = 'true'\ncheck_timeout = '1m'\nreload_cmd = 'true'\nreload_timeout = '1m'",
    );
    let ended = sandbox.onetime().ok();
    ended.expect_no("WARNING").expect_no("ERROR");
    assert_eq!((sandbox.output(), sandbox.list("out")), ("new".into(), vec!["app".into()]));
}

#[test]
fn a_limit_does_not_concern_background_processes() {
    let sandbox = outdated(
        "reload_cmd = '{ sleep 2; touch survived; } > /dev/null 2>&1 &'\nreload_timeout = '1s'",
    );
    sandbox.onetime().ok();
    eventually("it goes on", || sandbox.path("survived").exists());
}

#[test]
fn a_limit_that_is_not_a_duration_is_an_error() {
    for key in ["check_timeout", "reload_timeout"] {
        for value in ["'soon'", "'-1s'", "5", "true"] {
            let sandbox = outdated(&format!("{key} = {value}"));
            let ended = sandbox.onetime().fails();
            let log = ended.log();
            let resource = sandbox.path("conf.d/app.toml").display().to_string();
            let start = format!("FATAL Cannot process template resource {resource} - ");
            let last = log.last().unwrap();
            assert!(last.starts_with(&start) && last.contains(key), "{last}");
            assert_eq!(sandbox.output(), "old");
        }
    }
    for flag in ["-check-cmd-timeout", "-reload-cmd-timeout"] {
        let sandbox = outdated("");
        let ended = sandbox.onetime().arguments(&[flag, "soon"]).fails();
        let last = ended.log().pop().unwrap();
        assert!(last.starts_with("FATAL ") && last.contains("soon"), "{last}");
        assert_eq!(sandbox.output(), "old");
    }
}

#[test]
fn a_daemon_stops_a_slow_command_names_its_resource_and_tries_again() {
    for mode in DAEMONS {
        for (start_of, which) in [(CHECK, "check"), ("", "reload")] {
            let keys =
                format!("{which}_cmd = 'test -e allowed || {{ {HANG}; }}'\n{which}_timeout = '1s'");
            let sandbox = outdated(&keys);
            let daemon = start(&sandbox, mode, &[]);
            daemon.wait_for("ERROR \"begun\\n\" (resource app)\n");
            daemon_tells(&daemon, start_of, "1s", "app");
            sandbox.write("allowed", "");
            let mark = sandbox.path("out/.app.reload-pending");
            eventually("it succeeds", || sandbox.output() == "new" && !mark.exists());
            assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
            let count = sandbox.read("pids").lines().count();
            all_are_gone(&sandbox, count);
        }
    }
}

#[test]
fn the_flags_limit_commands_of_daemons_too() {
    for mode in DAEMONS {
        let sandbox = outdated(&format!("reload_cmd = '{HANG}'"));
        sandbox.resource("other", "x", &format!("check_cmd = '{HANG}'"));
        let flags = ["-check-cmd-timeout", "1s", "-reload-cmd-timeout", "2s"];
        let daemon = start(&sandbox, mode, &flags);
        daemon_tells(&daemon, CHECK, "1s", "other");
        daemon_tells(&daemon, "", "2s", "app");
        daemon.stop(Signal::KILL);
    }
}

#[test]
fn a_resources_limit_loaded_by_a_hangup_is_used() {
    let sandbox = outdated("check_cmd = 'test -e short || exit 1; sleep 100'");
    let daemon = start(&sandbox, &["-interval", "600"], &[]);
    daemon.wait_for("Config check failed: exit status 1");
    sandbox.write("short", "");
    sandbox.resource("app", "new", "check_cmd = 'echo begun; sleep 100'\ncheck_timeout = '1s'");
    daemon.signal(Signal::HUP);
    daemon_tells(&daemon, CHECK, "1s", "app");
    daemon.stop(Signal::TERM);
}

#[test]
fn without_a_limit_a_daemon_gives_a_command_a_minute() {
    let run = |mode: &[&str], which: &str, start_of: &str| {
        let sandbox = outdated(&format!("{which}_cmd = '{HANG}'"));
        let daemon = start(&sandbox, mode, &[]);
        eventually("the command has begun", || sandbox.read("pids").lines().count() == 2);
        for _ in 0..2 {
            throughout(Duration::from_secs(27), "the command goes on", || {
                !daemon.stderr().contains("timed out")
            });
        }
        daemon_tells(&daemon, start_of, "60s", "app");
        daemon.stop(Signal::KILL);
    };
    // Run at the same time, because each takes long.
    thread::scope(|scope| {
        for mode in DAEMONS {
            scope.spawn(move || run(mode, "check", CHECK));
            scope.spawn(move || run(mode, "reload", ""));
        }
    });
}

/// The lines that report a command as still running.
fn reported(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains("still running after 10s"));
    lines.map(ToOwned::to_owned).collect()
}

/// Runs confd with a command that runs for more than ten seconds, and checks the log.
fn goes_on(mode: &str, which: &str) {
    let sandbox = outdated(&format!(
        "{which}_cmd = 'until test -e go || ! test -e out; do sleep 0.1; done'\n{which}_timeout = '0s'"
    ));
    sandbox.resource("short", "x", "check_cmd = 'true'\nreload_cmd = 'true'");
    let run: Run = match mode {
        "onetime" => sandbox.onetime(),
        "watch" => sandbox.confd(&["-backend", "env", "-watch"]),
        _ => sandbox.confd(&["-backend", "env", "-interval", "1"]),
    };
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("it is told", || !reported(&daemon.stderr()).is_empty());
    // Neither more time nor more passes cause a second report.
    throughout(Duration::from_secs(11), "it is told once", || {
        reported(&daemon.stderr()).len() == 1
    });
    let line = reported(&daemon.stderr()).remove(0);
    assert!(
        line.contains("]: WARNING ") && line.contains("resource app"),
        "{mode} {which}: {line}"
    );
    sandbox.write("go", "");
    let ended = match mode {
        "onetime" => daemon.wait(),
        _ => {
            daemon.wait_for(&format!("Target config {} has been updated", dest(&sandbox)));
            daemon.stop(Signal::TERM)
        }
    };
    assert_eq!((ended.code, reported(&ended.stderr).len()), (Some(0), 1), "{}", ended.stderr);
}

#[test]
fn a_slow_command_is_reported_once_with_its_resource() {
    // Run at the same time, because each takes long.
    thread::scope(|scope| {
        for mode in ["onetime", "interval", "watch"] {
            for which in ["check", "reload"] {
                scope.spawn(move || goes_on(mode, which));
            }
        }
    });
}
