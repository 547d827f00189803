//! The completions of bash, asked as bash asks them, and the manual page.

use std::{collections::BTreeSet, path::Path};

use crate::support::{Run, Sandbox};

fn packaging(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name).display().to_string()
}

/// What bash proposes in this folder for the last of these words, as bash has split them.
fn proposed(sandbox: &Sandbox, words: &[&str]) -> BTreeSet<String> {
    let script = "source \"$1\"; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); \
                  complete -p confd >/dev/null || exit; _confd; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let run = Run::new("bash", sandbox.root()).arguments(&["-u", "-c", script, "bash"]);
    let run = run.arguments(&[packaging("completions/confd.bash")]).arguments(&["confd"]);
    let ended = run.arguments(words).env("CONFD_CONFDIR", sandbox.root()).ok();
    assert_eq!(ended.stderr, "", "{words:?}");
    ended.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn bash_completes_commands_and_backends_as_the_first_word() {
    let sandbox = Sandbox::new();
    let first = proposed(&sandbox, &[""]);
    for word in ["check", "status", "test", "consul-template", "register", "env", "etcd"] {
        assert!(first.contains(word), "{word}: {first:?}");
    }
    assert_eq!(
        proposed(&sandbox, &["re"]),
        set(&["redis", "register", "registrator", "release", "reload", "render"])
    );
}

#[test]
fn bash_completes_all_flags_with_one_dash_and_with_two() {
    let sandbox = Sandbox::new();
    let usage = sandbox.bare(&["-h"]).ok().stderr;
    let flags = usage.split("Commands:").next().unwrap().lines().filter_map(|line| {
        let flag = line.strip_prefix("  -")?;
        flag.split(' ').next().map(|name| format!("-{name}"))
    });
    let flags: BTreeSet<_> = flags.chain(["-h".to_owned()]).collect();
    assert!(flags.len() > 80);
    assert_eq!(proposed(&sandbox, &["-"]), flags);
    assert_eq!(proposed(&sandbox, &["env", "-"]), flags);
    let with_two: BTreeSet<_> = flags.iter().map(|flag| format!("-{flag}")).collect();
    assert_eq!(proposed(&sandbox, &["--"]), with_two);
    assert_eq!(proposed(&sandbox, &["-noop", "-onet"]), set(&["-onetime"]));
    assert_eq!(proposed(&sandbox, &["--onet"]), set(&["--onetime"]));
}

#[test]
fn bash_completes_the_flags_and_the_names_of_a_command() {
    let sandbox = Sandbox::rendering("x");
    sandbox.resource("other", "x", "");
    sandbox.write("conf.d/web/site.toml", "");
    assert_eq!(proposed(&sandbox, &["check", "-str"]), set(&["-strict"]));
    assert_eq!(proposed(&sandbox, &["check", "-format", ""]), set(&["json", "sarif", "text"]));
    assert_eq!(proposed(&sandbox, &["render", ""]), set(&["app", "other", "web/site"]));
    assert_eq!(proposed(&sandbox, &["explain", "we"]), set(&["web/site"]));
    assert_eq!(proposed(&sandbox, &["check", ""]), set(&[]));
    let elsewhere = Sandbox::rendering("x");
    let folder = elsewhere.root().to_str().unwrap();
    assert_eq!(proposed(&sandbox, &["run", "-confdir", folder, ""]), set(&["app"]));
}

#[test]
fn bash_offers_no_flags_of_confd_for_the_other_programs() {
    let sandbox = Sandbox::new();
    sandbox.write("services.yaml", "");
    for program in ["register", "registrator", "consul-template"] {
        assert_eq!(proposed(&sandbox, &[program, "-"]), set(&[]), "{program}");
        assert_eq!(proposed(&sandbox, &[program, "serv"]), set(&["services.yaml"]), "{program}");
    }
}

#[test]
fn a_name_of_a_file_is_never_executed_by_a_completion() {
    let sandbox = Sandbox::new();
    sandbox.write("conf.d/$(touch executed).toml", "");
    assert_eq!(proposed(&sandbox, &["render", ""]), set(&["$(touch executed)"]));
    assert!(!sandbox.path("executed").exists());
}

#[test]
fn bash_completes_values() {
    let sandbox = Sandbox::new();
    sandbox.write("data.yaml", "");
    for words in [&["-log-format", "l"][..], &["--log-format", "l"], &["-log-format", "=", "l"]] {
        assert_eq!(proposed(&sandbox, words), set(&["logfmt"]), "{words:?}");
    }
    assert_eq!(proposed(&sandbox, &["-restart", "="]), set(&["always", "never", "on-failure"]));
    assert_eq!(proposed(&sandbox, &["-confdir", "c"]), set(&["conf.d"]));
    assert_eq!(proposed(&sandbox, &["-file", "d"]), set(&["data.yaml"]));
    assert_eq!(proposed(&sandbox, &["-interval", ""]), set(&[]));
    assert!(proposed(&sandbox, &["-onetime", "--", "ech"]).contains("echo"));
}

#[test]
fn the_manual_page_has_all_sections_and_no_mistake_of_its_language() {
    let page = packaging("man/confd.1");
    let run = Run::new("groff", Path::new("/")).arguments(&["-man", "-ww", "-Tascii"]);
    let ended = run.arguments(&["-P-c", "-P-b", "-P-u", "-P-o", &page]).ok();
    assert_eq!(ended.stderr, "");
    let sections = ended
        .stdout
        .lines()
        .filter(|line| line.starts_with(char::is_alphabetic) && !line.contains("CONFD(1)"));
    let expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "COMMANDS",
        "OPTIONS",
        "ENVIRONMENT",
        "FILES",
        "EXIT STATUS",
        "SIGNALS",
        "SEE ALSO",
    ];
    assert_eq!(sections.collect::<Vec<_>>(), expected);
    for text in ["-onetime\n", "-interval N\n", "check [-format text|json|sarif] [-strict]\n"] {
        assert!(ended.stdout.contains(&format!("       {text}")), "{text}: {}", ended.stdout);
    }
}
