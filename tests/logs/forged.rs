//! Nothing that others write (keys, values, files, commands, what a server says) can write a line of
//! the log, or control the terminal of its reader.

use crate::support::{Ended, Sandbox, is_excerpt};

/// What forges a line and hides what stands before it.
const FORGERY: &str =
    "x\n2026-11-21T06:25:24Z web1 confd[812]: ERROR forged\x1b[2J\r\u{9b}\u{202e}\u{2028}";

/// How the log shows it.
const SHOWN: &str =
    "x\\n2026-11-21T06:25:24Z web1 confd[812]: ERROR forged\\x1b[2J\\r\\u009b\\u202e\\u2028";

/// Expects that each line begins with its header or belongs to an excerpt, that no line contains a
/// control character, and that the forgery is in the log in its harmless form.
#[track_caller]
fn is_harmless(ended: &Ended) {
    for line in ended.stderr.lines().filter(|line| !is_excerpt(line)) {
        let header = line.split_once("]: ").map(|(header, _)| header).unwrap_or_default();
        assert_eq!(header.split(' ').count(), 3, "{line:?} in\n{}", ended.stderr);
        assert!(!line.starts_with("2026-11-21T06:25:24Z"), "{}", ended.stderr);
    }
    let is_control = |letter: char| {
        letter != '\n'
            && (letter.is_control()
                || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    };
    assert!(!ended.stderr.contains(is_control), "{:?}", ended.stderr);
    assert!(ended.stderr.contains(SHOWN), "{:?}", ended.stderr);
}

/// A TOML or YAML string with the text.
fn quoted(text: &str) -> String {
    format!("{text:?}")
        .replace("\\u{1b}", "\\u001b")
        .replace("\\u{9b}", "\\u009b")
        .replace("\\u{202e}", "\\u202e")
        .replace("\\u{2028}", "\\u2028")
}

#[test]
fn a_key_of_the_store_cannot_write_lines_of_the_log() {
    let sandbox = Sandbox::rendering("x");
    let yaml = format!("{}: value", quoted(FORGERY));
    is_harmless(&sandbox.onetime_with(&yaml).arguments(&["-log-level", "debug"]).ok());
}

#[test]
fn a_value_of_the_store_cannot_write_lines_of_the_log() {
    for (file, template) in [
        ("app.tmpl", "{{range getv \"/v\"}}{{end}}"),
        ("app.tmpl", "{{lookupIP (getv \"/v\")}}"),
        ("app.tera", "{{ throw(message=store.v) }}"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("templates/{file}"), template);
        let table = format!("[template]\nsrc = '{file}'\ndest = 'out/app'\nkeys = ['/']\n");
        sandbox.write("conf.d/app.toml", table);
        let yaml = format!("v: {}", quoted(FORGERY));
        let ended = sandbox.onetime_with(&yaml).arguments(&["-show-values"]).run();
        if file.ends_with("tera") {
            // Tera's texts are one line already.
            assert!(!ended.stderr.contains("\n2026-11-21T06:25:24Z"), "{}", ended.stderr);
        } else {
            is_harmless(&ended);
        }
    }
}

#[test]
fn a_resource_file_cannot_write_lines_of_the_log() {
    let forgery = quoted(FORGERY);
    for table in [
        format!("[template]\nsrc = 'app'\ndest = {forgery}\n"),
        format!("[template]\nsrc = {forgery}\ndest = 'out/app'\n"),
        format!("[template]\nsrc = 'app'\ndest = 'out/app'\n{forgery} = 1\n"),
        format!(
            "[template]\nsrc = 'app'\ndest = 'out/app'\ncheck_cmd = {}\n",
            quoted(&format!("exit 1 # {FORGERY}"))
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("templates/app", "x");
        sandbox.write("conf.d/app.toml", table);
        is_harmless(&sandbox.onetime().arguments(&["-log-level", "debug"]).run());
    }
}

#[test]
fn names_of_files_flags_and_servers_cannot_write_lines_of_the_log() {
    let sandbox = Sandbox::new();
    sandbox.write(&format!("conf.d/{FORGERY}.toml"), "no toml");
    is_harmless(&sandbox.onetime().run());
    let sandbox = Sandbox::new();
    is_harmless(&sandbox.confd(&["-onetime", "-backend=file", "-file", FORGERY]).run());
    is_harmless(&sandbox.confd(&["-onetime", "-backend=consul", "-node", FORGERY]).run());
}

#[test]
fn the_name_of_the_program_cannot_write_lines_of_the_log() {
    use std::os::unix::process::CommandExt as _;
    let sandbox = Sandbox::new();
    let run = sandbox.onetime().with(|command| _ = command.arg0(FORGERY));
    let ended = run.run();
    for line in ended.stderr.lines().filter(|line| !is_excerpt(line)) {
        assert!(line.contains(&format!(" {SHOWN}[")), "{line:?} in\n{}", ended.stderr);
    }
}
