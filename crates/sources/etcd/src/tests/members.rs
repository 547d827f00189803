//! Several nodes of one cluster.

use servers::{Etcd, Release};

use super::{Counter, at, follow, put, read, with_both_releases, writer};
use source::testing::{BOUND, text};

fn addresses(members: &[Etcd]) -> Vec<String> {
    members.iter().map(Etcd::address).collect()
}

fn leader(members: &[Etcd]) -> usize {
    members.iter().position(|member| member.metric("etcd_server_is_leader ") == 1.0).unwrap()
}

async fn the_node_that_is_asked_and_the_leader_can_be_killed(release: Release) {
    let mut members: [Etcd; 3] = Etcd::cluster(release);
    let addresses = addresses(&members);
    let nodes: Vec<_> = addresses.iter().map(String::as_str).collect();
    put(&mut writer(&members[0]).await, "/app/a", "1").await;
    let mut follower = follow(at(&nodes)).await;
    follower.sees(&["/app/a=1"]).await;
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

async fn a_cluster_without_quorum_is_an_error_and_not_the_past(release: Release) {
    let mut members: [Etcd; 3] = Etcd::cluster(release);
    let addresses = addresses(&members);
    let nodes: Vec<_> = addresses.iter().map(String::as_str).collect();
    put(&mut writer(&members[0]).await, "/app/a", "1").await;
    let mut follower = follow(at(&nodes)).await;
    let counter = Counter::start(&addresses);
    let [_, second, third] = &mut members;
    second.kill();
    third.kill();
    follower.reports_error("cannot reach etcd", 3 * BOUND).await;
    let error = read(at(&[&addresses[0]]), &["/app"]).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
    second.restart();
    second.wait();
    follower.sees(&[&counter.last()]).await;
}

async fn each_node_is_tried_before_an_error_is_reported(release: Release) {
    let server = Etcd::start(release);
    put(&mut writer(&server).await, "/app/a", "1").await;
    let address = server.address();
    let pairs = read(at(&["127.0.0.1:1", "no,address", &address]), &["/app"]).await.unwrap();
    assert_eq!(text(&pairs), ["/app/a=1"]);
    let error = read(at(&["127.0.0.1:1", "127.0.0.1:2"]), &["/app"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot reach etcd: http://127.0.0.1:1: connection refused (nothing listens there); \
         http://127.0.0.1:2: connection refused (nothing listens there)"
    );
    let error = read(at(&[]), &["/app"]).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot reach etcd: no node is given");
}

with_both_releases![
    the_node_that_is_asked_and_the_leader_can_be_killed,
    a_cluster_without_quorum_is_an_error_and_not_the_past,
    each_node_is_tried_before_an_error_is_reported,
];
