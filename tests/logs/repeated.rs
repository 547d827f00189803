//! Failures that repeat, in the log of a daemon.

use crate::support::{Daemon, Sandbox, eventually};

#[test]
fn a_failure_that_repeats_is_written_five_times_and_once_more_when_it_is_over() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "check_cmd = 'echo x >> passes; test -e allowed'");
    let pace = ["-watch", "-retry-delay", "50ms", "-retry-factor", "1", "-retry-max-delay", "50ms"];
    let run = sandbox.confd(&["-backend", "env"]).arguments(&pace);
    let daemon = Daemon::start(run, sandbox.path("log"));
    let passes = || sandbox.read("passes").lines().count();
    eventually("there are many passes", || passes() >= 12);
    sandbox.write("allowed", "");
    daemon.wait_for("INFO Target config");
    daemon.wait_for(" works again after ");
    let log = daemon.stderr();
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!(count("ERROR Config check failed: exit status 1 (resource app)"), 5, "{log}");
    assert_eq!(count("out of sync"), 6, "those of five failures and of the success: {log}");
    assert_eq!(count("has been updated"), 1, "{log}");
    let end = log.lines().find_map(|line| line.split_once(" works again after ")).unwrap().1;
    assert!(end.contains(" failures in ") && end.ends_with("s (resource app)"), "{log}");
    assert!(passes() >= 13);
}
