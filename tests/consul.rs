//! The program consul-template and a real Consul: what the recorded cases do not show.

use std::os::unix::process::CommandExt as _;

use servers::{Consul, free_ports};

use crate::support::{Run, Sandbox};

/// consul-template, run once with a template whose result is the file `result`.
fn once(folder: &Sandbox, address: &str, template: &str) -> Run {
    folder.write("in.tpl", template);
    let run = Run::new(env!("CARGO_BIN_EXE_confd"), folder.root());
    let run = run.with(|command| _ = command.arg0("consul-template"));
    run.arguments(&["-once", "-consul-addr", address, "-template", "in.tpl:result"])
}

/// An address at which nothing listens.
fn dead() -> String {
    let [port] = free_ports();
    format!("127.0.0.1:{port}")
}

#[test]
fn an_address_that_does_not_answer_is_followed_by_the_next() {
    let consul = Consul::start();
    consul.put("app/name", "shop");
    let folder = Sandbox::new();
    let addresses = format!("{},{}", dead(), consul.address());
    let ended = once(&folder, &addresses, "{{ key \"app/name\" }}").ok();
    assert_eq!(folder.read("result"), "shop");
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_failed_attempt_executes_no_template() {
    let folder = Sandbox::new();
    let template = r#"{{ plugin "sh" "-c" "echo again >> executed" }}{{ key "a" }}"#;
    let run = once(&folder, &dead(), template);
    let retry = ["-consul-retry-attempts", "3", "-consul-retry-backoff", "20ms"];
    let ended = run.arguments(&retry).run();
    assert_eq!(ended.code, Some(14), "{}", ended.stderr);
    assert!(ended.stderr.contains("(retry attempt 3 after \"80ms\")"), "{}", ended.stderr);
    assert_eq!(folder.read("executed"), "again\n");
}

#[test]
fn files_of_the_settings_that_cannot_be_read_end_the_program_before_consul_is_asked() {
    let folder = Sandbox::new();
    for (flag, words) in [
        ("-consul-token-file", "consul: Error loading token file nope : open nope: no such file"),
        (
            "-consul-ssl-ca-cert",
            "consul configuring TLS failed: Error loading CA File: open nope: ",
        ),
    ] {
        let run = once(&folder, &dead(), "{{ key \"a\" }}");
        let ended = run.arguments(&[flag, "nope"]).run();
        assert_eq!(ended.code, Some(14), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
}
