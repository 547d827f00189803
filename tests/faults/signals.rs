//! SIGTERM and SIGINT during a onetime run.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Ended, Sandbox, eventually};

/// Runs until a command hangs and sends the signal. Returns the result, and the process numbers of
/// the command and of its child.
fn interrupted(sandbox: &Sandbox, signal: Signal) -> (Ended, Vec<Pid>) {
    let running = sandbox.onetime().spawn();
    eventually("the command runs", || sandbox.read("pids").lines().count() == 2);
    kill_process(Pid::from_child(&running), signal).unwrap();
    let pids = sandbox
        .read("pids")
        .lines()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap())
        .collect();
    (Ended::wait(running), pids)
}

/// Writes its own process number and that of its child, and then hangs.
const HANG: &str = "echo $$ > pids; sleep 1000 & echo $! >> pids; wait";

/// Whether a process has ended; one that has not been reaped yet counts as ended.
fn is_gone(pid: Pid) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    test_kill_process(pid).is_err() || stat.contains(") Z ")
}

#[test]
fn a_stop_signal_ends_a_hanging_check_and_leaves_the_old_file_alone() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", &format!("check_cmd = '{HANG}'"));
        sandbox.write("out/app", "old");
        let (ended, pids) = interrupted(&sandbox, signal);
        assert_eq!((ended.code, ended.signal), (None, Some(number)), "{}", ended.stderr);
        assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));
        for pid in pids {
            eventually("the command and its children are gone", || is_gone(pid));
        }
    }
}

#[test]
fn a_shell_sees_143_and_130() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", &format!("check_cmd = 'echo $PPID > confd; {HANG}'"));
        let running = sandbox.onetime().through(&["sh", "-c", "\"$@\"; exit $?", "sh"]).spawn();
        eventually("the command runs", || sandbox.read("pids").lines().count() == 2);
        kill_process(Pid::from_raw(sandbox.read("confd").trim().parse().unwrap()).unwrap(), signal)
            .unwrap();
        assert_eq!(Ended::wait(running).code, Some(code));
    }
}

#[test]
fn a_stop_signal_during_a_reload_leaves_the_new_file_and_the_reload_pending() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", &format!("reload_cmd = 'test -e allowed || {{ {HANG}; }}'"));
    let (ended, pids) = interrupted(&sandbox, Signal::TERM);
    assert_eq!(ended.signal, Some(15));
    assert_eq!(
        (sandbox.output(), sandbox.list("out")),
        ("new".into(), vec![".app.reload-pending".into(), "app".into()])
    );
    for pid in pids {
        eventually("the command and its children are gone", || is_gone(pid));
    }
    sandbox.write("allowed", "");
    sandbox.onetime().ok().expect_no("out of sync");
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn a_stop_signal_leaves_nothing_staged_of_later_resources() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "d", "e"] {
        sandbox.resource(name, "new", "");
    }
    sandbox.resource("c", "new", &format!("check_cmd = '{HANG}'"));
    let (ended, _) = interrupted(&sandbox, Signal::TERM);
    assert_eq!(ended.signal, Some(15));
    assert_eq!(sandbox.list("out"), ["a", "b"]);
}
