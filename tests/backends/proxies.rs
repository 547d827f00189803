//! Forward proxies, which the environment names as it does for programs in Go.

use servers::{Certificates, Consul, Etcd, ForwardProxy, Release};

use crate::support::{Ended, Sandbox};

/// A sandbox with a resource that prints the value of `/app/a`.
fn asking() -> Sandbox {
    Sandbox::rendering("{{range gets \"/app/*\"}}{{.Key}}={{.Value}} {{end}}")
}

/// A onetime run with `arguments` and these variables.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> (Ended, String) {
    let sandbox = asking();
    let mut run = sandbox.confd(&["-onetime"]).arguments(arguments);
    for (name, value) in variables {
        run = run.env(name, value);
    }
    let ended = run.run();
    (ended, sandbox.output())
}

#[test]
fn etcd_is_reached_through_the_proxy_for_https() {
    let server = Etcd::start(Release::Debian);
    server.put("/app/a", "1");
    let proxy = ForwardProxy::before(&server.address());
    let arguments = ["-backend", "etcdv3", "-node", "http://etcd.invalid:2379"];
    let node = format!("http://user:pass%20word@{}", proxy.address());
    for name in ["HTTPS_PROXY", "https_proxy"] {
        let before = proxy.heads().len();
        let (ended, output) = run(&arguments, &[(name, &node)]);
        assert_eq!(output, "/app/a=1 ", "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains("pass"), "{}", ended.stderr);
        let head = &proxy.heads()[before].to_lowercase();
        assert!(head.starts_with("connect etcd.invalid:2379 http/1.1"), "{head}");
        // `user:pass word` in base64.
        assert!(head.contains("proxy-authorization: basic dxnlcjpwyxnzihdvcmq="), "{head}");
    }
}

#[test]
fn etcd_with_tls_is_reached_through_the_proxy() {
    let files = Certificates::new();
    let path = |name| files.path(name).display().to_string();
    let (certificate, key, ca) = (path("server.pem"), path("server.key"), path("ca.pem"));
    let server =
        Etcd::start_with(Release::Debian, &["--cert-file", &certificate, "--key-file", &key]);
    server.ctl(&["--cacert", &ca, "put", "/app/a", "1"]);
    let proxy = ForwardProxy::before(&server.address());
    let arguments = ["-backend", "etcdv3", "-node", "https://etcd.invalid:2379"];
    let with = ["-client-ca-keys", &ca, "-tls-server-name", "localhost"];
    let (ended, output) =
        run(&[&arguments[..], &with].concat(), &[("HTTPS_PROXY", &proxy.address())]);
    assert_eq!(output, "/app/a=1 ", "{}", ended.stderr);
}

#[test]
fn consul_is_reached_through_the_proxy_of_its_scheme() {
    let server = Consul::start();
    server.put("app/a", "1");
    let proxy = ForwardProxy::before(&server.address());
    let arguments = ["-backend", "consul", "-node", "consul.invalid:8500"];
    let address = proxy.address();
    for name in ["HTTP_PROXY", "http_proxy"] {
        let before = proxy.heads().len();
        let (ended, output) = run(&arguments, &[(name, &address)]);
        assert_eq!(output, "/app/a=1 ", "{name}: {}", ended.stderr);
        let head = &proxy.heads()[before];
        assert!(head.starts_with("GET http://consul.invalid:8500/v1/kv/"), "{head}");
    }
    let seen = proxy.heads().len();
    // No other variable counts, and no proxy for https.
    for name in ["ALL_PROXY", "all_proxy", "HTTPS_PROXY"] {
        let (ended, _) = run(&arguments, &[(name, &address)]);
        assert_eq!((ended.code, proxy.heads().len()), (Some(1), seen), "{name}: {}", ended.stderr);
    }
}

#[test]
fn consul_with_tls_is_reached_through_the_proxy_for_https() {
    let files = Certificates::new();
    let server = Consul::with_tokens_and_certificates(&files);
    server.put("app/a", "1");
    let proxy = ForwardProxy::before(&server.secure_address());
    let path = |name| files.path(name).display().to_string();
    let (ca, certificate, key) = (path("ca.pem"), path("client.pem"), path("client.key"));
    let token = server.token("key_prefix \"app\" { policy = \"read\" }").secret;
    let with = [
        "-client-ca-keys",
        &ca,
        "-client-cert",
        &certificate,
        "-client-key",
        &key,
        "-tls-server-name",
        "localhost",
        "-auth-token",
        &token,
    ];
    let arguments = [&["-backend", "consul", "-node", "https://consul.invalid:8501"][..], &with];
    let (ended, output) = run(&arguments.concat(), &[("HTTPS_PROXY", &proxy.address())]);
    assert_eq!(output, "/app/a=1 ", "{}", ended.stderr);
    let head = &proxy.heads()[0];
    assert!(head.starts_with("CONNECT consul.invalid:8501 "), "{head}");
    assert!(!head.contains(&token), "the token goes to Consul only: {head}");
}

#[test]
fn a_proxy_may_speak_socks_and_then_looks_up_the_names_of_nodes() {
    let etcd = Etcd::start(Release::Debian);
    etcd.put("/app/a", "1");
    let consul = Consul::start();
    consul.put("app/a", "1");
    for (backend, server, variable) in
        [("etcdv3", etcd.address(), "HTTPS_PROXY"), ("consul", consul.address(), "HTTP_PROXY")]
    {
        let proxy = ForwardProxy::before(&server);
        let arguments = ["-backend", backend, "-node", "http://store.invalid:80"];
        for scheme in ["socks5", "socks5h"] {
            let value = format!("{scheme}://{}", proxy.address());
            let (ended, output) = run(&arguments, &[(variable, &value)]);
            assert_eq!(output, "/app/a=1 ", "{backend}: {}", ended.stderr);
        }
        assert!(proxy.heads().iter().all(|head| head == "SOCKS5 store.invalid:80"));
        assert!(proxy.heads().len() >= 2, "{backend}: {:?}", proxy.heads());
    }
}

#[test]
fn a_node_that_no_proxy_names_is_reached_directly() {
    let server = Etcd::start(Release::Debian);
    let proxy = ForwardProxy::before(&server.address());
    let address = proxy.address();
    let arguments = ["-backend", "etcdv3", "-node", "http://etcd.invalid:2379"];
    for no in ["etcd.invalid", "invalid:2379", ".invalid", "*"] {
        let (ended, _) = run(&arguments, &[("HTTPS_PROXY", &address), ("NO_PROXY", no)]);
        assert_eq!((ended.code, proxy.heads().len()), (Some(1), 0), "{no}: {}", ended.stderr);
    }
    // The loopback interface never needs a proxy.
    let here = format!("http://{}", server.address());
    let (ended, _) =
        run(&["-backend", "etcdv3", "-node", &here], &[("HTTPS_PROXY", "http://127.0.0.1:1")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_variable_that_names_no_proxy_is_an_error_without_its_value() {
    let value = "ftp://user:secret@proxy.invalid";
    for (backend, name) in [("etcdv3", "HTTPS_PROXY"), ("consul", "http_proxy")] {
        let arguments = ["-backend", backend, "-node", "store.invalid:80"];
        let (ended, _) = run(&arguments, &[(name, value)]);
        let line = format!("{name} is not the address of a proxy");
        assert!(ended.code == Some(1) && ended.stderr.contains(&line), "{}", ended.stderr);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
    }
}
