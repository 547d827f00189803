//! Users, tokens, permissions and certificates.

use std::fs;
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use futures_util::future;
use servers::{Certificates, Etcd, Proxy, Release, Traffic};

use super::{at, follow, read, with_both_releases};
use client_etcd::Options;
use source::Source;
use source::testing::{BOUND, Follower, interest, pause, text};

/// A server with the user `app` (password `secret`), who may read `/app`.
fn with_users(release: Release) -> Etcd {
    // A token lives for this number of seconds after its last use.
    let server = Etcd::start_with(release, &["--bcrypt-cost", "4", "--auth-token-ttl", "2"]);
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

async fn a_refusal_has_its_reason_and_is_not_transient(release: Release) {
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
    let mut follower = follow(as_user(&[&server.address()], "secret")).await;
    // After a restart the server knows no token.
    server.kill();
    server.restart();
    server.wait();
    by_root(&server, "put /app/a 2");
    follower.sees(&["/app/a=2"]).await;
}

/// Waits until all unused tokens have expired.
async fn tokens_expire(server: &Etcd) {
    let signing_in = (0..20).map(|_| {
        let user = ConnectOptions::new().with_user("app", "secret");
        async { Client::connect([server.address()], Some(user)).await.unwrap() }
    });
    for mut client in future::join_all(signing_in).await {
        pause(Duration::from_millis(500)).await;
        if let Err(refused) = client.get("/app/a", None).await {
            assert!(refused.to_string().contains("invalid auth token"), "{refused}");
            return;
        }
    }
    panic!("no token expires");
}

async fn an_expired_token_is_renewed(release: Release) {
    let server = with_users(release);
    let proxy = Proxy::before(&server.address());
    let source = crate::Etcd::new(as_user(&[&server.address()], "secret"));
    source.read(&interest(&[&["/app"]])).await.unwrap();
    let mut follower = follow(as_user(&[&proxy.address()], "secret")).await;
    by_root(&server, "put /app/a 2");
    follower.sees(&["/app/a=2"]).await;
    tokens_expire(&server).await;
    let answers = source.read(&interest(&[&["/app"]])).await.unwrap();
    assert_eq!(text(answers[0].as_ref().unwrap()), ["/app/a=2"]);
    // The open stream continues, and a new one is opened.
    by_root(&server, "put /app/a 3");
    follower.sees(&["/app/a=3"]).await;
    tokens_expire(&server).await;
    proxy.cut();
    by_root(&server, "put /app/a 4");
    follower.sees(&["/app/a=4"]).await;
    follower.has_no_errors();
}

async fn changed_users_and_roles_leave_others_following(release: Release) {
    let server = with_users(release);
    let proxy = Proxy::before(&server.address());
    let mut follower = follow(as_user(&[&proxy.address()], "secret")).await;
    by_root(&server, "role add another");
    by_root(&server, "user add another:pw");
    by_root(&server, "put /app/a 2");
    follower.sees(&["/app/a=2"]).await;
    proxy.cut();
    by_root(&server, "put /app/a 3");
    follower.sees(&["/app/a=3"]).await;
}

async fn a_changed_password_is_reported_and_the_right_one_works_again(release: Release) {
    let server = with_users(release);
    let proxy = Proxy::before(&server.address());
    let mut follower = follow(as_user(&[&proxy.address()], "secret")).await;
    proxy.set(Traffic::Refused);
    proxy.cut();
    by_root(&server, "user delete app");
    proxy.set(Traffic::Flows);
    follower.reports_error("refused: ", BOUND).await;
    by_root(&server, "put /app/a 2");
    by_root(&server, "user add app:secret");
    by_root(&server, "user grant-role app reader");
    follower.sees(&["/app/a=2"]).await;
}

async fn a_revoked_permission_is_reported_and_a_restored_one_works_again(release: Release) {
    let server = with_users(release);
    let proxy = Proxy::before(&server.address());
    let mut follower = follow(as_user(&[&proxy.address()], "secret")).await;
    by_root(&server, "role revoke-permission reader --prefix=true /app");
    by_root(&server, "put /app/a 2");
    proxy.cut();
    follower.reports_error("permission denied", BOUND).await;
    by_root(&server, "put /app/a 3");
    by_root(&server, "role grant-permission reader read --prefix=true /app");
    follower.sees(&["/app/a=3"]).await;
}

async fn a_refused_scope_around_an_allowed_one_costs_it_nothing(release: Release) {
    let server = with_users(release);
    let source = crate::Etcd::new(as_user(&[&server.address()], "secret"));
    let scopes = interest(&[&["/"], &["/app"], &["/app/a", "/"], &["/app/a"]]);
    let answers = source.read(&scopes).await.unwrap();
    let mut watch = source.watch(&scopes).await.unwrap().unwrap();
    for answers in [answers, watch.next().await.unwrap().answers] {
        let answered: Vec<_> = answers.iter().map(|answer| answer.as_ref().map(text)).collect();
        let (pairs, refused) = (vec!["/app/a=1".to_owned()], answered[0].as_ref().unwrap_err());
        let refused = refused.to_string();
        assert!(refused.starts_with("Cannot read /: etcd at http://"), "{refused}");
        assert!(refused.contains(" refused: etcdserver: permission denied"), "{refused}");
        assert!(answered[2].is_err());
        assert_eq!(
            (answered[1].as_ref().unwrap(), answered[3].as_ref().unwrap()),
            (&pairs, &pairs)
        );
    }
    by_root(&server, "put /app/a 2");
    let update = watch.next().await.unwrap();
    assert_eq!(text(update.answers[1].as_ref().unwrap()), ["/app/a=2"]);
    // The role may now read everything.
    by_root(&server, "role grant-permission reader read --prefix=true /");
    watch.set_interest(&scopes);
    assert!(watch.next().await.unwrap().answers.iter().all(Result::is_ok));
}

async fn new_certificates_are_used_from_the_next_connection_on(release: Release) {
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
        server_name: None,
        ..tls::Options::default()
    };
    let mut follower = follow(Options { tls, ..at(&[&server.address()]) }).await;
    // A different CA, and certificates signed by it.
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

    // The right file replaces it.
    let file = others.path("ca.pem");
    let mut follower =
        Follower::start_asking(crate::Etcd::new(trusting(&others, false)), &["/app"]);
    follower.reports_error("invalid peer certificate", BOUND).await;
    server.ctl(&["--cacert", &argument("ca.pem"), "put", "/app/a", "1"]);
    fs::copy(ours.path("ca.pem"), file).unwrap();
    follower.sees(&["/app/a=1"]).await;
}

with_both_releases![
    a_refusal_has_its_reason_and_is_not_transient,
    a_token_that_the_server_forgot_is_replaced,
    an_expired_token_is_renewed,
    changed_users_and_roles_leave_others_following,
    a_changed_password_is_reported_and_the_right_one_works_again,
    a_revoked_permission_is_reported_and_a_restored_one_works_again,
    a_refused_scope_around_an_allowed_one_costs_it_nothing,
    new_certificates_are_used_from_the_next_connection_on,
    a_server_of_another_ca_is_not_talked_to,
];
