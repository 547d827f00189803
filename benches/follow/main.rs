//! confd beside a real etcd and a real Consul: how fast a change gets into a file, and what
//! following costs.
//!
//! `cargo bench --bench follow` runs all seven scenarios on both (some ten minutes), `-- consul 1 7`
//! only those, on Consul. The servers have to be installed (`tests/install-servers`).
//! `CONFD_GO=/path/to/confd` and `CONFD_FORK=/path/to/confd` name a Go confd and a fork of it to be
//! measured beside, `CONSUL_TEMPLATE=/path/to/consul-template` another to be in scenario 1 on Consul.
//!
//! - Contenders do the same in turn (A B A B …) and on the same server, so that a machine that
//!   changes its speed changes it for all. (For the tree that many share each is alone, as the
//!   server counts the requests of all; the idle ones idle at the same time.) Figures are medians
//!   and 99th percentiles of one run, and only their ratios are worth comparing with those of
//!   another.
//! - When a new file is in place is told by inotify to a thread that sleeps until then, for each
//!   contender alike. Looking again and again would be as exact and cost one core, which server and
//!   contender would lack. The file is read afterwards: only the expected content counts.
//! - The bare watcher is the least that could do the job: one watch of one key (of Consul, one
//!   blocking query after the other), whose value it
//!   writes beside the file, syncs to the disk as confd does (or not), and renames.
//! - Time on the processor and wake-ups are summed over the threads in `/proc`. What etcd was asked
//!   is told by its own metrics, what Consul was asked by a proxy, which nobody passes who is measured
//!   by the clock alone.
//! - What has to be true at any speed is asserted: confd loses no change, and asks for
//!   nothing after one but, of Consul, for the next.

mod bare;
mod burst;
mod contender;
mod cost;
mod latency;
mod renames;
mod site;
mod store;
mod table;
mod usage;

use std::time::Duration;

use crate::store::{Consul, Etcd, Store};

/// A change that is not in its file after so long is lost.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a scenario does with the server.
type Scenario = fn(&mut dyn Store);

/// Starts a server.
type Start = fn() -> Box<dyn Store>;

const SCENARIOS: [Scenario; 7] = [
    latency::one_resource,
    cost::shared_tree,
    latency::growth,
    cost::onetime,
    cost::idle,
    burst::changes,
    latency::pairs,
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
