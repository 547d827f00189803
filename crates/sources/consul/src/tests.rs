//! Consul with real servers: what it costs, who may ask, and what happens when something breaks.
//! Only answers that no server can be brought to give come from a [`Stub`].
//!
//! In each fault changes are made while it lasts or right after it, often by a [`Counter`], and the
//! last one has to arrive within [`BOUND`](source::testing::BOUND) after the fault has ended.

mod access;
mod answers;
mod cost;
mod counter;
mod faults;
mod members;

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

/// Follows `/app`, and has its first state.
async fn follow(options: Options) -> Follower {
    Follower::start(Consul::new(options)).await
}

/// A server behind a network that can be spoiled.
fn behind_a_proxy() -> (servers::Consul, Proxy) {
    let server = servers::Consul::start();
    let proxy = Proxy::before(&server.address());
    (server, proxy)
}
