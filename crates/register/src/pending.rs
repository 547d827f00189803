//! Changes of the registry that failed, and are tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

use crate::service::Service;

/// The first pause before a change without an answer is tried again.
const FIRST: Duration = Duration::from_millis(500);
/// The first pause before a refused change is tried again: seldom is it granted soon. Consul lists the
/// check of a service for a moment even if it refuses the service.
const FIRST_REFUSED: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(30);

/// A change of the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The entry of the service is missing.
    Register(Service),
    /// The entry of the service is one too many.
    Deregister(Service),
}

/// Why a change was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// The registry did not answer. The change may have been made all the same.
    NoAnswer,
    /// The registry refused.
    Refused,
    /// The change was not sent, because an earlier one had no answer.
    NotSent,
}

/// The pending changes: the last one that each key of the registry needs.
#[derive(Default)]
pub(crate) struct Pending {
    changes: BTreeMap<String, Due>,
}

struct Due {
    change: Change,
    /// The last error, so that the same one is reported once.
    error: String,
    /// Whether the change may have been made although it failed.
    may_be_done: bool,
    is_refused: bool,
    pauses: ExponentialBackoff,
    next: Instant,
}

impl Change {
    pub(crate) fn service(&self) -> &Service {
        match self {
            Change::Register(service) | Change::Deregister(service) => service,
        }
    }
}

impl Pending {
    /// Notes that a change of a key failed. Returns whether the error differs from that of the last time.
    pub(crate) fn note(&mut self, key: String, change: Change, error: String, why: Why) -> bool {
        let known = self.changes.remove(&key).filter(|due| due.change == change);
        let is_new = known.as_ref().is_none_or(|due| due.error != error);
        let known_done = known.as_ref().is_some_and(|due| due.may_be_done);
        let (is_refused, may_be_done) = (why == Why::Refused, why == Why::NoAnswer || known_done);
        let known = known.filter(|due| due.is_refused == is_refused);
        let first = if is_refused { FIRST_REFUSED } else { FIRST };
        let mut pauses = known.map_or_else(|| backoff(first), |due| due.pauses);
        let next = Instant::now() + pauses.next().unwrap_or(LONGEST);
        self.changes.insert(key, Due { change, error, may_be_done, is_refused, pauses, next });
        is_new
    }

    /// Forgets the pending change of a key: a change of it was made.
    pub(crate) fn settle(&mut self, key: &str) {
        self.changes.remove(key);
    }

    /// Whether the registry certainly has no entry of the service with this key yet.
    pub(crate) fn is_unregistered(&self, key: &str, service: &Service) -> bool {
        let due = self.changes.get(key).filter(|due| !due.may_be_done);
        due.is_some_and(|due| matches!(&due.change, Change::Register(due) if due == service))
    }

    /// Whether a change of a key is pending.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.changes.contains_key(key)
    }

    /// When the first change is due; `None` if nothing is pending.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.changes.values().map(|due| due.next).min()
    }

    /// The changes that are due now.
    pub(crate) fn due(&self) -> Vec<Change> {
        let now = Instant::now();
        let due = self.changes.values().filter(|due| due.next <= now);
        due.map(|due| due.change.clone()).collect()
    }

    /// The services whose removal is pending.
    pub(crate) fn removals(&self) -> Vec<Service> {
        let changes = self.changes.values().map(|due| &due.change);
        let removals = changes.filter(|change| matches!(change, Change::Deregister(_)));
        removals.map(|change| change.service().clone()).collect()
    }

    /// Makes all changes due now: the registry answers again.
    pub(crate) fn hurry(&mut self) {
        let now = Instant::now();
        self.changes.values_mut().for_each(|due| due.next = now);
    }
}

fn backoff(first: Duration) -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(LONGEST)
        .without_max_times()
        .with_jitter()
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_refused_change_is_tried_again_later_than_one_without_an_answer() {
        let service = Service {
            id: "node:web:80".to_owned(),
            name: "web".to_owned(),
            address: "10.0.0.1".to_owned(),
            port: 80,
            tags: Vec::new(),
            attributes: BTreeMap::new(),
            exposed: "80".to_owned(),
            is_healthy: None,
            container: "0123456789ab".to_owned(),
        };
        let begins = Instant::now();
        let pause = |why| {
            let mut pending = Pending::default();
            pending.note(
                "web".to_owned(),
                Change::Register(service.clone()),
                "error".to_owned(),
                why,
            );
            pending.next().unwrap() - begins
        };
        assert!(pause(Why::NoAnswer) < Duration::from_secs(2));
        assert!(pause(Why::NotSent) < Duration::from_secs(2));
        assert!(pause(Why::Refused) > Duration::from_secs(3));
    }
}
