//! Mistakes on the command line.

use super::{DEST, run_of, says};
use crate::support::Sandbox;

/// What a run with these arguments writes to standard error, without the usage text.
fn error_of(arguments: &[&str]) -> String {
    let stderr = Sandbox::new().bare(arguments).run().stderr;
    stderr.split("\nUsage of ").next().unwrap().to_owned()
}

#[test]
fn an_unknown_flag_names_the_nearest_one() {
    for (wrong, right) in [
        ("-nodes", "-node"),
        ("-config_file", "-config-file"),
        ("-loglevel=debug", "-log-level"),
        ("-once", "-onetime"),
        ("-v", "-version"),
        ("-config", "-config-file"),
        ("-dry-run", "-noop"),
        ("-endpoints", "-node"),
    ] {
        let name = wrong.split('=').next().unwrap();
        let line = format!("flag provided but not defined: {name}\n  = did you mean \"{right}\"?");
        assert_eq!(error_of(&[wrong]), line);
    }
    assert_eq!(error_of(&["-zzz"]), "flag provided but not defined: -zzz");
}

#[test]
fn a_flag_behind_a_long_dash_is_not_passed_over() {
    for word in ["–onetime", "—onetime", "—onetime=true", "––onetime"] {
        let line = format!("{word} does not begin with the - of a flag: did you mean -onetime?");
        assert_eq!(error_of(&[word]), line);
    }
}

#[test]
fn a_wrong_level_names_the_levels() {
    let error = error_of(&["-onetime", "-backend", "env", "-log-level", "loud"]);
    says(
        &error,
        &["FATAL not a valid level: \"loud\" (the levels are \"panic\", \"fatal\", \"error\", \
             \"warn\", \"info\" and \"debug\")"],
    );
}

#[test]
fn what_was_typed_is_quoted_as_in_go_and_controls_no_terminal() {
    const TYPED: &str = "a\u{1b}[31m\n\u{a0}\u{202e}";
    const QUOTED: &str = r#""a\x1b[31m\n\u00a0\u202e""#;
    const ESCAPED: &str = "a\\x1b[31m\\n\u{a0}\\u202e";
    for arguments in [
        &["-onetime", "-backend", TYPED][..],
        &["-backend", "env", "-log-level", TYPED],
        &["-interval", TYPED],
        &["-backend", "env", "-check-cmd-timeout", TYPED],
        &["-config-precedence", TYPED],
        &["-backend", "consul", "-consistency", TYPED],
        &["-backend", "consul", "-scheme", TYPED],
        &["-onetime", "-backend", "env", TYPED],
    ] {
        says(&error_of(arguments), &[QUOTED]);
    }
    for flag in ["-", "---", "-="] {
        says(&error_of(&[&format!("{flag}{TYPED}")]), &[ESCAPED]);
    }
    let table = r#"mode = "a\u001b[31m\n\u00a0\u202e""#;
    let log = run_of(&format!("{DEST}{table}"), "x");
    says(&log, &[&format!("parsing {QUOTED}: invalid syntax")]);
}

#[test]
fn an_unknown_first_word_with_flags_behind_it_is_a_mistake_that_names_the_backends() {
    let sandbox = Sandbox::rendering("x");
    for flags in [&["--onetime", "--node", "x"][..], &["-noop"], &["more", "-watch"]] {
        let ended = sandbox.bare(&["postgres"]).arguments(flags).run();
        assert_eq!(ended.code, Some(2), "{flags:?}");
        let (first, rest) = ended.stderr.split_once('\n').unwrap();
        assert_eq!(first, "unknown command or backend \"postgres\"", "{flags:?}");
        let hint = rest.lines().next().unwrap();
        for word in ["\"etcd\"", "\"redis\"", "\"check\"", "\"status\"", "\"consul-template\""] {
            assert!(hint.contains(word), "{word}: {hint}");
        }
    }
    // Go confd ignores such a word. Alone it has no flags that would be lost.
    let alone = sandbox.bare(&["postgres"]).env("CONFD_BACKEND", "env");
    let alone = alone.env("CONFD_ONETIME", "true").env("CONFD_CONFDIR", sandbox.root()).ok();
    alone.expect("WARNING \"postgres\" and what follows it on the command line are ignored");
}
