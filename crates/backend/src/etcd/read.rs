//! Everything in some ranges, as of one revision.

use bytes::Bytes;
use etcd_client::{Client, GetOptions, KeyValue, KvClient, Txn, TxnOp, TxnOpResponse};
use store::{Coverage, Snapshot};

use super::cluster::within;
use super::failure::Failure;
use super::range::Range;

/// How many requests one transaction may hold by etcd's default.
const OPERATIONS: usize = 128;

/// How many pairs of a range are asked for at first, when nobody knows their size.
const FIRST_PAGE: i64 = 1_000;

/// About how large the answers after that may get, in bytes.
const PAGE: usize = 8 << 20;

/// How often a read begins anew because its revision was compacted under it.
const ATTEMPTS: usize = 3;

/// What was read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The pairs that are asked for, and no others.
    pub(super) snapshot: Snapshot,
    /// The revision they are as of.
    pub(super) revision: i64,
    /// The pair that changed last.
    pub(super) witness: Option<Witness>,
}

/// A pair by which a history can be known again: another one with the same revision, key and
/// value there would be a miracle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Witness {
    pub(super) range: usize,
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    pub(super) changed_at: i64,
}

/// Reads all pairs in `ranges`, as of one revision that is not older than the call.
pub(super) async fn read(client: Client, ranges: &[Range]) -> Result<Reading, Failure> {
    let mut lost = None;
    for _ in 0..ATTEMPTS {
        match Reader::new(&client).read(ranges).await {
            Err(Failure::OutOfHistory(reason)) => lost = Some(reason),
            read => return read,
        }
    }
    Err(Failure::Unreachable(lost.unwrap_or_default()))
}

struct Reader {
    client: KvClient,
    reading: Reading,
}

/// What is left of a range.
struct Rest {
    range: usize,
    from: Vec<u8>,
    /// How many bytes the pairs before had on average.
    size: usize,
}

impl Reader {
    fn new(client: &Client) -> Self {
        let snapshot = Snapshot::new(Coverage::Subtree);
        Reader {
            client: client.kv_client().max_decoding_message_size(usize::MAX),
            reading: Reading { snapshot, revision: 0, witness: None },
        }
    }

    async fn read(mut self, ranges: &[Range]) -> Result<Reading, Failure> {
        let mut rests = Vec::new();
        for (nth, part) in ranges.chunks(OPERATIONS).enumerate() {
            rests.extend(self.first_pages(part, nth * OPERATIONS, ranges).await?);
        }
        for mut rest in rests {
            while let Some(more) = self.page(&rest, ranges).await? {
                rest = more;
            }
        }
        let revision = self.reading.revision.try_into().unwrap_or_default();
        self.reading.snapshot = self.reading.snapshot.at_revision(revision);
        Ok(self.reading)
    }

    /// Reads the beginning of some ranges in one request; gives what is left of them.
    async fn first_pages(
        &mut self,
        part: &[Range],
        offset: usize,
        ranges: &[Range],
    ) -> Result<Vec<Rest>, Failure> {
        let gets: Vec<_> = part
            .iter()
            .map(|range| TxnOp::get(range.start.as_slice(), Some(self.options(range, FIRST_PAGE))))
            .collect();
        let mut answer = within(self.client.txn(Txn::new().and_then(gets))).await?;
        if let (0, Some(header)) = (self.reading.revision, answer.take_header()) {
            self.reading.revision = header.revision();
        }
        let mut rests = Vec::new();
        for (nth, response) in answer.op_responses().into_iter().enumerate() {
            let TxnOpResponse::Get(mut get) = response else { continue };
            let more = get.more();
            rests.extend(self.take(offset + nth, get.take_kvs(), more, ranges));
        }
        Ok(rests)
    }

    /// Reads on; gives what is left then.
    async fn page(&mut self, rest: &Rest, ranges: &[Range]) -> Result<Option<Rest>, Failure> {
        let limit = (PAGE / rest.size.max(1)).clamp(16, 20_000);
        let limit = i64::try_from(limit).unwrap_or(FIRST_PAGE);
        let options = self.options(&ranges[rest.range], limit);
        let mut answer = within(self.client.get(rest.from.as_slice(), Some(options))).await?;
        let more = answer.more();
        Ok(self.take(rest.range, answer.take_kvs(), more, ranges))
    }

    /// What is asked: up to `limit` pairs, at the revision of the first answer.
    fn options(&self, range: &Range, limit: i64) -> GetOptions {
        GetOptions::new()
            .with_range(range.end.as_slice())
            .with_limit(limit)
            .with_revision(self.reading.revision)
    }

    fn take(
        &mut self,
        range: usize,
        pairs: Vec<KeyValue>,
        more: bool,
        ranges: &[Range],
    ) -> Option<Rest> {
        let size = pairs.iter().map(|pair| pair.key().len() + pair.value().len()).sum::<usize>();
        let size = size / pairs.len().max(1);
        let rest = pairs.last().filter(|_| more).map(|last| Rest {
            range,
            from: [last.key(), b"\0"].concat(),
            size,
        });
        for pair in pairs {
            if !ranges[range].covers(pair.key()) {
                continue;
            }
            let changed_at = pair.mod_revision();
            let (key, value) = pair.into_key_value();
            let (key, value) = (Bytes::from(key), Bytes::from(value));
            let newest = self.reading.witness.as_ref().map_or(0, |witness| witness.changed_at);
            if changed_at > newest {
                let (key, value) = (key.clone(), value.clone());
                self.reading.witness = Some(Witness { range, key, value, changed_at });
            }
            self.reading.snapshot.insert(key, value);
        }
        rest
    }
}
