//! Commands that are lists, which run without a shell, and reload commands that are templates.

use super::{dest, outdated};
use crate::support::Sandbox;

#[test]
fn a_list_runs_without_a_shell_and_each_argument_of_a_check_is_a_template() {
    let sandbox = outdated(
        "check_cmd = ['cp', '{{.src}}', 'checked $HOME']\nreload_cmd = ['touch', \"a 'b'; c\"]",
    );
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).ok();
    assert_eq!(sandbox.read("checked $HOME"), "new");
    assert!(sandbox.path("a 'b'; c").exists());
    ended.expect(r"DEBUG Running touch 'a '\''b'\''; c'");
    assert!(ended.stderr.contains(" 'checked $HOME'\n"), "{}", ended.stderr);
}

#[test]
fn a_list_that_fails_is_named_as_it_can_be_typed() {
    let sandbox = outdated("check_cmd = ['test', '-e', 'no such']");
    let ended = sandbox.onetime().fails();
    ended.expect("ERROR the command printed nothing (exit status 1): test -e 'no such'");
    ended.expect("ERROR Config check failed: exit status 1");
    let sandbox = outdated("reload_cmd = ['no such program']");
    let ended = sandbox.onetime().fails();
    let cause = "fork/exec no such program: no such file or directory";
    ended.expect(&format!("ERROR the command cannot be started ({cause}): 'no such program'"));
    assert!(ended.stderr.contains("of the resource app failed: 'no such program'"));
}

#[test]
fn a_list_without_a_program_is_an_error_of_the_file() {
    for command in ["check_cmd = []", "reload_cmd = []", "reload_cmd = ['', 'x']"] {
        let sandbox = outdated(command);
        let ended = sandbox.onetime().fails();
        let key = command.split(' ').next().unwrap();
        let why = format!("{key} has no program: the first element of its list is the program");
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
        assert!(ended.excerpts().iter().any(|line| line.contains(&format!("{key} = [\"nginx\""))));
        assert_eq!(sandbox.output(), "old");
    }
}

#[test]
fn a_reload_command_is_a_template_where_that_is_asked_for() {
    for command in ["'echo {{.src}} {{.dest}} > ran'", "['cp', '{{.src}}', 'ran']"] {
        let sandbox = outdated(&format!("reload_template = true\nreload_cmd = {command}"));
        sandbox.onetime().ok().expect_no("WARNING");
        let dest = dest(&sandbox);
        let expected =
            if command.starts_with('[') { "new".into() } else { format!("{dest} {dest}\n") };
        assert_eq!(sandbox.read("ran"), expected);
    }
    let sandbox = outdated("reload_template = false\nreload_cmd = 'echo {{.dest}} > ran'");
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("ran"), "{{.dest}}\n");
}

#[test]
fn a_reload_template_that_gives_no_command_is_an_error_of_the_file() {
    for (command, why) in [
        (
            "x {{.dst}}",
            "reload_cmd knows only {{.src}} and {{.dest}}: without them, the command is x <no value>",
        ),
        ("x {{dest}}", "template: reloadcmd:1: function \"dest\" not defined"),
    ] {
        let sandbox = outdated(&format!("reload_template = true\nreload_cmd = '{command}'"));
        let ended = sandbox.onetime().fails();
        let path = sandbox.path("conf.d/app.toml").display().to_string();
        ended.expect(&format!("ERROR Cannot process template resource {path} - {why}"));
        assert_eq!(sandbox.output(), "old");
    }
}

#[test]
fn equal_reloads_are_those_whose_rendered_commands_are_equal() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        let reload = "reload_template = true\nreload_cmd = 'echo {{.dest}} >> ran'";
        sandbox.resource(name, "x", reload);
    }
    sandbox.onetime().ok();
    let dests = ["a", "b"].map(|name| sandbox.path(&format!("out/{name}")).display().to_string());
    assert_eq!(sandbox.read("ran"), dests.map(|dest| dest + "\n").concat());
}
