//! The requests that reading and following cause, as counted by the server.

use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Client, Txn, TxnOp};
use servers::Release;
use tokio::select;
use tokio::time::timeout;

use super::{at, follow, put, put_all, read, with_both_releases, writer};
use crate::Etcd;
use source::testing::{BOUND, Follower, interest, pause, scope, text};
use source::{Interest, Source, Update, Watch};

/// The number of answered requests of a kind.
fn requests(server: &servers::Etcd, method: &str) -> f64 {
    let handled = "grpc_server_handled_total{grpc_code=\"OK\",grpc_method=";
    server.metric(&format!("{handled}\"{method}\""))
}

fn readings(server: &servers::Etcd) -> f64 {
    requests(server, "Range") + requests(server, "Txn")
}

async fn a_change_costs_no_reading_and_all_keys_share_one_stream(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    for key in ["/app/a", "/b/a", "/c/a"] {
        put(&mut client, key, "0").await;
    }
    let keys = ["/app", "/app/a", "/b", "/c"];
    let mut follower = Follower::start_asking(Etcd::new(at(&[&server.address()])), &keys);
    follower.sees(&["/app/a=0", "/b/a=0", "/c/a=0"]).await;
    put(&mut client, "/app/a", "1").await;
    follower.sees(&["/app/a=1", "/b/a=0", "/c/a=0"]).await;
    // One of the four keys is below another of them.
    assert_eq!(server.metric("etcd_debugging_mvcc_watch_stream_total "), 1.0);
    assert_eq!(server.metric("etcd_debugging_mvcc_watcher_total "), 3.0);

    let before = readings(&server);
    for number in 2..100 {
        put(&mut client, "/b/a", &number.to_string()).await;
    }
    follower.sees(&["/app/a=1", "/b/a=99", "/c/a=0"]).await;
    match release {
        Release::Newest => assert_eq!(readings(&server), before),
        // A server of this release has no reliable report of its progress.
        Release::Debian => assert!(readings(&server) <= before + 98.0),
    }
}

async fn a_change_of_one_range_costs_nothing_more(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&server.address()])).await;
    put(&mut client, "/app/a", "1").await;
    follower.sees(&["/app/a=1"]).await;
    let before = readings(&server);
    for number in 2..100 {
        put(&mut client, "/app/a", &number.to_string()).await;
    }
    follower.sees(&["/app/a=99"]).await;
    assert_eq!(readings(&server), before);
    assert_eq!(requests(&server, "Status"), 0.0);
}

async fn all_keys_of_all_scopes_are_one_request(release: Release) {
    let server = servers::Etcd::start(release);
    put(&mut writer(&server).await, "/app/a", "1").await;
    let before = requests(&server, "Txn") + requests(&server, "Range");
    let scopes = interest(&[&["/app", "/b"], &["/app"], &["/app/a", "/c"]]);
    Etcd::new(at(&[&server.address()])).read(&scopes).await.unwrap();
    let readings = || requests(&server, "Txn") + requests(&server, "Range");
    assert_eq!(readings() - before, 1.0);
}

async fn a_hundred_thousand_keys_are_read_in_few_requests(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let pair = |number| (format!("/app/{number}"), format!("value of {number}"));
    put_all(&mut client, (0..100_000).map(pair)).await;
    let before = requests(&server, "Txn") + requests(&server, "Range");
    let snapshot = read(at(&[&server.address()]), &["/app"]).await.unwrap();
    assert_eq!(snapshot.len(), 100_000);
    assert_eq!(snapshot.get(b"/app/99999").unwrap(), "value of 99999");
    assert_eq!(requests(&server, "Txn") + requests(&server, "Range") - before, 6.0);
}

async fn what_is_read_in_many_requests_is_as_of_one_revision(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let keys: Vec<_> = (0..300).map(|number| format!("/key-{number:03}")).collect();
    let names: Vec<_> = keys.iter().map(String::as_str).collect();
    let writing = tokio::spawn(async move {
        for number in 0.. {
            let put = |key: &str| TxnOp::put(key, number.to_string(), None);
            // The keys are in the first and in the last request.
            let both = Txn::new().and_then([put("/key-000"), put("/key-299")]);
            client.txn(both).await.unwrap();
        }
    });
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let snapshot = read(at(&[&server.address()]), &names).await.unwrap();
        let (first, last) = (snapshot.get(b"/key-000").cloned(), snapshot.get(b"/key-299"));
        assert_eq!(first.as_ref(), last);
        if first != seen.last().cloned().flatten() {
            seen.push(first);
        }
        pause(Duration::from_millis(1)).await;
    }
    writing.abort();
}

async fn a_thousand_keys_are_followed_each_by_itself(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let keys: Vec<_> = (0..1_000).map(|number| format!("/{number:04}")).collect();
    let names: Vec<_> = keys.iter().map(String::as_str).collect();
    put(&mut client, "/0000/a", "0").await;
    let mut follower = Follower::start_asking(Etcd::new(at(&[&server.address()])), &names);
    follower.sees(&["/0000/a=0"]).await;
    put(&mut client, "/0999", "1").await;
    put(&mut client, "/0500/a", "2").await;
    follower.sees(&["/0000/a=0", "/0500/a=2", "/0999=1"]).await;
    assert_eq!(server.metric("etcd_debugging_mvcc_watch_stream_total "), 1.0);
}

/// A follower of a thousand scopes, each with its own key.
async fn a_thousand_followed(
    server: &servers::Etcd,
    client: &mut Client,
) -> (Interest, Box<dyn Watch>) {
    let keys: Vec<_> = (0..1_000).map(|number| format!("/{number:04}")).collect();
    put_all(client, keys.iter().map(|key| (key.clone(), "0".to_owned()))).await;
    let interest: Interest = keys.iter().map(|key| scope(&[key])).collect();
    let source = Etcd::new(at(&[&server.address()]));
    let mut watch = source.watch(&interest).await.unwrap().unwrap();
    assert_eq!(watch.next().await.unwrap().answers.len(), 1_000);
    put(client, "/0000", "1").await;
    assert_eq!(watch.next().await.unwrap().changed.unwrap(), ["/0000"]);
    // The server ends a watch that is still behind when the history is compacted.
    let is_behind = || server.metric("etcd_debugging_mvcc_slow_watcher_total ") > 0.0;
    while is_behind() {
        pause(Duration::from_millis(20)).await;
    }
    (interest, watch)
}

/// The number of ranges that this server has read.
fn ranges(server: &servers::Etcd) -> f64 {
    server.metric("etcd_mvcc_range_total ")
}

async fn a_scope_that_is_added_to_a_thousand_reads_one_range(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let (mut interest, mut watch) = a_thousand_followed(&server, &mut client).await;
    put(&mut client, "/new", "2").await;
    let (requests, read) = (readings(&server), ranges(&server));
    interest.scopes.insert(0, scope(&["/new"]));
    watch.set_interest(&interest);
    let update = watch.next().await.unwrap();
    assert_eq!(readings(&server) - requests, 1.0);
    assert_eq!(ranges(&server) - read, 1.0);
    assert_eq!(update.answers.len(), 1_001);
    // The answer is not older than the request.
    assert_eq!(update.answers[0].as_ref().unwrap().get(b"/new").unwrap(), "2");
    put(&mut client, "/new", "3").await;
    assert_eq!(watch.next().await.unwrap().changed.unwrap(), ["/new"]);
    assert_eq!(server.metric("etcd_debugging_mvcc_watch_stream_total "), 1.0);
    assert_eq!(server.metric("etcd_debugging_mvcc_watcher_total "), 1_001.0);

    // After removing it and other scopes, nothing is read, and their watches end.
    let (requests, read) = (readings(&server), ranges(&server));
    interest.scopes.drain(..500);
    watch.set_interest(&interest);
    assert_eq!(watch.next().await.unwrap().answers.len(), 501);
    let waiting = timeout(BOUND, watch.next());
    let ended = async {
        while server.metric("etcd_debugging_mvcc_watcher_total ") > 501.0 {
            pause(Duration::from_millis(20)).await;
        }
    };
    select! {
        nothing = waiting => panic!("{nothing:?}"),
        () = ended => {}
    }
    assert_eq!((readings(&server), ranges(&server)), (requests, read));
    put(&mut client, "/0999", "3").await;
    assert_eq!(watch.next().await.unwrap().changed.unwrap(), ["/0999"]);
}

async fn a_scope_is_added_after_the_history_was_compacted(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let (mut interest, mut watch) = a_thousand_followed(&server, &mut client).await;
    for number in 0..10 {
        put(&mut client, "/new", &number.to_string()).await;
    }
    let revision = client.get("/new", None).await.unwrap().header().unwrap().revision();
    client.compact(revision, None).await.unwrap();
    let read = ranges(&server);
    interest.scopes.push(scope(&["/new"]));
    watch.set_interest(&interest);
    let update = watch.next().await.unwrap();
    assert_eq!(update.answers[1_000].as_ref().unwrap().get(b"/new").unwrap(), "9");
    assert_eq!(ranges(&server) - read, 1.0);
    put(&mut client, "/new", "10").await;
    assert_eq!(watch.next().await.unwrap().changed.unwrap(), ["/new"]);
    put(&mut client, "/0500", "1").await;
    assert_eq!(watch.next().await.unwrap().changed.unwrap(), ["/0500"]);
}

/// A scope of known and new keys has one revision, which the other scopes may not have reached.
async fn a_scope_of_known_and_new_keys_is_read_as_of_one_revision(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let (mut interest, mut watch) = a_thousand_followed(&server, &mut client).await;
    for number in 1..=20 {
        let both = [format!("/{number:04}"), format!("/new-{number}")];
        let put = |value: &str| both.iter().map(|key| TxnOp::put(&**key, value, None)).collect();
        let (old, new): (Vec<_>, Vec<_>) = (put("old"), put("new"));
        client.txn(Txn::new().and_then(old)).await.unwrap();
        interest.scopes.push(scope(&[&both[0], &both[1]]));
        let read = ranges(&server);
        watch.set_interest(&interest);
        let writing = client.txn(Txn::new().and_then(new));
        let (update, _) = tokio::join!(watch.next(), writing);
        let mut values = values_of(&update.unwrap(), &both);
        if release == Release::Newest {
            // One read at the newest revision, and one at the revision of the progress.
            assert!(ranges(&server) - read <= 2.0, "{}", ranges(&server) - read);
        }
        while values[0] != "new" {
            assert_eq!(values[0], values[1]);
            values = values_of(&timeout(BOUND, watch.next()).await.unwrap().unwrap(), &both);
        }
        assert_eq!(values[0], values[1]);
    }
}

/// The values of two keys in the answer to the last scope.
fn values_of(update: &Update, keys: &[String; 2]) -> [Bytes; 2] {
    let snapshot = update.answers.last().unwrap().as_ref().unwrap();
    keys.each_ref().map(|key| snapshot.get(key.as_bytes()).unwrap().clone())
}

async fn large_values_arrive_in_readings_and_in_events(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    let large = |letter: &str| letter.repeat(1 << 20);
    for number in 0..10 {
        put(&mut client, &format!("/app/{number}"), &large("x")).await;
    }
    let snapshot = read(at(&[&server.address()]), &["/app"]).await.unwrap();
    assert_eq!(snapshot.iter().map(|(_, value)| value.len()).sum::<usize>(), 10 << 20);
    let mut follower = follow(at(&[&server.address()])).await;
    for number in 0..10 {
        put(&mut client, &format!("/app/{number}"), &large("y")).await;
    }
    let mut expected: Vec<_> =
        (0..10).map(|number| format!("/app/{number}={}", large("y"))).collect();
    expected.sort();
    follower
        .wait("the last large value", BOUND, |known| {
            known.snapshot.as_ref().is_some_and(|snapshot| text(snapshot) == expected)
        })
        .await;
}

with_both_releases![
    a_change_costs_no_reading_and_all_keys_share_one_stream,
    a_change_of_one_range_costs_nothing_more,
    all_keys_of_all_scopes_are_one_request,
    a_hundred_thousand_keys_are_read_in_few_requests,
    what_is_read_in_many_requests_is_as_of_one_revision,
    a_thousand_keys_are_followed_each_by_itself,
    a_scope_that_is_added_to_a_thousand_reads_one_range,
    a_scope_is_added_after_the_history_was_compacted,
    a_scope_of_known_and_new_keys_is_read_as_of_one_revision,
    large_values_arrive_in_readings_and_in_events,
];
