//! Writes to a real server, and answers that no one should wait for.

use std::time::Duration;

use nodes::body::Bounds;
use nodes::{CauseKind, NodeError};
use servers::{Consul, Proxy, Stub};

use crate::write::{AtEnd, Change, Check, Service};
use crate::{Client, Options, Transport};

fn client(server: &Consul) -> Client {
    // Nothing listens at the first node.
    let nodes = vec!["127.0.0.1:1".to_owned(), server.address()];
    Client::new(Options { nodes, ..Options::default() })
}

/// Returns the answer to a GET request.
async fn get(client: &Client, target: &str) -> String {
    let ask = async |node| client.get(node, target, Duration::ZERO).await;
    let (_, (_, body)) = client.nodes().ask(ask).await.unwrap();
    String::from_utf8(body).unwrap()
}

#[tokio::test]
async fn keys_are_set_and_deleted() {
    let server = Consul::start();
    let client = client(&server);
    client.set("app/a b", b"1").await.unwrap();
    assert_eq!(get(&client, "/v1/kv/app/a%20b?raw=").await, "1");
    assert!(client.set_if_unchanged("app/new", b"1", 0).await.unwrap());
    assert!(!client.set_if_unchanged("app/new", b"2", 0).await.unwrap());
    assert_eq!(get(&client, "/v1/kv/app/new?raw=").await, "1");
    client.delete("app/new").await.unwrap();
    client.delete("app/new").await.unwrap();
    assert_eq!(get(&client, "/v1/kv/app/new?raw=").await, "");
}

#[tokio::test]
async fn a_transaction_makes_all_changes_or_none() {
    let server = Consul::start();
    let client = client(&server);
    let changes = [
        Change::SetIfUnchanged { key: "app/a", value: b"1", index: 0 },
        Change::Set { key: "app/b", value: b"1" },
    ];
    assert!(client.transaction(&changes).await.unwrap());
    let changes = [
        Change::Set { key: "app/b", value: b"2" },
        Change::SetIfUnchanged { key: "app/a", value: b"2", index: 0 },
    ];
    assert!(!client.transaction(&changes).await.unwrap());
    assert_eq!(get(&client, "/v1/kv/app/b?raw=").await, "1");
    assert!(client.transaction(&[Change::Delete { key: "app/a" }]).await.unwrap());
    assert_eq!(get(&client, "/v1/kv/app/a?raw=").await, "");
}

#[tokio::test]
async fn a_key_is_held_as_long_as_its_session_lives() {
    let server = Consul::start();
    let client = client(&server);
    let ttl = Duration::from_secs(10);
    let one = client.create_session(ttl, AtEnd::Delete).await.unwrap();
    let two = client.create_session(ttl, AtEnd::Release).await.unwrap();
    assert!(client.acquire("lock", b"one", &one).await.unwrap());
    assert!(!client.acquire("lock", b"two", &two).await.unwrap());
    client.renew_session(&one).await.unwrap();
    client.destroy_session(&one).await.unwrap();
    assert_eq!(get(&client, "/v1/kv/lock?raw=").await, "");
    let error = client.renew_session(&one).await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
}

#[tokio::test]
async fn services_are_registered_at_the_agent() {
    let server = Consul::start();
    let client = client(&server);
    let service = Service {
        id: "web/1".into(),
        name: "web".into(),
        address: "10.0.0.1".into(),
        port: 80,
        tags: vec!["v1".into()],
        ..Service::default()
    };
    client.register(&service).await.unwrap();
    let listed = get(&client, "/v1/catalog/service/web").await;
    assert!(listed.contains("10.0.0.1") && listed.contains("web/1"), "{listed}");
    client.deregister("web/1").await.unwrap();
    assert_eq!(get(&client, "/v1/agent/services").await.trim(), "{}");
    assert!(client.deregister("web/1").await.unwrap_err().is_refusal());
}

#[tokio::test]
async fn an_agent_that_does_not_run_scripts_refuses_a_service_with_one() {
    let server = Consul::start();
    let client = client(&server);
    let script = vec!["/bin/true".into()];
    let check = Check { script, interval: "10s".into(), ..Check::default() };
    let service = Service {
        id: "web".into(),
        name: "web".into(),
        port: 80,
        check: Some(check),
        ..Service::default()
    };
    let error = client.register(&service).await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
}

/// Bounds that a test can reach.
const SMALL: Bounds = Bounds {
    size: 1 << 20,
    silence: Duration::from_secs(10),
    time: Duration::from_secs(1),
    speed: 1 << 30,
};

/// Asks a node, and returns why it gave no answer.
async fn refused(node: String, bounds: Bounds) -> (CauseKind, String) {
    let client = Client::new(Options { nodes: vec![node], bounds, ..Options::default() });
    match client.get(0, "/", Duration::ZERO).await {
        Err(NodeError::Unreachable(cause)) => (cause.kind(), cause.to_string()),
        other => panic!("{:?}", other.map(|(head, _)| head)),
    }
}

#[tokio::test]
async fn a_body_without_end_is_refused() {
    let stub = Stub::without_end("HTTP/1.1 200 OK\r\n\r\n", vec![b' '; 1 << 16], Duration::ZERO);
    let bounds = Bounds { time: Duration::from_secs(60), ..SMALL };
    let (kind, text) = refused(stub.address(), bounds).await;
    assert_eq!((kind, &*text), (CauseKind::TooLarge, "its answer is larger than 1 MiB"));
}

#[tokio::test]
async fn a_small_body_that_becomes_large_is_refused() {
    let zip = std::process::Command::new("sh")
        .args(["-c", "head -c 100000000 /dev/zero | gzip -9"])
        .output()
        .unwrap();
    let head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ";
    let answer = [format!("{head}{}\r\n\r\n", zip.stdout.len()).into_bytes(), zip.stdout].concat();
    assert!(answer.len() < 200_000);
    let stub = Stub::answering(move |_| answer.clone());
    // An address that leads to this machine, and does not look like it: only then gzip is used.
    let node = stub.address().replace("127.0.0.1", "0.0.0.0");
    let bounds = Bounds { time: Duration::from_secs(60), ..SMALL };
    let (kind, text) = refused(node, bounds).await;
    assert_eq!((kind, &*text), (CauseKind::TooLarge, "its answer is larger than 1 MiB"));
}

#[tokio::test]
async fn a_body_that_comes_byte_by_byte_is_refused() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
    let stub = Stub::without_end(head, b" ".to_vec(), Duration::from_millis(50));
    let (kind, text) = refused(stub.address(), SMALL).await;
    assert_eq!(kind, CauseKind::TooSlow, "{text}");
    assert!(text.starts_with("its answer is too slow: "), "{text}");
}

#[tokio::test]
async fn a_connection_is_used_again_unless_the_options_say_otherwise() {
    let server = Consul::start();
    for (most_idle, connections) in [(None, 1), (Some(1), 1), (Some(0), 3)] {
        let proxy = Proxy::before(&server.address());
        let transport = Transport { most_idle, ..Transport::default() };
        let nodes = vec![proxy.address()];
        let client = Client::new(Options { nodes, transport, ..Options::default() });
        for _ in 0..3 {
            get(&client, "/v1/status/leader").await;
            // The HTTP client takes the connection back in a task of its own.
            tokio::task::yield_now().await;
        }
        assert_eq!(proxy.connections(), connections, "{most_idle:?}");
    }
}

#[tokio::test]
async fn the_status_500_of_a_change_is_a_refusal_in_consuls_own_words() {
    let stub = Stub::answering(|_| {
        let head = "HTTP/1.1 500 Internal Server Error\r\nConnection: close";
        let words = "rpc error: key is too long";
        format!("{head}\r\nContent-Length: {}\r\n\r\n{words}", words.len()).into_bytes()
    });
    let client = Client::new(Options { nodes: vec![stub.address()], ..Options::default() });
    let error = client.delete("app/a").await.unwrap_err();
    assert!(error.is_refusal(), "{error}");
    let text = format!("refused: {}", "rpc error: key is too long (500)");
    assert!(error.to_string().contains(&text), "{error}");
}
