//! What confd reports to systemd, and the program that confd starts and supervises.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox, eventually};

/// A program that writes its signals and the content of the file to `log`, until SIGTERM ends it with
/// exit code 7.
const PROGRAM: &str = "trap 'cat out >> log; echo hup >> log' HUP; trap 'echo usr1 >> log' USR1; \
     trap 'exit 7' TERM; cat out >> log; while :; do sleep 0.05; done";

/// A tree whose file `out` in the root has the value of `/name` in data.yaml.
fn site(value: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "{{getv \"/name\"}}\n");
    let dest = sandbox.path("out").display().to_string();
    let table = format!("[template]\nsrc='a'\ndest='{dest}'\nkeys=['/name']\n");
    sandbox.write("conf.d/a.toml", table);
    sandbox.write("data.yaml", format!("name: {value}\n"));
    fs::remove_dir_all(sandbox.path("out")).unwrap_or_default();
    sandbox
}

const WATCH: [&str; 5] = ["-watch", "-backend", "file", "-file", "data.yaml"];

#[test]
fn a_onetime_run_becomes_its_program_when_everything_is_applied() {
    let sandbox = site("x");
    let run = |words: &[&str]| {
        let run = sandbox.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"]);
        run.arguments(words).run()
    };
    let ended = run(&["--", "sh", "-c", "cat out; echo $0; exit 5", "word"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(5), "x\nword\n"));
    let ended = run(&["--", "no-such-program"]);
    assert_eq!(ended.code, Some(127));
    let line = "ERROR cannot start no-such-program: no such file or directory";
    assert!(ended.logged(line), "{}", ended.stderr);
    assert_eq!(run(&["--", "/etc/passwd"]).code, Some(126));
    let ended = run(&["--"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    sandbox.write("templates/a", "{{getv \"/none\"}}");
    let ended = run(&["--", "touch", "started"]);
    assert_eq!((ended.code, sandbox.path("started").exists()), (Some(1), false));
    let ended = run(&["-noop", "--", "touch", "started"]);
    assert_eq!((ended.code, sandbox.path("started").exists()), (Some(2), false));
}

#[test]
fn a_daemon_starts_its_program_then_signals_it_and_ends_with_its_code() {
    let sandbox = site("one");
    // Not ready before the key exists.
    sandbox.write("data.yaml", "other: x\n");
    let run =
        sandbox.confd(&WATCH).arguments(&["-reload-signal", "hup", "--", "sh", "-c", PROGRAM]);
    let daemon = Daemon::start(run, sandbox.path("confd.log"));
    daemon.wait_for("key does not exist: /name");
    let log = || fs::read_to_string(sandbox.path("log")).unwrap_or_default();
    assert_eq!(log(), "");
    sandbox.write("data.yaml", "name: one\n");
    eventually("the program runs", || log() == "one\n");
    sandbox.write("data.yaml", "name: two\n");
    eventually("the program is signalled", || log() == "one\ntwo\nhup\n");
    // What is read once does not change, and that is said.
    sandbox.write("confd.toml", "restart = 'always'\n");
    daemon.signal(Signal::HUP);
    daemon.wait_for(
        "WARNING restart, reload-signal and watchdog-interval count only from a restart on",
    );
    daemon.signal(Signal::USR1);
    eventually("the signal is passed on", || log().ends_with("usr1\n"));
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(7), "{}", ended.stderr);
}

#[test]
fn a_program_that_fails_is_started_again_and_one_that_ends_well_ends_confd() {
    let sandbox = site("x");
    let program = "echo x >> runs; test $(wc -l < runs) -lt 3 && exit 3; exit 0";
    let retry = ["-retry-delay", "50ms", "-retry-max-delay", "100ms"];
    let run = sandbox.confd(&WATCH).arguments(&retry).arguments(&["--", "sh", "-c", program]);
    let ended = run.run();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(fs::read_to_string(sandbox.path("runs")).unwrap(), "x\nx\nx\n");
    let again = ended.log();
    let again = again.iter().filter(|line| line.contains("it is started again in"));
    assert_eq!(again.count(), 2, "{}", ended.stderr);
    for (restart, code) in [("never", 3), ("sometimes", 1)] {
        let run = sandbox.confd(&WATCH).arguments(&["-restart", restart]);
        let ended = run.arguments(&["--", "sh", "-c", "exit 3"]).run();
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    }
}

#[test]
fn a_program_that_does_not_end_is_killed_when_its_time_is_over() {
    let sandbox = site("x");
    let program = "trap '' TERM; touch started; while :; do sleep 0.05; done";
    let run = sandbox.confd(&WATCH).arguments(&["-shutdown-timeout", "200ms"]);
    let run = run.arguments(&["--", "sh", "-c", program]);
    let daemon = Daemon::start(run, sandbox.path("confd.log"));
    eventually("the program runs", || sandbox.path("started").exists());
    let begun = Instant::now();
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(137), "{}", ended.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn a_second_signal_kills_a_program_that_does_not_end() {
    let sandbox = site("x");
    let program = "trap 'touch asked' TERM; echo $$ > pid; while :; do sleep 0.05; done";
    let run =
        sandbox.confd(&WATCH).arguments(&["-shutdown-timeout", "60s", "--", "sh", "-c", program]);
    let daemon = Daemon::start(run, sandbox.path("confd.log"));
    let pid = || fs::read_to_string(sandbox.path("pid")).unwrap_or_default();
    eventually("the program runs", || pid().ends_with('\n'));
    daemon.signal(Signal::TERM);
    eventually("the program has the signal", || sandbox.path("asked").exists());
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(137), "{}", ended.stderr);
    let process = format!("/proc/{}", pid().trim());
    eventually("the program has ended", || !std::path::Path::new(&process).exists());
}

#[test]
fn systemd_learns_of_ready_reload_stop_and_progress() {
    let sandbox = site("x");
    sandbox.write("data.yaml", "other: x\n");
    let path = sandbox.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let received = || {
        let mut text = [0; 512];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let next = |begin: &str| {
        let mut seen = Vec::new();
        loop {
            let text = received();
            if text.starts_with(begin) {
                return (text, seen);
            }
            seen.push(text);
        }
    };
    let run = sandbox.confd(&WATCH).env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let daemon = Daemon::start(run, sandbox.path("confd.log"));
    daemon.wait_for("key does not exist: /name");
    // A reload before the first application is no readiness.
    daemon.signal(Signal::HUP);
    daemon.wait_for("Captured hangup");
    let (_, mut seen) = next("WATCHDOG=1");
    seen.push(next("WATCHDOG=1").0);
    assert!(seen.iter().all(|text| !text.starts_with("READY")), "{seen:?}");
    sandbox.write("data.yaml", "name: x\n");
    let (text, seen) = next("READY=1");
    assert_eq!(text, "READY=1\nSTATUS=all resources are applied (1)");
    assert!(seen.iter().all(|text| text.starts_with("WATCHDOG") || text.starts_with("STATUS")));
    daemon.signal(Signal::HUP);
    let (text, _) = next("RELOADING=1");
    let (_, moment) = text.split_once("\nMONOTONIC_USEC=").unwrap();
    assert!(moment.parse::<u64>().unwrap() > 0);
    next("READY=1");
    daemon.signal(Signal::TERM);
    next("STOPPING=1");
    assert_eq!(daemon.wait().code, Some(0));
}

#[test]
fn a_manager_that_is_not_there_is_reported_and_harms_nothing() {
    let sandbox = site("x");
    let run = sandbox.confd(&WATCH).env("NOTIFY_SOCKET", "/nope");
    let daemon = Daemon::start(run, sandbox.path("confd.log"));
    daemon.wait_for("NOTIFY_SOCKET /nope: no such file or directory: systemd gets no messages");
    eventually("the file is there", || sandbox.path("out").is_file());
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
