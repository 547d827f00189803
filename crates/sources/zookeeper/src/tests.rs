//! Tests against real servers.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use servers::{Proxy, Traffic};
use source::Source as _;
use source::testing::interest;
use tokio::time::timeout;

use crate::{Options, ZooKeeper};

/// The options of a source of these nodes.
pub(crate) fn options(nodes: &[String]) -> Options {
    Options {
        nodes: nodes.to_vec(),
        nodes_are_default: false,
        tls_is_default: false,
        tls: tls::Options::default(),
        login: None,
        // On a busy machine a server can be silent for seconds.
        session: Duration::from_secs(20),
    }
}

/// Nodes below `/app` with this value.
fn nodes(value: &str) -> Vec<(String, &[u8])> {
    (0..200).map(|number| (format!("/app/{number}"), value.as_bytes())).collect()
}

#[tokio::test]
async fn no_state_has_a_part_of_a_transaction() {
    let server = servers::ZooKeeper::start();
    let mut client = server.client();
    client.create_together(&nodes("0"));
    // The events of one transaction arrive in many pieces.
    let network = Proxy::before(&server.address());
    network.set(Traffic::Pieces(4_000, Duration::from_millis(1)));
    let source = ZooKeeper::new(options(&[network.address()]));
    let writing = tokio::task::spawn_blocking(move || {
        for number in 1..=30_u64 {
            client.set_together(&nodes(&number.to_string()));
            servers::pause(Duration::from_millis(number % 7 * 20));
        }
        server
    });
    let values = |update: &source::Update| {
        let snapshot = update.answers[0].as_ref().unwrap();
        snapshot.iter().map(|(_, value)| value.clone()).collect::<BTreeSet<Bytes>>()
    };
    let mut watch = source.watch(&interest(&[&["/app"]])).await.unwrap().unwrap();
    let mut states = Vec::new();
    loop {
        // A single reading is a state too.
        let read = source.read(&interest(&[&["/app"]])).await.unwrap();
        states.push(values(&source::Update { answers: read, changed: None }));
        let update = watch.next().await.unwrap();
        states.push(values(&update));
        if states.last().unwrap().iter().eq(["30"]) {
            break;
        }
    }
    writing.await.unwrap();
    assert!(states.len() > 2, "{states:?}");
    assert!(states.iter().all(|values| values.len() == 1), "{states:?}");
}

#[tokio::test]
async fn nodes_that_change_without_a_pause_delay_no_other_change() {
    let server = servers::ZooKeeper::start();
    server.set("/app/other", "0");
    server.set("/counter", "0");
    // Reading takes longer than the time between two changes.
    let network = Proxy::before(&server.address());
    network.set(Traffic::Slow(Duration::from_millis(5)));
    let source = ZooKeeper::new(options(&[network.address()]));
    let keys = interest(&[&["/counter", "/app"]]);
    let mut watch = source.watch(&keys).await.unwrap().unwrap();
    watch.next().await.unwrap();
    let (stop, mut writer) = (Arc::new(AtomicBool::new(false)), server.client());
    let stopped = Arc::clone(&stop);
    let writing = tokio::task::spawn_blocking(move || {
        let mut number = 0_u64;
        while !stopped.load(Ordering::Relaxed) {
            number += 1;
            writer.set("/counter", number.to_string().as_bytes());
            servers::pause(Duration::from_millis(1));
        }
    });
    let mut seen = 0;
    for number in 1..=3 {
        server.set("/app/other", number.to_string());
        let until_seen = async {
            loop {
                let update = watch.next().await.unwrap();
                let snapshot = update.answers[0].as_ref().unwrap();
                if snapshot.get(b"/app/other").unwrap() == number.to_string().as_bytes() {
                    return;
                }
            }
        };
        if timeout(Duration::from_secs(8), until_seen).await.is_err() {
            break;
        }
        seen += 1;
    }
    stop.store(true, Ordering::Relaxed);
    writing.await.unwrap();
    assert_eq!(seen, 3, "each change is seen soon");
}
