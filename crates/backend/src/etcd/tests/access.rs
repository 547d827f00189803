//! Users, tokens, permissions and certificates.

use std::fs;

use servers::{Certificates, Etcd, Proxy, Release, Traffic};

use super::{BOUND, Follower, at, read, text, with_both_releases};
use crate::etcd::Options;
use crate::tls;

/// A server with the user `app` (password `secret`), who may read `/app`.
fn with_users(release: Release) -> Etcd {
    let server = Etcd::start_with(release, &["--bcrypt-cost", "4"]);
    server.put("/app/a", "1");
    for line in [
        "user add root:root",
        "user grant-role root root",
        "role add reader",
        "role grant-permission reader read --prefix=true /app",
        "user add app:secret",
        "user grant-role app reader",
        "auth enable",
    ] {
        server.ctl(&line.split(' ').collect::<Vec<_>>());
    }
    server
}

fn by_root(server: &Etcd, line: &str) {
    let words = ["--user", "root:root"].into_iter().chain(line.split(' '));
    server.ctl(&words.collect::<Vec<_>>());
}

fn as_user(nodes: &[&str], password: &str) -> Options {
    Options { user: Some(("app".into(), password.into())), ..at(nodes) }
}

async fn who_may_not_read_is_told_why_and_need_not_try_again(release: Release) {
    let server = with_users(release);
    let address = server.address();
    let pairs = read(as_user(&[&address], "secret"), &["/app"]).await.unwrap();
    assert_eq!(text(&pairs), ["/app/a=1"]);
    for (options, keys, reason) in [
        (as_user(&[&address], "hunter2"), "/app", "invalid user ID or password"),
        (as_user(&[&address], "secret"), "/other", "permission denied"),
        (at(&[&address]), "/app", "user name is empty"),
    ] {
        let error = read(options, &[keys]).await.unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with(&format!("etcd at {} refused: ", server.url())), "{text}");
        assert!(text.contains(reason) && !text.contains("hunter2"), "{text}");
        assert!(!error.is_transient(), "{text}");
    }
}

async fn a_token_that_the_server_forgot_is_replaced(release: Release) {
    let mut server = with_users(release);
    let mut follower = Follower::start(as_user(&[&server.address()], "secret")).await;
    // A restart forgets every token.
    server.kill();
    server.restart();
    server.wait();
    by_root(&server, "put /app/a 2");
    follower.sees(&["/app/a=2"]).await;
}

async fn changed_users_and_roles_leave_others_following(release: Release) {
    let server = with_users(release);
    let proxy = Proxy::before(&server.address());
    let mut follower = Follower::start(as_user(&[&proxy.address()], "secret")).await;
    by_root(&server, "role add another");
    by_root(&server, "user add another:pw");
    by_root(&server, "put /app/a 2");
    follower.sees(&["/app/a=2"]).await;
    proxy.cut();
    by_root(&server, "put /app/a 3");
    follower.sees(&["/app/a=3"]).await;
}

async fn a_changed_password_is_told_and_one_that_is_set_right_goes_on(release: Release) {
    let server = with_users(release);
    let proxy = Proxy::before(&server.address());
    let mut follower = Follower::start(as_user(&[&proxy.address()], "secret")).await;
    proxy.set(Traffic::Refused);
    proxy.cut();
    by_root(&server, "user delete app");
    proxy.set(Traffic::Flows);
    follower.is_told("refused: ", BOUND).await;
    by_root(&server, "put /app/a 2");
    by_root(&server, "user add app:secret");
    by_root(&server, "user grant-role app reader");
    follower.sees(&["/app/a=2"]).await;
}

async fn new_certificates_count_from_the_next_connection_on(release: Release) {
    let files = tempfile::tempdir().unwrap();
    let path = |name: &str| files.path().join(name);
    let install = |certificates: &Certificates| {
        for name in ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"] {
            fs::copy(certificates.path(name), path(name)).unwrap();
        }
    };
    let argument = |name: &str| path(name).to_str().unwrap().to_owned();
    install(&Certificates::new());
    let (ca, certificate, key) =
        (argument("ca.pem"), argument("server.pem"), argument("server.key"));
    let mut server = Etcd::start_with(
        release,
        &[
            "--cert-file",
            &certificate,
            "--key-file",
            &key,
            "--trusted-ca-file",
            &ca,
            "--client-cert-auth",
        ],
    );
    let put = |server: &Etcd, value: &str| {
        let (client, key) = (argument("client.pem"), argument("client.key"));
        server.ctl(&["--cacert", &ca, "--cert", &client, "--key", &key, "put", "/app/a", value]);
    };
    put(&server, "1");
    let tls = tls::Options {
        ca: Some(path("ca.pem")),
        certificate: Some(path("client.pem")),
        key: Some(path("client.key")),
        insecure: false,
    };
    let mut follower = Follower::start(Options { tls, ..at(&[&server.address()]) }).await;
    // Another CA, and everything signed by it.
    server.kill();
    install(&Certificates::new());
    server.restart();
    server.wait();
    put(&server, "2");
    follower.sees(&["/app/a=2"]).await;
}

async fn a_server_of_another_ca_is_not_talked_to(release: Release) {
    let (ours, others) = (Certificates::new(), Certificates::new());
    let argument = |name: &str| ours.path(name).to_str().unwrap().to_owned();
    let (certificate, key) = (argument("server.pem"), argument("server.key"));
    let server = Etcd::start_with(release, &["--cert-file", &certificate, "--key-file", &key]);
    let trusting = |ca: &Certificates, insecure| Options {
        tls: tls::Options { ca: Some(ca.path("ca.pem")), insecure, ..tls::Options::default() },
        ..at(&[&server.address()])
    };
    assert!(read(trusting(&ours, false), &["/app"]).await.unwrap().is_empty());
    assert!(read(trusting(&others, true), &["/app"]).await.unwrap().is_empty());
    let error = read(trusting(&others, false), &["/app"]).await.unwrap_err().to_string();
    assert!(error.contains("invalid peer certificate"), "{error}");
}

with_both_releases![
    who_may_not_read_is_told_why_and_need_not_try_again,
    a_token_that_the_server_forgot_is_replaced,
    changed_users_and_roles_leave_others_following,
    a_changed_password_is_told_and_one_that_is_set_right_goes_on,
    new_certificates_count_from_the_next_connection_on,
    a_server_of_another_ca_is_not_talked_to,
];
