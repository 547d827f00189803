//! Stop signals for a process that does not react, for the first process of a container, and under
//! `nohup`.

use std::{net::TcpListener, time::Duration};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{Daemon, Ended, Run, Sandbox, eventually, needs_root, within};

/// A template that needs years.
const ENDLESS: &str = "{{$n := seq 1 10000}}{{range $n}}{{range $n}}{{range $n}}{{range $n}}\
                       {{end}}{{end}}{{end}}{{end}}";

/// A command that reports that it runs, and hangs until the file `go` exists.
const HANG: &str = "touch runs; until test -e go; do sleep 0.05; done";

/// The arguments of each mode that does not end by itself.
const DAEMONS: [&[&str]; 2] = [&["-interval", "1"], &["-watch"]];

fn daemon(sandbox: &Sandbox, arguments: &[&str]) -> Daemon {
    sandbox.write("data.yaml", "app: 1\n");
    let run = sandbox.confd(&["-backend", "file", "-file", "data.yaml", "-log-level", "debug"]);
    Daemon::start(run.arguments(arguments), sandbox.path("log"))
}

/// Runs confd as the first process of a process namespace.
fn as_first(run: Run) -> Run {
    needs_root();
    run.through(&["unshare", "--pid", "--fork", "--mount-proc"])
}

/// The first process in the namespace that `unshare` has made.
fn first_process(unshare: u32) -> Pid {
    let children = format!("/proc/{unshare}/task/{unshare}/children");
    let read = || std::fs::read_to_string(&children).unwrap_or_default();
    eventually("unshare has a child", || !read().trim().is_empty());
    Pid::from_raw(read().split_whitespace().next().unwrap().parse().unwrap()).unwrap()
}

#[test]
fn one_stop_signal_ends_a_onetime_run_whose_template_does_not_end() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", ENDLESS, "");
        let run = sandbox.onetime().arguments(&["-log-level", "debug"]);
        let running = Daemon::start(run, sandbox.path("log"));
        running.wait_for("Got the following keys");
        assert_eq!(running.stop(signal).signal, Some(number));
    }
}

#[test]
fn a_second_stop_signal_ends_a_daemon_whose_template_does_not_end() {
    for arguments in DAEMONS {
        let sandbox = Sandbox::new();
        sandbox.resource("app", ENDLESS, "");
        // This resource is made while the one before it hangs.
        sandbox.resource("later", "", "");
        let running = daemon(&sandbox, arguments);
        eventually("the later resource is made", || sandbox.path("out/later").exists());
        // Signals that arrive together count once.
        eventually("the daemon ends", || {
            running.signal(Signal::TERM);
            running.has_ended()
        });
        assert_eq!(running.wait().signal, Some(15), "{arguments:?}");
    }
}

#[test]
fn one_stop_signal_ends_consul_template_whatever_its_template_waits_for() {
    let endless = "{{ writeToFile \"runs\" \"\" \"\" \"0644\" \"\" }}{{ range loop 1 1000000000000 }}{{ end }}";
    let plugin = "{{ plugin \"sh\" \"-c\" \"touch runs; sleep 60\" }}";
    let pipe = "{{ plugin \"sh\" \"-c\" \"mkfifo pipe; touch runs\" }}\
                {{ writeToFile \"pipe\" \"\" \"\" \"0644\" \"\" }}";
    for template in [endless, plugin, pipe] {
        for (arguments, signal) in [(&["-once"][..], Signal::INT), (&[], Signal::TERM)] {
            let sandbox = Sandbox::new();
            sandbox.write("in", template);
            let run = sandbox.bare(&["consul-template", "-template", "in:out/out"]);
            let running = Daemon::start(run.arguments(arguments), sandbox.path("log"));
            eventually("the template is executed", || sandbox.path("runs").exists());
            assert_eq!(running.stop(signal).code, Some(12), "{template} {arguments:?}");
        }
    }
}

#[test]
fn consul_template_reads_its_configuration_again_while_a_template_does_not_end() {
    let sandbox = Sandbox::new();
    let block = |contents: &str| {
        format!("template {{\n contents = <<E\n{contents}\nE\n destination = \"out/out\"\n}}\n")
    };
    sandbox.write("a.hcl", block("{{ range loop 1 1000000000000 }}{{ end }}"));
    let run = sandbox.bare(&["consul-template", "-config", "a.hcl", "-log-level", "debug"]);
    let running = Daemon::start(run, sandbox.path("log"));
    running.wait_for("checking template");
    sandbox.write("a.hcl", block("new"));
    running.signal(Signal::HUP);
    eventually("the new template is rendered", || sandbox.path("out/out").exists());
    assert_eq!(running.stop(Signal::INT).code, Some(12));
}

/// A folder of a test on a file system that can stop answering, as a dead network mount does.
struct Mount {
    /// The process of the file system.
    server: Pid,
}

impl Mount {
    /// Mounts the folder `name` for `run` alone, and starts it after `more`, commands of the shell.
    fn start(run: Run, sandbox: &Sandbox, name: &str, more: &str) -> (Daemon, Self) {
        needs_root();
        let script = format!(
            "bindfs -f {name} {name} & echo $! > server
             until grep -q \" $PWD/{name} \" /proc/self/mounts; do sleep 0.01; done
             {more}; exec \"$@\""
        );
        let daemon = Daemon::start(run.unshared("-m", &script), sandbox.path("log"));
        let read = || sandbox.read("server").trim().parse().ok();
        eventually("bindfs is started", || read().is_some());
        (daemon, Mount { server: read().and_then(Pid::from_raw).unwrap() })
    }

    /// From now on each access waits for ever.
    fn hang(&self) {
        kill_process(self.server, Signal::STOP).unwrap();
        // A thread that takes one more request and stops then would make confd unkillable.
        let threads = format!("/proc/{}/task", self.server.as_raw_nonzero());
        let is_stopped = |thread: std::fs::DirEntry| {
            let status = std::fs::read_to_string(thread.path().join("status"));
            status.is_ok_and(|status| status.contains("State:\tT"))
        };
        eventually("each thread of the file system is stopped", || {
            std::fs::read_dir(&threads).unwrap().all(|thread| is_stopped(thread.unwrap()))
        });
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = kill_process(self.server, Signal::KILL);
    }
}

/// A daemon that has made its first pass and a hangup, and whose `folder`, `conf.d` or that of
/// confd.toml, does not answer since.
fn with_a_dead_configuration(folder: &str, arguments: &[&str]) -> (Sandbox, Daemon, Mount) {
    let sandbox = Sandbox::rendering("{{getv \"/app\"}}");
    sandbox.write("data.yaml", "app: 1\n");
    sandbox.write("settings/confd.toml", "");
    let run = sandbox.bare(&["-config-file", "settings/confd.toml", "-confdir", "."]);
    let run = run.arguments(&["-backend", "file", "-file", "data.yaml"]);
    let (daemon, mount) = Mount::start(run.arguments(arguments), &sandbox, folder, ":");
    eventually("the first pass", || sandbox.output() == "1");
    mount.hang();
    daemon.signal(Signal::HUP);
    daemon.wait_for("Captured hangup");
    (sandbox, daemon, mount)
}

#[test]
fn one_stop_signal_ends_a_daemon_whose_configuration_is_on_a_dead_mount() {
    for folder in ["conf.d", "settings"] {
        for arguments in DAEMONS {
            let (_sandbox, daemon, _mount) = with_a_dead_configuration(folder, arguments);
            daemon.signal(Signal::TERM);
            within(Duration::from_secs(5), "it ends", || daemon.has_ended());
            assert_eq!(daemon.wait().code, Some(0), "{folder} {arguments:?}");
        }
    }
}

#[test]
fn a_configuration_on_a_dead_mount_does_not_keep_changes_from_the_files() {
    for folder in ["conf.d", "settings"] {
        for arguments in DAEMONS {
            let (sandbox, daemon, _mount) = with_a_dead_configuration(folder, arguments);
            sandbox.write("data.yaml", "app: 2\n");
            eventually("the change arrives", || sandbox.output() == "2");
            assert_eq!(daemon.stop(Signal::TERM).code, Some(0), "{folder} {arguments:?}");
        }
    }
}

#[test]
fn a_stop_signal_ends_a_daemon_whose_working_thread_hangs() {
    for signals in [1, 2] {
        for arguments in DAEMONS {
            let sandbox = Sandbox::new();
            sandbox.resource("app", "{{getv \"/app\"}}", "reload_cmd = 'true'");
            sandbox.write("data.yaml", "app: 1\n");
            // The thread that starts a command waits until the shell is loaded.
            std::fs::create_dir(sandbox.path("shell")).unwrap();
            let own = "cp /bin/sh shell/sh; mount --bind shell/sh /bin/sh";
            let limit = if signals == 1 { "300ms" } else { "1h" };
            let run = sandbox.confd(&["-backend", "file", "-file", "data.yaml"]);
            let run = run.arguments(&["-shutdown-timeout", limit]).arguments(arguments);
            let (daemon, mount) = Mount::start(run, &sandbox, "shell", own);
            eventually("the first pass", || sandbox.list("out") == ["app"]);
            mount.hang();
            sandbox.write("data.yaml", "app: 2\n");
            eventually("the file is in place", || sandbox.output() == "2");
            daemon.signal(Signal::TERM);
            within(Duration::from_secs(8), "it ends", || {
                if signals > 1 {
                    daemon.signal(Signal::TERM);
                }
                daemon.has_ended()
            });
            let ended = daemon.wait();
            assert_eq!(ended.signal, Some(15), "{signals} {arguments:?}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_stop_signal_ends_interval_mode_at_once_while_a_store_does_not_answer() {
    for backend in ["etcd", "consul"] {
        let sandbox = Sandbox::rendering("x");
        let store = TcpListener::bind("127.0.0.1:0").unwrap();
        let node = store.local_addr().unwrap().to_string();
        let run = sandbox.confd(&["-backend", backend, "-node", &node, "-interval", "600"]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        let _silent = store.accept().unwrap();
        daemon.signal(Signal::TERM);
        within(Duration::from_secs(2), "it ends", || daemon.has_ended());
        assert_eq!(daemon.wait().code, Some(0), "{backend}");
    }
}

#[test]
fn as_the_first_process_a_onetime_run_ends_with_143_and_130() {
    for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", &format!("check_cmd = '{HANG}'"));
        let running = as_first(sandbox.onetime()).spawn();
        eventually("the command runs", || sandbox.path("runs").exists());
        kill_process(first_process(running.id()), signal).unwrap();
        let ended = Ended::wait(running);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    }
}

#[test]
fn as_the_first_process_a_daemon_ends_with_143_at_the_second_signal() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", &format!("check_cmd = '{HANG}'"));
    sandbox.write("data.yaml", "app: 1\n");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let mut running = as_first(run).spawn();
    eventually("the command runs", || sandbox.path("runs").exists());
    let first = first_process(running.id());
    // Signals that arrive together count once.
    eventually("the daemon ends", || {
        let _ = kill_process(first, Signal::TERM);
        running.try_wait().unwrap().is_some()
    });
    let ended = Ended::wait(running);
    assert_eq!(ended.code, Some(143), "{}", ended.stderr);
}

#[test]
fn as_the_first_process_confd_reaps_what_its_commands_leave() {
    let sandbox = Sandbox::new();
    // The child of the command becomes a child of the first process when the command ends.
    let command = "sh -c \"echo >> runs; sleep 0.1\" & exit 0";
    sandbox.resource("app", "{{getv \"/app\"}}", &format!("reload_cmd = '{command}'"));
    sandbox.write("data.yaml", "app: 0\n");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let running = as_first(run).spawn();
    let first = first_process(running.id());
    for nth in 1..=3 {
        eventually("the command has run", || {
            sandbox.path("runs").exists() && sandbox.read("runs").lines().count() >= nth
        });
        sandbox.write("data.yaml", format!("app: {nth}\n"));
    }
    let children = format!("/proc/{0}/task/{0}/children", first.as_raw_nonzero());
    eventually("no child is left", || std::fs::read_to_string(&children).unwrap().is_empty());
    kill_process(first, Signal::TERM).unwrap();
    let ended = Ended::wait(running);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect_no("ERROR");
}

#[test]
fn a_hangup_that_is_ignored_does_not_end_a_onetime_run() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", &format!("check_cmd = '{HANG}'"));
    let ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"];
    let running = sandbox.onetime().through(&ignoring).spawn();
    eventually("the command runs", || sandbox.path("runs").exists());
    kill_process(Pid::from_child(&running), Signal::HUP).unwrap();
    sandbox.write("go", "");
    let ended = Ended::wait(running);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(sandbox.output(), "new");
}

#[test]
fn a_hangup_ends_a_onetime_run_and_its_command() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", &format!("check_cmd = 'echo $$ > pid; {HANG}'"));
    let running = sandbox.onetime().spawn();
    eventually("the command runs", || sandbox.path("runs").exists());
    kill_process(Pid::from_child(&running), Signal::HUP).unwrap();
    assert_eq!(Ended::wait(running).signal, Some(1));
    let command = Pid::from_raw(sandbox.read("pid").trim().parse().unwrap()).unwrap();
    eventually("the command is gone", || test_kill_process(command).is_err());
}
