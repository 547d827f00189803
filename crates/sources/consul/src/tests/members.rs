//! Several nodes of one store.

use std::time::Duration;

use servers::{Consul, eventually};

use super::{Counter, at, follow, read};
use client_consul::Options;
use source::Error;
use source::testing::{BOUND, Known, text};

fn addresses(members: &[Consul]) -> Vec<String> {
    members.iter().map(Consul::address).collect()
}

fn leader(members: &[Consul]) -> usize {
    let leader = || members.iter().position(Consul::is_leader);
    eventually("there is a leader", || leader().is_some());
    leader().unwrap()
}

#[tokio::test]
async fn the_node_that_is_asked_and_the_leader_can_be_killed() {
    let mut members: [Consul; 3] = Consul::cluster();
    let addresses = addresses(&members);
    let nodes: Vec<_> = addresses.iter().map(String::as_str).collect();
    let mut follower = follow(at(&nodes)).await;
    // The source asks the first node.
    for victim in [0, leader(&members)] {
        let counter = Counter::start(&addresses);
        members[victim].kill();
        members[(victim + 1) % 3].wait();
        follower.sees(&[&counter.last()]).await;
        members[victim].restart();
        members[victim].wait();
    }
}

/// The usual setup: the agent of the same machine, which is not a server.
#[tokio::test]
async fn an_agent_passes_on_changes_at_the_servers_and_may_be_restarted() {
    let mut members: [Consul; 3] = Consul::cluster();
    let mut agent = Consul::agent_of(&members);
    let mut follower = follow(at(&[&agent.address()])).await;
    let counter = Counter::start(&addresses(&members));
    let victim = leader(&members);
    members[victim].kill();
    agent.wait();
    follower.sees(&[&counter.last()]).await;

    let counter = Counter::start(&addresses(&members));
    agent.kill();
    follower.fails(BOUND).await;
    agent.restart();
    agent.wait();
    follower.sees(&[&counter.last()]).await;
}

#[tokio::test]
async fn a_store_without_a_leader_is_an_error_and_gives_no_stale_keys() {
    let mut members: [Consul; 3] = Consul::cluster();
    let addresses = addresses(&members);
    let nodes: Vec<_> = addresses.iter().map(String::as_str).collect();
    members[0].put("app/a", "0");
    // A leader that loses its followers does not end the waiting queries.
    let wait = Duration::from_secs(1);
    let mut follower = follow(Options { wait, ..at(&nodes) }).await;
    let counter = Counter::start(&addresses);
    let [_, second, third] = &mut members;
    second.kill();
    third.kill();
    // A server waits some seconds for a leader before it answers that there is none.
    let reports_error = |known: &Known| known.errors.last().is_some_and(Error::is_transient);
    follower.wait("an error", 4 * BOUND, reports_error).await;
    second.restart();
    second.wait();
    follower.sees(&[&counter.last()]).await;
}

#[tokio::test]
async fn each_node_is_tried_before_an_error_is_reported() {
    let server = Consul::start();
    server.put("app/a", "1");
    let address = server.address();
    let pairs = read(at(&["127.0.0.1:1", &address]), &["/app"]).await.unwrap();
    assert_eq!(text(&pairs), ["/app/a=1"]);
    let error = read(at(&["127.0.0.1:1", "unix:///nope", "a:1,b:1"]), &["/app"]).await.unwrap_err();
    assert!(error.is_transient());
    assert_eq!(
        error.to_string(),
        "cannot reach consul: http://127.0.0.1:1: connection refused (nothing listens there); \
         unix:///nope: no such file or directory; \
         a:1,b:1: not an address of the form HOST:PORT, http://HOST:PORT, https://HOST:PORT or \
         unix:///PATH (each node has a -node, or an element of the list nodes, of its own)"
    );
    let error = read(at(&[]), &["/app"]).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot reach consul: no node is given");
}
