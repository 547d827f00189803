//! All options of the live fork, each with every type that the fork takes: none stops a run.

use super::env;
use crate::support::{Ended, Sandbox};

/// The form of an option's values in the fork.
#[derive(Clone, Copy)]
enum Form {
    Switch,
    Integer,
    Text,
    Texts,
    /// A text such as `5s`. In a table `[backend]` it can be an integer too.
    Duration,
}
use Form::{Duration, Integer, Switch, Text, Texts};

/// Where an option can stand in the fork besides the command line.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Nowhere else.
    Flag,
    /// In the environment.
    Variable,
    /// In confd.toml.
    File,
    /// In both.
    Both,
}
use Place::{Both, File, Flag, Variable};

/// The global options: the flag, the key of confd.toml, the form, and the places. Keys that the fork
/// ignores stand here too, because its documents or its users write them.
const GLOBAL: &[(&str, &str, Form, Place)] = &[
    ("interval", "interval", Integer, Both),
    ("log-level", "log-level", Text, Both),
    ("log-format", "log-format", Text, Both),
    ("noop", "noop", Switch, Both),
    ("onetime", "onetime", Switch, Variable),
    ("prefix", "prefix", Text, Both),
    ("sync-only", "sync_only", Switch, Both),
    ("failure-mode", "failure_mode", Text, Both),
    ("keep-stage-file", "keep_stage_file", Switch, Both),
    ("diff", "", Switch, Flag),
    ("color", "", Switch, Flag),
    ("diff-context", "", Integer, Flag),
    ("debounce", "debounce", Duration, Both),
    ("batch-interval", "batch_interval", Duration, Both),
    ("template-cache", "template_cache", Switch, Both),
    ("no-template-cache", "", Switch, Flag),
    ("stat-cache-ttl", "stat_cache_ttl", Duration, Both),
    ("backend-timeout", "backend_timeout", Duration, Both),
    ("check-cmd-timeout", "check_cmd_timeout", Duration, Both),
    ("reload-cmd-timeout", "reload_cmd_timeout", Duration, Both),
    ("dial-timeout", "dial_timeout", Duration, Both),
    ("read-timeout", "read_timeout", Duration, Both),
    ("write-timeout", "write_timeout", Duration, Both),
    ("retry-max-attempts", "retry_max_attempts", Integer, Both),
    ("retry-base-delay", "retry_base_delay", Duration, Both),
    ("retry-max-delay", "retry_max_delay", Duration, Both),
    ("watch-error-backoff", "watch_error_backoff", Duration, Both),
    ("preflight-timeout", "preflight_timeout", Duration, Both),
    ("shutdown-timeout", "shutdown_timeout", Duration, Both),
    ("systemd-notify", "systemd_notify", Switch, Both),
    ("watchdog-interval", "watchdog_interval", Duration, Both),
    ("metrics-addr", "metrics_addr", Text, Both),
];

/// The options of backends. All of them can stand in a table `[backend]`.
const OF_BACKENDS: &[(&str, &str, Form, Place)] = &[
    ("node", "nodes", Texts, File),
    ("scheme", "scheme", Text, File),
    ("auth-token", "auth_token", Text, File),
    ("auth-type", "auth_type", Text, File),
    ("basic-auth", "basic_auth", Switch, File),
    ("client-ca-keys", "client_cakeys", Text, File),
    ("client-cert", "client_cert", Text, File),
    ("client-key", "client_key", Text, File),
    ("client-insecure", "client_insecure", Switch, File),
    ("username", "username", Text, File),
    ("password", "password", Text, File),
    ("separator", "separator", Text, File),
    ("app-id", "app_id", Text, File),
    ("user-id", "user_id", Text, File),
    ("role-id", "role_id", Text, File),
    ("secret-id", "secret_id", Text, File),
    ("path", "path", Text, File),
    ("table", "table", Text, File),
    ("filter", "filter", Text, File),
    ("acm-export-private-key", "acm_export_private_key", Switch, File),
    ("secretsmanager-version-stage", "secretsmanager_version_stage", Text, File),
    ("secretsmanager-no-flatten", "secretsmanager_no_flatten", Switch, File),
    ("imds-cache-ttl", "imds_cache_ttl", Duration, File),
];

/// The options of [`GLOBAL`] that a table `[backend]` can have.
const ALSO_OF_BACKENDS: [&str; 6] = [
    "dial_timeout",
    "read_timeout",
    "write_timeout",
    "retry_max_attempts",
    "retry_base_delay",
    "retry_max_delay",
];

/// The words for a value on the command line.
fn words(name: &str, form: Form) -> &'static [&'static str] {
    match (name, form) {
        ("log-level", _) => &["debug", "INFO", "warning"],
        ("log-format", _) => &["text", "json"],
        ("failure-mode", _) => &["fail-fast"],
        ("metrics-addr", _) => &[":9100", "127.0.0.1:0"],
        ("diff-context", _) => &["0", "0x10"],
        (_, Switch) => &["true", "1", "Yes", "false", "0", "no"],
        (_, Integer) => &["3", "017", "1_000"],
        (_, Duration) => &["5s", "1h30m", "1.5s", "500ms", "0"],
        (_, Text | Texts) => &["x"],
    }
}

/// The values in TOML. `of_table` says that the table is `[backend]`.
fn values(name: &str, form: Form, of_table: bool) -> Vec<String> {
    match form {
        Switch => vec!["true".to_owned(), "false".to_owned()],
        Integer => vec!["3".to_owned(), "0".to_owned()],
        Texts => vec!["['x', 'y']".to_owned(), "[]".to_owned()],
        Duration if of_table => vec!["'5s'".to_owned(), "5000000000".to_owned(), "0".to_owned()],
        // The fork looks at no value of a key that it ignores, and people write seconds.
        Duration => vec!["'5s'".to_owned(), "'100ms'".to_owned(), "15".to_owned()],
        Text => {
            words(&name.replace('_', "-"), form).iter().map(|word| format!("'{word}'")).collect()
        }
    }
}

/// Expects that the run was one, and that what changes nothing is said at most once.
fn is_accepted(ended: &Ended, what: &str) {
    assert_eq!(ended.code, Some(0), "{what}: {}", ended.stderr);
    for word in ["unknown", "did you mean", " FATAL ", " ERROR "] {
        assert!(!ended.stderr.contains(word), "{what}: {}", ended.stderr);
    }
    let said = ended.stderr.matches("accepted from the live fork").count();
    assert!(said <= 1, "{what}: {}", ended.stderr);
}

/// A tree without resources, and with this confd.toml.
fn tree(confd_toml: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("confd.toml", confd_toml);
    sandbox
}

#[test]
fn every_flag_of_the_fork_takes_the_values_that_it_takes_there() {
    let sandbox = tree("");
    for (flag, _, form, _) in GLOBAL.iter().chain(OF_BACKENDS) {
        for word in words(flag, *form) {
            let value = format!("--{flag}={word}");
            // The last one counts.
            let flags = ["--noop", &value, "--onetime"];
            let flags = if *flag == "noop" { &flags[1..] } else { &flags };
            is_accepted(&env(&sandbox, flags).run(), &value);
        }
    }
    env(&sandbox, &["--onetime", "--noop", "--diff", "--color", "--sync-only"]).ok();
}

#[test]
fn every_variable_of_the_fork_takes_the_values_that_it_takes_there() {
    let sandbox = tree("");
    for (flag, _, form, place) in GLOBAL {
        for word in words(flag, *form).iter().filter(|_| matches!(place, Variable | Both)) {
            let name = format!("CONFD_{}", flag.to_uppercase().replace('-', "_"));
            let run = env(&sandbox, &["--onetime"]).env(&name, word);
            is_accepted(&run.run(), &format!("{name}={word}"));
        }
    }
}

#[test]
fn every_key_of_its_confd_toml_takes_the_values_that_it_takes_there() {
    for (_, key, form, place) in GLOBAL.iter().chain(OF_BACKENDS) {
        if key.is_empty() || *place == Flag {
            continue;
        }
        for value in values(key, *form, false) {
            let line = format!("{key} = {value}");
            is_accepted(&env(&tree(&line), &["--onetime"]).run(), &line);
        }
    }
    // Its 0 means that it is not set.
    env(&tree("interval = 0\n"), &["--onetime"]).ok().expect_no("WARNING interval");
}

#[test]
fn every_key_of_its_table_backend_takes_the_values_that_it_takes_there() {
    let sandbox = tree("");
    let dest = sandbox.path("result");
    sandbox.write("templates/a", "{{getv \"/a\"}}");
    sandbox.write("keys.yaml", "a: 1\n");
    let also = GLOBAL.iter().filter(|(_, key, ..)| ALSO_OF_BACKENDS.contains(key));
    for (_, key, form, _) in OF_BACKENDS.iter().chain(also) {
        for value in values(key, *form, true) {
            let line = format!("{key} = {value}");
            let table = format!(
                "[template]\nsrc='a'\ndest='{}'\nkeys=['/a']\n[backend]\nbackend='file'\nfile=['keys.yaml']\n{line}\n",
                dest.display()
            );
            sandbox.write("conf.d/a.toml", table);
            let ended = env(&sandbox, &["--onetime"]).run();
            is_accepted(&ended, &line);
            let text = format!("in [backend], {key} has no effect: its kind is file");
            assert_eq!(ended.stderr.contains(&text), *key != "filter", "{}", ended.stderr);
        }
    }
}

#[test]
fn what_changes_nothing_here_is_said_in_one_line() {
    let sandbox = tree("retry_max_attempts = 3\nstat_cache_ttl = 5\n");
    let run = env(&sandbox, &["--onetime", "--template-cache"]);
    let ended = run.env("CONFD_WATCH_ERROR_BACKOFF", "2s").ok();
    ended.expect(
        "WARNING -template-cache, CONFD_WATCH_ERROR_BACKOFF, retry_max_attempts in confd.toml, \
         stat_cache_ttl in confd.toml are accepted from the live fork, and change nothing here",
    );
    let names = "dial_timeout = '5s'\nclient_cert = 'x'\nzzz = 1\nnode = 'x'\n";
    let table = "[template]\nsrc='a'\ndest='/x'\n[backend]\nbackend='etcd'\n";
    sandbox.write("templates/a", "x");
    sandbox.write("conf.d/a.toml", format!("{table}{names}"));
    let ended = env(&sandbox, &["--onetime", "--noop"]).run();
    let file = sandbox.path("conf.d/a.toml").display().to_string();
    for text in [
        format!("{file}:6: in [backend], dial_timeout has no effect: its kind is etcd"),
        format!("{file}:8: unknown key \"zzz\" in [backend]"),
        format!("{file}:9: unknown key \"node\" in [backend], did you mean \"nodes\"?"),
    ] {
        ended.expect(&format!("WARNING {text}"));
    }
    assert!(!ended.stderr.contains("client_cert"), "{}", ended.stderr);
}

#[test]
fn etcd_without_nodes_is_asked_at_the_default_of_the_fork() {
    let sandbox = Sandbox::rendering("x");
    let run = |word: &[&str]| {
        let root = sandbox.root().to_str().unwrap();
        let files = ["--confdir", root, "--config-file", "confd.toml", "--onetime", "--noop"];
        // Its list of nodes counts in Go confd only.
        sandbox.bare(word).arguments(&files).env("ETCDCTL_PEERS", "http://127.0.0.1:1").run()
    };
    sandbox.write("confd.toml", "");
    run(&["etcd"]).expect("INFO Backend source(s) set to http://127.0.0.1:2379");
    run(&["--backend", "etcd"]).expect("INFO Backend source(s) set to http://127.0.0.1:1");
}
