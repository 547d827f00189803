//! How Vault is reached, and the ways to log in.

use serde_json::json;
use servers::{Certificates, Stub, Vault};

use super::{asking_for, onetime};
use crate::support::{Ended, Run, Sandbox};

/// A Vault with a secret that the policy `app` allows to read.
fn vault() -> Vault {
    let server = Vault::start();
    prepare(&server);
    server
}

fn prepare(server: &Vault) {
    server.put("app", &json!({ "value": "1" }));
    let rules = "path \"secret/*\" { capabilities = [\"read\", \"list\"] }";
    server.policy("app", rules);
}

/// A onetime run without credentials, for the key `/secret/app`.
fn bare(sandbox: &Sandbox, node: &str) -> Run {
    sandbox.confd(&["-onetime", "-backend", "vault", "-node", node])
}

/// Expects that a run with these arguments reads the secret.
#[track_caller]
fn reads(server: &Vault, more: &[&str]) -> Ended {
    let sandbox = asking_for("['/secret/app']");
    let ended = bare(&sandbox, &server.url()).arguments(more).ok();
    assert_eq!(sandbox.output(), "/secret/app=1 ", "{more:?}");
    ended
}

/// The log of a run that fails.
#[track_caller]
fn failing(node: &str, more: &[&str]) -> String {
    let sandbox = asking_for("['/secret/app']");
    bare(&sandbox, node).arguments(more).fails().stderr
}

#[test]
fn a_token_is_given_by_its_flag_a_file_or_the_variable_of_vault() {
    let server = vault();
    let token = server.make_token(&json!({ "policies": ["app"] }));
    reads(&server, &["-auth-type", "token", "-auth-token", &token]);
    reads(&server, &["-auth-token", &token]);
    let sandbox = asking_for("['/secret/app']");
    let file = sandbox.write("token", format!("{token}\n")).display().to_string();
    reads(&server, &["-vault-token-file", &file]);
    bare(&sandbox, &server.url()).env("VAULT_TOKEN", &token).ok();
    assert_eq!(sandbox.output(), "/secret/app=1 ");
    let log = failing(&server.url(), &["-auth-token", "wrong"]);
    let words = "* permission denied * invalid token (403) (it is wrong, or has ended)";
    assert!(log.contains(words), "{log}");
}

#[test]
fn a_role_logs_in_with_ids_that_are_given_or_in_files() {
    let server = vault();
    let [role, secret] = server.make_role("approle", &json!({ "token_policies": "app" }));
    for word in ["app-role", "approle"] {
        reads(&server, &["-auth-type", word, "-role-id", &role, "-secret-id", &secret]);
    }
    let sandbox = Sandbox::new();
    let file = sandbox.write("secret-id", format!("{secret}\n")).display().to_string();
    let in_file = ["-auth-type", "app-role", "-role-id", &role, "-vault-secret-id-file", &file];
    let ended = reads(&server, &in_file);
    ended.expect("INFO Vault authentication backend set to app-role");
    let [role, secret] = server.make_role("test", &json!({ "token_policies": "app" }));
    let at = ["-auth-type", "app-role", "-role-id", &role, "-secret-id", &secret, "-path", "test"];
    reads(&server, &at);
    let wrong = ["-auth-type", "app-role", "-role-id", &role, "-secret-id", "hunter2"];
    let log = failing(&server.url(), &wrong);
    let words = "refused: PUT /v1/auth/approle/login: invalid role or secret ID (400)";
    assert!(log.contains(words) && !log.contains("hunter2"), "{log}");
}

#[test]
fn an_explicit_login_wins_over_the_variable_of_vault() {
    let server = vault();
    let [role, secret] = server.make_role("approle", &json!({ "token_policies": "app" }));
    let sandbox = asking_for("['/secret/app']");
    let login = ["-auth-type", "app-role", "-role-id", &role, "-secret-id", &secret];
    bare(&sandbox, &server.url()).arguments(&login).env("VAULT_TOKEN", "wrong").ok();
    assert_eq!(sandbox.output(), "/secret/app=1 ");
}

#[test]
fn a_user_logs_in_with_a_password() {
    let server = vault();
    server.ask("POST /v1/sys/auth/userpass", &json!({ "type": "userpass" }));
    let user = json!({ "password": "hunter2", "token_policies": "app" });
    server.ask("POST /v1/auth/userpass/users/joe", &user);
    let login = ["-auth-type", "userpass", "-username", "joe", "-password"];
    reads(&server, &[&login[..], &["hunter2"]].concat());
    let log = failing(&server.url(), &[&login[..], &["wrong"]].concat());
    let words = "PUT /v1/auth/userpass/login/joe: invalid username or password (400)";
    assert!(log.contains(words), "{log}");
}

#[test]
fn a_signed_token_logs_in() {
    let server = vault();
    let (key, public) = keys();
    server.ask("POST /v1/sys/auth/jwt", &json!({ "type": "jwt" }));
    let config = json!({ "jwt_validation_pubkeys": [public] });
    server.ask("POST /v1/auth/jwt/config", &config);
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["confd"], "token_policies": "app"
    });
    server.ask("POST /v1/auth/jwt/role/app", &role);
    let sandbox = Sandbox::new();
    let file = sandbox.write("jwt", key.signed_token()).display().to_string();
    reads(&server, &["-auth-type", "jwt", "-jwt-file", &file, "-role-id", "app"]);
    // Kubernetes sends the same fields to its own mount.
    let kubernetes = ["-auth-type", "kubernetes", "-jwt-file", &file, "-role-id", "app"];
    reads(&server, &[&kubernetes[..], &["-path", "jwt"]].concat());
}

#[test]
fn a_certificate_logs_in_over_tls() {
    let certificates = Certificates::new();
    let server = Vault::with_certificates(&certificates);
    prepare(&server);
    server.ask("POST /v1/sys/auth/cert", &json!({ "type": "cert" }));
    let file = |name: &str| certificates.path(name).display().to_string();
    let trusted = std::fs::read_to_string(certificates.path("ca.pem")).unwrap();
    let role = json!({ "certificate": trusted, "token_policies": "app" });
    server.ask("POST /v1/auth/cert/certs/app", &role);
    let sandbox = asking_for("['/secret/app']");
    let node = format!("https://{}", server.secure_address());
    let (ca, certificate, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let tls = ["-client-ca-keys", &ca, "-client-cert", &certificate, "-client-key", &key];
    bare(&sandbox, &node).arguments(&["-auth-type", "cert"]).arguments(&tls).ok();
    assert_eq!(sandbox.output(), "/secret/app=1 ");
    let log = failing(&server.secure_address(), &["-auth-token", "x"]);
    assert!(log.contains("give it as https://HOST:PORT"), "{log}");
}

#[test]
fn what_a_login_lacks_is_named_in_the_words_of_go_confd() {
    for (more, words) in [
        (&[][..], "FATAL you have to set the auth type when using the vault backend: "),
        (&["-auth-type", "app-role"], "FATAL role-id is missing from configuration"),
        (
            &["-auth-type", "app-role", "-role-id", "x"],
            "FATAL secret-id is missing from configuration",
        ),
        (&["-auth-type", "app-id"], "FATAL app-id is missing from configuration"),
        (&["-auth-type", "github"], "FATAL token is missing from configuration"),
        (&["-auth-type", "token"], "FATAL token is missing from configuration"),
        (&["-auth-type", "userpass"], "FATAL username is missing from configuration"),
        (&["-auth-type", "cert"], "FATAL client-cert is missing from configuration"),
        (&["-auth-type", "kubernetes"], "FATAL role-id is missing from configuration"),
        (&["-auth-type", "nosuch"], "FATAL Unable to authenticate: auth-type is "),
    ] {
        let log = failing("http://127.0.0.1:1", more);
        assert!(log.contains(words), "{more:?}: {log}");
    }
}

#[test]
fn github_app_id_and_ldap_send_what_their_methods_want() {
    // These methods are not in the server that the tests build, so the request in its audit log counts.
    let server = vault();
    server.ask(
        "PUT /v1/sys/audit/file",
        &json!({ "type": "file", "options": { "file_path": "stdout", "log_raw": "true" } }),
    );
    for (more, path, field) in [
        (
            &["-auth-type", "github", "-auth-token", "gh"][..],
            "auth/github/login",
            "\"token\":\"gh\"",
        ),
        (
            &["-auth-type", "app-id", "-app-id", "a", "-user-id", "u"],
            "auth/app-id/login",
            "\"app_id\":\"a\",\"user_id\":\"u\"",
        ),
        (
            &["-auth-type", "ldap", "-username", "joe", "-password", "pw"],
            "auth/ldap/login/joe",
            "\"password\":\"pw\"",
        ),
    ] {
        let log = failing(&server.url(), more);
        assert!(log.contains(&format!("PUT /v1/{path}: ")), "{log}");
        let asked = server.log();
        let lines = asked.lines().filter(|line| line.contains(&format!("\"path\":\"{path}\"")));
        assert!(lines.clone().any(|line| line.contains(field)), "{field}: {asked}");
    }
}

#[test]
fn a_namespace_is_sent_and_the_token_is_not_sent_to_the_target_of_a_redirect() {
    // Only Vault Enterprise has namespaces.
    let other = Stub::answering(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec());
    let target = other.address();
    let stub = Stub::answering(move |_| {
        format!("HTTP/1.1 307 X\r\nlocation: http://{target}/\r\ncontent-length: 0\r\n\r\n")
            .into_bytes()
    });
    let node = format!("http://{}", stub.address());
    let log = failing(&node, &["-auth-token", "hunter2", "-vault-namespace", "team/a"]);
    let heads = stub.heads().join("\n").to_lowercase();
    assert!(heads.contains("x-vault-namespace: team/a"), "{heads}");
    assert!(heads.contains("x-vault-token: hunter2"), "{heads}");
    assert!(log.contains("status 307 (a standby that forwards nothing: "), "{log}");
    assert!(other.heads().is_empty() && !log.contains("hunter2"), "{log}");
}

#[test]
fn a_dead_a_sealed_and_a_hung_node_are_passed_over() {
    let (server, sealed, hung) = (vault(), Vault::start(), Vault::start());
    sealed.seal();
    hung.process().freeze();
    let sandbox = asking_for("['/secret/app']");
    let (sealed, hung, url) = (sealed.url(), hung.url(), server.url());
    let nodes = ["-node", &sealed, "-node", &hung, "-node", &url];
    onetime(&sandbox, "http://127.0.0.1:1", server.root()).arguments(&nodes).ok();
    assert_eq!(sandbox.output(), "/secret/app=1 ");
    let log = failing("http://127.0.0.1:1", &["-auth-token", "x", "-node", &sealed]);
    let words = format!(
        "ERROR cannot reach vault: http://127.0.0.1:1: connection refused (nothing listens there); \
         {sealed}: Vault is sealed (503) (it answers when it is unsealed)"
    );
    assert!(log.contains(&words), "{log}");
}

/// A key that signs tokens.
struct Key(servers::OpenSsl);

/// A key, and its public half in PEM.
fn keys() -> (Key, String) {
    let key = servers::OpenSsl::new();
    key.run("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem");
    key.run("pkey -in key.pem -pubout -out public.pem");
    let public = std::fs::read_to_string(key.path("public.pem")).unwrap();
    (Key(key), public)
}

impl Key {
    /// A token for the audience `confd`, signed with this key.
    fn signed_token(&self) -> String {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
        let encoded = |value: serde_json::Value| BASE64.encode(value.to_string());
        let claims =
            json!({ "sub": "joe", "aud": "confd", "nbf": 1_700_000_000, "exp": 4_102_444_800_u64 });
        let text = format!("{}.{}", encoded(json!({ "alg": "RS256" })), encoded(claims));
        std::fs::write(self.0.path("text"), &text).unwrap();
        self.0.run("dgst -sha256 -sign key.pem -out signature text");
        let signature = std::fs::read(self.0.path("signature")).unwrap();
        format!("{text}.{}", BASE64.encode(signature))
    }
}
