//! The document about version 2 of etcd's API.

use std::process::Command;

use super::*;

/// A server that asks for a certificate and has users; and the variables of its administrator.
fn guarded(certificates: &Certificates) -> (Etcd, Vec<(&'static str, String)>) {
    let path = |name: &str| shown(certificates.path(name));
    let [certificate, key, ca] = ["server.pem", "server.key", "ca.pem"].map(path);
    let files = ["--cert-file", &certificate, "--key-file", &key, "--trusted-ca-file", &ca];
    let more = ["--client-cert-auth", "--enable-v2=true"];
    let server = Etcd::start_with(Release::Debian, &[&files[..], &more[..]].concat());
    let admin = vec![
        ("ETCDCTL_ENDPOINTS", server.url()),
        ("ETCDCTL_CA_FILE", ca),
        ("ETCDCTL_CERT_FILE", path("client.pem")),
        ("ETCDCTL_KEY_FILE", path("client.key")),
        ("ETCDCTL_USERNAME", "root:secret".to_owned()),
    ];
    let ctl = |words: &[&str]| {
        let mut etcdctl = Command::new("etcdctl");
        etcdctl.env("ETCDCTL_API", "2").envs(admin.iter().map(|(name, value)| (name, value)));
        assert!(etcdctl.args(words).status().unwrap().success(), "{words:?}");
    };
    ctl(&["user", "add", "root:secret"]);
    ctl(&["auth", "enable"]);
    ctl(&["role", "revoke", "guest", "-path", "/*", "-readwrite"]);
    ctl(&["set", "/app/port", "80"]);
    (server, admin)
}

fn open() -> Etcd {
    let server = Etcd::start_with(Release::Debian, &["--enable-v2=true"]);
    server.put_of_version_2("/app/port", b"80", None);
    server
}

#[test]
fn every_example_gives_what_it_says() {
    let certificates = Certificates::new();
    let (guarded, admin) = guarded(&certificates);
    let open = open();
    let places = [
        (TLS, shown(folder(&certificates))),
        ("etcd1.example:2379", "127.0.0.1:1".to_owned()),
        ("etcd2.example:2379", guarded.address()),
        ("127.0.0.1:2379", open.address()),
    ];
    Guide { name: "docs/backends/etcdv2.md", places: &places, admin: &admin }.holds();
}

#[test]
fn the_messages_are_those_of_the_document() {
    let certificates = Certificates::new();
    let others = Certificates::new();
    let (guarded, _) = guarded(&certificates);
    let (open, without) = (open(), Etcd::start(Release::Newest));
    let silent = Proxy::before(&open.address());
    silent.set(Traffic::Held);
    let [ca, certificate, key] =
        ["ca.pem", "client.pem", "client.key"].map(|name| shown(certificates.path(name)));
    let wrong_ca = shown(others.path("ca.pem"));
    let (url, open, silent) = (guarded.url(), open.url(), silent.address());
    let without = without.url();
    let of = |node: &str, more: &[&str]| {
        let line = ["-backend", "etcdv2", "-node", node].into_iter().chain(more.iter().copied());
        line.map(str::to_owned).collect::<Vec<_>>()
    };
    let files = ["-client-ca-keys", &ca, "-client-cert", &certificate, "-client-key", &key];
    let wrong = ["-basic-auth", "-username", "root", "-password", "wrong"];
    let runs = [
        of("127.0.0.1:1", &[]),
        of(&silent, &[]),
        of(&format!("{open},{open}"), &[]),
        of(&without, &[]),
        of(&url, &files),
        of(&url, &[&files[..], &wrong[..]].concat()),
        of(&url, &["-client-ca-keys", &wrong_ca]),
        of(&url, &["-client-ca-keys", &ca]),
    ];
    let runs: Vec<Vec<&str>> =
        runs.iter().map(|run| run.iter().map(String::as_str).collect()).collect();
    provoke("docs/backends/etcdv2.md", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}
