//! Writes to real servers of both releases.

use std::time::Duration;

use servers::{Release, eventually};

use crate::write::{Change, Condition};
use crate::{Cluster, Options};

fn client(server: &servers::Etcd) -> Cluster {
    // Nothing listens at the first node.
    let nodes = vec!["127.0.0.1:1".to_owned(), server.address()];
    Cluster::new(Options { nodes, ..Options::default() })
}

fn value(server: &servers::Etcd, key: &str) -> String {
    server.ctl(&["get", "--print-value-only", key]).trim_end().to_owned()
}

async fn keys_are_put_and_deleted(release: Release) {
    let server = servers::Etcd::start(release);
    let client = client(&server);
    let first = client.put("/a", "1", None).await.unwrap();
    let second = client.put("/a", vec![0xff], None).await.unwrap();
    assert!(second > first);
    client.put("/a", "2", None).await.unwrap();
    assert_eq!(value(&server, "/a"), "2");
    assert!(client.delete("/a").await.unwrap());
    assert!(!client.delete("/a").await.unwrap());
    assert_eq!(value(&server, "/a"), "");
}

async fn a_transaction_makes_all_changes_or_none(release: Release) {
    let server = servers::Etcd::start(release);
    let client = client(&server);
    let put = |key: &'static str, value: &'static str| Change::Put {
        key: key.into(),
        value: value.into(),
        lease: None,
    };
    let missing = [Condition::Missing { key: "/a".into() }];
    let changes = [put("/a", "1"), put("/b", "1")];
    let revision = client.transaction(&missing, &changes).await.unwrap().unwrap();
    assert_eq!(client.transaction(&missing, &changes).await.unwrap(), None);
    let unchanged = [Condition::ChangedAt { key: "/b".into(), revision }];
    let changes = [put("/b", "2"), Change::Delete { key: "/a".into() }];
    assert!(client.transaction(&unchanged, &changes).await.unwrap().unwrap() > revision);
    assert_eq!(client.transaction(&unchanged, &[put("/b", "3")]).await.unwrap(), None);
    assert_eq!((value(&server, "/a"), value(&server, "/b")), (String::new(), "2".to_owned()));
}

async fn keys_live_as_long_as_their_lease(release: Release) {
    let server = servers::Etcd::start(release);
    let client = client(&server);
    let lease = client.grant_lease(Duration::from_millis(1_500)).await.unwrap();
    client.put("/a", "1", Some(lease)).await.unwrap();
    assert_eq!(client.keep_alive(lease).await.unwrap(), Some(Duration::from_secs(2)));
    assert_eq!(value(&server, "/a"), "1");
    client.revoke(lease).await.unwrap();
    assert_eq!(value(&server, "/a"), "");
    assert_eq!(client.keep_alive(lease).await.unwrap(), None);
    let lease = client.grant_lease(Duration::from_secs(1)).await.unwrap();
    client.put("/b", "1", Some(lease)).await.unwrap();
    eventually("the lease expires", || value(&server, "/b").is_empty());
    assert!(client.revoke(lease).await.is_err());
}

servers::with_both_releases![
    keys_are_put_and_deleted,
    a_transaction_makes_all_changes_or_none,
    keys_live_as_long_as_their_lease,
];
