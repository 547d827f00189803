//! The program consul-template and a real Consul or Vault: what the recorded cases do not show.

mod secrets;

use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use rustix::process::Signal;
use servers::{Consul, free_ports};

use crate::support::{Daemon, Run, Sandbox, eventually, pause};

/// consul-template, run once with a template whose result is the file `result`.
fn once(folder: &Sandbox, address: &str, template: &str) -> Run {
    folder.write("in.tpl", template);
    program(folder).arguments(&["-once", "-consul-addr", address, "-template", "in.tpl:result"])
}

/// consul-template.
fn program(folder: &Sandbox) -> Run {
    let run = Run::new(env!("CARGO_BIN_EXE_confd"), folder.root());
    let run = run.env("STATE_DIRECTORY", folder.path("state"));
    run.with(|command| _ = command.arg0("consul-template"))
}

/// An address at which nothing listens.
fn dead() -> String {
    let [port] = free_ports();
    format!("127.0.0.1:{port}")
}

#[test]
fn an_address_that_does_not_answer_is_followed_by_the_next() {
    let consul = Consul::start();
    consul.put("app/name", "shop");
    let folder = Sandbox::new();
    let addresses = format!("{},{}", dead(), consul.address());
    let ended = once(&folder, &addresses, "{{ key \"app/name\" }}").ok();
    assert_eq!(folder.read("result"), "shop");
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_failed_attempt_executes_no_template() {
    let folder = Sandbox::new();
    let template = r#"{{ plugin "sh" "-c" "echo again >> executed" }}{{ key "a" }}"#;
    let run = once(&folder, &dead(), template);
    let retry = ["-consul-retry-attempts", "3", "-consul-retry-backoff", "20ms"];
    let ended = run.arguments(&retry).run();
    assert_eq!(ended.code, Some(14), "{}", ended.stderr);
    assert!(ended.stderr.contains("(retry attempt 3 after \"80ms\")"), "{}", ended.stderr);
    assert_eq!(folder.read("executed"), "again\n");
}

#[test]
fn files_of_the_settings_that_cannot_be_read_end_the_program_before_consul_is_asked() {
    let folder = Sandbox::new();
    for (flag, words) in [
        ("-consul-token-file", "consul: Error loading token file nope : open nope: no such file"),
        (
            "-consul-ssl-ca-cert",
            "consul configuring TLS failed: Error loading CA File: open nope: ",
        ),
    ] {
        let run = once(&folder, &dead(), "{{ key \"a\" }}");
        let ended = run.arguments(&[flag, "nope"]).run();
        assert_eq!(ended.code, Some(14), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}

#[test]
fn a_result_that_fails_its_check_is_not_put_in_place() {
    let folder = Sandbox::new();
    folder.write(
        "ct.hcl",
        r#"template {
            source = "in.tpl"
            destination = "result"
            check = "grep -q good {{.src}}"
            command = "echo run >> runs"
        }"#,
    );
    folder.write("in.tpl", "good\n");
    program(&folder).arguments(&["-once", "-config", "ct.hcl"]).ok();
    folder.write("in.tpl", "bad\n");
    let ended = program(&folder).arguments(&["-once", "-config", "ct.hcl"]).run();
    assert_eq!(ended.code, Some(14), "{}", ended.stderr);
    assert!(ended.stderr.contains("error rendering \"in.tpl\" => \"result\""), "{}", ended.stderr);
    assert_eq!((folder.read("result"), folder.read("runs")), ("good\n".into(), "run\n".into()));
}

#[test]
fn a_result_that_fails_its_check_ends_neither_the_process_nor_its_child() {
    let consul = Consul::start();
    consul.put("app/a", "good");
    let folder = Sandbox::new();
    folder.write(
        "ct.hcl",
        r#"template {
            source = "in.tpl"
            destination = "result"
            check = "! grep -q bad {{.src}}"
        }
        exec { command = "echo start >> child && exec sleep 60" }"#,
    );
    folder.write("in.tpl", "{{ key \"app/a\" }}");
    let run = program(&folder).arguments(&["-config", "ct.hcl", "-consul-addr", &consul.address()]);
    let daemon = Daemon::start(run, folder.path("log"));
    eventually("the child has started", || folder.path("child").exists());
    consul.put("app/a", "bad");
    daemon.wait_for("[ERR] (runner) error rendering \"in.tpl\" => \"result\": failed writing file: Config check failed: ");
    daemon.wait_for("(tried again after \"1s\")");
    assert_eq!(folder.read("result"), "good");
    assert!(!daemon.has_ended());
    assert_eq!(folder.read("child"), "start\n");
    consul.put("app/a", "better");
    eventually("the better result", || folder.read("result") == "better");
    assert_eq!(daemon.stop(Signal::INT).code, Some(12));
}

#[test]
fn a_check_that_fails_is_tried_again_and_the_child_starts_when_it_has_succeeded() {
    let folder = Sandbox::new();
    folder.write(
        "ct.hcl",
        r#"template {
            contents = "x"
            destination = "result"
            check = "test -e ready"
        }
        exec { command = "cat result > child && exec sleep 60" }"#,
    );
    let run = program(&folder).arguments(&["-config", "ct.hcl"]);
    let daemon = Daemon::start(run, folder.path("log"));
    daemon.wait_for("(tried again after \"1s\")");
    assert!(!folder.path("result").exists() && !folder.path("child").exists());
    folder.write("ready", "");
    eventually("the child has started", || folder.read("child") == "x");
    assert_eq!(daemon.stop(Signal::INT).code, Some(12));
}

#[test]
fn a_failed_command_is_tried_again_where_errors_are_not_fatal() {
    let folder = Sandbox::new();
    folder.write(
        "ct.hcl",
        r#"template {
            contents = "x"
            destination = "result"
            error_fatal = false
            command = "test -e ready && echo run >> runs"
        }"#,
    );
    let run = program(&folder).arguments(&["-config", "ct.hcl"]);
    let daemon = Daemon::start(run, folder.path("log"));
    daemon.wait_for("(tried again after \"1s\")");
    assert_eq!(folder.read("result"), "x");
    folder.write("ready", "");
    eventually("the command has succeeded", || folder.path("runs").exists());
    assert_eq!(daemon.stop(Signal::INT).code, Some(12));
    assert_eq!(folder.read("runs"), "run\n");
}

#[test]
fn a_command_of_several_templates_runs_once_when_their_quiescence_ends() {
    let consul = Consul::start();
    consul.put("app/a", "1");
    let folder = Sandbox::new();
    for name in ["a", "b", "c"] {
        folder.write(&format!("{name}.tpl"), "{{ key \"app/a\" }}");
    }
    let run = program(&folder).arguments(&["-consul-addr", &consul.address(), "-wait", "300ms"]);
    let run = ["a", "b", "c"].iter().fold(run, |run, name| {
        run.arguments(&["-template", &format!("{name}.tpl:{name}:echo run >> runs")])
    });
    let daemon = Daemon::start(run, folder.path("log"));
    let runs = || std::fs::read_to_string(folder.path("runs")).unwrap_or_default();
    eventually("the command has run", || runs() == "run\n");
    consul.put("app/a", "2");
    eventually("every file is new", || ["a", "b", "c"].iter().all(|name| folder.read(name) == "2"));
    eventually("the command has run", || runs().lines().count() >= 2);
    // The command would run again for each of the other templates.
    pause(Duration::from_millis(500));
    assert_eq!(runs().lines().count(), 2);
    daemon.stop(Signal::INT);
}

#[test]
fn a_dry_run_beside_consul_template_prints_only_what_differs_and_runs_nothing() {
    let folder = Sandbox::new();
    folder.write(
        "ct.hcl",
        r#"pid_file = "pid"
        template { contents = "x" destination = "same" command = "touch ran" }
        template { contents = "y" destination = "other" command = "touch ran" }
        exec { command = "touch ran" }"#,
    );
    folder.write("same", "x");
    let flags = ["-once", "-dry", "-pid-file", "", "-exec", "", "-config", "ct.hcl"];
    let ended = program(&folder).arguments(&flags).ok();
    assert_eq!(ended.stdout, "> other\ny");
    assert!(["pid", "ran", "other"].iter().all(|name| !folder.path(name).exists()));
}

#[test]
fn many_queries_cause_one_warning() {
    let consul = Consul::start();
    let keys: Vec<_> = (0..200).map(|number| format!("k/{number}")).collect();
    consul.put_all(keys.iter().map(|key| (&**key, "1")));
    let folder = Sandbox::new();
    let template = "{{ range loop 200 }}{{ key (printf \"k/%d\" .) }}{{ end }}{{ key \"k/0\" }}";
    let ended = once(&folder, &consul.address(), template).ok();
    assert_eq!(folder.read("result"), "1".repeat(201));
    let warnings = ended.stderr.matches("watching 200 dependencies").count();
    assert_eq!((warnings, ended.stderr.lines().count()), (1, 1), "{}", ended.stderr);
}
