//! Tests against real servers.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use servers::{Proxy, Traffic};
use source::Source as _;
use source::testing::interest;
use tokio::time::timeout;

use crate::asked::Spelling;
use crate::connection::Limits;
use crate::{Options, Redis};

/// The options of a source of these nodes.
pub(crate) fn options(nodes: &[String]) -> Options {
    // On a busy machine a server can be silent for a second.
    let limit = Duration::from_secs(5);
    Options {
        nodes: nodes.to_vec(),
        nodes_are_default: false,
        tls_is_default: false,
        tls: tls::Options::default(),
        login: None,
        sentinel: None,
        spelling: Spelling::new(""),
        limits: Limits { connecting: limit, reading: limit, writing: limit },
        poll: Duration::from_secs(1),
    }
}

/// The different values in the next states, until one has this value alone.
async fn values_of_states(source: &Redis, last: &str) -> Vec<BTreeSet<Bytes>> {
    let mut watch = source.watch(&interest(&[&["/app"]])).await.unwrap().unwrap();
    let mut states = Vec::new();
    loop {
        let update = watch.next().await.unwrap();
        let snapshot = update.answers[0].as_ref().unwrap();
        let values: BTreeSet<Bytes> = snapshot.iter().map(|(_, value)| value.clone()).collect();
        let is_last = values.iter().eq([last.as_bytes()]);
        states.push(values);
        if is_last {
            return states;
        }
    }
}

#[tokio::test]
async fn no_state_has_a_part_of_a_transaction() {
    let server = servers::Redis::start();
    let keys: Vec<String> = (0..200).map(|number| format!("/app/{number}")).collect();
    let write = move |server: &servers::Redis, value: &str| {
        let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, value)).collect();
        server.set_together(&pairs);
    };
    write(&server, "0");
    // The events of one transaction arrive in many pieces.
    let network = Proxy::before(&server.address());
    network.set(Traffic::Pieces(4_000, Duration::from_millis(1)));
    let source = Redis::new(options(&[network.address()]));
    let following = tokio::spawn(async move { values_of_states(&source, "30").await });
    let writing = tokio::task::spawn_blocking(move || {
        for number in 1..=30_u64 {
            write(&server, &number.to_string());
            servers::pause(Duration::from_millis(number % 7 * 5));
        }
        server
    });
    let states = following.await.unwrap();
    writing.await.unwrap();
    assert!(states.len() > 2, "{states:?}");
    assert!(states.iter().all(|values| values.len() == 1), "{states:?}");
}

fn connected(server: &servers::Redis) -> TcpStream {
    let stream = TcpStream::connect(server.address()).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[tokio::test]
async fn keys_that_change_without_a_pause_delay_no_other_change() {
    let server = servers::Redis::start();
    server.set("/app/other", "0");
    server.ask(&["HSET", "/hash", "f", "0"]);
    // Reading takes longer than the time between two changes.
    let network = Proxy::before(&server.address());
    network.set(Traffic::Slow(Duration::from_millis(5)));
    let source = Redis::new(options(&[network.address()]));
    let keys = interest(&[&["/counter", "/hash", "/app"]]);
    let mut watch = source.watch(&keys).await.unwrap().unwrap();
    watch.next().await.unwrap();
    let (stop, mut writer) = (Arc::new(AtomicBool::new(false)), connected(&server));
    let stopped = Arc::clone(&stop);
    let writing = tokio::task::spawn_blocking(move || {
        while !stopped.load(Ordering::Relaxed) {
            writer.write_all(b"INCR /counter\r\nHINCRBY /hash f 1\r\n").unwrap();
            let _ = writer.read(&mut [0; 100]).unwrap();
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
