//! The environment in resource files.

use rustix::process::Signal;

use crate::support::{Daemon, Run, Sandbox, eventually};

/// A sandbox whose only resource has these lines. Its template prints all keys that it sees.
fn with(lines: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let each = |pattern: &str| {
        format!("{{{{range gets \"{pattern}\"}}}}{{{{.Key}}}}={{{{.Value}}}};{{{{end}}}}")
    };
    sandbox.write("templates/x", each("/*") + &each("/*/*"));
    sandbox.write("conf.d/app.toml", format!("[template]\nsrc = 'x'\n{lines}\n"));
    sandbox
}

/// One pass over two sites, in an environment that names one of them.
fn onetime(sandbox: &Sandbox) -> Run {
    let run = sandbox.onetime_with("blue: { port: 1 }\ngreen: { port: 2 }\n");
    run.env("SITE", "blue").env("EMPTY", "")
}

#[test]
fn dest_keys_and_prefix_name_variables_of_the_environment() {
    for (lines, dest, content) in [
        ("dest = 'out/{{getenv \"SITE\"}}.conf'", "out/blue.conf", ""),
        ("dest = 'out/a'\nkeys = ['/{{getenv \"SITE\"}}/port']", "out/a", "/blue/port=1;"),
        ("dest = 'out/a'\nprefix = '/{{getenv \"SITE\"}}'\nkeys = ['/port']", "out/a", "/port=1;"),
        ("dest = 'out/{{getenv \"NONE\" \"default\"}}'", "out/default", ""),
        ("dest = 'out/{{getenv \"EMPTY\" \"default\"}}'", "out/default", ""),
        ("dest = 'out/a{{getenv \"NONE\"}}b'", "out/ab", ""),
    ] {
        let sandbox = with(lines);
        onetime(&sandbox).ok().expect_no("WARNING");
        assert!(sandbox.path(dest).exists(), "{lines}");
        assert_eq!(sandbox.read(dest), content, "{lines}");
    }
}

#[test]
fn a_malformed_or_empty_template_in_a_key_is_an_error_that_shows_the_line() {
    for (line, why, hint) in [
        (
            "dest = '{{getenv \"NONE\"}}'",
            "empty dest",
            "dest gives an empty text: its variable is empty or not set",
        ),
        (
            "dest = 'out/{{getv \"/a\"}}'",
            "template: dest:1: function \"getv\" not defined",
            "dest knows only {{getenv \"NAME\"}} and Go's own functions",
        ),
        (
            "dest = 'out/{{.name}}'",
            "dest asks for data, and there is none",
            "dest is read before the keys are: only {{getenv \"NAME\"}} is known",
        ),
    ] {
        let sandbox = with(line);
        let ended = onetime(&sandbox).fails();
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
        let below = ended.excerpts().join("\n");
        assert!(below.contains(&format!("{path}:3:")) && below.contains(hint), "{below}");
    }
}

#[test]
fn a_daemon_follows_the_keys_and_the_file_that_the_environment_names() {
    let sandbox = with("dest = 'out/{{getenv \"SITE\"}}'\nkeys = ['/{{getenv \"SITE\"}}']");
    sandbox.write("templates/x", "{{getv \"/blue/port\"}}");
    sandbox.write("data.yaml", "blue: { port: 1 }\n");
    let run = sandbox.confd(&["-watch", "-backend", "file", "-file", "data.yaml"]);
    let daemon = Daemon::start(run.env("SITE", "blue"), sandbox.path("log"));
    daemon.wait_for("Target config out/blue has been updated");
    sandbox.write("data.yaml", "blue: { port: 2 }\n");
    eventually("the new port is in the file", || sandbox.read("out/blue") == "2");
    daemon.stop(Signal::TERM);
}

#[test]
fn with_expand_env_all_texts_of_a_resource_can_use_variables() {
    let sandbox = with(
        "expand_env = true\ndest = 'out/${SITE}'\nprefix = '/${SITE}'\nkeys = ['/port']\n\
         mode = '${NONE:-0600}'\ncheck_cmd = 'test -e {{.src}} && touch ${SITE}-checked'\n\
         reload_cmd = ['touch', '${SITE}-reloaded', '$$']",
    );
    onetime(&sandbox).ok().expect_no("WARNING");
    assert_eq!((sandbox.read("out/blue").as_str(), sandbox.mode("out/blue")), ("/port=1;", 0o600));
    for made in ["blue-checked", "blue-reloaded", "$"] {
        assert!(sandbox.path(made).exists(), "{made}");
    }
}

#[test]
fn commands_keep_the_shells_own_variables() {
    let sandbox = with(
        "expand_env = true\ndest = 'out/a'\nreload_cmd = 'SITE=red; touch $SITE-$${SITE}-${SITE}'",
    );
    onetime(&sandbox).ok();
    assert!(sandbox.path("red-red-blue").exists());
}

#[test]
fn a_variable_that_is_not_set_is_an_error_that_names_it_its_key_and_its_line() {
    for (line, why, hint) in [
        (
            "dest = 'out/${NONE}'",
            "dest: the variable NONE is not set",
            "${NONE:-default} has a default; $${NONE} is left for the shell",
        ),
        (
            "dest = 'out/${SITE%e}'",
            "dest: ${SITE%e} is not ${NAME} or ${NAME:-default}",
            "$${ is for the shell what ${ is elsewhere",
        ),
    ] {
        let sandbox = with(&format!("{line}\nexpand_env = true"));
        sandbox.resource("other", "x", "");
        let ended = onetime(&sandbox).fails();
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
        let below = ended.excerpts().join("\n");
        assert!(below.contains(&format!("{path}:3:")) && below.contains(hint), "{below}");
        assert_eq!(sandbox.list("out"), ["other"]);
    }
}

#[test]
fn without_expand_env_a_dollar_is_only_a_dollar() {
    let sandbox = with("dest = 'out/${SITE} $$'");
    onetime(&sandbox).ok();
    assert_eq!(sandbox.list("out"), ["${SITE} $$"]);
}
