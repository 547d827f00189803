//! A place in the history of a store, and how it is known again.
//!
//! A server that was wiped or restored from a backup counts its revisions from another one on, and
//! may be beyond ours before we see it again. So before a position is used, the store is asked what
//! it had there: for each range, how many pairs, and the one that changed last. Another history
//! has other answers, or other leaders, or is not there yet.

use bytes::Bytes;
use etcd_client::{
    Client, EventType, GetOptions, KeyValue, ResponseHeader, SortOrder, SortTarget, Txn, TxnOp,
    TxnOpResponse,
};

use super::range::Range;
use super::read::OPERATIONS;
use client_etcd::Failure;
use client_etcd::within;

/// A place in the history of a store.
#[derive(Debug, Default)]
pub(super) struct Position {
    pub(super) origin: Origin,
    /// One for each range.
    pub(super) marks: Vec<Mark>,
}

/// The cluster that answered, and its raft term, which only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Origin {
    cluster: u64,
    term: u64,
}

/// What is known of a range, asked for or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Mark {
    /// The revision that this is as of.
    pub(super) revision: i64,
    /// How many pairs there are.
    count: i64,
    /// The revision of the last change.
    changed_at: i64,
    /// Key and value that it set; `None` if it deleted, or if there was none.
    set: Option<(Bytes, Bytes)>,
}

impl Position {
    /// Whether the store that is asked has this place in its history.
    pub(super) async fn is_known(
        &self,
        client: &Client,
        ranges: &[Range],
    ) -> Result<bool, Failure> {
        let marks: Vec<_> = ranges.iter().zip(&self.marks).collect();
        for marks in marks.chunks(OPERATIONS) {
            match self.are_known(client, marks).await {
                Ok(true) => {}
                Ok(false) | Err(Failure::OutOfHistory(_)) => return Ok(false),
                Err(failure) => return Err(failure),
            }
        }
        Ok(true)
    }

    async fn are_known(&self, client: &Client, marks: &[(&Range, &Mark)]) -> Result<bool, Failure> {
        let mut kv = client.kv_client().max_decoding_message_size(usize::MAX);
        let last_changed = |(range, mark): &(&Range, &Mark)| {
            let options = GetOptions::new()
                .with_range(range.end.as_slice())
                .with_revision(mark.revision)
                .with_sort(SortTarget::Mod, SortOrder::Descend)
                .with_limit(1);
            TxnOp::get(range.start.as_slice(), Some(options))
        };
        let asked: Vec<_> = marks.iter().map(last_changed).collect();
        let answer = within(kv.txn(Txn::new().and_then(asked))).await?;
        let origin = answer.header().map(Origin::of).unwrap_or_default();
        let answers = answer.op_responses();
        let as_known = |(answer, (_, mark)): (TxnOpResponse, &(&Range, &Mark))| match answer {
            TxnOpResponse::Get(get) => mark.is(get.count(), get.kvs().first()),
            _ => false,
        };
        Ok(origin.can_follow(self.origin)
            && answers.len() == marks.len()
            && answers.into_iter().zip(marks).all(as_known))
    }
}

impl Origin {
    pub(super) fn of(header: &ResponseHeader) -> Self {
        Origin { cluster: header.cluster_id(), term: header.raft_term() }
    }

    /// Whether an answer from here can be one of the same cluster's, later.
    pub(super) fn can_follow(self, earlier: Origin) -> bool {
        self.cluster == earlier.cluster && self.term >= earlier.term
    }
}

impl Mark {
    /// Counts a pair that was read.
    pub(super) fn read(&mut self, pair: &KeyValue) {
        self.count += 1;
        if pair.mod_revision() > self.changed_at {
            self.changed_at = pair.mod_revision();
            self.set = Some(owned(pair));
        }
    }

    /// Takes an event in.
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

    /// Whether a range that has so many pairs, and this as the one that changed last, is as known.
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
