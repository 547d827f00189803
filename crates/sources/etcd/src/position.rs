//! A revision of a store, and how it is verified.
//!
//! A server that was wiped or restored from a backup continues from a different revision, and may
//! be beyond our revision when we see it again. So before a position is used, the store is asked
//! for its state at that revision: for each range the number of pairs, and the last changed pair. A
//! different history has different answers, a different raft term, or has not reached the revision.

use bytes::Bytes;
use etcd_client::{
    Client, EventType, GetOptions, KeyValue, ResponseHeader, SortOrder, SortTarget, Txn, TxnOp,
    TxnOpResponse,
};

use super::range::Range;
use super::read::{OPERATIONS, Reading};
use client_etcd::Failure;
use client_etcd::within;

/// A position in the history of a store.
#[derive(Debug, Default)]
pub(super) struct Position {
    pub(super) origin: Origin,
    /// The followed ranges, in the order of their numbers.
    pub(super) places: Vec<Place>,
}

/// A followed range, and the revision of its known pairs.
#[derive(Debug)]
pub(super) struct Place {
    /// The number of its watch. Numbers are never used again.
    pub(super) id: i64,
    pub(super) range: Range,
    pub(super) mark: Mark,
    /// Ranges with the same number are known at the same revision.
    pub(super) batch: i64,
}

/// The cluster that answered, and its raft term, which only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Origin {
    cluster: u64,
    term: u64,
}

/// The state of a range at a revision, including keys that are not asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark {
    /// The revision.
    pub(super) revision: i64,
    /// The number of pairs.
    count: i64,
    /// The revision of the last change.
    changed_at: i64,
    /// The key and value of that change; `None` if it was a removal, or if there was no change.
    set: Option<(Bytes, Bytes)>,
}

impl Position {
    /// Whether the store has this position in its history.
    pub(super) async fn is_known(&self, client: &Client) -> Result<bool, Failure> {
        for places in self.places.chunks(OPERATIONS) {
            match self.are_known(client, places).await {
                Ok(true) => {}
                Ok(false) | Err(Failure::OutOfHistory(_)) => return Ok(false),
                Err(failure) => return Err(failure),
            }
        }
        Ok(true)
    }

    /// The latest revision at which all ranges are known; 0 if there are none.
    pub(super) fn revision(&self) -> i64 {
        self.places.iter().map(|place| place.mark.revision).min().unwrap_or_default()
    }

    /// The ranges.
    pub(super) fn ranges(&self) -> Vec<&Range> {
        self.places.iter().map(|place| &place.range).collect()
    }

    /// The places of the same ranges after they were read.
    pub(super) fn read(&self, reading: &Reading) -> Vec<Place> {
        let place = |(place, mark): (&Place, &Mark)| Place {
            id: place.id,
            range: place.range.clone(),
            mark: mark.clone(),
            batch: place.batch,
        };
        self.places.iter().zip(&reading.marks).map(place).collect()
    }

    /// The index in `places` of the range with this number.
    pub(super) fn find(&self, id: i64) -> Option<usize> {
        self.places.binary_search_by_key(&id, |place| place.id).ok()
    }

    async fn are_known(&self, client: &Client, places: &[Place]) -> Result<bool, Failure> {
        let mut kv = client.kv_client().max_decoding_message_size(usize::MAX);
        let last_changed = |Place { range, mark, .. }: &Place| {
            let options = GetOptions::new()
                .with_range(range.end.as_slice())
                .with_revision(mark.revision)
                .with_sort(SortTarget::Mod, SortOrder::Descend)
                .with_limit(1);
            TxnOp::get(range.start.as_slice(), Some(options))
        };
        let asked: Vec<_> = places.iter().map(last_changed).collect();
        let answer = within(kv.txn(Txn::new().and_then(asked))).await?;
        let origin = answer.header().map(Origin::of).unwrap_or_default();
        let answers = answer.op_responses();
        let as_known = |(answer, place): (TxnOpResponse, &Place)| match answer {
            TxnOpResponse::Get(get) => place.mark.is(get.count(), get.kvs().first()),
            _ => false,
        };
        Ok(origin.can_follow(self.origin)
            && answers.len() == places.len()
            && answers.into_iter().zip(places).all(as_known))
    }
}

impl Origin {
    pub(super) fn of(header: &ResponseHeader) -> Self {
        Origin { cluster: header.cluster_id(), term: header.raft_term() }
    }

    /// Whether an answer from this origin can come from the same cluster, later than `earlier`.
    pub(super) fn can_follow(self, earlier: Origin) -> bool {
        self.cluster == earlier.cluster && self.term >= earlier.term
    }
}

impl Mark {
    /// Adds a pair that was read.
    pub(super) fn read(&mut self, pair: &KeyValue) {
        self.count += 1;
        if pair.mod_revision() > self.changed_at {
            self.changed_at = pair.mod_revision();
            self.set = Some(owned(pair));
        }
    }

    /// Applies an event.
    pub(super) fn event(&mut self, kind: EventType, pair: &KeyValue) {
        self.revision = pair.mod_revision();
        self.changed_at = pair.mod_revision();
        match kind {
            EventType::Put => {
                self.count += i64::from(pair.version() == 1);
                self.set = Some(owned(pair));
            }
            EventType::Delete => {
                self.count -= 1;
                self.set = None;
            }
        }
    }

    /// Whether a range with this number of pairs and this last changed pair equals the known state.
    fn is(&self, count: i64, last: Option<&KeyValue>) -> bool {
        let last_is_known = match (&self.set, last) {
            (Some((key, value)), Some(pair)) => {
                pair.mod_revision() == self.changed_at && pair.key() == key && pair.value() == value
            }
            (None, Some(pair)) => pair.mod_revision() < self.changed_at,
            (set, None) => set.is_none(),
        };
        count == self.count && last_is_known
    }
}

fn owned(pair: &KeyValue) -> (Bytes, Bytes) {
    (Bytes::copy_from_slice(pair.key()), Bytes::copy_from_slice(pair.value()))
}
