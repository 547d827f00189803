//! The stores: a server, and the client that changes its keys.

pub(crate) mod consul;
pub(crate) mod etcd;

use std::time::{Duration, Instant};

pub(crate) use consul::Consul;
pub(crate) use etcd::Etcd;

/// A server whose keys a scenario changes. Keys begin with `/`, as in templates.
pub(crate) trait Store {
    /// The address for contenders whose time is measured.
    fn target(&self) -> Target;

    /// The address for contenders whose requests are counted.
    fn counted(&self) -> Target;

    /// Sets a key. Returns when the request was sent, and how long the answer took.
    fn put(&mut self, key: &str, value: &str) -> (Instant, Duration);

    /// Sets many keys.
    fn put_all(&mut self, pairs: &[(String, String)]);

    /// The requests so far.
    fn asked(&self) -> Asked;

    /// The most requests that a change may cost for each follower: requests that read, and requests
    /// that only continue waiting.
    fn requests_a_change(&self) -> f64;
}

/// The address of a store, for a program that follows it.
#[derive(Clone)]
pub(crate) struct Target {
    /// The name of the backend for `-backend`.
    pub(crate) backend: &'static str,
    /// The address with its scheme.
    pub(crate) url: String,
}

/// The requests to a store since it started.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// The number of requests that are answered with keys.
    pub(crate) requests: f64,
    /// The number of bytes sent to clients.
    pub(crate) bytes: f64,
}
