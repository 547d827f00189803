//! confd.toml, environment and flags: what each can set, and which of them wins.

use std::fs;

use rustix::process::Signal;

use crate::support::{Daemon, Ended, Sandbox, eventually};

/// The backends of Go confd that do not exist here yet.
const ABSENT: &[&str] = &["rancher"];

/// A sandbox with a confd.toml, and one resource that prints every pair at the top level.
fn configured(toml: &str) -> Sandbox {
    let sandbox = Sandbox::rendering("{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}");
    sandbox.write("confd.toml", toml);
    sandbox
}

/// The log of a run whose configuration is refused.
fn refused(toml: &str) -> Vec<String> {
    let sandbox = configured(toml);
    let ended = sandbox.onetime().fails();
    assert_eq!((sandbox.output().as_str(), ended.stdout.as_str()), ("", ""));
    ended.log()
}

/// Runs confd with its confd.toml and only these arguments.
fn run(sandbox: &Sandbox, arguments: &[&str]) -> Ended {
    sandbox.bare(&["-config-file", "confd.toml"]).arguments(arguments).run()
}

#[test]
fn a_missing_configuration_file_that_was_asked_for_is_reported_and_skipped() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["-config-file", "/nowhere/confd.toml"]).ok();
    ended.expect("WARNING -config-file /nowhere/confd.toml does not exist");
    assert_eq!(sandbox.output(), "x");
}

#[test]
fn a_configuration_file_in_confdir_that_is_not_read_is_reported() {
    let sandbox = configured("backend = 'nosuch'\n");
    let ended = sandbox.bare(&["-confdir", ".", "-onetime", "-backend", "env"]).ok();
    ended.expect(
        "WARNING ./confd.toml is not read, because -confdir is about resources: the configuration file \
         is /etc/confd/confd.toml, or that of -config-file",
    );
    sandbox.onetime().arguments(&["-config-file", "./other.toml"]).ok().expect_no("is not read");
}

#[test]
fn a_configuration_file_that_cannot_be_read_is_fatal() {
    let sandbox = Sandbox::rendering("x");
    for (path, line) in [
        ("out", "FATAL read out: is a directory"),
        ("templates/app.tmpl/x", "FATAL open templates/app.tmpl/x: not a directory"),
    ] {
        let ended = sandbox.onetime().arguments(&["-config-file", path]).fails();
        assert_eq!(ended.log(), [line]);
    }
    let path = sandbox.write("closed.toml", "");
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o0)).unwrap();
    let ended =
        sandbox.onetime().arguments(&["-config-file", "closed.toml"]).unprivileged().fails();
    assert_eq!(ended.log(), ["FATAL open closed.toml: permission denied"]);
}

#[test]
fn the_file_sets_what_the_flags_set() {
    let sandbox = Sandbox::new();
    sandbox
        .write("tree/conf.d/app.toml", "[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = ['']\n");
    sandbox.write("tree/templates/app", "{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}");
    sandbox.write("data/1.yaml", "app: {x: 1, v: 2}\nx: 3");
    sandbox.write("data/skipped.json", "{\"app\": {\"x\": 4}}");
    sandbox.write("more.yaml", "app: {v: 5}");
    sandbox.write(
        "confd.toml",
        "backend = 'file'\nconfdir = 'tree'\nfile = ['data', 'more.yaml']\nfilter = '*.yaml'\nlog-level = 'debug'\n\
         onetime = true\nprefix = '/app'\nwatch = true\ninterval = 5\n",
    );
    let ended = run(&sandbox, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect("DEBUG Loading template resources from confdir tree").expect_no("WARNING");
    assert_eq!(sandbox.output(), "/v=5 /x=1 ");
}

#[test]
fn the_file_sets_the_switches_of_a_pass() {
    let sandbox = configured("noop = true");
    sandbox.onetime().ok().expect(&format!(
        "WARNING Noop mode enabled. {} will not be modified",
        sandbox.path("out/app").display()
    ));
    assert_eq!(sandbox.list("out"), [""; 0]);

    let sandbox = Sandbox::new();
    sandbox.resource("app", "x", "check_cmd = 'touch checked'\nreload_cmd = 'touch reloaded'");
    sandbox.write("confd.toml", "sync-only = true");
    sandbox.onetime().ok();
    assert_eq!(sandbox.output(), "x");
    assert!(!sandbox.path("checked").exists() && !sandbox.path("reloaded").exists());

    let sandbox = configured("keepstagefile = true\nnoop = true");
    sandbox.onetime().ok();
    assert_eq!(sandbox.list("out").len(), 1);
}

#[test]
fn the_file_sets_the_interval() {
    let sandbox = configured("interval = 0");
    let daemon = Daemon::start(sandbox.confd(&["-backend", "env"]), sandbox.path("log"));
    daemon.wait_for("WARNING interval 0 is too short: 1 second is used");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn every_key_of_confd_is_known() {
    let strings = [
        "app_id",
        "auth_token",
        "auth_type",
        "client_cakeys",
        "client_cert",
        "client_key",
        "filter",
        "password",
        "path",
        "prefix",
        "role_id",
        "scheme",
        "secret_id",
        "separator",
        "srv_domain",
        "srv_record",
        "table",
        "user_id",
        "username",
    ];
    let switches =
        ["basic_auth", "client_insecure", "keepstagefile", "noop", "onetime", "sync-only", "watch"];
    let mut toml = "backend = 'env'\nconfdir = '/nowhere'\nlog-level = 'info'\nnodes = ['a']\nfile = ['b']\ninterval = 1\n".to_owned();
    toml.extend(strings.map(|key| format!("{key} = 'x'\n")));
    toml.extend(switches.map(|key| format!("{key} = true\n")));
    let sandbox = configured(&toml);
    let ended = run(&sandbox, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect_no("unknown key");
}

#[test]
fn keys_match_without_regard_to_case_and_an_exact_one_counts_first() {
    let sandbox = configured(
        "Backend = 'env'\nLOG-LEVEL = 'debug'\nNoop = true\nnoop = false\nOneTime = true\n",
    );
    let ended = run(&sandbox, &["-confdir", "."]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.expect("DEBUG Loading template resources from confdir .").expect_no("WARNING Noop");
}

#[test]
fn an_unknown_key_sets_nothing_and_is_reported_with_its_line_and_the_nearest_known_key() {
    let sandbox = configured(
        "log_level = 'debug'\nloglevel = 'debug'\nsync_only = true\nclient-ca-keys = 'x'\n\n\
         keep-stage-file = true\nnode = ['x']\nzzz = 1\n\n[other]\nnoop = true\n",
    );
    let ended = sandbox.onetime().ok();
    for (line, key, hint) in [
        (1, "log_level", ", did you mean \"log-level\"?"),
        (2, "loglevel", ", did you mean \"log-level\"?"),
        (3, "sync_only", ", did you mean \"sync-only\"?"),
        (4, "client-ca-keys", ", did you mean \"client_cakeys\"?"),
        (6, "keep-stage-file", ", did you mean \"keepstagefile\"?"),
        (7, "node", ", did you mean \"nodes\"?"),
        (8, "zzz", ""),
        (10, "other", ": confd.toml has no such table, its keys stand there without [other]"),
    ] {
        ended.expect(&format!("WARNING confd.toml:{line}: unknown key \"{key}\"{hint}"));
    }
    ended.expect_no("DEBUG").expect_no("Noop");
    assert_eq!(ended.log().iter().filter(|line| line.starts_with("WARNING")).count(), 8);
}

#[test]
fn a_wrong_type_is_fatal_and_reported_with_line_key_and_types() {
    for (toml, line, key, found, wanted) in [
        ("interval = '5'", 1, "interval", "string", "integer"),
        ("\ninterval = 5.0", 2, "interval", "float64", "integer"),
        ("interval = true", 1, "interval", "bool", "integer"),
        ("noop = 'true'", 1, "noop", "string", "boolean"),
        ("noop = 1", 1, "noop", "int64", "boolean"),
        ("backend = 1", 1, "backend", "int64", "string"),
        ("prefix = ['a']", 1, "prefix", "[]interface {}", "string"),
        ("nodes = 'a'", 1, "nodes", "string", "slice"),
        ("noop = true\nfile = 'a'", 2, "file", "string", "slice"),
        ("file = [1]", 1, "file", "int64", "string"),
    ] {
        let line = format!(
            "FATAL toml: line {line} (last key \"{key}\"): incompatible types: TOML value has type {found}; \
             destination has type {wanted}"
        );
        assert_eq!(refused(toml), [line]);
    }
}

#[test]
fn malformed_toml_is_fatal_and_reported_with_its_line() {
    for (toml, start) in [
        ("backend = 'env'\nnoop\n", "FATAL toml: line 2: "),
        ("interval = 010", "FATAL toml: line 1: "),
        ("backend = 'env'\n\nbackend = 'file'\n", "FATAL toml: line 3: "),
    ] {
        let log = refused(toml);
        assert!(log.len() == 1 && log[0].starts_with(start), "{log:?}");
    }
    let sandbox = Sandbox::rendering("x");
    sandbox.write("confd.toml", b"prefix = '\xff'");
    let log = sandbox.onetime().fails().log();
    assert!(log.len() == 1 && log[0].starts_with("FATAL confd.toml: not a TOML file"), "{log:?}");
}

#[test]
fn a_resource_given_as_configuration_file_sets_nothing_and_is_reported_once() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.onetime().arguments(&["-config-file", "conf.d/app.toml"]).ok();
    ended.expect(
        "WARNING conf.d/app.toml is a template resource, not a configuration file: it sets nothing here, \
         and resources are taken from -confdir",
    );
    assert_eq!(ended.log().iter().filter(|line| line.starts_with("WARNING")).count(), 1);
    assert_eq!(sandbox.output(), "x");
}

#[test]
fn a_flag_wins_over_the_file_and_says_so() {
    let sandbox = configured(
        "backend = 'file'\nconfdir = '/nowhere'\nfile = ['/nowhere.yaml']\nprefix = '/wrong'\nlog-level = 'bogus'\n\
         noop = true\nonetime = false\nfilter = '*'\n",
    );
    sandbox.write("data.yaml", "right: {x: 1}");
    let ended = run(
        &sandbox,
        &[
            "-confdir",
            ".",
            "-file",
            "data.yaml",
            "-prefix",
            "/right",
            "-log-level",
            "info",
            "-noop=false",
            "-onetime",
            "-filter",
            "*",
        ],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(sandbox.output(), "/x=1 ");
    let told: Vec<_> = ended.log().into_iter().filter(|line| line.contains("overrides")).collect();
    let flags = ["confdir", "file", "log-level", "noop", "onetime", "prefix"];
    assert_eq!(
        told,
        flags.map(|name| format!("INFO flag -{name} overrides \"{name}\" of confd.toml"))
    );
}

#[test]
fn a_list_of_flags_replaces_that_of_the_file() {
    let sandbox = configured("file = ['one.yaml']");
    sandbox.write("one.yaml", "a: 1");
    sandbox.write("two.yaml", "b: 2");
    run(&sandbox, &["-confdir", ".", "-onetime", "-backend", "file", "-file", "two.yaml"]);
    assert_eq!(sandbox.output(), "/b=2 ");
}

#[test]
fn a_key_that_is_not_in_the_file_leaves_the_flag_alone() {
    for precedence in ["flags", "file"] {
        let sandbox = configured("noop = false");
        let ended = sandbox
            .onetime()
            .arguments(&["-config-precedence", precedence, "-log-level", "debug"])
            .ok();
        let line =
            format!("DEBUG Loading template resources from confdir {}", sandbox.root().display());
        ended.expect(&line).expect_no("overrides");
    }
}

#[test]
fn the_file_wins_as_in_0_16_where_that_is_asked_for() {
    let flag: &[&str] = &["-config-precedence", "file"];
    for (asked, flags) in [("", flag), ("config_precedence = 'file'\n", &[])] {
        let sandbox = configured(&format!(
            "{asked}backend = 'file'\nfile = ['data.yaml']\nprefix = '/right'\nlog-level = 'info'\nnoop = false\nfilter = '*'\n"
        ));
        sandbox.write("data.yaml", "right: {x: 1}");
        let ended = sandbox
            .onetime()
            .arguments(&[
                "-backend",
                "env",
                "-file",
                "/nowhere",
                "-prefix",
                "/wrong",
                "-log-level",
                "error",
                "-noop",
            ])
            .arguments(flags)
            .ok();
        ended.expect("INFO Backend set to file").expect_no("overrides");
        assert_eq!(sandbox.output(), "/x=1 ");
    }
}

#[test]
fn an_empty_list_in_the_file_empties_that_of_the_flags_where_the_file_wins() {
    let sandbox = configured("file = []");
    let ended = sandbox
        .confd(&["-onetime", "-backend", "file", "-file", "/nowhere", "-config-precedence=file"])
        .ok();
    ended.expect("INFO Backend source(s) set to ");
    assert_eq!(sandbox.read("out/app"), "");
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn the_order_of_precedence_has_two_names() {
    for (toml, flags, place) in [
        ("", &["-config-precedence", "bogus"][..], ""),
        ("config_precedence = 'bogus'", &[], " (from \"config_precedence\" in confd.toml)"),
    ] {
        let sandbox = configured(toml);
        let ended = sandbox.onetime().arguments(flags).fails();
        let text = "FATAL config-precedence is \"flags\" or \"file\", not \"bogus\"";
        assert_eq!(ended.log(), [format!("{text}{place}")]);
    }
}

#[test]
fn variables_of_other_programs_set_no_option() {
    let sandbox = configured("");
    let names = ["VERSION", "HELP", "RESOURCE", "SRC", "DEST", "REVISION", "CHANGED_KEYS", "ROOT"];
    let run =
        names.iter().fold(sandbox.onetime(), |run, name| run.env(format!("CONFD_{name}"), "x"));
    let run = run
        .env("CONFD_CLIENT_CAKEYS", "x")
        .env("CONFD_CLIENT_CERT", "x")
        .env("CONFD_CLIENT_KEY", "x");
    run.env("HOSTNAME", "x").env("ETCDCTL_PEERS", "x").ok().expect_no("WARNING");
    assert_eq!(sandbox.list("out"), ["app"]);
}

#[test]
fn a_backend_that_is_not_there_yet_is_refused() {
    let sandbox = Sandbox::rendering("x");
    for backend in ABSENT {
        for mode in [&[][..], &["-onetime"], &["-watch"]] {
            let ended = sandbox.confd(&["-backend", backend]).arguments(mode).fails();
            let line = format!(
                "FATAL backend \"{backend}\" is not there yet: this confd reads keys from \"acm\", \"consul\", \"dynamodb\", \"env\", \"etcd\", \"etcdv2\", \"file\", \"imds\", \"redis\", \"secretsmanager\", \"ssm\", \"vault\" and \"zookeeper\""
            );
            assert_eq!(ended.log(), [line]);
        }
    }
    assert_eq!(sandbox.list("out"), [""; 0]);
}

#[test]
fn a_backend_that_confd_does_not_have_is_invalid() {
    let sandbox = Sandbox::rendering("x");
    for backend in ["nosuch", "ENV", "File", "env "] {
        let ended = sandbox.confd(&["-onetime", "-backend", backend]).fails();
        let line = format!("FATAL Invalid backend {backend:?}: this confd reads keys from ");
        assert!(ended.log()[0].starts_with(&line), "{}", ended.stderr);
    }
}

#[test]
fn no_srv_record_is_looked_up_for_a_backend_without_nodes() {
    for backend in ["env", "file"] {
        let sandbox = Sandbox::rendering("x");
        let flags = [
            "-onetime",
            "-backend",
            backend,
            "-srv-domain",
            "confd.invalid",
            "-srv-record",
            "_x._tcp.confd.invalid.",
        ];
        sandbox.confd(&flags).ok().expect_no("SRV");
        assert_eq!(sandbox.output(), "x");
    }
}

#[test]
fn a_time_that_is_too_long_is_an_error_or_is_shortened_and_never_ends_the_program() {
    let sandbox = Sandbox::rendering("x");
    for (key, value) in [("reconcile", "9e18"), ("debounce", "300000000h"), ("splay", "1e10")] {
        sandbox.write("confd.toml", format!("{key} = '{value}'\n"));
        sandbox.onetime().fails().expect(&format!(
            "FATAL invalid value \"{value}\" for -{key}: longer than 876000h, which is a hundred years (from \"{key}\" in confd.toml)"
        ));
    }
    sandbox.write("confd.toml", "");
    sandbox.resource("app", "x", "min_reload_interval = '1e12'");
    let text = "min_reload_interval \"1e12\": longer than 876000h, which is a hundred years";
    let ended = sandbox.onetime().fails();
    assert!(ended.stderr.contains(text), "{}", ended.stderr);
    sandbox.resource("app", "x", "");
    for mode in [&["-watch"][..], &[]] {
        let run = sandbox.confd(&["-backend=env", "-interval=9223372036854775807"]);
        let daemon = Daemon::start(run.arguments(mode), sandbox.path("log"));
        daemon.wait_for(
            "WARNING interval 9223372036854775807 is too long: 3153600000 seconds are used, which \
             is a hundred years",
        );
        eventually("the file is there", || sandbox.output() == "x");
        let ended = daemon.stop(Signal::TERM);
        assert_eq!(ended.expect_no("panicked").code, Some(0));
        std::fs::remove_file(sandbox.path("out/app")).unwrap();
    }
}

#[test]
fn the_environment_sets_what_the_flags_set_and_a_flag_wins() {
    let sandbox = Sandbox::rendering("x");
    sandbox.write("confd.toml", "log-level = 'error'\nsync_only = true\nkeep_stage_file = false\n");
    let run = |arguments: &[&str]| {
        let run = sandbox.bare(arguments).env("CONFD_CONFIG_FILE", "confd.toml");
        run.env("CONFD_CONFDIR", sandbox.root())
            .env("CONFD_BACKEND", "env")
            .env("CONFD_ONETIME", "yes")
    };
    run(&[]).env("CONFD_NOOP", "true").env("CONFD_VERSION", "0.16.0").ok();
    assert_eq!(sandbox.output(), "");
    run(&["-noop=false"]).env("CONFD_NOOP", "true").env("CONFD_LOG_LEVEL", "").ok();
    assert_eq!(sandbox.output(), "x");
    for (name, value, why) in [
        (
            "CONFD_NOOP",
            "maybe",
            "invalid value \"maybe\" of CONFD_NOOP: it is neither true nor false",
        ),
        ("CONFD_INTERVAL", "5s", "invalid value \"5s\" of CONFD_INTERVAL: not a number"),
        ("CONFD_LOG_LEVEL", "loud", "(from CONFD_LOG_LEVEL)"),
        ("CONFD_LOG_FORMAT", "xml", "(from CONFD_LOG_FORMAT)"),
        ("CONFD_PREFIX_MODE", "x", "(from CONFD_PREFIX_MODE)"),
        ("CONFD_FAILURE_MODE", "x", "(from CONFD_FAILURE_MODE)"),
        ("CONFD_COLOR", "x", "(from CONFD_COLOR)"),
        ("CONFD_DIFF_CONTEXT", "-1", "(from CONFD_DIFF_CONTEXT)"),
        ("CONFD_RESTART", "x", "(from CONFD_RESTART)"),
        ("CONFD_RELOAD_SIGNAL", "x", "(from CONFD_RELOAD_SIGNAL)"),
        ("CONFD_METRICS_ADDR", "x", "(from CONFD_METRICS_ADDR)"),
        ("CONFD_CONFIG_PRECEDENCE", "x", "(from CONFD_CONFIG_PRECEDENCE)"),
        ("CONFD_RETRY_DELAY", "0", "(from CONFD_RETRY_DELAY)"),
    ] {
        let ended = run(&[]).env(name, value).fails();
        assert!(ended.log().last().unwrap().contains(why), "{}", ended.stderr);
    }
    let last = |ended: Ended| ended.log().pop().unwrap();
    let line = last(run(&[]).env("CONFD_DEBOUNCE", "soon").fails());
    assert!(line.ends_with(" (from CONFD_DEBOUNCE)"), "{line}");
    sandbox.write("confd.toml", "debounce = 'soon'\n");
    let line = last(run(&[]).fails());
    assert!(line.ends_with(" (from \"debounce\" in confd.toml)"), "{line}");
}

#[test]
fn blanks_around_the_elements_of_a_list_variable_do_not_count() {
    let sandbox = Sandbox::rendering("{{getv \"/a\"}}{{getv \"/b\"}}");
    sandbox.write("confd.toml", "");
    sandbox.write("one.yaml", "a: 1");
    sandbox.write("two.yaml", "b: 2");
    for files in ["one.yaml,two.yaml", " one.yaml , two.yaml", "one.yaml,, two.yaml,"] {
        let run = sandbox.confd(&["-onetime", "-backend", "file"]).env("CONFD_FILE", files);
        run.ok();
        assert_eq!(sandbox.output(), "12", "{files:?}");
        std::fs::remove_file(sandbox.path("out/app")).unwrap();
    }
}
