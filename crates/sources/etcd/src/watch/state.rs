//! The known state of the followed ranges.

use std::collections::HashSet;

use bytes::Bytes;
use etcd_client::{EventType, KeyValue, WatchResponse};
use store::{Key, Scope};

use super::completeness::Completeness;
use super::stream;
use crate::position::{Place, Position};
use crate::range::Range;
use crate::read::Reading;
use client_etcd::Failure;
use nodes::Cause;
use source::Tracked;

/// The known state of the ranges, and messages that are a part of a revision.
pub(super) struct State {
    pub(super) pairs: Tracked,
    pub(super) position: Position,
    /// Messages that wait until the messages of all ranges have arrived.
    waiting: Vec<WatchResponse>,
    /// The greatest revision of the waiting messages.
    newest: i64,
    /// Whether the source needs the server's progress although no message waits.
    behind: bool,
    /// Whether the ranges must be read because the server does not report its progress.
    is_to_be_read: bool,
    /// Whether the server has answered the last request for its progress.
    has_caught_up: bool,
    /// The greatest number of a range so far.
    last_id: i64,
}

impl State {
    /// An empty state: no range is followed.
    pub(super) fn new() -> Self {
        State {
            pairs: Tracked::new(crate::no_pairs()),
            position: Position::default(),
            waiting: Vec::new(),
            newest: 0,
            behind: false,
            is_to_be_read: false,
            has_caught_up: false,
            last_id: 0,
        }
    }

    /// Replaces the known state by a reading of all followed ranges.
    pub(super) fn replace(&mut self, new: Reading) {
        self.forget_waiting();
        self.pairs.replace(new.snapshot);
        self.position.origin = new.origin;
        for (place, mark) in self.position.places.iter_mut().zip(new.marks) {
            (place.mark, place.batch) = (mark, 0);
        }
    }

    /// Adds ranges that were read, except for refused ranges.
    pub(super) fn add(&mut self, ranges: &[&Range], reading: Reading) {
        let (is_first, was_empty) = (self.last_id == 0, self.position.places.is_empty());
        if was_empty {
            self.forget_waiting();
            self.position.origin = reading.origin;
        }
        // A number of no other batch, unless the other ranges are known at the same revision.
        let batch = if self.is_at(&reading) { 0 } else { self.last_id + 1 };
        if batch == 0 {
            self.position.places.iter_mut().for_each(|place| place.batch = 0);
        }
        for (index, (range, mark)) in ranges.iter().zip(reading.marks).enumerate() {
            if !reading.refused.iter().any(|(refused, _)| *refused == index) {
                self.last_id += 1;
                let range = (*range).clone();
                self.position.places.push(Place { id: self.last_id, range, mark, batch });
            }
        }
        if is_first {
            self.pairs = Tracked::new(reading.snapshot);
        } else if was_empty {
            self.pairs.replace(reading.snapshot);
        } else {
            for (key, value) in reading.snapshot.iter() {
                self.pairs.put(key.clone(), value.clone());
            }
        }
    }

    /// Keeps the ranges that serve a range of `wanted`, and forgets the others with their pairs.
    /// `wanted` is in byte order.
    pub(super) fn keep(&mut self, wanted: &[Range]) {
        let mut gone = Vec::new();
        let pairs = self.pairs.snapshot();
        self.position.places.retain_mut(|place| {
            let found = wanted.binary_search_by(|range| range.start.cmp(&place.range.start));
            let kept = found.ok().map(|index| &wanted[index]);
            let kept = kept.filter(|kept| place.range.serves(kept));
            if kept != Some(&place.range) {
                let below = pairs.beginning_with(&place.range.start).map(|(key, _)| key);
                let in_range = below.take_while(|key| key.as_ref() < place.range.end.as_slice());
                let is_gone = |key: &&Bytes| !kept.is_some_and(|kept| kept.covers(key));
                gone.extend(in_range.filter(is_gone).cloned());
            }
            if let Some(kept) = kept {
                place.range.clone_from(kept);
            }
            kept.is_some()
        });
        gone.iter().for_each(|key| self.pairs.delete(key));
    }

    /// Whether exactly the ranges of `wanted` are followed.
    pub(super) fn is_complete(&self, wanted: &[Range]) -> bool {
        self.position.places.len() == wanted.len()
    }

    /// The ranges of `wanted` that are not followed yet.
    pub(super) fn missing<'a>(&self, wanted: &'a [Range]) -> Vec<&'a Range> {
        let followed: HashSet<&[u8]> =
            self.position.places.iter().map(|place| place.range.start.as_slice()).collect();
        wanted.iter().filter(|range| !followed.contains(range.start.as_slice())).collect()
    }

    /// Stops following all ranges, until they are read again and compared with the known pairs.
    pub(super) fn forget_places(&mut self) {
        self.forget_waiting();
        self.position.places.clear();
    }

    /// Asks the server for its progress, so that the position is not older than `revision`.
    pub(super) fn catch_up(&mut self, revision: i64) {
        (self.behind, self.has_caught_up) = (true, false);
        // An answer to an earlier request may still be on its way.
        self.newest = self.newest.max(revision);
    }

    /// Whether the server has answered since the last [`catch_up`](State::catch_up).
    pub(super) fn has_caught_up(&self) -> bool {
        self.has_caught_up
    }

    /// Whether all followed ranges are known at the revision of a reading.
    pub(super) fn is_at(&self, reading: &Reading) -> bool {
        self.position.places.iter().all(|place| place.mark.revision == reading.revision())
    }

    /// Whether a scope asks for ranges that are known at different revisions, or that would be if
    /// `missing` were read now.
    pub(super) fn is_torn(&self, scope: &Scope, missing: &[&Range]) -> bool {
        if scope.len() < 2 {
            return false;
        }
        let batch = |key: &Key| {
            let covers = |range: &Range| range.covers(key.as_bytes());
            let places = &self.position.places;
            match missing.iter().any(|range| covers(range)) {
                true => None,
                false => places.iter().find(|place| covers(&place.range)).map(|place| place.batch),
            }
        };
        let mut batches = scope.iter().map(batch);
        let first = batches.next();
        batches.any(|batch| Some(batch) != first)
    }

    /// Whether all ranges are known at one revision.
    pub(super) fn is_one_batch(&self) -> bool {
        self.position.places.iter().all(|place| place.batch == self.position.places[0].batch)
    }

    /// Whether the server was asked for its progress although no message waits.
    pub(super) fn is_behind(&self) -> bool {
        self.behind
    }

    /// Whether messages wait for messages of other ranges.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the server must be asked for its progress.
    pub(super) fn wants_progress(&self) -> bool {
        self.behind || self.is_waiting()
    }

    /// Records that the server does not report its progress.
    pub(super) fn gives_up_progress(&mut self) {
        (self.behind, self.is_to_be_read) = (false, self.is_waiting());
    }

    /// Whether the ranges must be read, because the waiting messages cannot be completed otherwise.
    pub(super) fn needs_reading(&self, completeness: Completeness) -> bool {
        self.is_waiting() && (self.is_to_be_read || completeness == Completeness::Reading)
    }

    /// Drops the waiting messages. They are not part of the position, so the server sends them
    /// again.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
        (self.newest, self.behind, self.is_to_be_read) = (0, false, false);
    }

    /// Whether a reading can be a later state of the same store.
    pub(super) fn is_followed_by(&self, reading: &Reading) -> bool {
        reading.origin.can_follow(self.position.origin)
    }

    /// Whether a reading of the same store contains all waiting messages.
    pub(super) fn is_held_by(&self, reading: &Reading) -> bool {
        self.is_followed_by(reading)
            && reading.marks.iter().all(|mark| mark.revision >= self.newest)
    }

    /// Applies a message.
    ///
    /// # Errors
    ///
    /// The message says that the server has ended a watch.
    pub(super) fn take(
        &mut self,
        message: WatchResponse,
        completeness: Completeness,
    ) -> Result<(), Failure> {
        let place = self.position.find(message.watch_id());
        if message.canceled() {
            // The end of a watch that the source has cancelled is expected.
            let was_asked_for = place.is_none() && message.watch_id() > 0;
            return if was_asked_for { Ok(()) } else { Err(stream::refusal(&message)) };
        }
        let revision = message.header().map_or(0, |header| header.revision());
        let Some(index) = place else {
            if stream::is_progress(&message) && completeness == Completeness::Progress {
                self.progress(revision);
            }
            return Ok(());
        };
        if message.created() && !stream::begins_at(&message, &self.position.places[index].mark) {
            return Err(Failure::OutOfHistory(Cause::new(stream::OLDER)));
        }
        if message.events().is_empty() {
            // The server sends this from time to time: the range has not changed up to this
            // revision.
            match completeness {
                _ if message.created() => {}
                // All ranges advance together. A watch that is behind would keep the server from
                // reporting its progress.
                Completeness::Progress => self.behind = true,
                Completeness::Reading if self.is_waiting() => {}
                Completeness::Message | Completeness::Reading => {
                    let mark = &mut self.position.places[index].mark;
                    mark.revision = revision.max(mark.revision);
                }
            }
            return Ok(());
        }
        match completeness {
            Completeness::Message => self.apply(index, &message),
            Completeness::Progress | Completeness::Reading => {
                let revisions = message.events().iter().filter_map(|event| event.kv());
                let newest = revisions.map(KeyValue::mod_revision).max().unwrap_or_default();
                // The reading already contained this change.
                if newest > self.position.places[index].mark.revision {
                    self.newest = self.newest.max(newest);
                    self.waiting.push(message);
                }
            }
        }
        Ok(())
    }

    /// Records that the messages of all ranges up to this revision have arrived.
    fn progress(&mut self, revision: i64) {
        if revision < self.newest {
            return;
        }
        for message in std::mem::take(&mut self.waiting) {
            // Ranges that are no longer followed are ignored.
            if let Some(index) = self.position.find(message.watch_id()) {
                self.apply(index, &message);
            }
        }
        for Place { mark, batch, .. } in &mut self.position.places {
            // A new range may have been read at a later revision.
            if mark.revision <= revision {
                (mark.revision, *batch) = (revision, 0);
            }
        }
        self.has_caught_up = true;
        (self.newest, self.behind, self.is_to_be_read) = (0, false, false);
    }

    fn apply(&mut self, index: usize, message: &WatchResponse) {
        let known = self.position.places[index].mark.revision;
        let events = message.events().iter();
        for (kind, pair) in events.filter_map(|event| Some((event.event_type(), event.kv()?))) {
            if pair.mod_revision() > known {
                let place = &mut self.position.places[index];
                place.mark.event(kind, pair);
                if place.range.covers(pair.key()) {
                    self.patch(kind, pair);
                }
            }
        }
    }

    fn patch(&mut self, kind: EventType, pair: &KeyValue) {
        let key = Bytes::copy_from_slice(pair.key());
        match kind {
            EventType::Put => self.pairs.put(key, Bytes::copy_from_slice(pair.value())),
            EventType::Delete => self.pairs.delete(&key),
        }
        let revision: u64 = pair.mod_revision().try_into().unwrap_or_default();
        self.pairs.at_revision(revision.max(self.pairs.snapshot().revision()));
    }
}
