//! The stores that are followed: the server, and the client that changes its keys.

pub(crate) mod consul;
pub(crate) mod etcd;

use std::time::{Duration, Instant};

pub(crate) use consul::Consul;
pub(crate) use etcd::Etcd;

/// A server whose keys a scenario changes. Keys begin with `/`, as templates have them.
pub(crate) trait Store {
    /// Where it is, for who is measured by the clock.
    fn target(&self) -> Target;

    /// Where it is, for who is measured by what it asks.
    fn counted(&self) -> Target;

    /// Sets a key; gives when this was begun and how long the answer took.
    fn put(&mut self, key: &str, value: &str) -> (Instant, Duration);

    /// Sets many keys.
    fn put_all(&mut self, pairs: &[(String, String)]);

    /// What it was asked so far.
    fn asked(&self) -> Asked;

    /// How many requests a change may cost each who follows: those that read, and those that only
    /// say that whoever asks goes on waiting.
    fn requests_a_change(&self) -> f64;
}

/// Where a store is, for those who follow it.
#[derive(Clone)]
pub(crate) struct Target {
    /// Its name, as `-backend` has it.
    pub(crate) backend: &'static str,
    /// The address with its scheme.
    pub(crate) url: String,
}

/// What a store was asked since it started.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    /// Requests that are answered with keys.
    pub(crate) requests: f64,
    /// Bytes sent to clients.
    pub(crate) bytes: f64,
}
