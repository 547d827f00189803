//! One server, and what can happen to it and to the way there.

use std::time::Duration;

use servers::{Consul, Traffic};
use tokio::time::sleep;

use super::{Counter, at, behind_a_proxy, follow};
use client_consul::Options;
use source::testing::{BOUND, Known};

#[tokio::test]
async fn a_server_that_was_killed_is_followed_again() {
    let mut server = Consul::durable();
    server.put("app/a", "0");
    let mut follower = follow(at(&[&server.address()])).await;
    for _ in 0..2 {
        let counter = Counter::start(&[server.address()]);
        server.kill();
        follower.fails(BOUND).await;
        server.restart();
        server.wait();
        follower.sees(&[&counter.last()]).await;
    }
}

#[tokio::test]
async fn a_server_that_lost_its_data_is_read_anew() {
    let (mut server, proxy) = behind_a_proxy();
    for number in 0..50 {
        server.put("app/a", number.to_string());
    }
    server.put("app/gone", "1");
    let mut follower = follow(at(&[&proxy.address()])).await;
    // At first the index has fallen, the second time it is higher by the time it is seen.
    for changes in [1, 200] {
        let before = server.index("app/");
        proxy.set(Traffic::Refused);
        proxy.cut();
        follower.fails(BOUND).await;
        server.kill();
        server.restart();
        server.wait();
        for number in 1..=changes {
            server.put("app/b", format!("{changes}-{number}"));
        }
        assert_eq!(server.index("app/") < before, changes == 1);
        proxy.set(Traffic::Flows);
        follower.sees(&[&format!("/app/b={changes}-{changes}")]).await;
        server.put("app/c", "1");
        follower.sees(&[&format!("/app/b={changes}-{changes}"), "/app/c=1"]).await;
    }
}

/// The server is killed under the query that waits, and comes back empty on the same address.
#[tokio::test]
async fn a_server_that_comes_back_empty_is_believed() {
    let mut server = Consul::start();
    server.put_all([("app/a", "1"), ("app/b", "2")]);
    let mut follower = follow(at(&[&server.address()])).await;
    server.kill();
    server.restart();
    server.wait();
    follower.sees(&[]).await;
    server.put("app/a", "3");
    follower.sees(&["/app/a=3"]).await;
}

#[tokio::test]
async fn a_store_restored_from_a_snapshot_is_read_anew() {
    let (server, proxy) = behind_a_proxy();
    server.put_all([("app/a", "0"), ("app/b", "0"), ("app/gone", "0")]);
    let snapshot = server.ask("GET /v1/snapshot", b"").body;
    let mut follower = follow(at(&[&proxy.address()])).await;
    for seen in [true, false] {
        server.delete("app/gone");
        for number in 1..=20 {
            server.put("app/a", number.to_string());
        }
        follower.sees(&["/app/a=20", "/app/b=0"]).await;
        if !seen {
            proxy.set(Traffic::Refused);
            proxy.cut();
            follower.fails(BOUND).await;
        }
        server.ask("PUT /v1/snapshot", &snapshot);
        // The index goes on from where the snapshot was.
        server.put("app/b", seen.to_string());
        proxy.set(Traffic::Flows);
        follower.sees(&["/app/a=0", &format!("/app/b={seen}"), "/app/gone=0"]).await;
        server.put("app/b", "0");
        follower.sees(&["/app/a=0", "/app/b=0", "/app/gone=0"]).await;
    }
}

#[tokio::test]
async fn a_network_that_is_cut_again_and_again_loses_nothing() {
    let (server, proxy) = behind_a_proxy();
    let mut follower = follow(at(&[&proxy.address()])).await;
    let counter = Counter::start(&[server.address()]);
    for round in 0..36 {
        let traffic = [Traffic::Flows, Traffic::Refused, Traffic::Held, Traffic::Lost][round % 4];
        proxy.set(traffic);
        proxy.cut();
        sleep(Duration::from_millis(30)).await;
        if traffic == Traffic::Lost {
            // Nobody is told that a connection is lost, which takes its time elsewhere.
            proxy.cut();
        }
        proxy.set(Traffic::Flows);
        sleep(Duration::from_millis(50)).await;
    }
    follower.sees(&[&counter.last()]).await;
    assert!(proxy.connections() > 5, "the cuts were felt");
}

#[tokio::test]
async fn a_slow_network_only_delays() {
    let (server, proxy) = behind_a_proxy();
    proxy.set(Traffic::Slow(Duration::from_millis(50)));
    let mut follower = follow(at(&[&proxy.address()])).await;
    let counter = Counter::start(&[server.address()]);
    sleep(Duration::from_millis(500)).await;
    follower.sees(&[&counter.last()]).await;
    follower.was_told_nothing();
}

#[tokio::test]
async fn a_large_answer_that_is_cut_is_read_again() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "0");
    let mut follower = follow(at(&[&proxy.address()])).await;
    let large = "x".repeat(300_000);
    for round in 0..5 {
        // An answer takes twenty pieces, so that the cut is in the middle of one.
        proxy.set(Traffic::Slow(Duration::from_millis(20)));
        server.put("app/a", format!("{round}{large}"));
        sleep(Duration::from_millis(150)).await;
        proxy.cut();
        proxy.set(Traffic::Flows);
        follower.sees(&[&format!("/app/a={round}{large}")]).await;
    }
}

#[tokio::test]
async fn a_server_that_froze_goes_on_where_it_was() {
    let server = Consul::start();
    let mut follower = follow(at(&[&server.address()])).await;
    for _ in 0..2 {
        let counter = Counter::start(&[server.address()]);
        server.process().freeze();
        sleep(Duration::from_secs(1)).await;
        server.process().thaw();
        follower.sees(&[&counter.last()]).await;
    }
    follower.was_told_nothing();
}

/// The longest that a silent node is believed in, if a query waits for a second: Consul adds a
/// sixteenth, and an answer that is due may take ten seconds.
const SILENCE: Duration = Duration::from_secs(12);

/// Options with which silence is noticed soon.
fn watchful(nodes: &[&str]) -> Options {
    Options { wait: Duration::from_secs(1), ..at(nodes) }
}

/// The server freezes, for longer than it may be silent.
async fn frozen() {
    let server = Consul::start();
    let mut follower = follow(watchful(&[&server.address()])).await;
    let counter = Counter::start(&[server.address()]);
    server.process().freeze();
    // It is asked once more before an error is told.
    follower.is_told("cannot reach consul", 2 * SILENCE + BOUND).await;
    server.process().thaw();
    follower.sees(&[&counter.last()]).await;
}

/// The server freezes, and stays so: another node is asked.
async fn frozen_for_good() {
    let (frozen, other) = (Consul::start(), Consul::start());
    frozen.put("app/a", "frozen");
    let nodes = [frozen.address(), other.address()];
    let nodes: Vec<_> = nodes.iter().map(String::as_str).collect();
    let mut follower = follow(watchful(&nodes)).await;
    follower.sees(&["/app/a=frozen"]).await;
    let counter = Counter::start(&[other.address()]);
    frozen.process().freeze();
    let is_elsewhere = |known: &Known| {
        let seen = known.snapshot.as_ref().and_then(|seen| seen.get(b"/app/a"));
        seen.is_some_and(|seen| seen != "frozen")
    };
    follower.wait("the other node", SILENCE + BOUND, is_elsewhere).await;
    follower.sees(&[&counter.last()]).await;
    follower.was_told_nothing();
}

/// The network carries nothing, for as long, and tells nobody. What it was given arrives later, or
/// never does.
async fn half_open(traffic: Traffic) {
    let (server, proxy) = behind_a_proxy();
    let mut follower = follow(watchful(&[&proxy.address()])).await;
    proxy.set(traffic);
    let counter = Counter::start(&[server.address()]);
    follower.is_told("cannot reach consul", 2 * SILENCE + BOUND).await;
    proxy.set(Traffic::Flows);
    follower.sees(&[&counter.last()]).await;
}

/// A connection is forgotten on the way, where others pass: nobody is told, and nothing fails.
async fn forgotten() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "a");
    let mut follower = follow(watchful(&[&proxy.address()])).await;
    proxy.set(Traffic::Lost);
    // The answer is what gets lost.
    server.put("app/a", "b");
    sleep(Duration::from_millis(100)).await;
    proxy.set(Traffic::Flows);
    let counter = Counter::start(&[server.address()]);
    let is_heard_again = |known: &Known| {
        let seen = known.snapshot.as_ref().and_then(|seen| seen.get(b"/app/a"));
        seen.is_some_and(|seen| seen != "a")
    };
    follower.wait("a change on another connection", SILENCE + BOUND, is_heard_again).await;
    follower.sees(&[&counter.last()]).await;
    follower.was_told_nothing();
}

/// All at once, since most of it is waiting.
#[tokio::test]
async fn silence_is_noticed_and_ends_well() {
    tokio::join!(
        frozen(),
        frozen_for_good(),
        half_open(Traffic::Held),
        half_open(Traffic::Lost),
        forgotten()
    );
}

/// The network carries nothing for a moment, which nobody notices.
#[tokio::test]
async fn a_network_that_held_its_breath_loses_nothing() {
    let (server, proxy) = behind_a_proxy();
    let mut follower = follow(at(&[&proxy.address()])).await;
    proxy.set(Traffic::Held);
    let counter = Counter::start(&[server.address()]);
    sleep(Duration::from_secs(1)).await;
    proxy.set(Traffic::Flows);
    follower.sees(&[&counter.last()]).await;
    follower.was_told_nothing();
}
