//! confd with a real etcd and a real Consul: how fast a change gets into a file, and what following
//! costs.
//!
//! `cargo bench --bench follow` runs all scenarios on both stores, in about ten minutes; `--
//! consul 1 7` runs only those two, on Consul. The servers must be installed
//! (`tests/install-servers`). `CONFD_GO=/path/to/confd` and `CONFD_FORK=/path/to/confd` add a Go
//! confd and a fork of it; `CONSUL_TEMPLATE=/path/to/consul-template` adds consul-template to
//! scenarios 1 and 8 on Consul.
//!
//! - The contenders alternate (A B A B …) on the same server, so that a change of the machine's
//!   speed concerns all of them. There are two exceptions. With the tree that many resources share,
//!   each contender is alone, because the server counts the requests of all clients; idle
//!   contenders idle at the same time. Figures are medians and 99th percentiles of one run. Only
//!   their ratios can be compared with those of another run.
//! - A sleeping thread learns from inotify when a new file is in place, in the same way for each
//!   contender. Polling would be as exact, but it would take a core from server and contender.
//!   Afterwards the file is read: only the expected content counts.
//! - The bare watcher is the least that could do the job: one watch of one key (in Consul, one
//!   blocking query after the other). It writes the value beside the file, syncs it as confd does
//!   (or does not), and renames it.
//! - CPU time and wake-ups are sums over the threads in `/proc`. etcd's own metrics count the
//!   requests to etcd. A proxy counts the requests to Consul; contenders of which only the time is
//!   measured do not use it.
//! - What must be true at any speed is asserted: confd loses no change, and after a change it sends
//!   no request except, to Consul, the query that waits for the next change.

#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark reads its arguments and the environment, and pauses between what it measures"
)]

mod bare;
mod burst;
mod contender;
mod cost;
mod items;
mod latency;
mod renames;
mod services;
mod site;
mod store;
mod table;
mod usage;

use std::time::Duration;

use crate::store::{Consul, Etcd, Store};

/// A change that is not in its file after this time is lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// Measures something with a server.
type Scenario = fn(&mut dyn Store);

/// Starts a server.
type Start = fn() -> Box<dyn Store>;

const SCENARIOS: [Scenario; 9] = [
    latency::one_resource,
    cost::shared_tree,
    latency::growth,
    cost::onetime,
    cost::idle,
    burst::changes,
    latency::pairs,
    services::upstreams,
    items::change,
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let Some(watcher) = bare::Watcher::asked_for(&words) {
        return watcher.run();
    }
    let chosen: Vec<usize> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let stores: [(&str, Start); 2] =
        [("etcd", || Box::new(Etcd::start())), ("consul", || Box::new(Consul::start()))];
    let names: Vec<_> =
        stores.iter().filter(|(name, _)| words.iter().any(|word| word == name)).collect();
    let named = if names.is_empty() { stores.iter().collect() } else { names };
    for (name, start) in named {
        table::heading(name);
        let mut store = start();
        for (nth, scenario) in (1..).zip(SCENARIOS) {
            if chosen.is_empty() || chosen.contains(&nth) {
                scenario(&mut *store);
            }
        }
    }
}
