//! Credentials: where they can come from, that they are not shown, and that they go only to the node
//! that they are meant for.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use servers::{Certificates, Stub};

use crate::support::{Run, Sandbox};

/// The answer of a Consul without keys.
fn no_key() -> Vec<u8> {
    b"HTTP/1.1 404 Not Found\r\nX-Consul-Index: 1\r\nX-Consul-KnownLeader: true\r\n\
      Content-Length: 0\r\nConnection: close\r\n\r\n"
        .to_vec()
}

/// The value of a header in the first request that `stub` got.
fn sent(stub: &Stub, name: &str) -> Option<String> {
    let head = stub.heads().swap_remove(0);
    let headers = head.lines().filter_map(|line| line.split_once(": "));
    let mut of_name = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
    of_name.next().map(|(_, value)| value.to_owned())
}

/// A run that asks `stub` as its Consul.
fn asking(sandbox: &Sandbox, stub: &Stub) -> Run {
    sandbox.confd(&["-onetime", "-backend", "consul", "-node", &stub.address()])
}

#[test]
fn a_password_in_the_address_of_a_node_is_never_shown() {
    for (backend, node, shown) in [
        ("consul", "http://joe:opensesame@127.0.0.1:1", "http://joe:…@127.0.0.1:1"),
        ("consul", "joe:open@sesame@127.0.0.1:1", "joe:…@127.0.0.1:1"),
        ("consul", "https://opensesame@127.0.0.1:1", "https://…@127.0.0.1:1"),
        ("consul", "http://127.0.0.1:1/?token=opensesame", "http://127.0.0.1:1/?…"),
        ("etcdv3", "http://joe:opensesame@127.0.0.1:1", "http://joe:…@127.0.0.1:1"),
        ("etcd", "https://joe:open/sesame@127.0.0.1:1", "https://joe:…@127.0.0.1:1"),
    ] {
        let sandbox = Sandbox::rendering("x");
        let run = sandbox.confd(&["-onetime", "-backend", backend, "-log-level", "debug"]);
        let ended = run.arguments(&["-node", node]).fails();
        ended.expect(&format!("INFO Backend source(s) set to {shown}")).expect_no("sesame");
        assert!(ended.stderr.matches(shown).count() > 1, "{}", ended.stderr);
    }
    let sandbox = Sandbox::rendering("x");
    let run = sandbox.confd(&["-onetime", "-backend", "consul"]);
    run.env("CONSUL_HTTP_ADDR", "joe:opensesame@127.0.0.1:1").fails().expect_no("sesame");
    sandbox.write("confd.toml", "nodes = ['joe:opensesame@127.0.0.1:1']\nbackend = 'etcdv3'\n");
    sandbox.confd(&["-onetime"]).fails().expect_no("sesame");
}

#[test]
fn credentials_can_come_from_variables_and_files() {
    let sandbox = Sandbox::rendering("");
    let token = sandbox.write("token", "opensesame\n");
    let with: [&dyn Fn(Run) -> Run; 3] = [
        &|run| run.arguments(&["-auth-token", "opensesame"]),
        &|run| run.env("CONFD_AUTH_TOKEN", "opensesame"),
        &|run| run.env("CONFD_AUTH_TOKEN_FILE", &token),
    ];
    for give in with {
        let stub = Stub::answering(|_| no_key());
        give(asking(&sandbox, &stub)).ok().expect_no("sesame");
        assert_eq!(sent(&stub, "X-Consul-Token").as_deref(), Some("opensesame"));
    }
    let password = sandbox.write("password", "open sesame\r\n");
    let stub = Stub::answering(|_| no_key());
    let run = asking(&sandbox, &stub).env("CONFD_USERNAME", "joe");
    run.env("CONFD_PASSWORD_FILE", &password).arguments(&["-basic-auth"]).ok();
    let expected = format!("Basic {}", STANDARD.encode("joe:open sesame"));
    assert_eq!(sent(&stub, "Authorization"), Some(expected));
    // A flag wins over the environment, and the environment over confd.toml.
    sandbox.write("confd.toml", "auth_token = 'file'\n");
    for (flags, token) in [(&["-auth-token", "flag"][..], "flag"), (&[], "opensesame")] {
        let stub = Stub::answering(|_| no_key());
        asking(&sandbox, &stub).arguments(flags).env("CONFD_AUTH_TOKEN", "opensesame").ok();
        assert_eq!(sent(&stub, "X-Consul-Token").as_deref(), Some(token));
    }
}

#[test]
fn a_file_of_a_credential_that_cannot_be_used_is_an_error() {
    let sandbox = Sandbox::rendering("");
    let run = || sandbox.confd(&["-onetime", "-backend", "env"]);
    run()
        .env("CONFD_PASSWORD_FILE", "/nope")
        .fails()
        .expect("FATAL CONFD_PASSWORD_FILE: open /nope: no such file or directory");
    let both = run().env("CONFD_AUTH_TOKEN", "opensesame").env("CONFD_AUTH_TOKEN_FILE", "/nope");
    both.fails()
        .expect("FATAL CONFD_AUTH_TOKEN and CONFD_AUTH_TOKEN_FILE are both set: only one can count")
        .expect_no("sesame");
}

#[test]
fn a_token_that_goes_in_plain_text_although_tls_was_meant_is_warned_about() {
    let certificates = Certificates::new();
    let ca = certificates.path("ca.pem");
    let ca = ca.to_str().unwrap();
    let sandbox = Sandbox::rendering("");
    let stub = Stub::answering(|_| no_key());
    let address = format!("http://{}", stub.address());
    let begin = format!("WARNING {address} is asked without TLS, although certificates are given");
    for (more, end) in [
        (&["-auth-token", "opensesame"][..], ": the token is sent in plain text. "),
        (
            &["-basic-auth", "-username", "joe", "-password", "opensesame"],
            ": the password is sent in plain text. ",
        ),
        (&[], ": the certificates are not used. "),
    ] {
        let run = asking(&sandbox, &stub).arguments(&["-client-ca-keys", ca]).arguments(more);
        let ended = run.ok();
        ended.expect_no("sesame");
        let warning = format!("{begin}{end}");
        let warnings = ended.log().iter().filter(|line| line.starts_with(&warning)).count();
        assert_eq!(warnings, 1, "{}", ended.stderr);
    }
    asking(&sandbox, &stub).arguments(&["-auth-token", "opensesame"]).ok().expect_no("WARNING");
    let secure = ["-client-ca-keys", ca, "-scheme", "https"];
    asking(&sandbox, &stub).arguments(&secure).fails().expect_no("without TLS");
}

#[test]
fn a_token_is_not_sent_to_the_target_of_a_redirect() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect"] {
        let target = Stub::answering(|_| no_key());
        let location = format!("http://{}/v1/kv/?recurse=", target.address());
        let answer = format!(
            "HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let node = Stub::answering(move |_| answer.clone().into_bytes());
        let sandbox = Sandbox::rendering("");
        let run = asking(&sandbox, &node).arguments(&["-auth-token", "opensesame"]);
        let ended = run.fails();
        assert_eq!(target.heads().len(), 0, "{}", ended.stderr);
        assert_eq!(sent(&node, "X-Consul-Token").as_deref(), Some("opensesame"));
        let code = status.split(' ').next().unwrap();
        assert!(ended.stderr.contains(code), "{}", ended.stderr);
    }
}
