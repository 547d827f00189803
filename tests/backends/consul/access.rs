//! Access to Consul: tokens, users and certificates.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustix::process::Signal;
use servers::{Certificates, Consul, Stub};

use super::{asking, no_key, onetime, watching};
use crate::support::{Daemon, Run, eventually};

/// The value of a header in the first request. Panics if the header is missing.
fn sent(stub: &Stub, name: &str) -> Option<String> {
    let head = stub.heads().swap_remove(0);
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let mut of_name = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
    of_name.next().map(|(_, value)| value.to_owned())
}

#[test]
fn a_token_is_given_by_flag_by_variable_or_in_a_file() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let token = server.token("key_prefix \"app\" { policy = \"read\" }").secret;
    let address = server.address();
    let sandbox = asking();
    let file = sandbox.write("token", format!("{token}\n"));
    let reads = |run: Run| {
        sandbox.write("out/app", "");
        run.ok();
        sandbox.output() == "/app/a=1 "
    };
    let run = || onetime(&sandbox, &address);
    assert!(reads(run().arguments(&["-auth-token", &token])));
    assert!(reads(run().env("CONSUL_HTTP_TOKEN", &token)));
    assert!(reads(run().env("CONSUL_HTTP_TOKEN_FILE", &file)));
    // Without a token the store looks empty.
    assert!(!reads(run()));
    // The flag wins over the variable.
    assert!(reads(run().arguments(&["-auth-token", &token]).env("CONSUL_HTTP_TOKEN", "wrong")));

    let unknown = "11111111-2222-3333-4444-555555555555";
    let ended = run().arguments(&["-auth-token", unknown]).fails();
    assert!(ended.stderr.contains("refused: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("ACL not found"), "{}", ended.stderr);
    ended.expect_no(unknown);
    let ended = run().env("CONSUL_HTTP_TOKEN_FILE", "/nope").fails();
    ended.expect("ERROR open /nope: no such file or directory");
}

#[test]
fn user_name_and_password_are_sent_only_with_basic_auth() {
    let user = ["-username", "joe", "-password", "se:cret"];
    for (flag, header) in [(Some("-basic-auth"), Some("Basic am9lOnNlOmNyZXQ=")), (None, None)] {
        let stub = Stub::answering(|_| no_key());
        let flag: Vec<_> = flag.into_iter().collect();
        onetime(&asking(), &stub.address()).arguments(&user).arguments(&flag).ok();
        assert_eq!(sent(&stub, "Authorization").as_deref(), header);
        assert_eq!(sent(&stub, "X-Consul-Token"), None);
    }
}

#[test]
fn certificates_are_given_as_files() {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let file = |name| ours.path(name).to_str().unwrap().to_owned();
    let server = Consul::with_certificates(&ours);
    server.put("app/a", "1");
    let sandbox = asking();
    let node = format!("https://{}", server.secure_address());
    let client = ["-client-cert", &file("client.pem"), "-client-key", &file("client.key")];
    let (ca, wrong) = (file("ca.pem"), others.path("ca.pem"));
    let run = || onetime(&sandbox, &node).arguments(&client);
    run().arguments(&["-client-ca-keys", &ca]).ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    run().arguments(&["-client-insecure"]).ok();
    let bare = onetime(&sandbox, &server.secure_address()).arguments(&client);
    bare.arguments(&["-scheme", "https", "-client-ca-keys", &ca]).ok();

    let ended = run().arguments(&["-client-ca-keys", wrong.to_str().unwrap()]).fails();
    assert!(ended.stderr.contains("invalid peer certificate"), "{}", ended.stderr);
    let ended = onetime(&sandbox, &node).arguments(&["-client-ca-keys", &ca]).fails();
    assert!(ended.stderr.contains("certificate"), "{}", ended.stderr);
    let ended = run().arguments(&["-client-ca-keys", "/nope"]).fails();
    ended.expect("ERROR open /nope: no such file or directory");
    let empty = sandbox.write("empty.pem", "no PEM");
    let ended = run().arguments(&["-client-ca-keys", empty.to_str().unwrap()]).fails();
    ended.expect(&format!("ERROR {}: no certificate in PEM is in it", empty.display()));
}

#[test]
fn a_revoked_token_is_reported_and_the_file_stays() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let rules = "key_prefix \"app\" { policy = \"read\" }";
    let token = server.token(rules);
    for mode in ["-watch", "-interval=1"] {
        let sandbox = asking();
        server.put("app/a", "1");
        let run = sandbox.confd(&[mode, "-backend", "consul", "-node", &server.address()]);
        let run = run.arguments(&["-auth-token", &token.secret]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        eventually("the first pass", || sandbox.output() == "/app/a=1 ");
        server.revoke(&token);
        // The query that waits still has the old rights; the next query does not.
        server.put("app/a", "2");
        daemon.wait_for("refused: ACL not found");
        server.put("app/a", "3");
        daemon.wait_for("refused: ACL not found");
        assert!(["/app/a=1 ", "/app/a=2 "].contains(&&*sandbox.output()), "{}", sandbox.output());
        server.restore(&token, rules);
        eventually("the token counts again", || sandbox.output() == "/app/a=3 ");
        assert_eq!(daemon.stop(Signal::TERM).code, Some(0));
    }
}

#[test]
fn the_variables_of_consuls_own_client_fill_gaps() {
    let files = Certificates::new();
    let file = |name: &str| files.path(name).into_os_string();
    let server = Consul::with_certificates(&files);
    server.put("app/a", "1");
    let sandbox = asking();
    let run = || sandbox.confd(&["-onetime", "-backend", "consul"]);
    let reads = |run: Run| {
        sandbox.write("out/app", "");
        run.ok();
        assert_eq!(sandbox.output(), "/app/a=1 ");
    };
    reads(run().env("CONSUL_HTTP_ADDR", server.address()));
    let with_tls = |address: String| {
        let run = run().env("CONSUL_HTTP_ADDR", address).env("CONSUL_CACERT", file("ca.pem"));
        run.env("CONSUL_CLIENT_CERT", file("client.pem"))
            .env("CONSUL_CLIENT_KEY", file("client.key"))
    };
    let url = format!("https://{}", server.secure_address());
    reads(with_tls(url.clone()));
    reads(with_tls(server.secure_address()).env("CONSUL_HTTP_SSL", "true"));
    reads(with_tls(url.clone()).env("CONSUL_TLS_SERVER_NAME", "localhost"));
    let other = with_tls(url.clone()).env("CONSUL_TLS_SERVER_NAME", "server.dc1.consul").fails();
    assert!(other.stderr.contains("not valid for name"), "{}", other.stderr);
    let unchecked = with_tls(url).env("CONSUL_HTTP_SSL_VERIFY", "false");
    reads(unchecked.env("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"));
    // The flags win over the variables.
    let given = ["-node", &server.address()];
    reads(
        run().arguments(&given).env("CONSUL_HTTP_ADDR", "127.0.0.1:1").env("CONSUL_HTTP_SSL", "1"),
    );

    let stub = Stub::answering(|_| no_key());
    onetime(&sandbox, &stub.address()).env("CONSUL_HTTP_AUTH", "joe:se:cret").ok();
    assert_eq!(sent(&stub, "Authorization").as_deref(), Some("Basic am9lOnNlOmNyZXQ="));
}

#[test]
fn another_machine_is_reached_through_a_proxy_and_compresses_what_it_sends() {
    // [{"Key": "app/a", "Value": "MQ==", "ModifyIndex": 7}]
    const LISTING: &str = "H4sIAAAAAAACA4uuVvJOrVSyUlBKLCjQT1TSUVAKS8wpTQWJ+Aba2oIEfPNTMtMqPfNSUiuAwua1sQATWSF2NQAAAA==";
    let body = STANDARD.decode(LISTING).unwrap();
    let proxy = Stub::answering(move |_| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\nContent-Encoding: gzip\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        );
        [head.as_bytes(), &body].concat()
    });
    let sandbox = asking();
    let address = format!("http://{}", proxy.address());
    let through = |node: &str| onetime(&sandbox, node).env("HTTP_PROXY", &address);
    through("consul.example:8500").ok();
    assert_eq!(sandbox.output(), "/app/a=1 ");
    let asked = proxy.heads().swap_remove(0);
    assert!(asked.starts_with("GET http://consul.example:8500/v1/kv/app?recurse= "), "{asked}");
    assert_eq!(sent(&proxy, "Accept-Encoding").as_deref(), Some("gzip"));
    // Requests to this machine do not use the proxy.
    let server = Consul::start();
    server.put("app/a", "2");
    through(&server.address()).ok();
    assert_eq!(sandbox.output(), "/app/a=2 ");
    through("consul.example:8500").env("NO_PROXY", "consul.example").fails();
    assert_eq!(proxy.heads().len(), 1);
}

#[test]
fn keys_that_are_forbidden_are_named_and_cost_no_other_resource() {
    let server = Consul::with_tokens();
    server.put_all([("app/a", "1"), ("other/a", "2")]);
    let token = server.token("key_prefix \"app\" { policy = \"read\" }").secret;
    for mode in ["-onetime", "-watch"] {
        let sandbox = asking();
        let table = "[template]\nsrc = 'app'\ndest = 'out/b'\nkeys = ['/other']";
        sandbox.write("conf.d/b.toml", table);
        let run = sandbox.confd(&[mode, "-backend", "consul", "-node", &server.address()]);
        let run = run.arguments(&["-auth-token", &token]);
        let daemon = Daemon::start(run, sandbox.path("log"));
        daemon.wait_for("Cannot read /other: consul at http");
        eventually("the other file is there", || sandbox.output() == "/app/a=1 ");
        if mode == "-watch" {
            server.put("app/a", "2");
            eventually("a change of the other", || sandbox.output() == "/app/a=2 ");
            server.put("app/a", "1");
        }
        let ended = if mode == "-watch" { daemon.stop(Signal::TERM) } else { daemon.wait() };
        assert_eq!(ended.code, Some(if mode == "-watch" { 0 } else { 1 }), "{}", ended.stderr);
        assert_eq!(sandbox.list("out"), ["app"]);
        ended.expect_no(&token);
    }
}

#[test]
fn a_hangup_loads_a_token_that_was_set_right() {
    let server = Consul::with_tokens();
    server.put("app/a", "1");
    let token = server.token("key_prefix \"app\" { policy = \"read\" }").secret;
    let sandbox = asking();
    let unknown = "11111111-2222-3333-4444-555555555555";
    sandbox.write("confd.toml", format!("auth_token = '{unknown}'\n"));
    let daemon = watching(&sandbox, &server.address(), &[]);
    daemon.wait_for("ACL not found");
    sandbox.write("confd.toml", format!("auth_token = '{token}'\n"));
    daemon.signal(Signal::HUP);
    eventually("the first pass", || sandbox.output() == "/app/a=1 ");
    let ended = daemon.stop(Signal::TERM);
    assert_eq!(ended.code, Some(0));
    ended.expect_no(unknown).expect_no(&token);
}
