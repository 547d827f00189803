//! `check_cmd` and `reload_cmd`: how they run, what they are given, and what is logged about them.

use std::fs;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{dest, logged, outdated};
use crate::support::Sandbox;

#[test]
fn the_check_comes_before_the_file_and_the_reload_after_it() {
    let sandbox = outdated(
        "check_cmd = 'cat out/app >> seen; echo \" check\" >> seen'\nreload_cmd = 'cat out/app >> seen; echo \" reload\" >> seen'",
    );
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("seen"), "old check\nnew reload\n");
}

#[test]
fn a_resource_is_finished_before_the_commands_of_the_next_run() {
    let sandbox = Sandbox::new();
    for name in ["a", "b", "c"] {
        sandbox.resource(name, "x", &format!("check_cmd = 'echo check {name} $(ls out) >> ran'\nreload_cmd = 'echo reload {name} $(ls out) >> ran'"));
    }
    sandbox.onetime().ok();
    assert_eq!(
        sandbox.read("ran"),
        "check a\nreload a a\ncheck b a\nreload b a b\ncheck c a b\nreload c a b c\n"
    );
}

#[test]
fn a_failed_check_changes_nothing_and_is_tried_again() {
    let sandbox = outdated(
        "mode = '0600'\ncheck_cmd = 'echo out; echo err >&2; test -e allowed || exit 3'\nreload_cmd = 'echo reload >> ran'",
    );
    for _ in 0..2 {
        let ended = sandbox.onetime().fails();
        let log = logged(&ended);
        let end = [
            "ERROR \"out\\nerr\\n\"",
            "ERROR Config check failed: exit status 3",
            "FATAL Config check failed: exit status 3",
        ];
        assert_eq!(
            log[log.len() - 4],
            format!("INFO Target config {} out of sync", dest(&sandbox))
        );
        assert_eq!(log[log.len() - 3..], end);
        assert_eq!((sandbox.output(), sandbox.mode("out/app")), ("old".into(), 0o644));
        assert_eq!((sandbox.list("out"), sandbox.read("ran")), (vec!["app".into()], String::new()));
    }
    sandbox.write("allowed", "");
    sandbox.onetime().ok();
    assert_eq!(
        (sandbox.output(), sandbox.mode("out/app"), sandbox.read("ran")),
        ("new".into(), 0o600, "reload\n".into())
    );
}

#[test]
fn the_end_of_a_command_is_reported_as_by_go() {
    for (command, how) in [
        ("exit 3", "exit status 3"),
        ("kill -KILL $$", "signal: killed"),
        ("kill -TERM $$", "signal: terminated"),
        ("nosuchprogram 2>/dev/null", "exit status 127"),
    ] {
        let check = outdated(&format!("check_cmd = '{command}'")).onetime().fails();
        check
            .expect(&format!("ERROR Config check failed: {how}"))
            .expect(&format!("FATAL Config check failed: {how}"));
        let reload = outdated(&format!("reload_cmd = '{command}'")).onetime().fails();
        reload.expect(&format!("ERROR {how}")).expect(&format!("FATAL {how}"));
    }
}

#[test]
fn a_shell_that_cannot_be_started_is_reported_as_by_go() {
    let sandbox = outdated("check_cmd = 'true'");
    let script = "touch no-shell; mount --bind no-shell \"$(readlink -f /bin/sh)\"; exec \"$@\"";
    let ended = sandbox.onetime().unshared("-m", script).fails();
    ended.expect("ERROR Config check failed: fork/exec /bin/sh: permission denied");
    assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));
}

#[test]
fn output_is_one_quoted_line_at_debug_after_success_and_at_error_after_failure() {
    let prints = r#"printf 'a\tb "c" \\ \303\251 \377 \001\n'; echo err >&2"#;
    let quoted = r#""a\tb \"c\" \\ é \xff \x01\nerr\n""#;
    let printing = |end: &str| {
        outdated(&format!("check_cmd = \"\"\"\n{}{end}\"\"\"", prints.replace('\\', "\\\\")))
    };
    printing("").onetime().ok().expect_no("err\\n");
    printing("")
        .onetime()
        .arguments(&["-log-level", "debug"])
        .ok()
        .expect(&format!("DEBUG {quoted}"));
    printing("; false").onetime().fails().expect(&format!("ERROR {quoted}"));
    // The log shows empty output as an empty text.
    outdated("check_cmd = 'false'")
        .onetime()
        .fails()
        .expect("ERROR the command printed nothing (exit status 1): false");
}

#[test]
fn of_much_output_the_beginning_and_the_end_are_logged() {
    let sandbox = outdated(
        "check_cmd = 'echo begin; head -c 10000000 /dev/zero | tr \"\\0\" x; echo; echo end; false'",
    );
    let ended = sandbox.onetime().fails();
    let log = ended.log();
    let line = log
        .iter()
        .find(|line| line.starts_with("ERROR \"begin\\nxxx"))
        .unwrap_or_else(|| panic!("no output in the log"));
    assert!(line.ends_with("xxx\\nend\\n\""));
    assert!(line.contains("bytes left out"));
    assert!((60_000..70_000).contains(&line.len()), "{}", line.len());
}

#[test]
fn a_percent_sign_is_only_a_percent_sign() {
    let sandbox = outdated("check_cmd = 'date +%s > now; echo 100% %d %!; false'");
    let ended = sandbox.onetime().arguments(&["-log-level", "debug"]).fails();
    ended.expect("DEBUG Running date +%s > now; echo 100% %d %!; false");
    ended.expect("ERROR \"100% %d %!\\n\"");
    assert!(sandbox.read("now").trim().parse::<u64>().is_ok());
}

#[test]
fn commands_have_the_environment_and_the_folder_of_confd_and_no_input() {
    let sandbox =
        outdated("reload_cmd = 'echo $COLOUR; pwd -P; wc -c; readlink /proc/self/fd/0; exit 1'");
    let ended = sandbox.onetime().env("COLOUR", "green").fails();
    let folder = sandbox.root().canonicalize().unwrap();
    ended.expect(&format!("ERROR \"green\\n{}\\n0\\n/dev/null\\n\"", folder.display()));
}

#[test]
fn commands_may_have_several_lines_and_are_given_to_the_shell_as_they_are() {
    let sandbox =
        outdated("reload_cmd = '''\nx='{{.src}} $HOME'\necho \"$x\" > ran # a comment\n'''");
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("ran"), "{{.src}} $HOME\n");
}

#[test]
fn no_quoting_is_added_to_the_source_of_a_check() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/t", "new");
    sandbox.write("conf.d/r.toml", "[template]\nsrc = 't'\ndest = 'out/a b'\ncheck_cmd = 'for word in {{.src}}; do echo $word >> words; done; test -f \"{{.src}}\"'\n");
    sandbox.onetime().ok();
    let words = sandbox.read("words");
    assert_eq!(words.lines().next(), Some("out/.a"));
    assert!(words.lines().nth(1).unwrap().starts_with('b'), "{words}");
}

#[test]
fn background_processes_of_a_command_neither_block_nor_die() {
    for redirection in ["", "> /dev/null 2>&1"] {
        let sandbox = outdated(&format!("reload_cmd = 'sleep 1000 {redirection} & echo $! > pid'"));
        sandbox
            .onetime()
            .ok()
            .expect(&format!("INFO Target config {} has been updated", dest(&sandbox)));
        let pid = Pid::from_raw(sandbox.read("pid").trim().parse().unwrap()).unwrap();
        assert!(test_kill_process(pid).is_ok(), "it has ended");
        kill_process(pid, Signal::KILL).unwrap();
    }
}

#[test]
fn a_check_that_removes_the_stage_file_is_an_error() {
    let sandbox = outdated("check_cmd = 'rm {{.src}}'");
    let ended = sandbox.onetime().fails();
    let said = |line: &String| {
        line.starts_with("ERROR rename ") && line.ends_with(": no such file or directory")
    };
    assert!(ended.log().iter().any(said), "{}", ended.stderr);
    assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));
}

#[test]
fn a_check_may_execute_or_change_the_stage_file() {
    let sandbox = Sandbox::new();
    sandbox.resource(
        "app",
        "#!/bin/sh\necho ran > ran\n",
        "mode = '0755'\ncheck_cmd = '{{.src}} && echo \"# seen\" >> {{.src}}'",
    );
    sandbox.onetime().ok();
    assert_eq!(sandbox.read("ran"), "ran\n");
    assert!(fs::read_to_string(sandbox.path("out/app")).unwrap().ends_with("# seen\n"));
}

#[test]
fn a_command_that_passes_its_time_limit_is_stopped_and_named() {
    let hang = "echo begun; exec sleep 1000";
    let sandbox = outdated(&format!("check_cmd = '{hang}'\ncheck_timeout = '1s'"));
    let ended = sandbox.onetime().fails();
    ended
        .expect(&format!("WARNING stopping after 1s, its time limit: {hang}"))
        .expect("ERROR \"begun\\n\"")
        .expect("FATAL Config check failed: timed out after 1s");
    assert_eq!((sandbox.output(), sandbox.list("out")), ("old".into(), vec!["app".into()]));

    let sandbox = outdated(&format!("reload_cmd = '{hang}'\nreload_timeout = '1s'"));
    let ended = sandbox.onetime().fails();
    ended
        .expect(&format!("WARNING stopping after 1s, its time limit: {hang}"))
        .expect("FATAL timed out after 1s");
    assert_eq!(sandbox.list("out"), [".app.reload-pending", "app"]);
}
