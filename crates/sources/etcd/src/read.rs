//! Everything in some ranges, as of one revision.

use std::sync::atomic::{AtomicI64, Ordering};

use etcd_client::{Client, GetOptions, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use store::{Coverage, Snapshot};

use super::position::{Mark, Origin};
use super::range::Range;
use client_etcd::Failure;
use client_etcd::within;
use nodes::Cause;

/// How many requests one transaction may hold by etcd's default.
pub(super) const OPERATIONS: usize = 128;

/// How many pairs of a range are asked for at most when nobody knows their size.
const FIRST_PAGE: i64 = 1_000;

/// About how large an answer may get in bytes, where that is known.
const PAGE: usize = 4 << 20;

/// How many pairs of a range are asked for at first: fewer after a failure, since an answer may
/// have been too large to arrive in time, and after answers with large values.
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

/// How many pairs of a size make a page.
fn pairs_of(size: usize) -> i64 {
    i64::try_from((PAGE / size.max(1)).clamp(8, 20_000)).unwrap_or(FIRST_PAGE)
}

/// How often a read begins anew because its revision was compacted under it.
const ATTEMPTS: usize = 3;

/// What was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The pairs that are asked for, and no others, as of one revision.
    pub(super) snapshot: Snapshot,
    pub(super) origin: Origin,
    /// What is known of each range. Nothing if it was refused.
    pub(super) marks: Vec<Mark>,
    pub(super) refused: Refused,
}

impl Reading {
    /// The revision that was read; 0 if no range was.
    pub(super) fn revision(&self) -> i64 {
        self.marks.first().map_or(0, |mark| mark.revision)
    }
}

/// The ranges that the store refuses, by their place in what was asked, and why.
pub(super) type Refused = Vec<(usize, Cause)>;

/// Reads all pairs in `ranges`, as of one revision that is not older than the call.
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

/// Reads all pairs in `ranges`, as of `revision`.
pub(super) async fn read_at(
    client: Client,
    ranges: &[&Range],
    revision: i64,
    first_page: &FirstPage,
) -> Result<Reading, Failure> {
    Reader::new(&client, ranges, revision).read(first_page.get()).await
}

/// Which of `ranges` the store refuses to show.
pub(super) async fn refused(client: &Client, ranges: &[&Range]) -> Result<Refused, Failure> {
    let mut reader = Reader::new(client, ranges, 0);
    reader.all_first_pages(1).await?;
    Ok(reader.reading.refused)
}

struct Reader<'a> {
    client: KvClient,
    ranges: &'a [&'a Range],
    /// The revision that is read; 0 for that of the first answer, before there is one.
    revision: i64,
    reading: Reading,
}

/// What is left of a range.
struct Rest {
    range: usize,
    from: Vec<u8>,
    /// How many bytes the pairs before had on average.
    size: usize,
}

impl<'a> Reader<'a> {
    fn new(client: &Client, ranges: &'a [&'a Range], revision: i64) -> Self {
        Reader {
            client: client.kv_client().max_decoding_message_size(usize::MAX),
            ranges,
            revision,
            reading: Reading {
                snapshot: Snapshot::new(Coverage::Subtree),
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

    /// Reads the beginning of each range, in few requests; gives what is left of them.
    ///
    /// The store refuses a whole request for one range in it. Then the ranges of the request are asked
    /// for in halves, so that one range among 128 is found by 14 requests.
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

    /// Reads the beginning of some ranges in one request; gives what is left of them.
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

    /// Reads on; gives what is left then.
    async fn page(&mut self, rest: &Rest) -> Result<Option<Rest>, Failure> {
        let options = self.options(self.ranges[rest.range], pairs_of(rest.size));
        let mut answer = within(self.client.get(rest.from.as_slice(), Some(options))).await?;
        let more = answer.more();
        Ok(self.take(rest.range, answer.take_kvs(), more))
    }

    /// What is asked: up to `limit` pairs, at the revision of the first answer.
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
        first_page.was_read(&Snapshot::from_pairs(Coverage::Subtree, pairs));
        first_page.get()
    }

    #[test]
    fn the_first_page_follows_the_size_of_what_was_read() {
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
