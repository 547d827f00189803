//! `confd test`: keys, and the files that must come of them.

use std::fs;

use crate::support::{Run, Sandbox};

/// A tree with two resources, and the case `one` of the first.
fn site() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/a", "name={{getv \"/name\"}}\n");
    sandbox.write("templates/b", "{{getv \"/other\"}}\n");
    for name in ["a", "b"] {
        let table =
            format!("[template]\nsrc='{name}'\ndest='/no/such/folder/{name}'\nkeys=['/']\n");
        sandbox.write(&format!("conf.d/{name}.toml"), table);
    }
    sandbox.write("cases/one/data.yaml", "name: x\n");
    sandbox.write("cases/one/resources", "a\n");
    sandbox.write("cases/one/expected/no/such/folder/a", "name=x\n");
    sandbox
}

fn test(sandbox: &Sandbox, flags: &[&str]) -> Run {
    sandbox.write("confd.toml", "");
    let run = sandbox.bare(&["test", "cases"]).arguments(flags);
    run.arguments(&["-config-file", "confd.toml", "-confdir"]).arguments(&[sandbox.root()])
}

#[test]
fn a_case_passes_if_its_keys_give_the_files_that_are_expected() {
    let sandbox = site();
    let ended = test(&sandbox, &[]).ok();
    assert_eq!(ended.stdout, "ok   one\n");
    assert_eq!(ended.stderr, "cases: 1 passed, 0 failed\n");
}

#[test]
fn a_difference_is_a_diff_and_exit_code_1_and_update_accepts_it() {
    let sandbox = site();
    sandbox.write("cases/one/data.yaml", "name: other\n");
    sandbox.write("cases/one/expected/more", "no resource makes this\n");
    let ended = test(&sandbox, &["-junit", "junit.xml", "-color=always"]).fails();
    let file = "cases/one/expected/no/such/folder/a";
    let head =
        format!("FAIL one\n\u{1b}[1m--- {file}\u{1b}[0m\n\u{1b}[1m+++ {file} (new)\u{1b}[0m\n");
    assert!(ended.stdout.starts_with(&head), "{:?}", ended.stdout);
    assert!(ended.stdout.contains("\u{1b}[32m+name=other\u{1b}[0m\n"), "{:?}", ended.stdout);
    assert!(ended.stdout.contains("\u{1b}[31m-no resource makes this\u{1b}[0m\n"));
    let junit = sandbox.read("junit.xml");
    assert!(
        junit.contains("<testsuite name=\"confd test\" tests=\"1\" failures=\"1\">"),
        "{junit}"
    );
    assert!(junit.contains("\n+name=other\n"), "{junit}");
    let ended = test(&sandbox, &["-update"]).ok();
    assert_eq!(ended.stdout, "new  one\n");
    assert_eq!(sandbox.read(file), "name=other\n");
    assert!(!sandbox.path("cases/one/expected/more").exists());
    assert_eq!(test(&sandbox, &["-junit", "junit.xml"]).ok().stdout, "ok   one\n");
    assert!(sandbox.read("junit.xml").contains("failures=\"0\""));
}

#[test]
fn a_template_that_fails_is_a_failure_of_the_case_and_the_other_cases_run() {
    let sandbox = site();
    sandbox.write("cases/two/data.json", "{\"name\": \"z\"}");
    let ended = test(&sandbox, &["-update"]).fails();
    assert!(
        ended.stdout.starts_with("ok   one\nFAIL two\nb: template: b:1:2: "),
        "{}",
        ended.stdout
    );
    assert_eq!(sandbox.read("cases/two/expected/no/such/folder/a"), "name=z\n");
    fs::remove_dir_all(sandbox.path("cases")).unwrap();
    fs::create_dir(sandbox.path("cases")).unwrap();
    let ended = test(&sandbox, &[]).fails();
    assert!(
        ended.stderr.starts_with("confd test: there is no case in cases: "),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_cases_of_the_example_pass() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/etcd-nginx");
    let sandbox = Sandbox::new();
    let cases = format!("{examples}/cases");
    let run = sandbox.bare(&["test", &cases, "-confdir", &format!("{examples}/confd")]);
    let ended = run.ok();
    assert_eq!(ended.stdout, "ok   no-services\nok   two-services\n");
}

#[test]
fn a_file_that_does_not_have_its_output_format_fails_the_case() {
    let sandbox = site();
    let table = sandbox.read("conf.d/a.toml");
    sandbox.write("conf.d/a.toml", format!("{table}output_format='json'\n"));
    let ended = test(&sandbox, &[]).fails();
    let line =
        "FAIL one\n/no/such/folder/a: output_format: the result is no json, line 1, column 2\n";
    assert_eq!(ended.stdout, line);
}

#[test]
fn cases_can_be_named() {
    let sandbox = site();
    sandbox.write("cases/two/data.yaml", "name: y\nother: z\n");
    let named = |names: &[&str]| {
        let run = sandbox.bare(&["test", "cases"]).arguments(names);
        run.arguments(&["-confdir"]).arguments(&[sandbox.root()])
    };
    assert_eq!(named(&["one"]).ok().stdout, "ok   one\n");
    let ended = named(&["two", "one"]).fails();
    assert!(ended.stdout.starts_with("ok   one\nFAIL two\n"), "{}", ended.stdout);
    let ended = named(&["oen"]).fails();
    let text = "confd test: there is no case \"oen\", did you mean \"one\"?; the cases are the folders in cases\n";
    assert_eq!(ended.stderr, text);
}

#[test]
fn a_case_has_variables_of_its_own() {
    let sandbox = site();
    sandbox
        .write("templates/a", "{{getenv \"LISTEN\"}} {{getenv \"OTHER\"}} {{getenv \"NONE\"}}\n");
    sandbox.write("cases/one/env", "# of this case\n\nLISTEN=80 = 80\n");
    sandbox.write("cases/one/expected/no/such/folder/a", "80 = 80 process \n");
    let run = test(&sandbox, &[]).env("LISTEN", "1").env("OTHER", "process");
    assert_eq!(run.ok().stdout, "ok   one\n");
    sandbox.write("cases/one/env", "LISTEN\n");
    let ended = test(&sandbox, &[]).fails();
    assert_eq!(ended.stderr, "confd test: cases/one/env:1: write NAME=VALUE in each line\n");
}
