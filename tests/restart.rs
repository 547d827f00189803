//! consul-template is killed, or ends with an error, between the writing of a file and the success of
//! its command: the next start runs the command.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process_group};
use servers::Consul;

use crate::support::{Daemon, Run, Sandbox, eventually, pause};

/// The least number of kills.
const KILLS: u32 = 50;

/// consul-template with a state folder of its own.
fn program(folder: &Sandbox, arguments: &[&str]) -> Run {
    let run = Run::new(env!("CARGO_BIN_EXE_confd"), folder.root()).arguments(arguments);
    let run = run.env("STATE_DIRECTORY", folder.path("state"));
    run.with(|command| _ = command.arg0("consul-template"))
}

/// A folder with the configuration `ct.hcl`.
fn configured(blocks: &str) -> Sandbox {
    let folder = Sandbox::new();
    folder.write("ct.hcl", blocks);
    folder
}

/// One run with the configuration, to its end.
fn once(folder: &Sandbox) -> Run {
    program(folder, &["-once", "-config", "ct.hcl"])
}

/// A script that leaves the process group of its parent alone, so that it is killed with it.
fn script(folder: &Sandbox, name: &str, text: &str) {
    let path = folder.write(name, format!("#!/bin/sh\n{text}\n"));
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Kills a program and its commands at this moment, as the end of a container does.
fn kill(daemon: Daemon) {
    let group = Pid::from_raw(daemon.pid()).unwrap();
    // The program may have ended.
    let _ = kill_process_group(group, Signal::KILL);
    daemon.wait();
}

#[test]
fn a_command_that_is_killed_with_the_program_runs_at_the_next_start() {
    let folder =
        configured(r#"template { contents = "x" destination = "result" command = "./reload" }"#);
    script(&folder, "reload", "touch runs; test -e ready || exec sleep 60; cat result > seen");
    let daemon = Daemon::start(once(&folder), folder.path("log"));
    eventually("the command runs", || folder.path("runs").exists());
    kill(daemon);
    assert_eq!((folder.read("result"), folder.read("seen")), ("x".into(), "".into()));
    folder.write("ready", "");
    let ended = once(&folder).ok();
    assert_eq!((folder.read("seen"), ended.stderr), ("x".into(), "".into()));
    // That is done now.
    fs::remove_file(folder.path("seen")).unwrap();
    once(&folder).ok();
    assert_eq!(folder.read("seen"), "");
}

#[test]
fn a_command_that_failed_runs_at_the_next_start() {
    let folder = configured(
        r#"template { contents = "x" destination = "result" command = "echo x >> runs && test -e ready" }"#,
    );
    for runs in [1, 2] {
        assert_eq!(once(&folder).run().code, Some(14));
        assert_eq!(folder.read("runs").lines().count(), runs);
    }
    folder.write("ready", "");
    for _ in 0..2 {
        once(&folder).ok();
        assert_eq!(folder.read("runs").lines().count(), 3);
    }
}

#[test]
fn a_command_that_another_template_prevented_runs_at_the_next_start() {
    let folder = configured(
        r#"template { contents = "x" destination = "result" command = "cat result > seen" }
        template { source = "other.tpl" destination = "other" }"#,
    );
    folder.write("other.tpl", "{{ parseJSON \"no JSON\" }}");
    assert_eq!(once(&folder).run().code, Some(14));
    assert_eq!((folder.read("result"), folder.read("seen")), ("x".into(), "".into()));
    folder.write("other.tpl", "good");
    once(&folder).ok();
    assert_eq!((folder.read("result"), folder.read("seen")), ("x".into(), "x".into()));
}

#[test]
fn kills_at_random_moments_forget_no_command() {
    let consul = Consul::start();
    let folder = configured("");
    folder.write("in.tpl", "{{ key \"app/version\" }}");
    script(&folder, "reload", "cat result > new && sleep 0.02 && mv new seen");
    let address = consul.address();
    let arguments = ["-consul-addr", &address, "-template", "in.tpl:result:./reload"];
    let mut version = 0;
    let mut change = || {
        version += 1;
        consul.put("app/version", version.to_string());
        version.to_string()
    };
    change();
    let begin = Instant::now();
    program(&folder, &[&["-once"][..], &arguments].concat()).ok();
    let whole = begin.elapsed();
    let (mut kills, mut forgotten) = (0, 0);
    while kills < KILLS || forgotten == 0 {
        assert!(kills < 20 * KILLS, "no kill was between a file and its command");
        change();
        let daemon = Daemon::start(program(&folder, &arguments), folder.path("log"));
        // These pauses wait for no condition: the moment of the kill is what the test varies.
        pause(whole.mul_f64(fastrand::f64()));
        let last = change();
        pause(Duration::from_millis(60).mul_f64(fastrand::f64()));
        kill(daemon);
        kills += 1;
        forgotten += u32::from(folder.read("result") == last && folder.read("seen") != last);
        let ended = program(&folder, &[&["-once"][..], &arguments].concat()).ok();
        let found = (folder.read("result"), folder.read("seen"));
        assert_eq!(found, (last.clone(), last), "kill {kills}: {}", ended.stderr);
    }
}
