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

#[test]
fn a_command_of_several_templates_runs_once_at_the_next_start() {
    let template = |name: &str| {
        format!(
            r#"template {{ contents = "{name}" destination = "{name}"
                command = "echo run >> runs && test -e ready" }}
            "#
        )
    };
    let folder = configured(&["a", "b", "c"].map(template).concat());
    assert_eq!(once(&folder).run().code, Some(14));
    assert_eq!(folder.list("state").len(), 3);
    folder.write("ready", "");
    let ended = once(&folder).arguments(&["-log-level", "info"]).ok();
    assert_eq!(folder.read("runs"), "run\nrun\n");
    let reason = r#"(runner) command ["echo run >> runs && test -e ready"] from "(dynamic)" => "c" is pending: it has not succeeded since the file was written"#;
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    assert_eq!(folder.list("state"), [""; 0]);
}

/// A template whose command leaves a line and fails until the file `ready` is there.
const FAILING: &str = r#"template {
    contents = "secret"
    destination = "result"
    command = "echo run >> runs && test -e ready"
}
"#;

#[test]
fn a_mended_command_runs_in_place_of_the_one_that_failed() {
    let folder = configured(FAILING);
    assert_eq!(once(&folder).run().code, Some(14));
    folder.write("ct.hcl", FAILING.replace("test -e ready", "touch done"));
    once(&folder).ok();
    assert!(folder.path("done").exists());
    assert_eq!(folder.list("state"), [""; 0]);
}

#[test]
fn a_command_is_forgotten_with_its_template_and_with_its_content() {
    let nothing = "template { contents = \"x\" destination = \"other\" }";
    let without = FAILING.lines().filter(|line| !line.contains("command"));
    let without = without.collect::<Vec<_>>().join("\n");
    for (blocks, content, runs) in [
        (nothing, "secret", 1),
        (&*without, "secret", 1),
        // The file was edited, and is written again with a command of its own.
        (FAILING, "edited", 2),
        // The new content was put in place by another program.
        (&*FAILING.replace("secret", "edited"), "edited", 1),
    ] {
        let folder = configured(FAILING);
        assert_eq!(once(&folder).run().code, Some(14));
        folder.write("ready", "");
        folder.write("ct.hcl", blocks);
        folder.write("result", content);
        once(&folder).ok();
        assert_eq!(folder.read("runs").lines().count(), runs, "{blocks} {content}");
        assert_eq!(folder.list("state"), [""; 0], "{blocks} {content}");
    }
}

#[test]
fn processes_with_one_state_folder_leave_the_commands_of_each_other_alone() {
    let folder = configured(FAILING);
    assert_eq!(once(&folder).run().code, Some(14));
    let other = FAILING.replace("result", "other").replace("runs", "others");
    folder.write("other.hcl", other.replace("test -e ready", "true"));
    let markers = folder.list("state");
    program(&folder, &["-once", "-config", "other.hcl"]).ok();
    assert_eq!((folder.list("state"), folder.read("others")), (markers, "run\n".into()));
    folder.write("ready", "");
    once(&folder).ok();
    assert_eq!(folder.read("runs"), "run\nrun\n");
}

#[test]
fn the_state_folder_has_no_secrets_and_is_for_its_user_alone() {
    let folder = configured(FAILING);
    assert_eq!(once(&folder).run().code, Some(14));
    assert_eq!(folder.mode("state"), 0o700);
    let [marker] = &folder.list("state")[..] else { panic!("one marker is expected") };
    let marker = format!("state/{marker}");
    assert_eq!(folder.mode(&marker), 0o600);
    let text = folder.read(&marker);
    assert!(text.starts_with(&format!("{}\nwas written", folder.path("result").display())));
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_dry_run_and_templates_without_commands_leave_the_state_folder_alone() {
    let folder = configured("template { contents = \"x\" destination = \"other\" }");
    once(&folder).ok();
    assert!(!folder.path("state").exists());
    folder.write("ct.hcl", FAILING);
    once(&folder).arguments(&["-dry"]).ok();
    assert!(!folder.path("state").exists());
    assert_eq!(once(&folder).run().code, Some(14));
    let markers = folder.list("state");
    folder.write("ct.hcl", "");
    once(&folder).arguments(&["-dry"]).ok();
    assert_eq!(folder.list("state"), markers);
}

#[test]
fn a_state_folder_that_cannot_be_written_causes_one_warning_and_nothing_else() {
    let folder = configured("");
    let templates = ["a", "b"].map(|name| {
        format!(
            "template {{ contents = \"x\" destination = \"{name}\" command = \"touch ran.{name}\" }}\n"
        )
    });
    folder.write("ct.hcl", templates.concat());
    fs::create_dir(folder.path("state")).unwrap();
    let script = "mount --bind state state; mount -o remount,bind,ro state; exec \"$@\"";
    // By this word, because `unshare` starts the program by its own name.
    let run = Run::new(env!("CARGO_BIN_EXE_confd"), folder.root());
    let run = run.arguments(&["consul-template", "-once", "-config", "ct.hcl"]);
    let ended = run.env("STATE_DIRECTORY", folder.path("state")).unshared("-m", script).ok();
    let files = ["a", "b", "ran.a", "ran.b"];
    assert!(files.iter().all(|name| folder.path(name).exists()), "{}", ended.stderr);
    let state = folder.path("state").display().to_string();
    let words = [
        format!("[WARN] (runner) the state folder {state} cannot be used"),
        format!("open {state}/command-"),
        "read-only file system".to_owned(),
    ];
    assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn the_state_folder_can_be_set_and_switched_off() {
    let folder = configured(FAILING);
    let run = |arguments: &[&str]| {
        assert_eq!(once(&folder).arguments(arguments).run().code, Some(14), "{arguments:?}");
        fs::remove_file(folder.path("result")).unwrap();
    };
    run(&["-state-dir", "", "-log-level", "err"]);
    folder.write("ct.hcl", format!("state_dir = \"\"\n{FAILING}"));
    run(&[]);
    assert!(!folder.path("state").exists());
    run(&["-state-dir", "of/flag"]);
    assert_eq!(folder.list("of/flag").len(), 1);
    folder.write("ct.hcl", format!("state_dir = \"of.file\"\n{FAILING}"));
    run(&[]);
    assert_eq!(folder.list("of.file").len(), 1);
    assert!(!folder.path("state").exists());
}

#[test]
fn a_configuration_that_is_read_again_forgets_no_command() {
    let folder = configured(&format!("state_dir = \"\"\n{FAILING}"));
    folder
        .write("ct.hcl", folder.read("ct.hcl").replace("command", "error_fatal = false\ncommand"));
    let run = program(&folder, &["-config", "ct.hcl", "-log-level", "info"]);
    let daemon = Daemon::start(run, folder.path("log"));
    // The delays of retries grow, until this test is over before the next retry.
    daemon.wait_for("(tried again after \"4s\")");
    folder.write("ready", "");
    daemon.signal(Signal::HUP);
    daemon.wait_for("is pending: it has not succeeded since the file was written");
    eventually("the command has succeeded", || folder.read("runs").lines().count() == 4);
    assert_eq!(daemon.stop(Signal::INT).code, Some(12));
}
