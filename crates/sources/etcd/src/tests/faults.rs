//! Faults of one server, and of the network to it.

use std::time::Duration;

use servers::{Release, Traffic};

use super::{
    Counter, SILENCE, at, behind_a_proxy, follow, put, put_all, with_both_releases, writer,
};
use source::testing::{BOUND, Known, pause};

async fn a_server_that_was_killed_is_followed_again(release: Release) {
    let mut server = servers::Etcd::start(release);
    put(&mut writer(&server).await, "/app/a", "1").await;
    let mut follower = follow(at(&[&server.address()])).await;
    for _ in 0..2 {
        let counter = Counter::start(&[server.address()]);
        server.kill();
        follower.reports_error("cannot reach etcd", BOUND).await;
        server.restart();
        server.wait();
        follower.sees(&[&counter.last()]).await;
    }
}

async fn a_wiped_server_is_read_again(release: Release) {
    let (mut server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    for number in 0..5 {
        put(&mut client, "/app/a", &number.to_string()).await;
    }
    put(&mut client, "/app/gone", "1").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    // With one change the server has fewer revisions than before. With 60 changes it has more when
    // the source sees it.
    for changes in [1, 60] {
        proxy.set(Traffic::Refused);
        proxy.cut();
        server.kill();
        server.wipe();
        server.restart();
        server.wait();
        let mut client = writer(&server).await;
        for number in 1..=changes {
            put(&mut client, "/app/b", &format!("{changes}-{number}")).await;
        }
        proxy.set(Traffic::Flows);
        follower.sees(&[&format!("/app/b={changes}-{changes}")]).await;
        put(&mut client, "/app/c", "1").await;
        follower.sees(&[&format!("/app/b={changes}-{changes}"), "/app/c=1"]).await;
    }
}

async fn a_server_restored_from_a_backup_is_read_again(release: Release) {
    let (mut server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "0").await;
    put(&mut client, "/app/b", "0").await;
    server.kill();
    server.back_up();
    server.restart();
    server.wait();
    let mut client = writer(&server).await;
    for number in 0..10 {
        put(&mut client, "/other", &number.to_string()).await;
    }
    let mut follower = follow(at(&[&proxy.address()])).await;
    follower.sees(&["/app/a=0", "/app/b=0"]).await;
    proxy.set(Traffic::Refused);
    proxy.cut();
    server.kill();
    server.restore();
    server.restart();
    server.wait();
    // The same cluster, the same leader, the same last pair, and more revisions than before: only a
    // key in between has changed.
    let mut client = writer(&server).await;
    put(&mut client, "/app/a", "1").await;
    for number in 0..20 {
        put(&mut client, "/other", &number.to_string()).await;
    }
    proxy.set(Traffic::Flows);
    follower.sees(&["/app/a=1", "/app/b=0"]).await;
}

async fn a_reconnection_reads_no_more_than_it_needs(release: Release) {
    let (server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    let pair = |number| (format!("/app/{number}"), "some value".to_owned());
    put_all(&mut client, (0..2_000).map(pair)).await;
    put(&mut client, "/app-beside", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    put(&mut client, "/app/x", "1").await;
    let is = |value: &'static [u8]| {
        move |known: &Known| {
            let snapshot = known.snapshot.as_ref();
            snapshot.and_then(|seen| seen.get(b"/app/x")).is_some_and(|seen| seen == value)
        }
    };
    follower.wait("a change", BOUND, is(b"1")).await;
    let sent = || server.metric("etcd_network_client_grpc_sent_bytes_total ");
    for (change, value) in [(0, &b"2"[..]), (1, b"3"), (2, b"4")] {
        match change {
            0 => put(&mut client, "/app-beside", "1").await,
            1 => _ = client.delete("/app-beside", None).await.unwrap(),
            _ => _ = client.delete("/app/7", None).await.unwrap(),
        }
        let before = sent();
        proxy.cut();
        client.put("/app/x", value, None).await.unwrap();
        follower.wait("a change after a cut", BOUND, is(value)).await;
        let cost = sent() - before;
        assert!(cost < 2_000.0, "{cost} bytes for one change");
    }
}

async fn a_compacted_history_is_read_again(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "0").await;
    put(&mut client, "/app/gone", "1").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    proxy.set(Traffic::Refused);
    proxy.cut();
    client.delete("/app/gone", None).await.unwrap();
    let mut revision = 0;
    for number in 1..=20 {
        let done = client.put("/app/a", number.to_string(), None).await.unwrap();
        revision = done.header().unwrap().revision();
    }
    client.compact(revision, None).await.unwrap();
    proxy.set(Traffic::Flows);
    follower.sees(&["/app/a=20"]).await;
    put(&mut client, "/app/a", "21").await;
    follower.sees(&["/app/a=21"]).await;
}

async fn a_compaction_without_a_fault_has_no_effect(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    // When this change has arrived, the stream is open.
    put(&mut client, "/app/a", "1").await;
    follower.sees(&["/app/a=1"]).await;
    for number in 2..=20 {
        let done = client.put("/app/a", number.to_string(), None).await.unwrap();
        client.compact(done.header().unwrap().revision(), None).await.unwrap();
    }
    follower.sees(&["/app/a=20"]).await;
    follower.has_no_errors();
    assert_eq!(proxy.connections(), 1);
}

async fn a_network_that_is_cut_again_and_again_loses_nothing(release: Release) {
    let (server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    let counter = Counter::start(&[server.address()]);
    for round in 0..36 {
        let traffic = [Traffic::Flows, Traffic::Refused, Traffic::Held, Traffic::Lost][round % 4];
        proxy.set(traffic);
        proxy.cut();
        pause(Duration::from_millis(30)).await;
        if traffic == Traffic::Lost {
            // A lost connection is noticed only after a while.
            proxy.cut();
        }
        proxy.set(Traffic::Flows);
        pause(Duration::from_millis(50)).await;
    }
    follower.sees(&[&counter.last()]).await;
    assert!(proxy.connections() > 5, "the cuts were felt");
}

async fn a_slow_network_only_delays(release: Release) {
    let (server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    proxy.set(Traffic::Slow(Duration::from_millis(50)));
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    let counter = Counter::start(&[server.address()]);
    follower.wait("some states", BOUND, |known| known.states > 3).await;
    follower.sees(&[&counter.last()]).await;
    follower.has_no_errors();
}

/// The server freezes for longer than the time limit of a silent connection.
async fn frozen(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    put(&mut client, "/app/a", "a").await;
    let mut follower = follow(at(&[&server.address()])).await;
    put(&mut client, "/app/a", "b").await;
    follower.sees(&["/app/a=b"]).await;
    let counter = Counter::start(&[server.address()]);
    server.process().freeze();
    follower.reports_error("cannot reach etcd", SILENCE + BOUND).await;
    server.process().thaw();
    follower.sees(&[&counter.last()]).await;
}

/// The network drops or delays all data for as long, without closing the connection.
async fn half_open(release: Release, traffic: Traffic) {
    let (server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "a").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    put(&mut client, "/app/a", "b").await;
    follower.sees(&["/app/a=b"]).await;
    proxy.set(traffic);
    let counter = Counter::start(&[server.address()]);
    follower.reports_error("cannot reach etcd", SILENCE + BOUND).await;
    proxy.set(Traffic::Flows);
    follower.sees(&[&counter.last()]).await;
}

/// A router forgets one connection, but carries new connections: no error is reported.
async fn forgotten(release: Release) {
    let (server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "a").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    put(&mut client, "/app/a", "b").await;
    follower.sees(&["/app/a=b"]).await;
    proxy.set(Traffic::Lost);
    put(&mut client, "/app/a", "c").await;
    let heard_of = proxy.bytes();
    pause(Duration::from_millis(100)).await;
    assert_eq!(proxy.bytes(), heard_of, "what is lost is not heard of");
    proxy.set(Traffic::Flows);
    let counter = Counter::start(&[server.address()]);
    let is_heard_again = |known: &Known| {
        known.snapshot.as_ref().and_then(|seen| seen.get(b"/app/a")).is_some_and(|seen| seen != "b")
    };
    follower.wait("a change on another connection", SILENCE + BOUND, is_heard_again).await;
    follower.sees(&[&counter.last()]).await;
}

/// The tests run at the same time, because most of their time is waiting.
#[tokio::test]
async fn silence_is_noticed_and_ends_well() {
    let both = |release| async move {
        tokio::join!(
            frozen(release),
            half_open(release, Traffic::Held),
            half_open(release, Traffic::Lost),
            forgotten(release),
        )
    };
    tokio::join!(both(Release::Debian), both(Release::Newest));
}

with_both_releases![
    a_server_that_was_killed_is_followed_again,
    a_wiped_server_is_read_again,
    a_server_restored_from_a_backup_is_read_again,
    a_reconnection_reads_no_more_than_it_needs,
    a_compacted_history_is_read_again,
    a_compaction_without_a_fault_has_no_effect,
    a_network_that_is_cut_again_and_again_loses_nothing,
    a_slow_network_only_delays,
];
