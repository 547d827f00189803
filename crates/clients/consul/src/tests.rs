//! Writes to a real server.

use std::time::Duration;

use servers::Consul;

use crate::write::{AtEnd, Change, Service};
use crate::{Client, Options};

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
    };
    client.register(&service).await.unwrap();
    let listed = get(&client, "/v1/catalog/service/web").await;
    assert!(listed.contains("10.0.0.1") && listed.contains("web/1"), "{listed}");
    client.deregister("web/1").await.unwrap();
    assert_eq!(get(&client, "/v1/agent/services").await.trim(), "{}");
    assert!(client.deregister("web/1").await.unwrap_err().is_refusal());
}
