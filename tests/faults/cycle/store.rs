//! The store, and the changes that are made to it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use fastrand::Rng;
use serde_json::json;
use servers::{Etcd, Release, http::exchange};

use super::service::{BAD, ITEMS, SERVICES, Service};

/// The store, and what was written to it.
pub(super) struct Store {
    pub(super) etcd: Etcd,
    pub(super) pairs: BTreeMap<String, String>,
    /// The number of the last change.
    number: u64,
}

impl Store {
    /// A store with good values for all services.
    pub(super) fn start() -> Store {
        let etcd = Etcd::start(Release::Newest);
        let mut store = Store { etcd, pairs: BTreeMap::new(), number: 0 };
        for service in &SERVICES {
            let value = Some(store.next_value());
            store.transact(service.keys().into_iter().map(|key| (key, value.clone())).collect());
        }
        store
    }

    /// A value that was never used before.
    fn next_value(&mut self) -> String {
        self.number += 1;
        self.number.to_string()
    }

    /// Makes one change at random. The keys of a group get one value.
    pub(super) fn change(&mut self, rng: &mut Rng) {
        let service = rng.choice(&SERVICES).expect("a service");
        let mut value = self.next_value();
        if service.rolls_back && rng.u32(..3) == 0 {
            value += BAD;
        }
        let changes = match service {
            Service { is_group: true, .. } => {
                service.keys().into_iter().map(|key| (key, Some(value.clone()))).collect()
            }
            _ if service.has_items() => {
                let item = rng.choice(ITEMS).expect("an item");
                vec![(service.key_of(item), (rng.u32(..3) > 0).then_some(value))]
            }
            _ => vec![(rng.choice(service.keys()).expect("a key"), Some(value))],
        };
        self.transact(changes);
    }

    /// Sets or deletes these keys in one transaction.
    fn transact(&mut self, changes: Vec<(String, Option<String>)>) {
        let encoded = |text: &str| STANDARD.encode(text);
        let operation = |(key, value): &(String, Option<String>)| match value {
            Some(value) => {
                json!({ "requestPut": { "key": encoded(key), "value": encoded(value) } })
            }
            None => json!({ "requestDeleteRange": { "key": encoded(key) } }),
        };
        let operations: Vec<_> = changes.iter().map(operation).collect();
        let body = json!({ "success": operations }).to_string();
        let answer = exchange(&self.etcd.address(), "POST /v3/kv/txn", &[], body.as_bytes());
        let answer = answer.expect("an answer of etcd");
        assert_eq!(answer.status, 200, "{}", answer.text());
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.pairs.insert(key, value)),
                None => drop(self.pairs.remove(&key)),
            }
        }
    }
}
