//! Faults of one server, and of the network to it.

use std::time::Duration;

use servers::{Consul, Traffic};

use super::{Counter, at, behind_a_proxy, follow};
use client_consul::Options;
use source::testing::{BOUND, Known, pause};

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
async fn a_server_that_lost_its_data_is_read_again() {
    let (mut server, proxy) = behind_a_proxy();
    for number in 0..50 {
        server.put("app/a", number.to_string());
    }
    server.put("app/gone", "1");
    let mut follower = follow(at(&[&proxy.address()])).await;
    // With one change the index has fallen. With 200 changes it is higher when the source sees it.
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

/// The server is killed during the waiting query, and starts again without data on the same
/// address.
#[tokio::test]
async fn a_server_that_comes_back_empty_gives_an_empty_state() {
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
async fn a_store_restored_from_a_snapshot_is_read_again() {
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
        // The index continues from that of the snapshot.
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

#[tokio::test]
async fn a_slow_network_only_delays() {
    let (server, proxy) = behind_a_proxy();
    proxy.set(Traffic::Slow(Duration::from_millis(50)));
    let mut follower = follow(at(&[&proxy.address()])).await;
    let counter = Counter::start(&[server.address()]);
    follower.wait("some states", BOUND, |known| known.states > 3).await;
    follower.sees(&[&counter.last()]).await;
    follower.has_no_errors();
}

#[tokio::test]
async fn a_large_answer_that_is_cut_is_read_again() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "0");
    let mut follower = follow(at(&[&proxy.address()])).await;
    let large = "x".repeat(300_000);
    for round in 0..5 {
        // An answer has twenty pieces, so the cut is in the middle of an answer.
        proxy.set(Traffic::Slow(Duration::from_millis(20)));
        server.put("app/a", format!("{round}{large}"));
        pause(Duration::from_millis(150)).await;
        proxy.cut();
        proxy.set(Traffic::Flows);
        follower.sees(&[&format!("/app/a={round}{large}")]).await;
    }
}

#[tokio::test]
async fn a_server_that_froze_is_followed_on() {
    let server = Consul::start();
    let mut follower = follow(at(&[&server.address()])).await;
    for _ in 0..2 {
        let counter = Counter::start(&[server.address()]);
        server.process().freeze();
        pause(Duration::from_secs(1)).await;
        server.process().thaw();
        follower.sees(&[&counter.last()]).await;
    }
    follower.has_no_errors();
}

/// The longest time until a silent node is noticed, if a query waits for a second: Consul adds a
/// sixteenth, and the answer may take another ten seconds.
const SILENCE: Duration = Duration::from_secs(12);

/// Options with which silence is noticed early.
fn watchful(nodes: &[&str]) -> Options {
    Options { wait: Duration::from_secs(1), ..at(nodes) }
}

/// The server freezes for longer than the time limit of an answer.
async fn frozen() {
    let server = Consul::start();
    let mut follower = follow(watchful(&[&server.address()])).await;
    let counter = Counter::start(&[server.address()]);
    server.process().freeze();
    // The source tries once more before it reports an error.
    follower.reports_error("cannot reach consul", 2 * SILENCE + BOUND).await;
    server.process().thaw();
    follower.sees(&[&counter.last()]).await;
}

/// The server freezes for ever: another node is asked.
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
    follower.has_no_errors();
}

/// The network drops or delays all data for as long, without closing the connection.
async fn half_open(traffic: Traffic) {
    let (server, proxy) = behind_a_proxy();
    let mut follower = follow(watchful(&[&proxy.address()])).await;
    proxy.set(traffic);
    let counter = Counter::start(&[server.address()]);
    follower.reports_error("cannot reach consul", 2 * SILENCE + BOUND).await;
    proxy.set(Traffic::Flows);
    follower.sees(&[&counter.last()]).await;
}

/// A router forgets one connection, but carries new connections: no error is reported.
async fn forgotten() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "a");
    let mut follower = follow(watchful(&[&proxy.address()])).await;
    proxy.set(Traffic::Lost);
    // The answer is lost.
    server.put("app/a", "b");
    pause(Duration::from_millis(100)).await;
    proxy.set(Traffic::Flows);
    let counter = Counter::start(&[server.address()]);
    let is_heard_again = |known: &Known| {
        let seen = known.snapshot.as_ref().and_then(|seen| seen.get(b"/app/a"));
        seen.is_some_and(|seen| seen != "a")
    };
    follower.wait("a change on another connection", SILENCE + BOUND, is_heard_again).await;
    follower.sees(&[&counter.last()]).await;
    follower.has_no_errors();
}

/// The tests run at the same time, because most of their time is waiting.
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

/// The network carries nothing for a moment, which is not noticed.
#[tokio::test]
async fn a_short_pause_of_the_network_loses_nothing() {
    let (server, proxy) = behind_a_proxy();
    let mut follower = follow(at(&[&proxy.address()])).await;
    proxy.set(Traffic::Held);
    let counter = Counter::start(&[server.address()]);
    pause(Duration::from_secs(1)).await;
    proxy.set(Traffic::Flows);
    follower.sees(&[&counter.last()]).await;
    follower.has_no_errors();
}
