//! Tests with real etcd servers of both releases: costs, access, faults.
//!
//! In each fault the keys change during the fault or right after it, often by a [`Counter`]. The
//! last change must arrive within [`BOUND`](source::testing::BOUND) after the end of the fault.

mod access;
mod cost;
mod counter;
mod faults;
mod members;
mod transactions;

use std::time::Duration;

use etcd_client::{Client, Txn, TxnOp};
use servers::{Proxy, Release, with_both_releases};
use store::Snapshot;

use self::counter::Counter;
use super::Etcd;
use client_etcd::Options;
use source::Error;
use source::testing::{self, Follower};

/// The longest time until a silent connection is noticed: 10 seconds until it is probed, and 5
/// seconds for the answer.
const SILENCE: Duration = Duration::from_secs(18);

fn at(nodes: &[&str]) -> Options {
    Options { nodes: nodes.iter().map(|&node| node.to_owned()).collect(), ..Options::default() }
}

/// A client that changes the followed keys.
async fn writer(server: &servers::Etcd) -> Client {
    Client::connect([server.address()], None).await.unwrap()
}

async fn put(client: &mut Client, key: &str, value: &str) {
    client.put(key, value, None).await.unwrap();
}

/// Sets many keys with few requests.
async fn put_all(client: &mut Client, pairs: impl Iterator<Item = (String, String)>) {
    let puts: Vec<_> = pairs.map(|(key, value)| TxnOp::put(key, value, None)).collect();
    for puts in puts.chunks(128) {
        client.txn(Txn::new().and_then(puts)).await.unwrap();
    }
}

async fn read(options: Options, keys: &[&str]) -> Result<Snapshot, Error> {
    testing::read(&Etcd::new(options), keys).await
}

/// Follows `/app`, and waits for its first state.
async fn follow(options: Options) -> Follower {
    Follower::start(Etcd::new(options)).await
}

/// A server behind a network that a test can disturb, and a writer that is connected directly.
async fn behind_a_proxy(release: Release, more: &[&str]) -> (servers::Etcd, Proxy, Client) {
    let server = servers::Etcd::start_with(release, more);
    let proxy = Proxy::before(&server.address());
    let client = writer(&server).await;
    (server, proxy, client)
}
