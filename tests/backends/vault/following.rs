//! Vault in watch mode: polled, with tokens and leases that end.

use rustix::process::Signal;
use serde_json::{Value, json};
use servers::{Vault, eventually};

use super::asking_for;
use crate::support::{Daemon, Sandbox};

fn watching(sandbox: &Sandbox, server: &Vault, more: &[&str]) -> Daemon {
    let run = sandbox.confd(&["-watch", "-backend", "vault", "-node", &server.url()]);
    let run = run.arguments(&["-log-level", "debug"]).arguments(more);
    Daemon::start(run, sandbox.path("log"))
}

/// Waits until the file has this content.
#[track_caller]
fn until(sandbox: &Sandbox, expected: &str) {
    eventually(expected, || sandbox.path("out/app").exists() && sandbox.output() == expected);
}

#[test]
fn changes_are_seen_at_the_next_interval() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    let sandbox = asking_for("['/secret/app']");
    let more = ["-auth-token", server.root(), "-interval", "1"];
    let daemon = watching(&sandbox, &server, &more);
    until(&sandbox, "/secret/app=1 ");
    server.put("app", &json!({ "value": "2" }));
    until(&sandbox, "/secret/app=2 ");
    assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
}

#[test]
fn an_outage_deletes_nothing_and_ends_by_itself() {
    let mut server = Vault::durable();
    server.put("app", &json!({ "value": "1" }));
    let sandbox = asking_for("['/secret/app']");
    let more = ["-auth-token", server.root(), "-interval", "1"];
    let daemon = watching(&sandbox, &server, &more);
    until(&sandbox, "/secret/app=1 ");
    server.kill();
    daemon.wait_for("ERROR cannot reach vault: ");
    assert_eq!(sandbox.output(), "/secret/app=1 ");
    server.restart();
    server.put("app", &json!({ "value": "2" }));
    until(&sandbox, "/secret/app=2 ");
    server.seal();
    daemon.wait_for("Vault is sealed (503)");
    server.unseal();
    server.put("app", &json!({ "value": "3" }));
    until(&sandbox, "/secret/app=3 ");
    server.process().freeze();
    daemon.wait_for("no answer within 10 seconds");
    server.process().thaw();
    server.put("app", &json!({ "value": "4" }));
    until(&sandbox, "/secret/app=4 ");
}

/// A role whose tokens live for this time.
fn role(server: &Vault, settings: &Value) -> [String; 2] {
    let rules = "path \"secret/*\" { capabilities = [\"read\", \"list\"] }";
    server.policy("app", rules);
    let mut whole = json!({ "token_policies": "app" });
    for (name, value) in settings.as_object().unwrap() {
        whole[name] = value.clone();
    }
    server.make_role("approle", &whole)
}

#[test]
fn a_token_is_renewed_at_two_thirds_of_its_life_and_replaced_at_its_end() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    let life = json!({ "token_ttl": "3s", "token_max_ttl": "6s" });
    let [role, secret] = role(&server, &life);
    let sandbox = asking_for("['/secret/app']");
    let login = ["-auth-type", "app-role", "-role-id", &role, "-secret-id", &secret];
    let daemon = watching(&sandbox, &server, &[&login[..], &["-interval", "1"]].concat());
    until(&sandbox, "/secret/app=1 ");
    daemon.wait_for("DEBUG vault: the token was renewed for 3 s");
    let logins = || daemon.stderr().matches("DEBUG vault: logged in by").count();
    eventually("a second login", || logins() >= 2);
    server.put("app", &json!({ "value": "2" }));
    until(&sandbox, "/secret/app=2 ");
    let log = daemon.stderr();
    assert!(!log.contains("ERROR"), "{log}");
    assert!(!log.contains(&role) && !log.contains(&secret), "{log}");
}

#[test]
fn a_given_token_is_renewed_between_two_readings() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    let rules = "path \"secret/*\" { capabilities = [\"read\", \"list\"] }";
    server.policy("app", rules);
    let token = server.make_token(&json!({ "policies": ["app"], "period": "3s" }));
    let sandbox = asking_for("['/secret/app']");
    let daemon = watching(&sandbox, &server, &["-auth-token", &token, "-interval", "600"]);
    until(&sandbox, "/secret/app=1 ");
    let renewals = || daemon.stderr().matches("the token was renewed").count();
    eventually("it was renewed twice", || renewals() >= 2);
}

#[test]
fn a_token_that_was_revoked_is_replaced_by_a_login() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    let [role, secret] = role(&server, &json!({ "token_ttl": "1h" }));
    let sandbox = asking_for("['/secret/app']");
    let login = ["-auth-type", "app-role", "-role-id", &role, "-secret-id", &secret];
    let daemon = watching(&sandbox, &server, &[&login[..], &["-interval", "1"]].concat());
    until(&sandbox, "/secret/app=1 ");
    server.ask("PUT /v1/sys/leases/revoke-prefix/auth/approle", &json!({}));
    server.put("app", &json!({ "value": "2" }));
    until(&sandbox, "/secret/app=2 ");
    daemon.wait_for("the token is not accepted any more, so it is logged in again");
    assert!(!daemon.stderr().contains("ERROR"), "{}", daemon.stderr());
}

#[test]
fn a_path_that_is_refused_causes_one_login_at_most() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    let [role, secret] = role(&server, &json!({ "token_ttl": "1h" }));
    let sandbox = asking_for("['/kv/app']");
    let login = ["-auth-type", "app-role", "-role-id", &role, "-secret-id", &secret];
    let daemon = watching(&sandbox, &server, &[&login[..], &["-interval", "1"]].concat());
    let refusals = || daemon.stderr().matches("DEBUG vault: GET /v1/kv/app: 403").count();
    eventually("it was refused several times", || refusals() >= 6);
    assert_eq!(daemon.stderr().matches("vault: logged in by").count(), 1);
}

#[test]
fn a_replaced_token_file_counts_at_the_next_reading() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    let sandbox = asking_for("['/secret/app']");
    let file = sandbox.write("token", "wrong").display().to_string();
    let daemon = watching(&sandbox, &server, &["-vault-token-file", &file, "-interval", "1"]);
    daemon.wait_for("permission denied");
    sandbox.write("token", server.root());
    until(&sandbox, "/secret/app=1 ");
}

#[test]
fn a_secret_with_a_time_to_live_is_read_again_before_the_interval_is_over() {
    let server = Vault::start();
    server.write("kv/app", &json!({ "value": "1", "ttl": "2s" }));
    let sandbox = asking_for("['/kv/app']");
    sandbox.write("templates/app", "{{getv \"/kv/app/value\"}}");
    let more = ["-auth-token", server.root(), "-interval", "600"];
    let _daemon = watching(&sandbox, &server, &more);
    until(&sandbox, "1");
    server.write("kv/app", &json!({ "value": "2", "ttl": "2s" }));
    until(&sandbox, "2");
}

#[test]
fn a_vault_that_is_down_at_the_start_is_waited_for() {
    let mut server = Vault::durable();
    server.put("app", &json!({ "value": "1" }));
    server.kill();
    let [sandbox, of_refused] = [asking_for("['/secret/app']"), asking_for("['/secret/app']")];
    let [role, secret] = ["role", "secret"];
    let login = ["-auth-type", "app-role", "-role-id", role, "-secret-id", secret];
    let refused = watching(&of_refused, &server, &login);
    let daemon = watching(&sandbox, &server, &["-auth-token", server.root()]);
    for daemon in [&refused, &daemon] {
        daemon.wait_for("ERROR cannot reach vault: ");
    }
    server.restart();
    until(&sandbox, "/secret/app=1 ");
    refused.wait_for("refused: PUT /v1/auth/approle/login: ");
    drop(daemon);
}
