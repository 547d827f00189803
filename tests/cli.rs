//! Flags, usage text, version, exit codes and signals, as scripts see them.

use std::os::unix::process::CommandExt as _;

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Run, Sandbox, eventually};

/// Runs confd with these arguments alone.
fn confd(arguments: &[&str]) -> Ended {
    let sandbox = Sandbox::new();
    Run::new(env!("CARGO_BIN_EXE_confd"), sandbox.root()).arguments(arguments).run()
}

/// Whether a pass with these flags changed anything; they begin with the switch `-noop`.
fn writes(noop: &[&str]) -> bool {
    let sandbox = Sandbox::rendering("x");
    sandbox.onetime().arguments(noop).ok();
    sandbox.output() == "x"
}

#[test]
fn version_goes_to_standard_output_and_needs_no_configuration() {
    for arguments in [
        &["-version"][..],
        &["--version", "-backend", "nosuch"],
        &["-version=1", "x"],
        &["-config-file", "/tmp", "-onetime", "-version", "-log-level", "bogus"],
    ] {
        let ended = confd(arguments);
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        let number =
            ended.stdout.strip_prefix("confd ").unwrap().split_once(" (Git SHA: ").unwrap().0;
        assert!(!ended.stdout.contains("SHA: ,"), "{}", ended.stdout);
        let parts: Vec<_> = number.split('.').collect();
        assert!(parts.len() == 3 && parts[0].parse::<u32>().is_ok(), "{number}");
        assert!(
            ended.stdout.ends_with(")\n") && ended.stdout.lines().count() == 1,
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn help_goes_to_standard_error_with_exit_code_0() {
    for arguments in [
        &["-h"][..],
        &["--help"],
        &["-help"],
        &["-h=1"],
        &["-onetime", "-h", "-nosuch"],
        &["-version", "-h"],
    ] {
        let ended = confd(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
        assert!(ended.stderr.starts_with("Usage of /"), "{}", ended.stderr);
    }
}

#[test]
fn the_usage_text_names_the_program_as_it_was_invoked() {
    let sandbox = Sandbox::new();
    for name in ["confd", "./confd", "/usr/local/bin/confd"] {
        let run = Run::new(env!("CARGO_BIN_EXE_confd"), sandbox.root()).arguments(&["-h"]);
        let ended = run.with(|command| _ = command.arg0(name)).ok();
        assert_eq!(ended.stderr.lines().next().unwrap(), format!("Usage of {name}:"));
    }
}

/// confd's flags with the word for their value and their default, in byte order.
const FLAGS: &[(&str, &str, &str)] = &[
    ("acm-export-private-key", "", ""),
    ("app-id", " string", ""),
    ("auth-token", " string", ""),
    ("auth-type", " string", ""),
    ("backend", " string", " (default \"etcd\")"),
    ("backend-timeout", " string", ""),
    ("basic-auth", "", ""),
    ("batch-interval", " string", " (default \"0s\")"),
    ("check-cmd-timeout", " string", ""),
    ("check-config", "", ""),
    ("client-ca-keys", " string", ""),
    ("client-cert", " string", ""),
    ("client-insecure", "", ""),
    ("client-key", " string", ""),
    ("color", " string", " (default \"auto\")"),
    ("confdir", " string", " (default \"/etc/confd\")"),
    ("config-file", " string", " (default \"/etc/confd/confd.toml\")"),
    ("config-precedence", " string", " (default \"flags\")"),
    ("consistency", " string", " (default \"default\")"),
    ("control-socket", " string", ""),
    ("datacenter", " string", ""),
    ("debounce", " string", " (default \"0s\")"),
    ("detailed-exitcode", "", ""),
    ("dial-timeout", " string", " (default \"1s\")"),
    ("diff", "", ""),
    ("diff-context", " int", " (default 3)"),
    ("exit-codes", "", ""),
    ("failure-mode", " string", " (default \"best-effort\")"),
    ("file", " value", ""),
    ("filter", " string", " (default \"*\")"),
    ("force", "", ""),
    ("imds-cache-ttl", " string", " (default \"60s\")"),
    ("interval", " int", " (default 600)"),
    ("jwt-file", " string", ""),
    ("keep-stage-file", "", ""),
    ("log-format", " string", " (default \"text\")"),
    ("log-level", " string", ""),
    ("mask", " value", ""),
    ("max-memory", " string", " (default \"1GiB\")"),
    ("max-stale", " string", " (default \"10s\")"),
    ("metrics-addr", " string", ""),
    ("mock-data", " string", ""),
    ("namespace", " string", ""),
    ("no-template-cache", "", ""),
    ("node", " value", ""),
    ("noop", "", ""),
    ("onetime", "", ""),
    ("partition", " string", ""),
    ("password", " string", ""),
    ("path", " string", ""),
    ("poll-interval", " string", " (default \"10s\")"),
    ("prefix", " string", ""),
    ("prefix-mode", " string", ""),
    ("preflight", "", ""),
    ("preflight-timeout", " string", " (default \"10s\")"),
    ("read-timeout", " string", " (default \"1s\")"),
    ("reconcile", " string", " (default \"10m\")"),
    ("reload-cmd-timeout", " string", ""),
    ("reload-signal", " string", ""),
    ("render-timeout", " string", ""),
    ("resource", " string", ""),
    ("restart", " string", " (default \"on-failure\")"),
    ("retry-base-delay", " string", ""),
    ("retry-delay", " string", " (default \"1s\")"),
    ("retry-factor", " string", " (default \"2\")"),
    ("retry-max-attempts", " string", ""),
    ("retry-max-delay", " string", " (default \"1m\")"),
    ("role-id", " string", ""),
    ("scheme", " string", " (default \"http\")"),
    ("secret-id", " string", ""),
    ("secretsmanager-no-flatten", "", ""),
    ("secretsmanager-version-stage", " string", " (default \"AWSCURRENT\")"),
    ("sentinel-master", " string", ""),
    ("separator", " string", ""),
    ("session-timeout", " string", "(default \"10s\")"),
    ("show-values", "", ""),
    ("shutdown-timeout", " string", " (default \"30s\")"),
    ("splay", " string", " (default \"0s\")"),
    ("srv-domain", " string", ""),
    ("srv-record", " string", ""),
    ("stat-cache-ttl", " string", ""),
    ("state-dir", " string", ""),
    ("sync-only", "", ""),
    ("systemd-notify", "", ""),
    ("table", " string", ""),
    ("template-cache", "", ""),
    ("tls-server-name", " string", ""),
    ("user-id", " string", ""),
    ("username", " string", ""),
    ("validate", "", ""),
    ("vault-namespace", " string", ""),
    ("vault-role-id-file", " string", ""),
    ("vault-secret-id-file", " string", ""),
    ("vault-token-file", " string", ""),
    ("version", "", ""),
    ("wait", " string", " (default \"0s\")"),
    ("watch", "", ""),
    ("watch-error-backoff", " string", ""),
    ("watchdog-interval", " string", " (default \"0s\")"),
    ("write-timeout", " string", " (default \"1s\")"),
];

#[test]
fn the_usage_text_lists_every_flag_with_its_type_and_default() {
    let usage = confd(&["-h"]).stderr;
    let (flags, others) = usage.split_once("Commands:\n").unwrap();
    let (commands, others) = others.split_once("Other programs of this binary:\n").unwrap();
    for command in ["status [-json]", "reload", "run RESOURCE", "history RESOURCE [-json]"] {
        assert!(commands.lines().any(|line| line.ends_with(&format!(" {command}"))), "{commands}");
    }
    for name in ["consul-template", "registrator"] {
        assert!(others.lines().any(|line| line.ends_with(&format!(" {name} -h"))), "{others}");
    }
    let lines: Vec<_> = flags.lines().skip(1).collect();
    assert_eq!(lines.len(), 2 * FLAGS.len());
    for (pair, (flag, word, default)) in lines.chunks(2).zip(FLAGS) {
        assert_eq!(pair[0], format!("  -{flag}{word}"));
        assert!(pair[1].starts_with("    \t") && pair[1].ends_with(default), "{pair:?}");
        assert_eq!(pair[1].contains("(default "), !default.is_empty(), "{pair:?}");
    }
}

#[test]
fn every_flag_of_confd_is_accepted() {
    for (flag, word, _) in
        FLAGS.iter().filter(|(flag, ..)| !matches!(*flag, "version" | "backend" | "confdir"))
    {
        let sandbox = Sandbox::rendering("x");
        let value = match *flag {
            "interval" => "1",
            "color" => "auto",
            "diff-context" => "0",
            "backend-timeout" | "batch-interval" | "check-cmd-timeout" | "debounce"
            | "preflight-timeout" | "reconcile" | "reload-cmd-timeout" | "render-timeout"
            | "retry-delay" | "retry-max-delay" | "shutdown-timeout" | "splay" | "wait"
            | "watchdog-interval" => "1s",
            "retry-factor" => "2",
            "log-format" => "text",
            "log-level" => "info",
            "max-memory" => "1GiB",
            "metrics-addr" => ":9100",
            "config-precedence" => "flags",
            "prefix-mode" => "join",
            "failure-mode" => "fail-fast",
            "reload-signal" => "SIGHUP",
            "restart" => "never",
            "mock-data" => "data.json",
            "resource" => "app.toml",
            _ => "v",
        };
        let words = [format!("-{flag}"), value.to_owned()];
        let count = if word.is_empty() { 1 } else { 2 };
        let words: Vec<_> = words[..count].iter().map(String::as_str).collect();
        let needs: &[&str] = match *flag {
            "diff" | "detailed-exitcode" => &["-noop"],
            "mock-data" => &["-validate"],
            "resource" => &["-check-config"],
            _ => &[],
        };
        sandbox.write("data.json", "{}");
        if !needs.is_empty() {
            // Then nothing would change.
            sandbox.onetime().ok();
        }
        let run = sandbox.onetime().arguments(needs).arguments(&words);
        run.ok().expect_no("WARNING flag");
    }
}

#[test]
fn a_flag_error_is_one_line_and_the_usage_text_with_exit_code_2() {
    let usage = confd(&["-h"]).stderr;
    for (arguments, line) in [
        (&["-nosuch"][..], "flag provided but not defined: -nosuch"),
        (&["--nosuch=1"], "flag provided but not defined: -nosuch"),
        (
            &["-Backend", "env"],
            "flag provided but not defined: -Backend\n  = did you mean \"-backend\"?",
        ),
        (&["-version", "-nosuch"], "flag provided but not defined: -nosuch"),
        // Of 0.16 alone, with the functions that decrypted values.
        (&["-secret-keyring", "x"], "flag provided but not defined: -secret-keyring"),
        (&["-onetime=maybe"], "invalid boolean value \"maybe\" for -onetime: parse error"),
        (&["-onetime="], "invalid boolean value \"\" for -onetime: parse error"),
        (&["-noop=yes"], "invalid boolean value \"yes\" for -noop: parse error"),
        (&["-noop=tRUE"], "invalid boolean value \"tRUE\" for -noop: parse error"),
        (&["-interval", "abc"], "invalid value \"abc\" for flag -interval: parse error"),
        (&["-interval="], "invalid value \"\" for flag -interval: parse error"),
        (&["-interval", "1.5"], "invalid value \"1.5\" for flag -interval: parse error"),
        (
            &["-interval", "10s"],
            "invalid value \"10s\" for flag -interval: parse error (a number without a unit, such as 600)",
        ),
        (&["-interval", "08"], "invalid value \"08\" for flag -interval: parse error"),
        (&["-interval", "1__0"], "invalid value \"1__0\" for flag -interval: parse error"),
        (
            &["-interval=99999999999999999999"],
            "invalid value \"99999999999999999999\" for flag -interval: value out of range",
        ),
        (
            &["-interval", "9223372036854775808"],
            "invalid value \"9223372036854775808\" for flag -interval: value out of range",
        ),
        (&["-node"], "flag needs an argument: -node"),
        (&["-onetime", "--backend"], "flag needs an argument: -backend"),
        (&["---x"], "bad flag syntax: ---x"),
        (&["-=x"], "bad flag syntax: -=x"),
        (&["--=x"], "bad flag syntax: --=x"),
    ] {
        let ended = confd(arguments);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert_eq!(ended.stderr, format!("{line}\n{usage}"), "{arguments:?}");
    }
}

#[test]
fn one_dash_and_two_dashes_are_the_same() {
    let sandbox = Sandbox::rendering("{{getv \"/key\"}}");
    for flags in [
        &["-onetime", "-backend", "env"][..],
        &["--onetime", "--backend=env"],
        &["-onetime=true", "-backend=env"],
        &["--onetime=1", "--backend", "env"],
    ] {
        let _ = std::fs::remove_file(sandbox.path("out/app"));
        sandbox.confd(flags).env("KEY", "value").ok();
        assert_eq!(sandbox.output(), "value", "{flags:?}");
    }
}

#[test]
fn a_switch_has_gos_twelve_spellings() {
    assert!(!writes(&["-noop"]));
    for on in ["1", "t", "T", "TRUE", "true", "True"] {
        assert!(!writes(&[&format!("-noop={on}")]), "{on}");
    }
    for off in ["0", "f", "F", "FALSE", "false", "False"] {
        assert!(writes(&[&format!("-noop={off}")]), "{off}");
        assert!(writes(&["-noop", &format!("--noop={off}")]), "{off}");
    }
}

#[test]
fn a_switch_takes_a_value_only_after_an_equals_sign() {
    // `false` is the first word that is no flag, and ends them.
    assert!(!writes(&["-noop", "false"]));
    let ended =
        Sandbox::rendering("x").onetime().arguments(&["-noop", "true", "-version", "-nosuch"]).ok();
    assert_eq!(ended.stdout, "");
}

#[test]
fn words_after_the_flags_are_ignored() {
    for end in ["x", "-", ""] {
        assert!(writes(&[end, "-noop", "-nosuch"]), "{end:?}");
    }
}

#[test]
fn a_mistyped_program_is_an_error_with_a_hint_and_does_not_start_confd() {
    for (words, text) in [
        (
            &["consul-templates", "-once"][..],
            "unknown command \"consul-templates\"\n  = did you mean \"consul-template\"?\n",
        ),
        (
            &["-onetime", "consul-template", "-once"],
            "consul-template must be the first word of the command line\n",
        ),
        (&["registratr"], "unknown command \"registratr\"\n  = did you mean \"registrator\"?\n"),
    ] {
        let ended = Sandbox::rendering("x").bare(words).run();
        assert_eq!(ended.code, Some(2), "{words:?}");
        assert!(ended.stderr.starts_with(text), "{}", ended.stderr);
    }
}

#[test]
fn an_interval_is_written_in_any_of_gos_bases() {
    for (text, seconds) in [
        ("-5", "-5"),
        ("-0x10", "-16"),
        ("-0X1f", "-31"),
        ("-017", "-15"),
        ("-0o17", "-15"),
        ("-0b11", "-3"),
        ("-1_000", "-1000"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("+0", "0"),
    ] {
        let sandbox = Sandbox::rendering("x");
        let run = sandbox.confd(&["-backend", "env", "-interval", text]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for(&format!("WARNING interval {seconds} is too short: 1 second is used"));
    }
    for text in ["600", "+5", "9223372036854775807"] {
        Sandbox::rendering("x").onetime().arguments(&["-interval", text]).ok();
    }
}

#[test]
fn of_a_repeated_flag_the_last_counts_but_file_and_node_collect() {
    let sandbox = Sandbox::rendering("{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}");
    sandbox.write("one.yaml", "a: 1\nb: 1");
    sandbox.write("two,three.yaml", "b: 2");
    let flags = ["-onetime", "-backend", "env", "-backend=file", "-prefix", "/x", "-prefix", ""];
    let files = ["-file", "one.yaml", "-file=two,three.yaml", "-node", "a,b", "-node", "c"];
    let ended = sandbox.confd(&flags).arguments(&files).ok();
    ended
        .expect("INFO Backend set to file")
        .expect("INFO Backend source(s) set to one.yaml, two,three.yaml");
    assert_eq!(sandbox.output(), "/a=1 /b=2 ");
}

#[test]
fn an_empty_value_is_a_value() {
    let sandbox = Sandbox::rendering("x");
    sandbox
        .confd(&["-onetime", "-backend", "file", "-file", ""])
        .fails()
        .expect("FATAL stat : no such file or directory");
    let ended = sandbox.onetime().arguments(&["-confdir="]).ok();
    ended.expect("WARNING Cannot load template resources: confdir '' does not exist");
    sandbox
        .onetime()
        .arguments(&["-log-level", "", "-prefix=", "-config-file", ""])
        .ok()
        .expect_no("WARNING");
    assert_eq!(sandbox.output(), "x");
}

#[test]
fn a_value_may_begin_with_a_dash() {
    let sandbox = Sandbox::rendering("{{getv \"/key\"}}");
    sandbox.onetime().arguments(&["-prefix", "-x"]).env("-X_KEY", "value").ok();
    assert_eq!(sandbox.output(), "value");
}

#[test]
fn no_resources_are_a_warning_and_success() {
    let sandbox = Sandbox::new();
    for mode in [&[][..], &["-watch"], &["-noop"]] {
        sandbox.onetime().arguments(mode).ok().expect("WARNING Found no templates");
    }
}

#[test]
fn a_missing_confdir_is_a_warning_and_success() {
    let sandbox = Sandbox::new();
    let ended = sandbox.onetime().arguments(&["-confdir", "/nowhere"]).ok();
    ended.expect("WARNING Cannot load template resources: confdir '/nowhere' does not exist");
}

#[test]
fn a_missing_conf_d_is_fatal() {
    let sandbox = Sandbox::new();
    let ended = sandbox.onetime().arguments(&["-confdir", "out"]).fails();
    ended.expect("FATAL stat out/conf.d: no such file or directory");
}

#[test]
fn a_failing_resource_does_not_stop_the_others_and_the_exit_code_is_1() {
    let sandbox = Sandbox::rendering("fine");
    sandbox.resource("bad", "{{getv \"/nokey\"}}", "");
    sandbox.resource("zzz", "fine too", "");
    let ended = sandbox.onetime().fails();
    let error = "template: bad.tmpl:1:2: executing \"bad.tmpl\" at <getv \"/nokey\">: error calling getv: key does not exist: /nokey";
    ended.expect(&format!("ERROR {error}")).expect(&format!("FATAL {error}"));
    assert_eq!(
        (sandbox.read("out/app"), sandbox.read("out/zzz")),
        ("fine".into(), "fine too".into())
    );
    assert_eq!(sandbox.list("out"), ["app", "zzz"]);
}

#[test]
fn a_onetime_run_of_one_resource_has_one_thread_and_that_of_the_signals() {
    let sandbox = Sandbox::new();
    // The parent of the command's shell is confd.
    let command = "check_cmd = 'grep ^Threads: /proc/$PPID/status > threads'\n";
    sandbox.resource("app", "{{getv \"/home\"}} {{datetime}}", command);
    sandbox.onetime().env("HOME", "/root").ok();
    assert_eq!(sandbox.read("threads"), "Threads:\t2\n");
}

#[test]
fn a_onetime_run_ignores_watch_and_interval() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["-watch", "-interval", "0"]).ok();
    ended.expect_no("WARNING");
    assert_eq!(sandbox.output(), "x");
}

#[test]
fn a_stop_signal_ends_a_onetime_run_with_the_exit_code_of_the_signal() {
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "new", "check_cmd = 'touch started; sleep 60'");
        sandbox.write("out/app", "old");
        let daemon = Daemon::start(sandbox.onetime(), sandbox.path("log"));
        eventually("the check has begun", || sandbox.path("started").exists());
        let ended = daemon.stop(signal);
        assert_eq!((ended.code, ended.signal), (None, Some(signal.as_raw())));
        ended.expect_no("Captured");
        assert_eq!(sandbox.output(), "old");
    }
}

#[test]
fn a_stopped_onetime_run_leaves_no_stage_file() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "new", "check_cmd = 'touch started; sleep 60'");
    let daemon = Daemon::start(sandbox.onetime(), sandbox.path("log"));
    eventually("the check has begun", || sandbox.path("started").exists());
    assert_eq!(sandbox.list("out").len(), 1);
    daemon.stop(Signal::TERM);
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_stop_signal_ends_the_interval_mode_with_a_line_and_exit_code_0() {
    for (signal, word) in [(Signal::TERM, "terminated"), (Signal::INT, "interrupt")] {
        let sandbox = Sandbox::rendering("x");
        let daemon = Daemon::start(sandbox.confd(&["-backend", "env"]), sandbox.path("log"));
        daemon.wait_for("has been updated");
        let ended = daemon.stop(signal);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), ""));
        assert_eq!(ended.log().last().unwrap(), &format!("INFO Captured {word}. Exiting..."));
        assert_eq!(sandbox.output(), "x");
    }
}

#[test]
fn a_stopped_interval_mode_finishes_the_pass_under_way() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "x",
        "check_cmd = 'touch started; until test -e go; do sleep 0.01; done'",
    );
    let daemon = Daemon::start(sandbox.confd(&["-backend", "env"]), sandbox.path("log"));
    eventually("the check has begun", || sandbox.path("started").exists());
    daemon.signal(Signal::TERM);
    sandbox.write("go", "");
    let ended = daemon.wait();
    assert_eq!(ended.code, Some(0));
    ended.expect("INFO Captured terminated. Exiting...");
    assert_eq!(sandbox.output(), "x");
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn a_hangup_begins_the_next_pass_of_the_interval_mode_by_the_configuration_as_it_is_now() {
    let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
    sandbox.write("confd.toml", "prefix = '/one'");
    let run = sandbox.confd(&["-backend", "env"]).env("ONE_V", "1").env("TWO_V", "2");
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for("has been updated");
    assert_eq!(sandbox.output(), "1");
    sandbox.write("confd.toml", "prefix = '/two'");
    daemon.signal(Signal::HUP);
    eventually("the file is that of the new prefix", || sandbox.output() == "2");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn user_signals_and_a_broken_pipe_do_not_end_confd() {
    let sandbox = Sandbox::new();
    let keep = "check_cmd = 'touch started; until test -e go; do sleep 0.01; done'";
    sandbox.resource("app", "x", keep);
    let daemon = Daemon::start(sandbox.onetime(), sandbox.path("log"));
    eventually("the check has begun", || sandbox.path("started").exists());
    for signal in [Signal::USR1, Signal::USR2, Signal::PIPE] {
        daemon.signal(signal);
    }
    sandbox.write("go", "");
    assert_eq!(daemon.wait().code, Some(0));
    assert_eq!(sandbox.output(), "x");
}

#[test]
fn commands_are_started_with_no_signal_ignored() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "check_cmd = 'grep SigIgn /proc/self/status >ignored'");
    sandbox.onetime().ok();
    let ignored = sandbox.read("ignored");
    let mask = u64::from_str_radix(ignored.trim().split('\t').nth(1).unwrap(), 16).unwrap();
    for signal in [Signal::USR1, Signal::USR2, Signal::PIPE, Signal::TERM, Signal::HUP] {
        assert_eq!(mask & (1 << (signal.as_raw() - 1)), 0, "{signal:?} is ignored");
    }
}

#[test]
fn interval_mode_continues_without_resources_and_after_failures() {
    let sandbox = Sandbox::new();
    let run = sandbox.confd(&["-backend", "env", "-interval", "1"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for("WARNING Found no templates");
    sandbox.resource("app", "{{getv \"/nokey\"}}", "");
    daemon.wait_for("key does not exist: /nokey");
    sandbox.write("conf.d/bad.toml", "no toml");
    daemon.wait_for("conf.d/bad.toml - toml: line 1");
    sandbox.write("templates/app.tmpl", "x");
    daemon.wait_for("has been updated");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_missing_conf_d_does_not_end_the_interval_mode() {
    let sandbox = Sandbox::new();
    std::fs::remove_dir(sandbox.path("conf.d")).unwrap();
    let run = sandbox.confd(&["-backend", "env", "-interval", "1"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for("/conf.d: no such file or directory");
    sandbox.resource("app", "x", "");
    daemon.wait_for("has been updated");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}
