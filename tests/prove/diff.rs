//! `-noop -diff` and its exit code.

use std::fs;

use crate::support::{Run, Sandbox};

/// A tree whose resource makes `old` of its one file, and then a run with other keys.
fn changed(old: &str, new: &str, flags: &[&str]) -> (Sandbox, Run) {
    let sandbox = Sandbox::rendering("name={{getv \"/name\"}}\npass={{getv \"/db/password\"}}\n");
    sandbox.onetime_with(old).ok();
    let run = sandbox.onetime_with(new).arguments(&["-noop"]).arguments(flags);
    (sandbox, run)
}

const OLD: &str = "name: a\ndb: { password: old-secret }\n";
const NEW: &str = "name: b\ndb: { password: new-secret }\n";

#[test]
fn a_diff_of_each_file_that_would_change_goes_to_standard_output() {
    let (sandbox, run) = changed(OLD, NEW, &["-diff"]);
    let ended = run.ok();
    let dest = sandbox.path("out/app").display().to_string();
    let hunk = "@@ -1,2 +1,2 @@\n-name=a\n-pass=••••\n+name=b\n+pass=••••\n";
    assert_eq!(ended.stdout, format!("--- {dest}\n+++ {dest} (new)\n{hunk}"));
    ended.expect(&format!("WARNING Noop mode enabled. {dest} will not be modified"));
    assert_eq!(sandbox.output(), "name=a\npass=old-secret\n");
    assert_eq!(sandbox.list("out"), ["app"]);
    let same = sandbox.onetime_with(OLD).arguments(&["-noop", "-diff"]).ok();
    assert_eq!(same.stdout, "");
}

#[test]
fn the_keys_whose_values_are_masked_can_be_chosen() {
    let (_sandbox, run) = changed(OLD, NEW, &["-diff", "-mask", "*/NAME"]);
    let ended = run.ok();
    assert!(ended.stdout.contains("+••••\n+pass=new-secret\n"), "{}", ended.stdout);
}

#[test]
fn colours_are_for_terminals_unless_they_are_asked_for() {
    let (sandbox, run) = changed(OLD, NEW, &["-diff", "-color", "always", "-diff-context=0"]);
    let ended = run.ok();
    assert!(ended.stdout.contains("\u{1b}[32m+name=b\u{1b}[0m\n"), "{:?}", ended.stdout);
    let of_fork = sandbox.bare(&["file", "--confdir"]).arguments(&[sandbox.root()]);
    let flags = ["--file", "data.yaml", "--onetime", "--noop", "--diff", "--color"];
    let ended = of_fork.arguments(&flags).ok();
    assert!(ended.stdout.contains("\u{1b}[36m@@ -1,2 +1,2 @@\u{1b}[0m\n"), "{:?}", ended.stdout);
}

#[test]
fn a_new_file_a_new_mode_and_a_file_of_an_item_that_is_gone_are_shown() {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "{{getv \"/x\"}}");
    let dest = sandbox.path("out/a").display().to_string();
    let table = |more: &str| {
        let text = format!("[template]\nsrc='a'\ndest='{dest}'\nkeys=['/x']\n{more}\n");
        sandbox.write("conf.d/a.toml", text);
    };
    table("");
    let diff = |data: &str| sandbox.onetime_with(data).arguments(&["-noop", "-diff"]).ok().stdout;
    let added = "@@ -0,0 +1 @@\n+1\n\\ No newline at end of file\n";
    assert_eq!(diff("x: 1\n"), format!("--- /dev/null\n+++ {dest} (new)\n{added}"));
    sandbox.onetime_with("x: 1\n").ok();
    table("mode='0600'");
    assert_eq!(diff("x: 1\n"), format!("{dest}: mode 0644 becomes 0600\n"));

    fs::remove_file(sandbox.path("conf.d/a.toml")).unwrap();
    let dest = sandbox.path("out").display().to_string();
    let table = format!(
        "[template]\nsrc='a'\nfor_each='/x/*'\ndest='{dest}/{{{{.name}}}}.conf'\nkeys=['/x']\n"
    );
    sandbox.write("templates/a", "{{.name}}\n");
    sandbox.write("conf.d/items.toml", table);
    sandbox.onetime_with("x: { one: 1, two: 2 }\n").ok();
    let gone = format!("--- {dest}/two.conf\n+++ /dev/null\n@@ -1 +0,0 @@\n-two\n");
    assert_eq!(diff("x: { one: 1 }\n"), gone);
}

#[test]
fn the_exit_code_says_whether_a_file_would_change() {
    let (sandbox, run) = changed(OLD, NEW, &["-detailed-exitcode"]);
    let ended = run.run();
    assert_eq!((ended.code, &*ended.stdout), (Some(2), ""));
    let code = |data: &str| {
        let run = sandbox.onetime_with(data).arguments(&["-noop", "-detailed-exitcode"]);
        run.run().code
    };
    assert_eq!(code(OLD), Some(0));
    assert_eq!(code("db: {}\n"), Some(1));
}

#[test]
fn these_flags_are_for_a_run_that_changes_nothing() {
    let sandbox = Sandbox::new();
    for (flags, mistake) in [
        (&["-diff"][..], "-diff is for -noop, which changes nothing\n"),
        (&["-detailed-exitcode"], "-detailed-exitcode is for -onetime -noop\n"),
    ] {
        let ended = sandbox.onetime().arguments(flags).run();
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.starts_with(mistake), "{}", ended.stderr);
    }
    let ended = sandbox.onetime().arguments(&["-noop", "-diff", "-diff-context=-1"]).fails();
    ended.expect("FATAL -diff-context -1 is less than 0");
    let ended = sandbox.onetime().arguments(&["-noop", "-diff", "-color", "blue"]).fails();
    ended.expect("FATAL color is \"auto\", \"always\" or \"never\", not \"blue\"");
}
