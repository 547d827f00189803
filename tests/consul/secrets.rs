//! Templates of consul-template that ask a real Vault.

use rustix::process::Signal;
use serde_json::json;
use servers::{Vault, eventually};

use super::program;
use crate::support::{Daemon, Run, Sandbox};

/// consul-template with a template whose result is the file `result`, and this Vault.
fn of_vault(folder: &Sandbox, server: &Vault, template: &str) -> Run {
    folder.write("in.tpl", template);
    let run = program(folder).env("VAULT_ADDR", server.url()).env("VAULT_TOKEN", server.root());
    run.arguments(&["-template", "in.tpl:result", "-log-level", "debug"])
}

/// The result of a run with `-once`.
#[track_caller]
fn once(server: &Vault, template: &str) -> String {
    let folder = Sandbox::new();
    let ended = of_vault(&folder, server, template).arguments(&["-once"]).ok();
    assert!(!ended.stderr.contains(server.root()), "{}", ended.stderr);
    folder.read("result")
}

#[test]
fn a_secret_is_read_with_versions_or_without() {
    let server = Vault::start();
    let data = json!({ "user": "joe", "port": 5432, "tls": true, "hosts": ["a", "b"] });
    server.put("db", &data);
    server.write("kv/db", &data);
    let fields = "{{ .user }} {{ .port }} {{ .tls }} {{ range .hosts }}{{ . }},{{ end }}";
    let versions = format!(
        "{{{{ with secret \"secret/db\" }}}}{{{{ with .Data.data }}}}{fields}{{{{ end }}}}{{{{ end }}}}"
    );
    assert_eq!(once(&server, &versions), "joe 5432 true a,b,");
    let plain = format!(
        "{{{{ with secret \"kv/db\" }}}}{{{{ with .Data }}}}{fields}{{{{ end }}}}{{{{ end }}}}"
    );
    assert_eq!(once(&server, &plain), "joe 5432 true a,b,");
    let whole = "{{ with secret \"secret/data/db\" }}{{ .Data.data.user }}{{ end }}";
    assert_eq!(once(&server, whole), "joe");
    server.put("db", &json!({ "user": "jane" }));
    let version = "{{ with secret \"secret/db?version=1\" }}{{ .Data.data.user }}{{ end }}";
    assert_eq!(once(&server, version), "joe");
}

#[test]
fn secrets_are_listed_and_a_list_of_nothing_is_empty() {
    let server = Vault::start();
    server.put("app/b", &json!({ "x": "1" }));
    server.put("app/a/c", &json!({ "x": "2" }));
    let list = "{{ range secrets \"secret/app\" }}{{ . }} {{ end }}|{{ len (secrets \"secret/no\") }}|{{ secrets \"\" }}";
    assert_eq!(once(&server, list), "a/ b |0|[]");
    let each = "{{ range secrets \"secret/app\" }}{{ if eq . \"b\" }}{{ with secret (printf \"secret/app/%s\" .) }}\
                {{ .Data.data.x }}{{ end }}{{ end }}{{ end }}";
    assert_eq!(once(&server, each), "1");
}

#[test]
fn data_are_written_and_the_answer_is_shown() {
    let server = Vault::start();
    server.mount("pki", &json!({ "type": "pki" }));
    server.ask("POST /v1/pki/root/generate/internal", &json!({ "common_name": "ca" }));
    let role = json!({ "allow_any_name": true, "max_ttl": "1h" });
    server.ask("POST /v1/pki/roles/app", &role);
    let template = "{{ with secret \"pki/issue/app\" \"common_name=app.example\" \" ttl = 10m \" }}\
                    {{ .Data.certificate }}{{ end }}";
    assert!(once(&server, template).starts_with("-----BEGIN CERTIFICATE-----\n"));
    let written = "{{ with secret \"secret/new\" \"a=1\" }}{{ .Data.version }}{{ end }}";
    assert_eq!(once(&server, written), "1");
    let read = server.ask("GET /v1/secret/data/new", &serde_json::Value::Null);
    assert_eq!(read["data"]["data"], json!({ "a": "1" }));
    // An engine without versions answers nothing.
    assert_eq!(once(&server, "{{ with secret \"kv/new\" \"a=2\" }}{{ end }}done"), "done");
    let read = server.ask("GET /v1/kv/new", &serde_json::Value::Null);
    assert_eq!(read["data"], json!({ "a": "2" }));
}

#[test]
fn a_secret_that_does_not_exist_is_asked_for_again_and_then_ends_the_program() {
    let server = Vault::start();
    let folder = Sandbox::new();
    let template = "{{ with secret \"secret/no\" }}{{ .Data.data.x }}{{ end }}";
    let retry = ["-once", "-vault-retry-attempts", "2", "-vault-retry-backoff", "20ms"];
    let ended = of_vault(&folder, &server, template).arguments(&retry).run();
    assert_eq!(ended.code, Some(14), "{}", ended.stderr);
    let log = &ended.stderr;
    let cause = "vault.read(secret/no): no secret exists at secret/data/no";
    assert!(log.contains(&format!("(view) {cause} (retry attempt 2 after \"40ms\")")), "{log}");
    assert!(log.contains(&format!("(view) {cause} (exceeded maximum retries)")), "{log}");
}

#[test]
fn an_error_of_a_template_shows_no_secret() {
    let server = Vault::start();
    server.put("app", &json!({ "password": "hunter2" }));
    let folder = Sandbox::new();
    let template = "{{ with secret \"secret/app\" }}{{ .Data.data.password | parseInt }}{{ end }}";
    let ended = of_vault(&folder, &server, template).arguments(&["-once"]).run();
    assert_eq!(ended.code, Some(14), "{}", ended.stderr);
    assert!(ended.stderr.contains("[redacted]"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hunter2"), "{}", ended.stderr);
}

#[test]
fn a_changed_secret_is_rendered_when_the_time_is_over_for_which_it_was_good() {
    let server = Vault::start();
    server.put("app", &json!({ "x": "1" }));
    server.write("kv/app", &json!({ "x": "1", "ttl": "2s" }));
    let folder = Sandbox::new();
    let template = "{{ with secret \"secret/app\" }}{{ .Data.data.x }}{{ end }}\
                    {{ with secret \"kv/app\" }}{{ .Data.x }}{{ end }}";
    let run = of_vault(&folder, &server, template);
    let run = run.arguments(&["-vault-default-lease-duration", "2s", "-kill-signal", "SIGTERM"]);
    let daemon = Daemon::start(run, folder.path("log"));
    let until = |text: &str| {
        eventually(text, || folder.path("result").exists() && folder.read("result") == text);
    };
    until("11");
    server.put("app", &json!({ "x": "2" }));
    until("21");
    server.write("kv/app", &json!({ "x": "3", "ttl": "2s" }));
    until("23");
    daemon.stop(Signal::TERM);
}

#[test]
fn the_token_of_an_agent_is_read_from_its_file() {
    let server = Vault::start();
    server.put("app", &json!({ "x": "1" }));
    let folder = Sandbox::new();
    folder.write("token", server.root());
    let template = "{{ with secret \"secret/app\" }}{{ .Data.data.x }}{{ end }}";
    let run = of_vault(&folder, &server, template).env("VAULT_TOKEN", "wrong");
    run.arguments(&["-once", "-vault-agent-token-file", "token"]).ok();
    assert_eq!(folder.read("result"), "1");
}
