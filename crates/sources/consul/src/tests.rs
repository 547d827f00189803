//! Tests with real Consul servers: costs, access, faults. A [`Stub`] gives only those answers that
//! no server can be made to give.
//!
//! In each fault the keys change during the fault or right after it, often by a [`Counter`]. The
//! last change must arrive within [`BOUND`](source::testing::BOUND) after the end of the fault.

mod access;
mod answers;
mod cost;
mod counter;
mod deletions;
mod faults;
mod members;
mod queries;

use servers::Proxy;
use store::Snapshot;

use self::counter::Counter;
use client_consul::Options;

use super::Consul;
use source::Error;
use source::testing::{self, Follower};

fn at(nodes: &[&str]) -> Options {
    Options { nodes: nodes.iter().map(|&node| node.to_owned()).collect(), ..Options::default() }
}

async fn read(options: Options, keys: &[&str]) -> Result<Snapshot, Error> {
    testing::read(&Consul::new(options), keys).await
}

/// Follows `/app`, and waits for its first state.
async fn follow(options: Options) -> Follower {
    Follower::start(Consul::new(options)).await
}

/// A server behind a network that a test can disturb.
fn behind_a_proxy() -> (servers::Consul, Proxy) {
    let server = servers::Consul::start();
    let proxy = Proxy::before(&server.address());
    (server, proxy)
}
