//! Tokens that lack a right. Consul leaves out what such a token may not see, and says so in a header.

use rustix::process::Signal;
use servers::{Consul, Stub, Token};

use super::{INSTANCES, becomes, instance, register};
use crate::support::{Daemon, Run, Sandbox};

/// What a token needs to see the instances of `web`.
const RIGHTS: &str = "service \"web\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }";

/// The rights of [`RIGHTS`] without those of the node `node-b`.
const ONE_NODE: &str =
    "service \"web\" { policy = \"read\" } node \"node-a\" { policy = \"read\" }";

/// The rights to something else.
const OTHER: &str = "service \"db\" { policy = \"read\" }";

/// A Consul with two instances, and a resource that asks for them with a token that has these rights.
fn asking(rights: &str) -> (Sandbox, Consul, Token) {
    let sandbox = Sandbox::new();
    sandbox.resource("app", INSTANCES, "");
    let consul = Consul::with_tokens();
    register(&consul, "a", 80, "passing");
    register(&consul, "b", 81, "passing");
    let token = consul.token(rights);
    let (address, secret) = (consul.address(), &token.secret);
    sandbox
        .write("confd.toml", format!("[consul]\nnodes = ['{address}']\nauth_token = '{secret}'\n"));
    (sandbox, consul, token)
}

/// The beginning of a line of the log.
fn refused(consul: &Consul) -> String {
    format!(
        "health.service(web|passing): consul at http://{} refused: the token lacks a permission: \
         service:read for \"web\", or node:read for the nodes of its instances",
        consul.address()
    )
}

fn hides(consul: &Consul) -> String {
    format!(
        "health.service(web|passing): consul at http://{} hides a part of the answer, because the \
         token lacks a permission: service:read for \"web\", or node:read for the nodes of its \
         instances",
        consul.address()
    )
}

#[test]
fn a_token_that_may_not_read_a_service_fails_a_onetime_run() {
    let (sandbox, consul, _) = asking(OTHER);
    sandbox.write("out/app", "before");
    let ended = sandbox.onetime().fails();
    ended.expect(&format!("ERROR {} (resource app)", refused(&consul)));
    assert_eq!(sandbox.read("out/app"), "before");
}

#[test]
fn a_token_that_gets_the_rights_to_a_service_is_followed() {
    let (sandbox, consul, token) = asking(OTHER);
    sandbox.write("out/app", "before");
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    daemon.wait_for(&format!("ERROR {}", refused(&consul)));
    assert_eq!(sandbox.read("out/app"), "before");
    consul.change(&token, RIGHTS);
    becomes(&sandbox, "out/app", "a:80 b:81 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn a_token_that_sees_only_a_part_causes_one_warning() {
    let (sandbox, consul, _) = asking(ONE_NODE);
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "a:80 ");
    register(&consul, "a", 82, "passing");
    becomes(&sandbox, "out/app", "a:82 ");
    let ended = daemon.stop(Signal::TERM);
    let warning = format!("WARNING {} (resource app)", hides(&consul));
    ended.expect(&warning);
    assert_eq!(ended.stderr.matches("hides a part").count(), 1, "{}", ended.stderr);
}

#[test]
fn without_a_token_an_empty_answer_of_a_consul_with_tokens_causes_a_warning() {
    let (sandbox, consul, _) = asking(RIGHTS);
    let address = consul.address();
    sandbox.write("confd.toml", format!("[consul]\nnodes = ['{address}']\n"));
    let ended = sandbox.onetime().ok();
    ended.expect(&format!(
        "WARNING health.service(web|passing): consul at http://{address} shows nothing: it may want \
         a token, and none is given (resource app)"
    ));
    assert_eq!(sandbox.read("out/app"), "");
}

#[test]
fn the_token_of_the_backend_goes_to_no_other_node() {
    let (sandbox, consul, token) = asking(RIGHTS);
    let address = consul.address();
    let seen = Stub::answering(|_| {
        b"HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Length: 2\r\n\r\n[]".to_vec()
    });
    let other = seen.address();
    let top =
        format!("backend = 'consul'\nnodes = ['{address}']\nauth_token = '{}'\n", token.secret);
    let warning = "WARNING templates ask consul without the token or password that is given for the \
                   backend: the table [consul] of confd.toml needs its own";
    for (table, is_sent) in [
        (format!("[consul]\nnodes = ['{other}']\n"), false),
        (format!("[consul]\nnodes = ['{other}']\nauth_token = '{}'\n", token.secret), true),
    ] {
        let before = seen.heads().len();
        sandbox.write("confd.toml", format!("{top}{table}"));
        let ended = sandbox.bare(&["-onetime", "-confdir", ".", "-config-file", "confd.toml"]).ok();
        let heads = seen.heads();
        assert!(heads.len() > before);
        let has_token = |head: &String| head.to_lowercase().contains("x-consul-token");
        assert!(heads[before..].iter().all(|head| has_token(head) == is_sent), "{heads:?}");
        assert_eq!(ended.logged(warning), !is_sent, "{}", ended.stderr);
    }
    // Without nodes of its own, the table means the backend.
    sandbox.write("confd.toml", top);
    sandbox.bare(&["-onetime", "-confdir", ".", "-config-file", "confd.toml"]).ok();
    assert_eq!(sandbox.read("out/app"), "a:80 b:81 ");
}

#[test]
fn a_token_of_another_backend_is_not_sent_and_a_warning_says_so() {
    let (sandbox, consul, token) = asking(RIGHTS);
    sandbox.write("confd.toml", format!("[consul]\nnodes = ['{}']\n", consul.address()));
    let ended = sandbox.onetime().arguments(&["-auth-token", &token.secret]).ok();
    ended.expect(
        "WARNING templates ask consul without the token or password that is given for the backend: \
         the table [consul] of confd.toml needs its own",
    );
    assert_eq!(sandbox.read("out/app"), "");
}

#[test]
fn consul_template_warns_and_takes_a_hidden_answer_as_empty() {
    let (sandbox, consul, token) = asking(OTHER);
    sandbox.write("in.tpl", format!("{INSTANCES}{{{{range services}}}}{{{{.Name}}}}{{{{end}}}}|"));
    let (address, secret) = (consul.address(), &*token.secret);
    let run = Run::new(env!("CARGO_BIN_EXE_confd"), sandbox.root()).arguments(&[
        "consul-template",
        "-once",
        "-consul-addr",
        &address,
        "-consul-token",
        secret,
        "-template",
        "in.tpl:out/app",
    ]);
    let ended = run.ok();
    assert_eq!(sandbox.read("out/app"), "|");
    let hides = hides(&consul);
    assert_eq!(
        ended.stderr.matches(&format!("[WARN] (view) {hides}\n")).count(),
        1,
        "{}",
        ended.stderr
    );
    let names = format!(
        "[WARN] (view) catalog.services: consul at http://{address} hides a part of the answer, \
         because the token lacks a permission: service:read"
    );
    assert!(ended.stderr.contains(&names), "{}", ended.stderr);
}

#[test]
fn many_services_that_become_hidden_keep_the_file() {
    let template: String = (0..40)
        .map(|nth| format!("{{{{range service \"web-{nth}|any\"}}}}{{{{.Port}}}} {{{{end}}}}"))
        .collect();
    let (sandbox, consul, token) = asking(
        "service_prefix \"web\" { policy = \"read\" } node_prefix \"\" { policy = \"read\" }",
    );
    sandbox.resource("app", template + "{{len services}}", "");
    let one =
        |nth: usize| instance("x", 80, "passing").replace("\"web\"", &format!("\"web-{nth}\""));
    consul.ask("PUT /v1/catalog/register", one(3).as_bytes());
    let run = sandbox.confd(&["-watch", "-backend", "env"]);
    let daemon = Daemon::start(run, sandbox.path("log"));
    becomes(&sandbox, "out/app", "80 2");
    consul.change(&token, OTHER);
    consul.ask("PUT /v1/catalog/register", one(3).replace("80", "81").as_bytes());
    daemon.wait_for("refused: the token lacks a permission");
    daemon.wait_for("ERROR catalog.services: consul at");
    assert_eq!(sandbox.read("out/app"), "80 2");
}
