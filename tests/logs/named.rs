//! Log lines of daemons name their resource, and one cause gives one line.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use rustix::process::Signal;
use servers::Stub;

use super::START;
use crate::support::{Daemon, Ended, Network, Run, Sandbox, eventually, throughout};

/// The flags of interval and watch mode.
const DAEMONS: [&[&str]; 2] = [&["-watch"], &["-interval", "1"]];

/// Starts a daemon with backend `env`.
fn start(sandbox: &Sandbox, mode: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-backend", "env"]).arguments(mode);
    Daemon::start(run, sandbox.path("log"))
}

/// The log of a daemon so far, in the form of [`Ended::log`].
fn log(daemon: &Daemon) -> Vec<String> {
    let stderr = daemon.stderr();
    Ended { code: None, signal: None, stdout: String::new(), stderr }.log()
}

/// Waits for this line (`LEVEL message`).
#[track_caller]
fn logs(daemon: &Daemon, line: &str) {
    eventually(&format!("{line:?} is in the log"), || log(daemon).iter().any(|said| said == line));
}

/// Expects that all errors and warnings name one of these resources at their end.
#[track_caller]
fn all_are_named(ended: &Ended, names: &[&str]) {
    let is_trouble = |line: &&String| line.starts_with("ERROR ") || line.starts_with("WARNING ");
    for line in ended.log().iter().filter(is_trouble) {
        let named = names.iter().any(|name| line.ends_with(&format!(" (resource {name})")));
        assert!(named, "no resource is named by {line:?} in:\n{}", ended.stderr);
    }
}

/// Twelve resources, `a` to `l`. The checks of `b`, `f` and `k` fail without output.
fn twelve() -> Sandbox {
    let sandbox = Sandbox::new();
    for name in 'a'..='l' {
        let check = if "bfk".contains(name) { "check_cmd = 'exit 1'" } else { "" };
        sandbox.resource(&name.to_string(), "x", check);
    }
    sandbox
}

#[test]
fn of_twelve_resources_with_three_failing_checks_each_line_names_its_own() {
    for mode in DAEMONS {
        let sandbox = twelve();
        let daemon = start(&sandbox, mode);
        for name in ["b", "f", "k"] {
            let silent = "ERROR the command printed nothing (exit status 1): exit 1";
            logs(&daemon, &format!("{silent} (resource {name})"));
            logs(&daemon, &format!("ERROR Config check failed: exit status 1 (resource {name})"));
        }
        all_are_named(&daemon.stop(Signal::TERM), &["b", "f", "k"]);
    }
}

#[test]
fn lines_about_any_problem_of_a_resource_name_it() {
    for mode in DAEMONS {
        let sandbox = Sandbox::new();
        let failing = [
            ("check", "x", "check_cmd = 'echo no; exit 3'"),
            ("dest", "x", ""),
            ("key", "{{getv \"/nokey\"}}", ""),
            ("killed", "x", "check_cmd = 'kill -KILL $$'"),
            ("reload", "x", "reload_cmd = 'echo no; exit 3'"),
            ("src", "x", ""),
            ("syntax", "{{", ""),
            ("tera", "{{ getv(key=\"/nokey\") }}", "engine = 'tera'"),
        ];
        for (name, template, more) in failing {
            sandbox.resource(name, template, more);
        }
        sandbox.resource("fine", "x", "check_cmd = 'true'");
        fs::remove_file(sandbox.path("templates/src.tmpl")).unwrap();
        let table = sandbox.read("conf.d/dest.toml").replace("/out/", "/nowhere/");
        sandbox.write("conf.d/dest.toml", table);
        let daemon = start(&sandbox, mode);
        for line in [
            "ERROR \"no\\n\" (resource check)".to_owned(),
            "ERROR Config check failed: exit status 3 (resource check)".to_owned(),
            "ERROR template: key.tmpl:1:2: executing \"key.tmpl\" at <getv \"/nokey\">: error \
             calling getv: key does not exist: /nokey (resource key)"
                .to_owned(),
            "ERROR the command printed nothing (signal: killed): kill -KILL $$ (resource killed)"
                .to_owned(),
            "ERROR Config check failed: signal: killed (resource killed)".to_owned(),
            "ERROR \"no\\n\" (resource reload)".to_owned(),
            format!(
                "WARNING {} is in place but its reload is pending; it will be tried again \
                 (resource reload)",
                sandbox.path("out/reload").display()
            ),
            "ERROR exit status 3 (resource reload)".to_owned(),
            format!(
                "ERROR Missing template: {} (resource src)",
                sandbox.path("templates/src.tmpl").display()
            ),
            format!(
                "ERROR Unable to process template {}, template: syntax.tmpl:1: unclosed action \
                 (resource syntax)",
                sandbox.path("templates/syntax.tmpl").display()
            ),
        ] {
            logs(&daemon, &line);
        }
        let names = failing.map(|(name, ..)| name);
        for name in names {
            daemon.wait_for(&format!(" (resource {name})\n"));
        }
        all_are_named(&daemon.stop(Signal::TERM), &names);
    }
}

#[test]
fn a_resource_is_named_by_its_path_below_conf_d() {
    for mode in DAEMONS {
        let sandbox = Sandbox::new();
        let paths = ["app", "sub/app", "sub/deep er/app.conf", ".hidden", "no.extension"];
        for (nth, path) in paths.iter().enumerate() {
            let table =
                format!("[template]\nsrc = 'x'\ndest = 'nowhere/{nth}'\ncheck_cmd = 'exit 1'\n");
            sandbox.write(&format!("conf.d/{path}.toml"), table);
        }
        let daemon = start(&sandbox, mode);
        for path in paths {
            let missing = sandbox.path("templates/x");
            logs(
                &daemon,
                &format!("ERROR Missing template: {} (resource {path})", missing.display()),
            );
        }
        all_are_named(&daemon.stop(Signal::TERM), &paths);
    }
}

#[test]
fn an_invalid_resource_file_is_named_like_a_resource() {
    for mode in DAEMONS {
        let sandbox = Sandbox::rendering("x");
        sandbox.write("conf.d/sub/bad.toml", "no toml");
        let daemon = start(&sandbox, mode);
        daemon.wait_for("conf.d/sub/bad.toml - toml: line 1");
        all_are_named(&daemon.stop(Signal::TERM), &["sub/bad"]);
    }
}

#[test]
fn the_excerpt_follows_below_the_line_that_names_the_resource() {
    for mode in DAEMONS {
        let sandbox = Sandbox::rendering("one\n{{getv \"/nokey\"}}\n");
        let daemon = start(&sandbox, mode);
        daemon.wait_for("  2 | {{getv \"/nokey\"}}");
        let ended = daemon.stop(Signal::TERM);
        let mut lines = ended.stderr.lines();
        let error = lines.find(|line| line.contains("]: ERROR ")).unwrap();
        assert!(error.ends_with("key does not exist: /nokey (resource app)"), "{error}");
        let place = format!("   --> {}:2:3", sandbox.path("templates/app.tmpl").display());
        assert_eq!(lines.next(), Some(place.as_str()), "{}", ended.stderr);
    }
}

#[test]
fn a_warning_of_a_template_function_names_the_resource() {
    for mode in DAEMONS {
        let sandbox = Sandbox::new();
        sandbox.resource("sub", "{{lookupIP \"nosuch.example.test\"}}", "");
        let run = sandbox.confd(&["-backend", "env"]).arguments(mode);
        let (daemon, _world) = Daemon::start_in(run, &sandbox, Network::default());
        daemon.wait_for("nosuch.example.test");
        eventually("the file is there", || sandbox.read("out/sub") == "[]");
        all_are_named(&daemon.stop(Signal::TERM), &["sub"]);
    }
}

/// The last two lines of a run in which several resources failed.
#[track_caller]
fn end(ended: &Ended) -> [String; 2] {
    let mut log = ended.log();
    let fatal = log.pop().unwrap();
    [log.pop().unwrap(), fatal]
}

#[test]
fn a_onetime_run_has_go_confds_lines_and_lists_the_failed_resources_before_the_last() {
    let sandbox = twelve();
    let ended = sandbox.onetime().fails();
    ended.expect_no("(resource ");
    let errors = ended.log().into_iter().filter(|line| line.starts_with("ERROR "));
    let silent = "ERROR the command printed nothing (exit status 1): exit 1";
    let one = [silent, "ERROR Config check failed: exit status 1"];
    assert_eq!(errors.collect::<Vec<_>>(), [one, one, one].concat());
    let warning = "WARNING 3 of 12 resources failed: b, f, k";
    assert_eq!(end(&ended), [warning, "FATAL Config check failed: exit status 1"]);
    assert_eq!(ended.stderr.matches("WARNING").count(), 1, "{}", ended.stderr);
}

#[test]
fn a_onetime_run_names_the_resource_of_every_kind_of_failure() {
    let sandbox = Sandbox::new();
    sandbox.resource("a", "{{getv \"/nokey\"}}", "");
    sandbox.resource("b", "x", "");
    sandbox.resource("c", "x", "reload_cmd = 'exit 4'");
    sandbox.write("conf.d/bad.toml", "no toml");
    sandbox.write("conf.d/sub/d.toml", "[template]\nsrc = 'nosuch'\ndest = 'out/d'\n");
    let warning = "WARNING 4 of 5 resources failed: a, bad, c, sub/d";
    let missing = sandbox.path("templates/nosuch").display().to_string();
    let fatal = format!("FATAL Missing template: {missing}");
    assert_eq!(end(&sandbox.onetime().fails()), [warning, fatal.as_str()]);
}

#[test]
fn a_onetime_run_in_which_all_failed_lists_all() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.resource(name, "x", "check_cmd = 'exit 1'");
    }
    let ended = sandbox.onetime().fails();
    assert_eq!(end(&ended)[0], "WARNING 2 of 2 resources failed: a, b");
}

#[test]
fn a_onetime_run_with_at_most_one_failure_has_no_list() {
    let sandbox = Sandbox::rendering("x");
    sandbox.onetime().ok().expect_no("failed");
    sandbox.resource("bad", "x", "check_cmd = 'exit 1'");
    let ended = sandbox.onetime().fails();
    ended.expect_no("WARNING").expect_no("resources failed");
}

/// A tree with 500 resources that render `/v`.
fn many() -> Sandbox {
    let sandbox = Sandbox::new();
    for nth in 0..500 {
        sandbox.resource(&format!("r{nth:03}"), "{{getv \"/v\"}}", "");
    }
    sandbox
}

#[test]
fn a_store_that_is_down_is_one_line_with_a_count_in_a_onetime_run() {
    let sandbox = many();
    let file = ["-onetime", "-backend", "file", "-file", "data.yaml"];
    let etcd = ["-onetime", "-backend", "etcdv3", "-node", "127.0.0.1:1"];
    for arguments in [file, etcd] {
        let ended = sandbox.confd(&arguments).fails();
        let log = ended.log();
        let errors: Vec<_> = log.iter().filter(|line| line.starts_with("ERROR ")).collect();
        assert_eq!(errors.len(), 1, "{} errors, the first: {}", errors.len(), errors[0]);
        let [warning, fatal] = end(&ended);
        let text = fatal.strip_prefix("FATAL ").unwrap();
        assert_eq!(errors[0], &format!("ERROR {text} (500 resources)"));
        assert!(warning.starts_with("WARNING 500 of 500 resources failed"), "{warning}");
        assert_eq!(log.len(), START.len() + 3, "{}", ended.stderr);
    }
    sandbox.confd(&file).fails().expect("FATAL stat data.yaml: no such file or directory");
}

#[test]
fn the_failure_of_the_store_for_one_resource_is_go_confds_line() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.confd(&["-onetime", "-backend", "file", "-file", "data.yaml"]).fails();
    let error = "stat data.yaml: no such file or directory";
    assert_eq!(ended.log()[START.len()..], [format!("ERROR {error}"), format!("FATAL {error}")]);
}

#[test]
fn a_store_that_is_down_is_one_line_a_minute_in_daemons() {
    for mode in DAEMONS {
        let sandbox = many();
        let run = |arguments: &[&str]| -> Run { sandbox.confd(arguments).arguments(mode) };
        let daemon =
            Daemon::start(run(&["-backend", "file", "-file", "data.yaml"]), sandbox.path("log"));
        let error = "ERROR stat data.yaml: no such file or directory";
        let errors = || log(&daemon).iter().filter(|line| line.starts_with(error)).count();
        daemon.wait_for(error);
        throughout(Duration::from_secs(5), "the error is not repeated", || errors() <= 2);
        let all_have =
            |value: &str| (0..500).all(|nth| sandbox.read(&format!("out/r{nth:03}")) == value);
        sandbox.write("data.new", "v: 0");
        fs::rename(sandbox.path("data.new"), sandbox.path("data.yaml")).unwrap();
        eventually("all files are there", || all_have("0"));
        // The next outage is reported again, immediately.
        let before = errors();
        fs::remove_file(sandbox.path("data.yaml")).unwrap();
        eventually("the next outage is told", || errors() > before);
        throughout(Duration::from_secs(3), "nor is this one", || errors() <= before + 2);
        sandbox.write("data.new", "v: 1");
        fs::rename(sandbox.path("data.new"), sandbox.path("data.yaml")).unwrap();
        eventually("all files follow", || all_have("1"));
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn an_etcd_that_is_down_is_one_line_a_minute_in_daemons() {
    for mode in DAEMONS {
        let sandbox = many();
        let run = sandbox.confd(&["-backend", "etcdv3", "-node", "127.0.0.1:1"]).arguments(mode);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for("ERROR ");
        let errors = || daemon.stderr().matches("]: ERROR ").count();
        throughout(Duration::from_secs(5), "the error is not repeated", || errors() <= 2);
        daemon.stop(Signal::KILL);
    }
}

#[test]
fn a_store_that_fails_with_a_new_text_each_time_is_a_few_lines_a_minute() {
    for mode in DAEMONS {
        let requests = AtomicUsize::new(0);
        let stub = Stub::answering(move |_| {
            let body = format!("request {} failed", requests.fetch_add(1, Ordering::SeqCst));
            let head = "HTTP/1.1 500 Internal Server Error\r\nConnection: close";
            format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
        });
        let sandbox = Sandbox::rendering("{{getv \"/v\"}}");
        let run = sandbox.confd(&["-backend", "consul", "-node", &stub.address()]).arguments(mode);
        let daemon = Daemon::start(run, sandbox.path("log"));
        eventually("many requests fail", || stub.heads().len() >= 8);
        let errors = daemon.stderr().matches("]: ERROR ").count();
        assert!((1..=3).contains(&errors), "{errors} lines: {}", daemon.stderr());
        daemon.stop(Signal::KILL);
    }
}

#[test]
fn in_onetime_mode_errors_that_are_not_go_confds_name_their_resource() {
    let sandbox = Sandbox::new();
    sandbox.resource("guarded", "x", "min_bytes = 9");
    sandbox.resource("grouped", "x", "group_check_cmd = 'exit 3'");
    sandbox.resource("checked", "x", "check_cmd = 'exit 4'");
    let taken_back = "reload_cmd = 'grep -q y out/refused'\non_reload_failure = 'rollback'";
    sandbox.resource("refused", "x", taken_back);
    sandbox.write("out/refused", "y");
    let path = |name: &str| sandbox.path(&format!("out/{name}")).display().to_string();
    let ended = sandbox.onetime().fails();
    let why = "min_bytes: 1 byte, and 9 are the least";
    ended.expect(&format!("ERROR {} stays as it is: {why} (resource guarded)", path("guarded")));
    ended.expect("ERROR Group check failed: exit status 3 (resource grouped)");
    let why = "was rolled back, because its reload failed: exit status 1";
    ended.expect(&format!("ERROR {} {why} (resource refused)", path("refused")));
    // Go confd's own line is as it was.
    ended.expect("ERROR Config check failed: exit status 4");
    let ended = sandbox.onetime().fails();
    let why = "its reload has failed with this content, which is not tried again until it changes";
    ended.expect(&format!("ERROR {} stays as it is: {why} (resource refused)", path("refused")));
    let ended = sandbox.onetime().arguments(&["-force"]).fails();
    let why = "min_bytes: 1 byte, and 9 are the least";
    ended.expect(&format!(
        "WARNING {} is replaced by -force: {why} (resource guarded)",
        path("guarded")
    ));
}
