//! Few descriptors and few threads.

use std::os::unix::fs::chown;

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox, eventually, needs_root};

/// The names of this many resources.
fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|nth| format!("r{nth}"))
}

fn with_resources(count: usize) -> Sandbox {
    let sandbox = Sandbox::new();
    names(count).for_each(|name| sandbox.resource(&name, "{{getv \"/app\"}}", ""));
    sandbox.write("data.yaml", "app: 1\n");
    sandbox
}

fn are_made(sandbox: &Sandbox, count: usize, content: &str) -> bool {
    let read = |name: &String| std::fs::read_to_string(sandbox.path(&format!("out/{name}")));
    names(count).all(|name| read(&name).is_ok_and(|held| held == content))
}

const FILE: [&str; 4] = ["-backend", "file", "-file", "data.yaml"];

#[test]
fn with_few_descriptors_resources_overlap_less_and_none_fails() {
    for limit in ["13", "20", "40"] {
        let sandbox = with_resources(100);
        // Descriptors that the test was started with are not confd's.
        let script = format!(
            "for fd in /proc/self/fd/*; do fd=${{fd##*/}}; [ $fd -lt 3 ] || eval \"exec $fd>&-\"; done
             ulimit -n {limit}; exec \"$@\""
        );
        let limited = ["bash", "-c", &script, "bash"];
        let ended = sandbox.confd(&FILE).arguments(&["-onetime"]).through(&limited).ok();
        ended.expect_no("too many open files");
        assert!(are_made(&sandbox, 100, "1"), "{}", ended.stderr);
    }
}

#[test]
fn with_few_descriptors_the_commands_of_watch_mode_overlap_less_and_none_fails() {
    for limit in ["20", "40"] {
        let sandbox = Sandbox::new();
        for name in names(100) {
            // Equal reload commands would run only once.
            let more = format!(
                "check_cmd = 'test -s {{{{.src}}}}'\nreload_cmd = 'echo {name} >> reloads'"
            );
            sandbox.resource(&name, "{{getv \"/app\"}}", &more);
        }
        sandbox.write("data.yaml", "app: 1\n");
        // Descriptors that the test was started with are not confd's.
        let script = format!(
            "for fd in /proc/self/fd/*; do fd=${{fd##*/}}; [ $fd -lt 3 ] || eval \"exec $fd>&-\"; done
             ulimit -n {limit}; exec \"$@\""
        );
        let run = sandbox.confd(&FILE).arguments(&["-watch"]);
        let daemon =
            Daemon::start(run.through(&["bash", "-c", &script, "bash"]), sandbox.path("log"));
        for (content, reloads) in [("1", 100), ("2", 200)] {
            sandbox.write("data.yaml", format!("app: {content}\n"));
            eventually("all are made", || are_made(&sandbox, 100, content));
            eventually("all are reloaded", || sandbox.read("reloads").lines().count() == reloads);
        }
        let ended = daemon.stop(Signal::TERM);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended.expect_no("too many open files");
    }
}

#[test]
fn with_too_few_descriptors_confd_ends_with_an_error() {
    let sandbox = with_resources(1);
    for limit in 3..12 {
        let limited = ["sh", "-c", &format!("ulimit -n {limit}; exec \"$@\""), "sh"];
        let ended = sandbox.confd(&FILE).arguments(&["-onetime"]).through(&limited).run();
        // With very few descriptors the system cannot even load the program.
        assert!(matches!(ended.code, Some(1 | 126 | 127)), "{limit}: {}", ended.stderr);
        ended.expect_no("panicked");
    }
}

#[test]
fn a_onetime_run_that_cannot_start_threads_for_work_makes_all_resources() {
    needs_root();
    const USER: u32 = 61_235;
    let sandbox = with_resources(20);
    for folder in ["", "out"] {
        chown(sandbox.path(folder), Some(USER), Some(USER)).unwrap();
    }
    // The runtime and the signals.
    let user = format!("--reuid={USER}");
    let limited = ["prlimit", "--nproc=2:2", "setpriv", &user, "--clear-groups", "--"];
    sandbox.confd(&FILE).arguments(&["-onetime"]).through(&limited).ok();
    assert!(are_made(&sandbox, 20, "1"));
}

#[test]
fn a_daemon_that_can_start_only_one_thread_for_work_serves_all_resources() {
    needs_root();
    // The limit of threads holds for all processes of a user, so this user runs only this test.
    const USER: u32 = 61_234;
    let sandbox = with_resources(20);
    for folder in ["", "out"] {
        chown(sandbox.path(folder), Some(USER), Some(USER)).unwrap();
    }
    // The runtime, the signals, the log, and one for work.
    let user = format!("--reuid={USER}");
    let limited = ["prlimit", "--nproc=4:4", "setpriv", &user, "--clear-groups", "--"];
    let run = sandbox.confd(&FILE).arguments(&["-watch"]).through(&limited);
    let daemon = Daemon::start(run, sandbox.path("log"));
    for content in ["1", "2", "3"] {
        sandbox.write("data.yaml", format!("app: {content}\n"));
        eventually("all are made", || are_made(&sandbox, 20, content));
    }
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect_no("panicked").expect_no("ERROR");
}
