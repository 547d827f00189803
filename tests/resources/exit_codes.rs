//! `-onetime -exit-codes`: the exit code says what the next run needs.

use std::fs;

use servers::Consul;

use crate::support::{Run, Sandbox};

const DATA: &str = "app:\n  a: one\n";

/// A run with the keys of [`DATA`].
fn run(sandbox: &Sandbox) -> Run {
    sandbox.onetime_with(DATA).arguments(&["-exit-codes"])
}

#[track_caller]
fn ends_with(sandbox: &Sandbox, code: i32) {
    let ended = run(sandbox).run();
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
}

#[test]
fn each_reason_has_its_exit_code_and_without_the_flag_all_have_1() {
    for (template, more, code) in [
        ("{{getv \"/app/b\"}}", "", 3),
        ("{{getv (printf \"/app/%s\" \"b\")}}", "", 3),
        ("{{template \"x\"}}", "", 1),
        ("{{if}}", "", 1),
        ("{{getv \"/app/a\"}}", "required_keys = ['/app/b']", 3),
        ("{{getv \"/app/a\"}}", "min_keys = 2", 3),
        ("{{getv \"/app/a\"}}", "min_bytes = 20", 1),
        ("{{getv \"/app/a\"}}", "output_format = 'json'", 1),
        ("{{getv \"/app/a\"}}", "mode = 'x'", 1),
        ("{{getv \"/app/a\"}}", "check_cmd = 'false'", 4),
        ("{{getv \"/app/a\"}}", "reload_cmd = 'false'", 5),
        (
            "{{getv \"/app/a\"}}",
            "reload_cmd = 'true'\nhealth_cmd = 'false'\nhealth_window = '1ms'",
            5,
        ),
    ] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", template, more);
        ends_with(&sandbox, code);
        let sandbox = Sandbox::new();
        sandbox.resource("app", template, more);
        sandbox.onetime_with(DATA).fails();
    }
}

#[test]
fn a_key_that_a_tera_template_misses_is_missing_data() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{ getv(key='/app/b') }}", "engine = 'tera'");
    ends_with(&sandbox, 3);
}

#[test]
fn a_store_that_does_not_answer_is_missing_data() {
    for [backend, node] in [["etcd", "http://127.0.0.1:1"], ["consul", "127.0.0.1:1"]] {
        let sandbox = Sandbox::new();
        sandbox.resource("app", "{{getv \"/app/a\"}}", "");
        let words = ["-onetime", "-exit-codes", "-backend", backend, "-node", node];
        let ended = sandbox.confd(&words).run();
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    }
}

#[test]
fn a_store_that_refuses_needs_a_person() {
    let server = Consul::with_tokens();
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/app/a\"}}", "");
    let node = server.address();
    let words = ["-onetime", "-exit-codes", "-backend", "consul", "-node", &node];
    // With one set of keys the store refuses the whole reading, with two it refuses each of them.
    for more in ["", "prefix = '/b'"] {
        sandbox.resource("other", "x", more);
        let ended = sandbox.confd(&words).arguments(&["-auth-token", "another"]).run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    }
}

#[test]
fn a_reload_that_stays_pending_or_was_rolled_back_has_code_5_until_it_is_done() {
    let sandbox = Sandbox::new();
    sandbox.resource("app", "{{getv \"/app/a\"}}", "reload_cmd = 'test -e ready'");
    ends_with(&sandbox, 5);
    ends_with(&sandbox, 5);
    // Without the flag, an entrypoint that repeats confd until it succeeds goes on.
    sandbox.onetime_with(DATA).ok();
    sandbox.write("ready", "");
    ends_with(&sandbox, 0);
    fs::remove_file(sandbox.path("ready")).unwrap();
    let rolls_back = "reload_cmd = 'test -e ready'\non_reload_failure = 'rollback'";
    sandbox.resource("app", "{{getv \"/app/a\"}} again", rolls_back);
    ends_with(&sandbox, 5);
    ends_with(&sandbox, 5);
}

#[test]
fn of_several_reasons_the_first_one_counts() {
    let sandbox = Sandbox::new();
    let good = "{{getv \"/app/a\"}}";
    sandbox.resource("reload", good, "reload_cmd = 'false'");
    ends_with(&sandbox, 5);
    sandbox.resource("check", good, "check_cmd = 'false'");
    ends_with(&sandbox, 4);
    sandbox.resource("missing", "{{getv \"/app/b\"}}", "");
    ends_with(&sandbox, 3);
    sandbox.resource("broken", "{{if}}", "");
    ends_with(&sandbox, 1);
    let ended = run(&sandbox).arguments(&["-exit-code"]).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
}

#[test]
fn exit_codes_are_for_onetime() {
    let sandbox = Sandbox::rendering("x");
    let ended = sandbox.confd(&["-backend", "env", "-watch", "-exit-codes"]).run();
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    let first = ended.stderr.lines().next();
    assert_eq!(first, Some("-exit-codes is for -onetime: a daemon ends only when it is stopped"));
}
