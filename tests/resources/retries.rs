//! When a failed pass is tried again: for the run, and for one resource.

use rustix::process::Signal;

use crate::support::{Daemon, Sandbox, eventually};

/// The number of runs of a check that always fails, when a daemon with these flags has made `least`
/// of them within a time in which the default would make three.
fn tried_again(flags: &[&str], more: &str, least: usize) {
    let sandbox = Sandbox::new();
    sandbox.write("data.yaml", "a: b");
    sandbox.resource("app", "x", &format!("check_cmd = 'echo >> ran; exit 1'\n{more}"));
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]).arguments(flags);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let begun = std::time::Instant::now();
    let ran = || sandbox.read("ran").lines().count();
    eventually("the check has run often", || ran() >= least);
    // With the default, this number of runs would take more than a minute.
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    daemon.stop(Signal::TERM);
}

#[test]
fn flags_set_the_delays_between_retries() {
    let flags = ["-retry-delay", "10ms", "-retry-factor", "1.5", "-retry-max-delay", "50ms"];
    tried_again(&flags, "", 10);
}

#[test]
fn a_resource_sets_its_own_delays() {
    let own = "retry_delay = '10ms'\nretry_factor = '1'\nretry_max_delay = '20ms'";
    tried_again(&["-retry-delay", "1h", "-retry-max-delay", "2h"], own, 10);
}

#[test]
fn a_reload_that_fails_is_tried_again_by_the_same_delays() {
    let sandbox = Sandbox::new();
    sandbox.write("data.yaml", "a: b");
    let own = "retry_delay = '10ms'\nretry_factor = '1'";
    sandbox.resource("app", "x", &format!("reload_cmd = 'echo >> ran; exit 1'\n{own}"));
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("the reload has run often", || sandbox.read("ran").lines().count() >= 10);
    daemon.stop(Signal::TERM);
}

#[test]
fn delays_that_cannot_be_are_errors_that_say_so() {
    for (flags, why) in [
        (&["-retry-delay", "0"][..], "-retry-delay is 0: without a delay, a pass that fails"),
        (
            &["-retry-delay=5s", "-retry-max-delay=1s"],
            "-retry-max-delay 1s is less than -retry-delay 5s",
        ),
        (
            &["-retry-factor", "0.5"],
            "invalid value \"0.5\" for -retry-factor: not a number from 1 to 1000",
        ),
        (
            &["-retry-factor", "NaN"],
            "invalid value \"NaN\" for -retry-factor: not a number from 1 to 1000",
        ),
    ] {
        let ended = Sandbox::rendering("x").onetime().arguments(flags).fails();
        assert!(ended.stderr.contains(&format!("FATAL {why}")), "{}", ended.stderr);
    }
    for (lines, why) in [
        ("retry_delay = '0'", "retry_delay is 0"),
        ("retry_max_delay = '0s'", "retry_max_delay is 0"),
        (
            "retry_delay = '5s'\nretry_max_delay = '1s'",
            "retry_max_delay 1s is less than retry_delay 5s",
        ),
        (
            "retry_factor = '-1'",
            "retry_factor \"-1\": not a number from 1 to 1000, such as \"1.5\"",
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "x", lines);
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        let ended = sandbox.onetime().fails();
        ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
    }
}
