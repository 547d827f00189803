//! What is known of the ranges that are followed.

use bytes::Bytes;
use etcd_client::{EventType, KeyValue, WatchResponse};
use store::Snapshot;

use super::completeness::Completeness;
use super::stream;
use crate::position::Position;
use crate::range::Range;
use crate::read::Reading;
use client_etcd::Failure;
use source::Tracked;

/// What is known of the ranges, and the messages that are a part of something.
pub(super) struct State {
    pub(super) pairs: Tracked,
    pub(super) position: Position,
    /// Messages of ranges, with their numbers, that wait until all ranges have told as much.
    waiting: Vec<(usize, WatchResponse)>,
    /// The greatest revision of what waits.
    newest: i64,
    /// Whether the server's revision is to be heard although nothing waits.
    behind: bool,
    /// Whether the ranges are to be read because the server does not tell its progress.
    is_to_be_read: bool,
}

impl State {
    pub(super) fn new(snapshot: Snapshot, position: Position) -> Self {
        let pairs = Tracked::new(snapshot);
        State {
            pairs,
            position,
            waiting: Vec::new(),
            newest: 0,
            behind: false,
            is_to_be_read: false,
        }
    }

    /// Takes the place of what was known.
    pub(super) fn replace(&mut self, new: Reading) {
        self.forget_waiting();
        self.pairs.replace(new.snapshot);
        self.position = new.position;
    }

    /// Whether messages wait until all ranges have told as much.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether the server is to be asked how far it has told everything.
    pub(super) fn wants_progress(&self) -> bool {
        self.behind || self.is_waiting()
    }

    /// The server does not tell its progress.
    pub(super) fn gives_up_progress(&mut self) {
        (self.behind, self.is_to_be_read) = (false, self.is_waiting());
    }

    /// Whether the ranges have to be read to know what the messages that wait are a part of.
    pub(super) fn needs_reading(&self, completeness: Completeness) -> bool {
        self.is_waiting() && (self.is_to_be_read || completeness == Completeness::Reading)
    }

    /// Drops what waits. It is not in the position either, so it comes again.
    pub(super) fn forget_waiting(&mut self) {
        self.waiting.clear();
        (self.newest, self.behind, self.is_to_be_read) = (0, false, false);
    }

    /// Whether a reading of the same store holds everything that waits.
    pub(super) fn is_held_by(&self, reading: &Reading) -> bool {
        reading.position.origin.can_follow(self.position.origin)
            && reading.position.marks.iter().all(|mark| mark.revision >= self.newest)
    }

    /// Takes a message in.
    ///
    /// # Errors
    ///
    /// The server ends a watch with it.
    pub(super) fn take(
        &mut self,
        message: WatchResponse,
        completeness: Completeness,
        ranges: &[Range],
    ) -> Result<(), Failure> {
        if message.canceled() {
            return Err(stream::refusal(&message));
        }
        let revision = message.header().map_or(0, |header| header.revision());
        let Some(index) = stream::range_of(&message).filter(|index| *index < ranges.len()) else {
            if stream::is_progress(&message) && completeness == Completeness::Progress {
                self.progress(revision, ranges);
            }
            return Ok(());
        };
        if message.events().is_empty() {
            // Sent from time to time: nothing has happened in this range up to this revision.
            match completeness {
                _ if message.created() => {}
                // All ranges advance together. A watch that begins behind the server's revision
                // would keep the server from telling its progress.
                Completeness::Progress => self.behind = true,
                Completeness::Reading if self.is_waiting() => {}
                Completeness::Message | Completeness::Reading => {
                    let mark = &mut self.position.marks[index];
                    mark.revision = revision.max(mark.revision);
                }
            }
            return Ok(());
        }
        match completeness {
            Completeness::Message => self.apply(index, &message, ranges),
            Completeness::Progress | Completeness::Reading => {
                let revisions = message.events().iter().filter_map(|event| event.kv());
                let newest = revisions.map(KeyValue::mod_revision).max().unwrap_or_default();
                // What a reading held already is no news.
                if newest > self.position.marks[index].revision {
                    self.newest = self.newest.max(newest);
                    self.waiting.push((index, message));
                }
            }
        }
        Ok(())
    }

    /// Every range has told what happened up to this revision.
    fn progress(&mut self, revision: i64, ranges: &[Range]) {
        if revision < self.newest {
            return;
        }
        for (index, message) in std::mem::take(&mut self.waiting) {
            self.apply(index, &message, ranges);
        }
        for mark in &mut self.position.marks {
            mark.revision = revision.max(mark.revision);
        }
        (self.newest, self.behind, self.is_to_be_read) = (0, false, false);
    }

    fn apply(&mut self, index: usize, message: &WatchResponse, ranges: &[Range]) {
        let known = self.position.marks[index].revision;
        let events = message.events().iter();
        for (kind, pair) in events.filter_map(|event| Some((event.event_type(), event.kv()?))) {
            if pair.mod_revision() > known {
                self.position.marks[index].event(kind, pair);
                if ranges[index].covers(pair.key()) {
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
