//! One server, and what can happen to it and to the way there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use servers::{Consul, Traffic};
use tokio::time::sleep;

use super::{at, behind_a_proxy, follow};
use crate::consul::Options;
use crate::following::{BOUND, Known, text};

#[tokio::test]
async fn a_server_that_was_killed_is_followed_again() {
    let mut server = Consul::durable();
    server.put("app/a", "1");
    let mut follower = follow(at(&[&server.address()])).await;
    for value in ["2", "3"] {
        server.kill();
        follower.is_told("cannot reach ", BOUND).await;
        server.restart();
        server.wait();
        server.put("app/a", value);
        follower.sees(&[&format!("/app/a={value}")]).await;
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

/// Writes numbers on a thread until it is told to stop; gives the last.
struct Writing {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<(Consul, u32)>,
}

impl Writing {
    fn start(server: Consul) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut number = 0;
            while !told.load(Ordering::Relaxed) {
                number += 1;
                server.put("app/a", number.to_string());
                thread::sleep(Duration::from_millis(2));
            }
            (server, number)
        });
        Writing { stop, thread }
    }

    fn stop(self) -> (Consul, String) {
        self.stop.store(true, Ordering::Relaxed);
        let (server, last) = self.thread.join().unwrap();
        (server, format!("/app/a={last}"))
    }
}

#[tokio::test]
async fn a_network_that_is_cut_again_and_again_loses_nothing() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "0");
    let mut follower = follow(at(&[&proxy.address()])).await;
    let writing = Writing::start(server);
    for round in 0..40 {
        proxy.set([Traffic::Flows, Traffic::Refused, Traffic::Held][round % 3]);
        proxy.cut();
        sleep(Duration::from_millis(30)).await;
        proxy.set(Traffic::Flows);
        sleep(Duration::from_millis(50)).await;
    }
    let (_server, last) = writing.stop();
    follower.sees(&[&last]).await;
    assert!(proxy.connections() > 5, "the cuts were felt");
}

#[tokio::test]
async fn a_slow_network_only_delays() {
    let (server, proxy) = behind_a_proxy();
    proxy.set(Traffic::Slow(Duration::from_millis(50)));
    server.put("app/a", "0");
    let mut follower = follow(at(&[&proxy.address()])).await;
    let writing = Writing::start(server);
    sleep(Duration::from_millis(500)).await;
    let (_server, last) = writing.stop();
    follower.sees(&[&last]).await;
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
    server.put("app/a", "1");
    let mut follower = follow(at(&[&server.address()])).await;
    for value in ["2", "3"] {
        server.process().freeze();
        sleep(Duration::from_secs(1)).await;
        server.process().thaw();
        server.put("app/a", value);
        follower.sees(&[&format!("/app/a={value}")]).await;
    }
}

/// The network carries nothing and tells nobody; what happened meanwhile is there when it does.
#[tokio::test]
async fn a_network_that_held_its_breath_loses_nothing() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "1");
    let mut follower = follow(at(&[&proxy.address()])).await;
    proxy.set(Traffic::Held);
    let writing = Writing::start(server);
    sleep(Duration::from_secs(1)).await;
    let (_server, last) = writing.stop();
    proxy.set(Traffic::Flows);
    follower.sees(&[&last]).await;
}

/// The longest that a silent node is believed in, if a query waits for a second: Consul adds a
/// sixteenth, and an answer that is due may take ten seconds.
const SILENCE: Duration = Duration::from_secs(12);

/// The server freezes, and stays so: another node is asked.
async fn frozen() {
    let (frozen, other) = (Consul::start(), Consul::start());
    frozen.put("app/a", "1");
    other.put("app/a", "2");
    let nodes = [frozen.address(), other.address()];
    let nodes: Vec<_> = nodes.iter().map(String::as_str).collect();
    let wait = Duration::from_secs(1);
    let mut follower = follow(Options { wait, ..at(&nodes) }).await;
    follower.sees(&["/app/a=1"]).await;
    frozen.process().freeze();
    let is = |known: &Known| known.snapshot.as_ref().is_some_and(|seen| text(seen) == ["/app/a=2"]);
    follower.wait("the other node", SILENCE + BOUND, is).await;
}

/// The network carries nothing, and tells nobody.
async fn half_open() {
    let (server, proxy) = behind_a_proxy();
    server.put("app/a", "1");
    let wait = Duration::from_secs(1);
    let mut follower = follow(Options { wait, ..at(&[&proxy.address()]) }).await;
    proxy.set(Traffic::Held);
    server.put("app/a", "2");
    follower.is_told("cannot reach consul", 2 * SILENCE + BOUND).await;
    server.put("app/a", "3");
    proxy.set(Traffic::Flows);
    follower.sees(&["/app/a=3"]).await;
}

/// Both at once, since most of it is waiting.
#[tokio::test]
async fn silence_is_noticed_and_ends_well() {
    tokio::join!(frozen(), half_open());
}
