//! The control socket, and the commands that ask it.

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Run, Sandbox, eventually};

use super::{data, get_at};

/// confd with a control socket, which follows `data.yaml`.
fn controlled(sandbox: &Sandbox, more: &[&str]) -> Daemon {
    let run = sandbox
        .confd(&["-backend", "file", "-file", "data.yaml", "-control-socket", "control.sock"])
        .arguments(more);
    let daemon = Daemon::start(run, sandbox.path("log"));
    eventually("it listens", || get_at(&sandbox.path("control.sock"), "GET", "/health").is_ok());
    daemon
}

/// A command that asks the confd of [`controlled`].
fn command(sandbox: &Sandbox, words: &[&str]) -> Run {
    sandbox.bare(words).arguments(&[
        "-config-file",
        "confd.toml",
        "-control-socket",
        "control.sock",
    ])
}

/// Waits until `confd status` ends with this code.
#[track_caller]
fn status_is(sandbox: &Sandbox, code: i32) -> Ended {
    let ask = || command(sandbox, &["status"]).run();
    eventually(&format!("the code of status is {code}"), || ask().code == Some(code));
    ask()
}

#[test]
fn the_status_is_a_table_and_its_code_says_whether_confd_is_ready() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    data(&sandbox, "v: secret-value");
    let ended = command(&sandbox, &["status"]).run();
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        "confd status: cannot ask confd at control.sock: no such file or directory: no confd listens \
         there: start it with -control-socket, and name the same path here by -control-socket, \
         CONFD_CONTROL_SOCKET or control_socket in confd.toml\n"
    );
    let daemon = controlled(&sandbox, &["-watch"]);
    let ready = status_is(&sandbox, 0);
    let lines: Vec<_> = ready.stdout.lines().collect();
    assert!(lines[0].starts_with("RESOURCE  STATE    REVISION  SINCE"), "{}", ready.stdout);
    assert!(lines[1].starts_with("app       in_sync  -         20"), "{}", ready.stdout);
    assert_eq!(lines.len(), 2, "{}", ready.stdout);
    assert_eq!(sandbox.mode("control.sock"), 0o600);
    data(&sandbox, "w: 1");
    // While it is tried again, the state is another.
    eventually("the status says that it has failed", || {
        status_is(&sandbox, 1).stdout.contains("app       failed  -         20")
    });
    let failed = status_is(&sandbox, 1);
    assert!(failed.stdout.contains("template: app.tmpl:1:2"), "{}", failed.stdout);
    assert!(failed.stdout.lines().all(|line| line.chars().count() <= 120), "{}", failed.stdout);
    let json = command(&sandbox, &["status", "-json"]).run();
    let document: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &document["resources"][0]["name"]), (Some(1), &"app".into()));
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    assert!(!sandbox.path("control.sock").exists());
}

#[test]
fn run_makes_a_pass_now_and_says_how_it_ended() {
    for more in [&["-watch", "-retry-delay", "1h", "-retry-max-delay", "1h"][..], &[]] {
        let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
        sandbox.resource("web/site", "x", "check_cmd = 'echo x >> passes; test -e allowed'");
        std::fs::create_dir_all(sandbox.path("out/web")).unwrap();
        data(&sandbox, "v: 1");
        let _daemon = controlled(&sandbox, more);
        eventually("the first pass has failed", || {
            let status = command(&sandbox, &["status"]).run().stdout;
            status.contains("Config check failed") && status.contains("app       in_sync")
        });
        let passes = || sandbox.read("passes").lines().count();
        assert_eq!(passes(), 1, "{more:?}");
        let ended = command(&sandbox, &["run", "web/site"]).run();
        assert_eq!((ended.code, passes()), (Some(1), 2), "{more:?}: {}", ended.stderr);
        assert_eq!(ended.stderr, "confd run: web/site: Config check failed: exit status 1\n");
        sandbox.write("allowed", "");
        let ended = command(&sandbox, &["run", "web/site"]).ok();
        assert_eq!((&*ended.stdout, passes()), ("web/site is applied\n", 3), "{more:?}");
        assert_eq!(sandbox.read("out/web/site"), "x");
        std::fs::write(sandbox.path("out/app"), "edited").unwrap();
        command(&sandbox, &["run", "app"]).ok();
        assert_eq!(sandbox.output(), "1", "{more:?}");
        let ended = command(&sandbox, &["run", "nothing"]).fails();
        let error = "confd run: there is no resource \"nothing\": there are app, web/site\n";
        assert_eq!(ended.stderr, error);
    }
}

#[test]
fn reload_waits_until_everything_is_read_and_names_the_files_that_cannot_be_used() {
    for more in [&["-watch"][..], &[]] {
        let sandbox = Sandbox::rendering("x");
        data(&sandbox, "v: 1");
        let _daemon = controlled(&sandbox, more);
        sandbox.resource("late", "x", "");
        let ended = command(&sandbox, &["reload"]).ok();
        assert_eq!(ended.stdout, "the configuration and all resources were read again\n");
        assert!(command(&sandbox, &["status"]).run().stdout.contains("late"), "{more:?}");
        sandbox.write("conf.d/bad.toml", "[template]\nsrc = 1\n");
        let ended = command(&sandbox, &["reload"]).fails();
        assert!(ended.stderr.starts_with("confd reload: bad: "), "{more:?}: {}", ended.stderr);
        std::fs::remove_file(sandbox.path("conf.d/bad.toml")).unwrap();
        sandbox.write("confd.toml", "metrics_addr = 'nonsense'");
        let ended = sandbox.bare(&["reload", "-config-file", "none.toml"]);
        let ended = ended.arguments(&["-control-socket", "control.sock"]).fails();
        let error =
            "confd reload: the configuration in use stays: metrics-addr: \"nonsense\" is no";
        assert!(ended.stderr.starts_with(error), "{more:?}: {}", ended.stderr);
    }
}

#[test]
fn a_service_of_systemd_has_its_socket_in_its_own_folder() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    std::fs::create_dir(sandbox.path("run")).unwrap();
    let folders = format!("{}:/nowhere", sandbox.path("run").display());
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let _daemon = Daemon::start(run.env("RUNTIME_DIRECTORY", &folders), sandbox.path("log"));
    let socket = sandbox.path("run/confd.sock");
    eventually("it listens", || get_at(&socket, "GET", "/health").is_ok());
    let status = sandbox.bare(&["status", "-config-file", "confd.toml"]);
    status.env("CONFD_CONTROL_SOCKET", &socket).run().stdout.lines().nth(1).unwrap();
}

#[test]
fn the_socket_of_a_killed_confd_is_replaced_and_that_of_a_living_one_is_not() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    controlled(&sandbox, &["-watch"]).stop(Signal::KILL);
    assert!(sandbox.path("control.sock").exists());
    let _daemon = controlled(&sandbox, &["-watch"]);
    let run = sandbox.confd(&["-watch", "-backend", "env", "-control-socket", "control.sock"]);
    let second = Daemon::start(run, sandbox.path("second.log"));
    second.wait_for(
        "ERROR Control server error: listen unix control.sock: another process listens there; confd \
         goes on without it",
    );
    drop(second);
    status_is(&sandbox, 0);
}

#[test]
fn only_the_control_socket_takes_orders() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    let metrics = format!("unix:{}", sandbox.path("metrics.sock").display());
    let _daemon = controlled(&sandbox, &["-watch", "-metrics-addr", &metrics]);
    let code = |socket: &str, method: &str, path: &str| {
        get_at(&sandbox.path(socket), method, path).unwrap().code
    };
    eventually("it listens", || get_at(&sandbox.path("metrics.sock"), "GET", "/health").is_ok());
    for path in ["/reload", "/resources/app/run"] {
        assert_eq!(code("metrics.sock", "POST", path), 404);
        assert_eq!(code("control.sock", "GET", path), 405);
        assert_eq!(code("control.sock", "POST", path), 200);
    }
    assert_eq!(code("control.sock", "GET", "/metrics"), 200);
    assert_eq!(code("control.sock", "POST", "/status"), 405);
}

#[test]
fn a_reload_that_moves_the_socket_is_answered_at_the_former_one() {
    let sandbox = Sandbox::rendering("x");
    data(&sandbox, "v: 1");
    sandbox.write("confd.toml", "control_socket = 'control.sock'\n");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let _daemon = Daemon::start(run, sandbox.path("log"));
    eventually("it listens", || get_at(&sandbox.path("control.sock"), "GET", "/health").is_ok());
    for (before, after) in [("control.sock", "moved.sock"), ("moved.sock", "control.sock")] {
        sandbox.write("confd.toml", format!("control_socket = '{after}'\n"));
        let run = sandbox.bare(&["reload", "-config-file", "none.toml"]);
        let ended = run.arguments(&["-control-socket", before]).ok();
        assert_eq!(ended.stdout, "the configuration and all resources were read again\n");
        eventually("it listens at the new one only", || {
            let is_there = get_at(&sandbox.path(after), "GET", "/health").is_ok();
            is_there && !sandbox.path(before).exists()
        });
    }
}

#[test]
fn a_run_that_fails_makes_the_pause_before_the_next_try_no_longer() {
    for key in ["check_cmd", "reload_cmd"] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "x", &format!("{key} = 'false'"));
        data(&sandbox, "v: 1");
        let pace = ["-watch", "-retry-delay", "30m", "-retry-max-delay", "100h"];
        let _daemon = controlled(&sandbox, &pace);
        let next_try = || {
            let status = command(&sandbox, &["status", "-json"]).run().stdout;
            let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
            let next = &status["resources"][0]["pending"]["next_try"];
            next.as_str().map(str::to_owned)
        };
        eventually("it has failed", || next_try().is_some());
        // A moment is shown in whole seconds, and may be on the edge of one.
        let minute = |text: Option<String>| text.unwrap()[..15].to_owned();
        let before = minute(next_try());
        for _ in 0..4 {
            command(&sandbox, &["run", "app"]).fails();
        }
        assert_eq!(minute(next_try()), before, "{key}");
    }
}
