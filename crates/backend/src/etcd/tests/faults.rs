//! One server, and what can happen to it and to the way there.

use std::time::Duration;

use etcd_client::Client;
use servers::{Release, Traffic};
use tokio::time::{Instant, sleep};

use super::{SILENCE, at, behind_a_proxy, follow, put, put_all, with_both_releases, writer};
use crate::following::{BOUND, Known};

async fn a_server_that_was_killed_is_followed_again(release: Release) {
    let mut server = servers::Etcd::start(release);
    put(&mut writer(&server).await, "/app/a", "1").await;
    let mut follower = follow(at(&[&server.address()])).await;
    for value in ["2", "3"] {
        server.kill();
        follower.is_told("cannot reach etcd", BOUND).await;
        server.restart();
        server.wait();
        put(&mut writer(&server).await, "/app/a", value).await;
        follower.sees(&[&format!("/app/a={value}")]).await;
    }
}

async fn a_wiped_server_is_read_anew(release: Release) {
    let (mut server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    for number in 0..5 {
        put(&mut client, "/app/a", &number.to_string()).await;
    }
    put(&mut client, "/app/gone", "1").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    // At first it has fewer revisions than before, the second time more by the time it is seen.
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

async fn a_server_restored_from_a_backup_is_read_anew(release: Release) {
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
    // The same cluster, the same leader, the same last pair, and more revisions than before: only
    // a key in between has changed.
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

async fn a_compacted_history_is_read_anew(release: Release) {
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

async fn a_compaction_while_nothing_is_broken_disturbs_nobody(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    // The stream is open when this has arrived.
    put(&mut client, "/app/a", "1").await;
    follower.sees(&["/app/a=1"]).await;
    for number in 2..=20 {
        let done = client.put("/app/a", number.to_string(), None).await.unwrap();
        client.compact(done.header().unwrap().revision(), None).await.unwrap();
    }
    follower.sees(&["/app/a=20"]).await;
    follower.was_told_nothing();
    assert_eq!(proxy.connections(), 1);
}

/// Writes numbers while something else happens; gives the last.
async fn write_until(mut client: Client, end: Instant) -> u32 {
    let mut number = 0;
    while Instant::now() < end {
        number += 1;
        put(&mut client, "/app/a", &number.to_string()).await;
        sleep(Duration::from_millis(2)).await;
    }
    number
}

async fn a_network_that_is_cut_again_and_again_loses_nothing(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    let writing = tokio::spawn(write_until(client, Instant::now() + Duration::from_secs(3)));
    let mut round = 0;
    while !writing.is_finished() {
        round += 1;
        let traffic = [Traffic::Flows, Traffic::Refused, Traffic::Held][round % 3];
        proxy.set(traffic);
        proxy.cut();
        sleep(Duration::from_millis(30)).await;
        proxy.set(Traffic::Flows);
        sleep(Duration::from_millis(50)).await;
    }
    let last = writing.await.unwrap();
    follower.sees(&[&format!("/app/a={last}")]).await;
    assert!(proxy.connections() > 5, "the cuts were felt");
}

async fn a_slow_network_only_delays(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    proxy.set(Traffic::Slow(Duration::from_millis(50)));
    put(&mut client, "/app/a", "0").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    let last = write_until(client, Instant::now() + Duration::from_millis(500)).await;
    follower.sees(&[&format!("/app/a={last}")]).await;
    follower.was_told_nothing();
}

/// The server freezes, for longer than a connection may be silent.
async fn frozen(release: Release) {
    let server = servers::Etcd::start(release);
    let mut client = writer(&server).await;
    put(&mut client, "/app/a", "1").await;
    let mut follower = follow(at(&[&server.address()])).await;
    put(&mut client, "/app/a", "2").await;
    follower.sees(&["/app/a=2"]).await;
    server.process().freeze();
    follower.is_told("cannot reach etcd", SILENCE + BOUND).await;
    server.process().thaw();
    put(&mut client, "/app/a", "3").await;
    follower.sees(&["/app/a=3"]).await;
}

/// The network carries nothing, for as long, and tells nobody.
async fn half_open(release: Release) {
    let (_server, proxy, mut client) = behind_a_proxy(release, &[]).await;
    put(&mut client, "/app/a", "1").await;
    let mut follower = follow(at(&[&proxy.address()])).await;
    put(&mut client, "/app/a", "2").await;
    follower.sees(&["/app/a=2"]).await;
    proxy.set(Traffic::Held);
    put(&mut client, "/app/a", "3").await;
    follower.is_told("cannot reach etcd", SILENCE + BOUND).await;
    put(&mut client, "/app/a", "4").await;
    proxy.set(Traffic::Flows);
    follower.sees(&["/app/a=4"]).await;
}

/// All at once, since most of it is waiting.
#[tokio::test]
async fn silence_is_noticed_and_ends_well() {
    let (debian, newest) = (Release::Debian, Release::Newest);
    tokio::join!(frozen(debian), frozen(newest), half_open(debian), half_open(newest));
}

with_both_releases![
    a_server_that_was_killed_is_followed_again,
    a_wiped_server_is_read_anew,
    a_server_restored_from_a_backup_is_read_anew,
    a_reconnection_reads_no_more_than_it_needs,
    a_compacted_history_is_read_anew,
    a_compaction_while_nothing_is_broken_disturbs_nobody,
    a_network_that_is_cut_again_and_again_loses_nothing,
    a_slow_network_only_delays,
];
