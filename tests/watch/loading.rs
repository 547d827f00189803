//! What daemons say about resource files that they cannot load, and how often.

use rustix::process::Signal;

use super::{becomes, data, watching};
use crate::support::{Daemon, Sandbox, eventually};

/// How often the log contains this text.
fn count(daemon: &Daemon, text: &str) -> usize {
    daemon.stderr().matches(text).count()
}

const CANNOT: &str = "ERROR Cannot process template resource";

#[test]
fn a_broken_resource_file_is_reported_once_and_again_when_its_error_changes() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/v\"}}", "");
    sandbox.write("conf.d/broken.toml", "no toml");
    data(&sandbox, "v: 0");
    let run = sandbox.confd(&["-interval", "1", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    // After the second change there have been at least three passes.
    for value in ["1", "2", "3"] {
        data(&sandbox, &format!("v: {value}"));
        becomes(&sandbox, "out/app", value);
    }
    assert_eq!(count(&daemon, CANNOT), 1, "{}", daemon.stderr());
    sandbox.write("conf.d/broken.toml", "[template]\nsrc = 'a'\nmode = 'x'");
    daemon.wait_for("parsing \"x\": invalid syntax");
    std::fs::remove_file(sandbox.path("conf.d/broken.toml")).unwrap();
    for value in ["4", "5", "6"] {
        data(&sandbox, &format!("v: {value}"));
        becomes(&sandbox, "out/app", value);
    }
    assert_eq!(count(&daemon, CANNOT), 2, "{}", daemon.stderr());
    // The same error after the file was valid, or away, is a new error.
    sandbox.write("conf.d/broken.toml", "no toml");
    eventually("it is reported", || count(&daemon, CANNOT) == 3);
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn an_interval_without_resources_says_so_once() {
    let sandbox = Sandbox::new();
    data(&sandbox, "v: 0");
    let run = sandbox.confd(&["-interval", "1", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run.arguments(&["-log-level=debug"]), sandbox.path("log"));
    eventually("there were three passes", || {
        count(&daemon, "DEBUG Loading template resources from") >= 3
    });
    assert_eq!(count(&daemon, "WARNING Found no templates"), 1, "{}", daemon.stderr());
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_hangup_reports_a_broken_resource_file_that_was_just_reported_once() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: 0");
    let daemon = watching(&sandbox, &[]);
    becomes(&sandbox, "out/app", "0");
    sandbox.write("conf.d/broken.toml", "no toml");
    daemon.wait_for(CANNOT);
    daemon.signal(Signal::HUP);
    daemon.wait_for("Captured hangup");
    data(&sandbox, "v: 1");
    becomes(&sandbox, "out/app", "1");
    sandbox.write("conf.d/next.toml", "no toml either");
    daemon.wait_for("conf.d/next.toml");
    assert_eq!(count(&daemon, "conf.d/broken.toml - "), 1, "{}", daemon.stderr());
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn where_there_are_no_resources_none_is_said_to_stay() {
    let sandbox = Sandbox::new();
    data(&sandbox, "v: 0");
    std::fs::remove_dir(sandbox.path("conf.d")).unwrap();
    let daemon = watching(&sandbox, &["-log-level=debug"]);
    daemon.wait_for("There is no resource to follow");
    let loadings = || count(&daemon, "DEBUG Loading template resources from");
    let before = loadings();
    daemon.signal(Signal::HUP);
    eventually("the resources were loaded again", || loadings() > before);
    daemon.stop(Signal::TERM).expect_no("the resources in use stay");
}
