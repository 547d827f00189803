//! What this source promises beside the promises of every source.

use std::process::Command;
use std::time::Duration;

use client_etcd2::Options;
use servers::{Certificates, Etcd, Proxy, Release};
use source::testing::{BOUND, Follower, interest, pause, read, text};
use source::{Source, Watch};
use tokio::time::timeout;

use super::Etcdv2;

/// A server with version 2 of the API.
pub(super) fn server() -> Etcd {
    Etcd::start_with(Release::Debian, &["--enable-v2=true"])
}

fn source(nodes: &[String]) -> Etcdv2 {
    Etcdv2::new(Options { nodes: nodes.to_vec(), ..Options::default() })
}

fn put(server: &Etcd, key: &str, value: &str) {
    server.put_of_version_2(key, value.as_bytes(), None);
}

/// A watch that has returned its first state.
async fn following(source: &Etcdv2, keys: &[&str]) -> Box<dyn Watch> {
    let mut watch = source.watch(&interest(&[keys])).await.unwrap().unwrap();
    watch.next().await.unwrap();
    watch
}

#[tokio::test]
async fn more_events_than_etcd_keeps_lose_no_change() {
    let server = server();
    put(&server, "/app/a", "1");
    put(&server, "/app/gone", "1");
    let network = Proxy::before(&server.address());
    let source = source(&[network.address()]);
    let mut watch = following(&source, &["/app"]).await;
    network.set(servers::Traffic::Refused);
    network.cut();
    put(&server, "/app/a", "2");
    server.of_version_2("DELETE", "/v2/keys/app/gone", "", None);
    for number in 0..1_100 {
        put(&server, "/other", &number.to_string());
    }
    network.set(servers::Traffic::Flows);
    let state = loop {
        match timeout(BOUND, watch.next()).await.unwrap() {
            Ok(state) => break state,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    };
    assert_eq!(text(state.answers[0].as_ref().unwrap()), ["/app/a=2"]);
    assert_eq!(state.changed.unwrap(), ["/app/a", "/app/gone"]);
}

#[tokio::test]
async fn a_folder_that_is_deleted_above_the_keys_is_seen() {
    let server = server();
    put(&server, "/app/a/b", "1");
    put(&server, "/app/a/c", "2");
    let source = source(&[server.address()]);
    let mut watch = following(&source, &["/app/a/b", "/app/a/c"]).await;
    server.of_version_2("DELETE", "/v2/keys/app?recursive=true", "", None);
    let mut seen =
        text(timeout(BOUND, watch.next()).await.unwrap().unwrap().answers[0].as_ref().unwrap());
    while !seen.is_empty() {
        seen =
            text(timeout(BOUND, watch.next()).await.unwrap().unwrap().answers[0].as_ref().unwrap());
    }
}

#[tokio::test]
async fn a_key_whose_time_is_over_is_gone() {
    let server = server();
    server.of_version_2("PUT", "/v2/keys/app/a", "value=1&ttl=1", None);
    let mut follower = Follower::start(source(&[server.address()])).await;
    follower.sees(&[]).await;
}

#[tokio::test]
async fn two_hundred_keys_are_followed_by_few_connections() {
    let server = server();
    let keys: Vec<String> = (0..200).map(|number| format!("/app/{number}/x")).collect();
    keys.iter().for_each(|key| put(&server, key, "1"));
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let source = source(&[server.address()]);
    assert_eq!(read(&source, &keys).await.unwrap().len(), 200);
    let mut watch = following(&source, &keys).await;
    put(&server, "/app/unasked", "1");
    put(&server, "/app/77/x", "2");
    let state = timeout(BOUND, watch.next()).await.unwrap().unwrap();
    assert_eq!(state.changed.unwrap(), ["/app/77/x"]);
}

#[tokio::test]
async fn a_server_that_is_killed_is_followed_again_with_its_data_and_without() {
    let mut server = server();
    for number in 0..5 {
        put(&server, "/app/a", &number.to_string());
    }
    let mut follower = Follower::start(source(&[server.address()])).await;
    server.kill();
    follower.reports_error("cannot reach etcd: http://127.0.0.1:", BOUND).await;
    server.restart();
    server.wait();
    put(&server, "/app/a", "5");
    follower.sees(&["/app/a=5"]).await;
    server.kill();
    server.wipe();
    server.restart();
    server.wait();
    follower.sees(&[]).await;
    put(&server, "/app/b", "1");
    follower.sees(&["/app/b=1"]).await;
}

#[tokio::test]
async fn the_other_node_is_asked_if_one_is_killed() {
    let servers = [server(), server()];
    put(&servers[1], "/app/a", "1");
    put(&servers[0], "/app/a", "0");
    let nodes = servers.each_ref().map(Etcd::address);
    let mut follower = Follower::start(source(&nodes)).await;
    let [mut first, second] = servers;
    first.kill();
    follower.sees(&["/app/a=1"]).await;
    put(&second, "/app/a", "2");
    follower.sees(&["/app/a=2"]).await;
    follower.has_no_errors();
}

#[tokio::test]
async fn a_server_that_hangs_is_an_error_and_goes_on_where_it_was() {
    let server = server();
    put(&server, "/app/a", "1");
    let source = source(&[server.address()]);
    server.process().freeze();
    let error = read(&source, &["/app"]).await.unwrap_err();
    assert!(error.to_string().ends_with("no answer within 10 seconds"), "{error}");
    server.process().thaw();
    assert_eq!(text(&read(&source, &["/app"]).await.unwrap()), ["/app/a=1"]);
}

#[tokio::test]
async fn a_server_with_certificates_is_read() {
    let certificates = Certificates::new();
    let path = |name: &str| certificates.path(name).display().to_string();
    let [certificate, key, ca] = ["server.pem", "server.key", "ca.pem"].map(path);
    let files = ["--cert-file", &certificate, "--key-file", &key, "--trusted-ca-file", &ca];
    let more = ["--client-cert-auth", "--enable-v2=true"];
    let server = Etcd::start_with(Release::Debian, &[&files[..], &more[..]].concat());
    let [certificate, key] = ["client.pem", "client.key"].map(path);
    let etcdctl = Command::new("etcdctl")
        .env("ETCDCTL_API", "2")
        .args(["--endpoints", &server.url(), "--ca-file", &ca])
        .args(["--cert-file", &certificate, "--key-file", &key, "set", "/app/a", "1"])
        .status();
    assert!(etcdctl.unwrap().success());
    let tls = tls::Options {
        ca: Some(ca.into()),
        certificate: Some(certificate.into()),
        key: Some(key.into()),
        ..tls::Options::default()
    };
    let options = Options { nodes: vec![server.url()], tls, ..Options::default() };
    assert_eq!(text(&read(&Etcdv2::new(options), &["/app"]).await.unwrap()), ["/app/a=1"]);
    let error = read(&source(&[server.url()]), &["/app"]).await.unwrap_err().to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn an_etcd_without_version_2_says_so() {
    let server = Etcd::start(Release::Newest);
    let options = Options {
        nodes: vec![server.address()],
        without_v2: Some("switch it on"),
        ..Options::default()
    };
    let error = read(&Etcdv2::new(options), &["/app"]).await.unwrap_err().to_string();
    assert!(error.ends_with("404 page not found (404) (switch it on)"), "{error}");
    pause(Duration::ZERO).await;
}

#[tokio::test]
async fn a_hidden_key_is_read_and_followed_where_it_is_asked_for() {
    let server = server();
    put(&server, "/h/_secret", "1");
    put(&server, "/h/a", "1");
    let source = source(&[server.address()]);
    let asked = interest(&[&["/h", "/h/_secret"], &["/h"]]);
    let of = |answers: &[source::Answer]| -> Vec<Vec<String>> {
        answers.iter().map(|answer| text(answer.as_ref().unwrap())).collect()
    };
    let first = [vec!["/h/_secret=1", "/h/a=1"], vec!["/h/a=1"]];
    assert_eq!(of(&source.read(&asked).await.unwrap()), first);
    let mut watch = source.watch(&asked).await.unwrap().unwrap();
    assert_eq!(of(&watch.next().await.unwrap().answers), first);
    for (key, value) in [("/h/a", "2"), ("/h/_secret", "3")] {
        put(&server, key, value);
        let state = timeout(BOUND, watch.next()).await.unwrap().unwrap();
        assert_eq!(state.changed.unwrap(), [key.to_owned()]);
        let all = of(&state.answers).concat();
        assert!(all.contains(&format!("{key}={value}")), "{all:?}");
    }
}
