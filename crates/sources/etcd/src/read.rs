//! Reads all pairs of some ranges at one revision.

use std::sync::atomic::{AtomicI64, Ordering};

use etcd_client::{Client, GetOptions, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use store::Snapshot;

use super::position::{Mark, Origin};
use super::range::Range;
use client_etcd::Failure;
use client_etcd::within;
use nodes::Cause;

/// The most requests in one transaction, by etcd's default.
pub(super) const OPERATIONS: usize = 128;

/// The most pairs of a range in one answer, if their size is unknown.
const FIRST_PAGE: i64 = 1_000;

/// The size in bytes that an answer should have, if the size of pairs is known.
const PAGE: usize = 4 << 20;

/// The most pairs of a range in the first answer. It is smaller after a failure, because an answer
/// may have been too large to arrive in time, and after answers with large values.
#[derive(Debug)]
pub(super) struct FirstPage(AtomicI64);

impl Default for FirstPage {
    fn default() -> Self {
        FirstPage(AtomicI64::new(FIRST_PAGE))
    }
}

impl FirstPage {
    fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn failed(&self) {
        self.0.store((self.get() / 8).max(8), Ordering::Relaxed);
    }

    fn was_read(&self, snapshot: &Snapshot) {
        let size = snapshot.iter().map(|(key, value)| key.len() + value.len()).sum::<usize>();
        self.0.store(pairs_of(size / snapshot.len().max(1)).min(FIRST_PAGE), Ordering::Relaxed);
    }
}

/// The number of pairs of this size in a page.
fn pairs_of(size: usize) -> i64 {
    i64::try_from((PAGE / size.max(1)).clamp(8, 20_000)).unwrap_or(FIRST_PAGE)
}

/// The number of tries, because the revision can be compacted during a read.
const ATTEMPTS: usize = 3;

/// The result of a read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The pairs that are asked for, at one revision.
    pub(super) snapshot: Snapshot,
    pub(super) origin: Origin,
    /// The state of each range. Empty for a range that was refused.
    pub(super) marks: Vec<Mark>,
    pub(super) refused: Refused,
}

impl Reading {
    /// The revision of the read; 0 if no range was read.
    pub(super) fn revision(&self) -> i64 {
        self.marks.first().map_or(0, |mark| mark.revision)
    }
}

/// The refused ranges, by their index in the request, with the reasons.
pub(super) type Refused = Vec<(usize, Cause)>;

/// Reads all pairs in `ranges` at one revision that is not older than the call.
pub(super) async fn read(
    client: Client,
    ranges: &[&Range],
    first_page: &FirstPage,
) -> Result<Reading, Failure> {
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        match Reader::new(&client, ranges, 0).read(first_page.get()).await {
            Ok(reading) => {
                first_page.was_read(&reading.snapshot);
                return Ok(reading);
            }
            Err(Failure::OutOfHistory(reason)) => lost = Some(reason),
            Err(failure) => {
                first_page.failed();
                return Err(failure);
            }
        }
    }
    Err(Failure::Unreachable(lost.unwrap_or_else(|| Cause::new("the history was compacted"))))
}

/// Reads all pairs in `ranges` at `revision`.
pub(super) async fn read_at(
    client: Client,
    ranges: &[&Range],
    revision: i64,
    first_page: &FirstPage,
) -> Result<Reading, Failure> {
    Reader::new(&client, ranges, revision).read(first_page.get()).await
}

/// The ranges that the store refuses to show.
pub(super) async fn refused(client: &Client, ranges: &[&Range]) -> Result<Refused, Failure> {
    let mut reader = Reader::new(client, ranges, 0);
    reader.all_first_pages(1).await?;
    Ok(reader.reading.refused)
}

struct Reader<'a> {
    client: KvClient,
    ranges: &'a [&'a Range],
    /// The revision that is read; 0 before the first answer, whose revision is used.
    revision: i64,
    reading: Reading,
}

/// The unread part of a range.
struct Rest {
    range: usize,
    from: Vec<u8>,
    /// The average size in bytes of the pairs that were read.
    size: usize,
}

impl<'a> Reader<'a> {
    fn new(client: &Client, ranges: &'a [&'a Range], revision: i64) -> Self {
        Reader {
            client: client.kv_client().max_decoding_message_size(usize::MAX),
            ranges,
            revision,
            reading: Reading {
                snapshot: crate::no_pairs(),
                origin: Origin::default(),
                marks: vec![Mark::default(); ranges.len()],
                refused: Vec::new(),
            },
        }
    }

    async fn read(mut self, limit: i64) -> Result<Reading, Failure> {
        for mut rest in self.all_first_pages(limit).await? {
            while let Some(more) = self.page(&rest).await? {
                rest = more;
            }
        }
        self.reading.marks.iter_mut().for_each(|mark| mark.revision = self.revision);
        let revision = self.revision.try_into().unwrap_or_default();
        self.reading.snapshot = self.reading.snapshot.at_revision(revision);
        Ok(self.reading)
    }

    /// Reads the beginning of each range with few requests. Returns the unread parts.
    ///
    /// The store refuses a whole request because of one range. The ranges of that request are then
    /// asked for in halves, so one refused range among 128 is found with 14 requests.
    async fn all_first_pages(&mut self, limit: i64) -> Result<Vec<Rest>, Failure> {
        let starts = (0..self.ranges.len()).step_by(OPERATIONS).rev();
        let part = |start| start..self.ranges.len().min(start + OPERATIONS);
        let mut parts: Vec<_> = starts.map(part).collect();
        let mut rests = Vec::new();
        while let Some(part) = parts.pop() {
            match self.first_pages(part.clone(), limit).await {
                Ok(more) => rests.extend(more),
                Err(Failure::Refused(reason)) if part.len() == 1 => {
                    self.reading.refused.push((part.start, reason));
                }
                Err(Failure::Refused(_)) => {
                    let middle = part.start + part.len() / 2;
                    parts.extend([middle..part.end, part.start..middle]);
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(rests)
    }

    /// Reads the beginning of some ranges with one request. Returns the unread parts.
    async fn first_pages(
        &mut self,
        part: std::ops::Range<usize>,
        limit: i64,
    ) -> Result<Vec<Rest>, Failure> {
        let gets: Vec<_> = self.ranges[part.clone()]
            .iter()
            .map(|range| TxnOp::get(range.start.as_slice(), Some(self.options(range, limit))))
            .collect();
        let mut answer = within(self.client.txn(Txn::new().and_then(gets))).await?;
        if let Some(header) = answer.take_header() {
            if self.reading.origin == Origin::default() {
                self.reading.origin = Origin::of(&header);
            }
            if self.revision == 0 {
                self.revision = header.revision();
            }
        }
        let mut rests = Vec::new();
        for (range, response) in part.zip(answer.op_responses()) {
            let TxnOpResponse::Get(mut get) = response else { continue };
            let more = get.more();
            rests.extend(self.take(range, get.take_kvs(), more));
        }
        Ok(rests)
    }

    /// Reads the next page. Returns the part that is still unread.
    async fn page(&mut self, rest: &Rest) -> Result<Option<Rest>, Failure> {
        let options = self.options(self.ranges[rest.range], pairs_of(rest.size));
        let mut answer = within(self.client.get(rest.from.as_slice(), Some(options))).await?;
        let more = answer.more();
        Ok(self.take(rest.range, answer.take_kvs(), more))
    }

    /// The options of a request: up to `limit` pairs, at the revision of the first answer.
    fn options(&self, range: &Range, limit: i64) -> GetOptions {
        GetOptions::new()
            .with_range(range.end.as_slice())
            .with_limit(limit)
            .with_revision(self.revision)
    }

    fn take(&mut self, range: usize, pairs: Vec<KeyValue>, more: bool) -> Option<Rest> {
        let size = pairs.iter().map(|pair| pair.key().len() + pair.value().len()).sum::<usize>();
        let size = size / pairs.len().max(1);
        let rest = pairs.last().filter(|_| more).map(|last| Rest {
            range,
            from: [last.key(), b"\0"].concat(),
            size,
        });
        for pair in pairs {
            self.reading.marks[range].read(&pair);
            if self.ranges[range].covers(pair.key()) {
                let (key, value) = pair.into_key_value();
                self.reading.snapshot.insert(key, value);
            }
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_reading(values: &[usize]) -> i64 {
        let pairs = values.iter().enumerate();
        let pairs = pairs.map(|(nth, &size)| (format!("/{nth}"), vec![b'x'; size]));
        let first_page = FirstPage::default();
        first_page.was_read(&Snapshot::from_pairs(store::Coverage::Subtree, pairs));
        first_page.get()
    }

    #[test]
    fn the_first_page_adapts_to_the_size_of_pairs() {
        assert_eq!(FirstPage::default().get(), 1_000);
        assert_eq!(after_reading(&[]), 1_000);
        assert_eq!(after_reading(&[10; 100]), 1_000);
        assert_eq!(after_reading(&[100 << 10; 10]), 40);
        assert_eq!(after_reading(&[1 << 20; 3]), 8);
    }

    #[test]
    fn a_failed_reading_asks_for_less_the_next_time() {
        let first_page = FirstPage::default();
        let sizes = [(); 4].map(|()| {
            first_page.failed();
            first_page.get()
        });
        assert_eq!(sizes, [125, 15, 8, 8]);
    }
}
