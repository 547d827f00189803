//! Keys from Vault.

mod access;
mod following;

use serde_json::json;
use servers::Vault;

use crate::support::{Ended, Run, Sandbox};

/// A resource that prints the pairs below `/`, in five levels.
const DUMP: &str = "{{range gets \"/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*/*/*\"}}{{.Key}}={{.Value}} {{end}}\
                    {{range gets \"/*/*/*/*/*\"}}{{.Key}}={{.Value}} {{end}}";

/// A sandbox with one resource that asks for these keys, written in TOML.
fn asking_for(keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("templates/app", DUMP);
    let table = format!("[template]\nsrc = 'app'\ndest = 'out/app'\nkeys = {keys}\n");
    sandbox.write("conf.d/app.toml", table);
    sandbox
}

/// A onetime run with this token.
fn onetime(sandbox: &Sandbox, node: &str, token: &str) -> Run {
    let run = sandbox.confd(&["-onetime", "-backend", "vault", "-node", node]);
    run.arguments(&["-auth-type", "token", "-auth-token", token])
}

/// What a onetime run with this token prints for these keys, and its log.
#[track_caller]
fn read_as(server: &Vault, token: &str, keys: &str) -> (String, Ended) {
    let sandbox = asking_for(keys);
    let ended = onetime(&sandbox, &server.url(), token).ok();
    (sandbox.output(), ended)
}

/// What a onetime run that may read everything prints for these keys.
#[track_caller]
fn read(server: &Vault, keys: &str) -> String {
    read_as(server, server.root(), keys).0
}

#[test]
fn a_key_is_a_secret_and_all_secrets_below_it_with_versions_or_without() {
    let server = Vault::start();
    for (path, value) in [("app", "0"), ("app/a", "1"), ("app/b/c", "2"), ("apple", "3")] {
        server.put(path, &json!({ "value": value }));
        server.write(&format!("kv/{path}"), &json!({ "value": value }));
    }
    for mount in ["/secret", "/kv"] {
        for (keys, expected) in [
            ("/app", "M/app=0 M/app/a=1 M/app/b/c=2 "),
            ("/app/b", "M/app/b/c=2 "),
            ("/app/a", "M/app/a=1 "),
            ("/nope", ""),
            ("", "M/app=0 M/apple=3 M/app/a=1 M/app/b/c=2 "),
        ] {
            let expected = expected.replace('M', mount);
            assert_eq!(read(&server, &format!("['{mount}{keys}']")), expected, "{mount}{keys}");
        }
    }
    server.put("app/a", &json!({ "value": "4" }));
    server.delete("secret/data/app/b/c");
    assert_eq!(read(&server, "['/secret/app']"), "/secret/app=0 /secret/app/a=4 ");
}

#[test]
fn a_secret_of_one_text_named_value_is_that_text_and_any_other_is_json_and_its_texts() {
    let server = Vault::start();
    let data = json!({ "b": { "c": "<2>" }, "a": "1", "n": 3, "l": ["x"], "t": true, "z": null });
    server.put("s", &data);
    server.write("kv/s", &data);
    for (mount, token) in [("/secret", server.root()), ("/kv", server.root())] {
        let (output, ended) = read_as(&server, token, &format!("['{mount}/s']"));
        let json = r#"{"a":"1","b":{"c":"\u003c2\u003e"},"l":["x"],"n":3,"t":true,"z":null}"#;
        assert_eq!(output, format!("{mount}/s={json} {mount}/s/a=1 {mount}/s/b/c=<2> "));
        for (key, kind) in
            [("n", "json.Number"), ("l", "[]interface {}"), ("t", "bool"), ("z", "<nil>")]
        {
            ended.expect(&format!("WARNING type of '{mount}/s/{key}' is not supported ({kind})"));
        }
    }
}

#[test]
fn in_an_engine_with_versions_the_whole_path_of_go_confd_is_understood_too() {
    let server = Vault::start();
    server.put("app", &json!({ "user": "joe" }));
    let output = read(&server, "['/secret/data/app']");
    assert!(output.contains("/secret/data/app/data/user=joe "), "{output}");
    assert!(output.contains("/secret/data/app/metadata/created_time="), "{output}");
}

#[test]
fn a_token_that_may_read_and_not_list_reads_what_is_named() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    server.put("app/below", &json!({ "value": "2" }));
    server.policy("reader", "path \"secret/data/*\" { capabilities = [\"read\"] }");
    let token = server.make_token(&json!({ "policies": ["reader"] }));
    assert_eq!(read_as(&server, &token, "['/secret/app']").0, "/secret/app=1 ");
}

#[test]
fn a_secret_that_may_not_be_read_fails_its_resource_and_no_other() {
    let server = Vault::start();
    server.put("a", &json!({ "value": "1" }));
    server.put("b/c", &json!({ "value": "hidden" }));
    server.policy(
        "some",
        "path \"secret/data/a\" { capabilities = [\"read\"] }\n\
         path \"secret/metadata/*\" { capabilities = [\"list\"] }",
    );
    let token = server.make_token(&json!({ "policies": ["some"] }));
    let sandbox = asking_for("['/secret/a']");
    let other = "[template]\nsrc = 'app'\ndest = 'out/other'\nkeys = ['/secret/b']\n";
    sandbox.write("conf.d/other.toml", other);
    let ended = onetime(&sandbox, &server.url(), &token).fails();
    assert_eq!(sandbox.list("out"), ["app"]);
    let line = format!(
        "ERROR Cannot read /secret/b: vault at {} refused: GET /v1/secret/data/b/c: 1 error occurred: \
         * permission denied (403)",
        server.url()
    );
    ended.expect(&line);
    assert!(!ended.stderr.contains(&token) && !ended.stderr.contains("hidden"), "{}", ended.stderr);
}

#[test]
fn the_engine_is_found_where_the_token_may_not_ask_for_it() {
    let server = Vault::start();
    server.put("app", &json!({ "value": "1" }));
    server.write("kv/app", &json!({ "value": "2" }));
    let never = "path \"sys/internal/ui/mounts/*\" { capabilities = [\"deny\"] }";
    for (name, rules) in [
        ("exact", "path \"secret/data/app\" { capabilities = [\"read\"] }"),
        ("all", "path \"secret/*\" { capabilities = [\"read\", \"list\"] }"),
    ] {
        let more = "path \"kv/*\" { capabilities = [\"read\"] }";
        server.policy(name, &format!("{never}\n{rules}\n{more}"));
        let token = server.make_token(&json!({ "policies": [name] }));
        let output = read_as(&server, &token, "['/secret/app', '/kv/app']").0;
        assert_eq!(output, "/kv/app=2 /secret/app=1 ", "{name}");
    }
}

#[test]
fn only_what_is_asked_for_is_read() {
    let server = Vault::start();
    server.ask(
        "PUT /v1/sys/audit/file",
        &json!({ "type": "file", "options": { "file_path": "stdout", "log_raw": "true" } }),
    );
    server.put("app/a", &json!({ "value": "1" }));
    server.put("other/b", &json!({ "value": "2" }));
    assert_eq!(read(&server, "['/secret/app']"), "/secret/app/a=1 ");
    let asked = server.log();
    let paths = ["secret/data/app/a", "secret/metadata/app"];
    assert!(paths.iter().all(|path| asked.contains(path)), "{asked}");
    let reads: Vec<&str> =
        asked.lines().filter(|line| line.contains("\"operation\":\"read\"")).collect();
    assert!(reads.iter().all(|line| !line.contains("other")), "{reads:#?}");
}

#[test]
fn at_debug_no_secret_is_logged() {
    let server = Vault::start();
    server.put("app", &json!({ "password": "hunter2", "n": 4711 }));
    let sandbox = asking_for("['/secret/app']");
    let run = onetime(&sandbox, &server.url(), server.root());
    let ended = run.arguments(&["-log-level", "debug"]).ok();
    assert!(sandbox.output().contains("hunter2"));
    for secret in ["hunter2", "4711", server.root()] {
        assert!(!ended.stderr.contains(secret), "{}", ended.stderr);
    }
}

#[test]
fn other_engines_are_read_as_they_are() {
    let server = Vault::start();
    server.mount("pki", &json!({ "type": "pki" }));
    server.ask("POST /v1/pki/root/generate/internal", &json!({ "common_name": "ca" }));
    let sandbox = asking_for("['/pki/cert/ca']");
    sandbox.write("templates/app", "{{getv \"/pki/cert/ca/certificate\"}}");
    onetime(&sandbox, &server.url(), server.root()).ok();
    let output = sandbox.output();
    assert!(output.starts_with("-----BEGIN CERTIFICATE-----\n"), "{output}");
}

#[test]
fn the_command_line_of_the_fork_reads_vault_too() {
    let server = Vault::start();
    server.put("mydata/app", &json!({ "value": "1" }));
    let sandbox = asking_for("['/secret/mydata']");
    let node = server.url();
    let words = ["vault", "--onetime", "-n", &node, "--auth-token", server.root()];
    let run = sandbox.bare(&[&words[..], &["--confdir", "."]].concat());
    run.ok();
    assert_eq!(sandbox.output(), "/secret/mydata/app=1 ");
}
