//! One stream of events for several ranges.

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use etcd_client::{Client, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use futures_util::{FutureExt, StreamExt, future};
use tokio::select;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::completeness::Completeness;
use crate::position::{Mark, Place};
use client_etcd::Failure;
use client_etcd::within;
use nodes::Cause;

/// The time after which the server is asked for its progress again. It does not answer while a
/// watch is behind.
const AGAIN: Duration = Duration::from_millis(50);

/// The time that messages wait for the server's progress. It does not answer while hundreds of
/// ranges change without a pause.
const PATIENCE: Duration = Duration::from_millis(250);

/// An open stream, with a watch for each range.
pub(super) struct Stream {
    client: Client,
    /// The numbers of the requested watches.
    watches: BTreeSet<i64>,
    /// Whether watches are being changed. If the future that changes them is dropped, it is unknown
    /// which requests were sent.
    is_changing: bool,
    /// Dropping this ends the stream.
    requests: WatchRequestSender,
    messages: WatchResponseStream,
    /// The messages that arrived while the watches were made.
    early: VecDeque<WatchResponse>,
    /// The time when the stream was opened.
    pub(super) opened: Instant,
    pub(super) completeness: Completeness,
    /// The time when the server may be asked for its progress.
    ask_at: Instant,
    /// The time since which the progress is needed.
    wanted_since: Option<Instant>,
    /// Whether the server has reported its progress.
    is_reported: bool,
}

/// The result of opening a stream.
pub(super) enum Opened {
    Open(Box<Stream>),
    /// The revision is not in the store's history, for this reason.
    Lost(&'static str),
}

impl Stream {
    /// Opens a stream of the events in each range after its position.
    pub(super) async fn open(client: &Client, places: &[Place]) -> Result<Opened, Failure> {
        let completeness = Completeness::of(client, places.len()).await;
        let mut watches = places.iter().map(request);
        let Some((key, options)) = watches.next() else {
            return Err(Failure::Unreachable(Cause::new("there is nothing to watch")));
        };
        let mut watch_client = client.watch_client().max_decoding_message_size(usize::MAX);
        let stream = within(watch_client.watch(key, Some(options))).await?;
        let (mut requests, mut messages) = stream.split();
        // Answers are read while requests are sent, because the server stops reading requests when
        // its answers are not read.
        let asking = async {
            for (key, options) in watches {
                requests.watch(key, Some(options)).await?;
            }
            Ok(())
        };
        let making = future::try_join(asking, made(&mut messages, places));
        let ((), made) = within(making).await?;
        Ok(match made {
            Ok(early) => Opened::Open(Box::new(Stream {
                client: client.clone(),
                watches: places.iter().map(|place| place.id).collect(),
                is_changing: false,
                requests,
                messages,
                early,
                opened: Instant::now(),
                completeness,
                ask_at: Instant::now(),
                wanted_since: None,
                is_reported: false,
            })),
            Err(lost) => Opened::Lost(lost),
        })
    }

    /// Whether a change of the watches was interrupted, so the stream cannot be used any more.
    pub(super) fn is_broken(&self) -> bool {
        self.is_changing
    }

    /// Changes the watches to these ranges: cancels the watches of other ranges, and creates
    /// missing watches. The server's confirmation is one of the messages.
    pub(super) async fn follow(&mut self, places: &[Place]) -> Result<(), Failure> {
        self.is_changing = true;
        if self.completeness == Completeness::Message {
            self.completeness = Completeness::of(&self.client, places.len()).await;
        }
        let wanted: BTreeSet<i64> = places.iter().map(|place| place.id).collect();
        let Stream { watches, requests, messages, early, .. } = self;
        let asking = async {
            for id in watches.difference(&wanted) {
                requests.cancel(*id).await?;
            }
            for place in places.iter().filter(|place| !watches.contains(&place.id)) {
                let (key, options) = request(place);
                requests.watch(key, Some(options)).await?;
            }
            Ok::<_, Failure>(())
        };
        // As in `open`, answers are read while requests are sent.
        let answers = async {
            loop {
                early.push_back(received(messages.next().await)?);
            }
        };
        select! {
            biased;
            asked = within(asking) => asked?,
            Err::<Infallible, _>(failure) = answers => return Err(failure),
        }
        self.watches = wanted;
        self.is_changing = false;
        Ok(())
    }

    /// Returns the next message. Dropping the future loses no message.
    pub(super) async fn message(&mut self) -> Result<WatchResponse, Failure> {
        match self.early.pop_front() {
            Some(message) => Ok(message),
            None => received(self.messages.next().await),
        }
    }

    /// Returns the next message, and asks the server for its progress meanwhile. Returns `None` if
    /// the server does not answer in time. Dropping the future loses no message.
    pub(super) async fn message_or_progress(&mut self) -> Result<Option<WatchResponse>, Failure> {
        let patience = *self.wanted_since.get_or_insert_with(Instant::now) + PATIENCE;
        loop {
            let now = Instant::now();
            if patience <= now {
                self.wanted_since = None;
                if !self.is_reported {
                    debug!("etcd: the server does not tell its progress");
                    self.completeness = Completeness::Reading;
                }
                return Ok(None);
            }
            if self.ask_at <= now {
                self.ask_at = now + AGAIN;
                self.requests.request_progress().await?;
            }
            let until = self.ask_at.min(patience);
            select! {
                biased;
                message = self.message() => return message.map(Some),
                () = sleep_until(until) => {}
            }
        }
    }

    /// Records that the server has reported its progress, and may be asked again.
    pub(super) fn progress_was_reported(&mut self) {
        self.ask_at = Instant::now();
        self.wanted_since = None;
        self.is_reported = true;
    }

    /// Returns the next message if it has arrived already.
    pub(super) fn message_now(&mut self) -> Option<Result<WatchResponse, Failure>> {
        match self.early.pop_front() {
            Some(message) => Some(Ok(message)),
            None => self.messages.next().now_or_never().map(received),
        }
    }
}

fn received(
    message: Option<Result<WatchResponse, etcd_client::Error>>,
) -> Result<WatchResponse, Failure> {
    let ended = || Failure::Unreachable(Cause::new("the stream of events ended"));
    Ok(message.ok_or_else(ended)??)
}

/// The request for a watch of a range, from its position on.
fn request(place: &Place) -> (&[u8], WatchOptions) {
    let options = WatchOptions::new()
        .with_range(place.range.end.as_slice())
        .with_start_revision(place.mark.revision + 1)
        .with_watch_id(place.id)
        .with_progress_notify();
    (place.range.start.as_slice(), options)
}

/// Waits until every watch is created. Returns the other messages of this time, or the reason why a
/// revision is not in the store's history.
async fn made(
    messages: &mut WatchResponseStream,
    places: &[Place],
) -> Result<Result<VecDeque<WatchResponse>, &'static str>, Failure> {
    let mut early = VecDeque::new();
    let mut missing = places.len();
    while missing > 0 {
        let message = received(messages.next().await)?;
        if message.canceled() {
            return match refusal(&message) {
                Failure::OutOfHistory(_) => Ok(Err("the history was compacted")),
                failure => Err(failure),
            };
        }
        if !message.created() {
            early.push_back(message);
            continue;
        }
        missing -= 1;
        let place = places.binary_search_by_key(&message.watch_id(), |place| place.id);
        if !place.is_ok_and(|index| begins_at(&message, &places[index].mark)) {
            return Ok(Err(OLDER));
        }
    }
    Ok(Ok(early))
}

/// The reason why a created watch cannot be used.
pub(super) const OLDER: &str = "the store has an older revision than before";

/// Whether a created watch begins after `mark`. A watch that starts at a future revision reports
/// nothing before the store gets there.
pub(super) fn begins_at(made: &WatchResponse, mark: &Mark) -> bool {
    made.header().map_or(0, |header| header.revision()) >= mark.revision
}

/// Whether a message reports the progress of all ranges.
pub(super) fn is_progress(message: &WatchResponse) -> bool {
    message.watch_id() < 0 && message.events().is_empty() && !message.canceled()
}

/// The reason why a watch was cancelled.
pub(super) fn refusal(message: &WatchResponse) -> Failure {
    match (message.compact_revision(), message.cancel_reason()) {
        (0, "") => Failure::Unreachable(Cause::new("the watch was cancelled")),
        // The text is for people. If it is a refusal, the first request of the next stream is
        // refused too, with a code.
        (0, reason) => Failure::Unreachable(Cause::new(reason)),
        _ => Failure::OutOfHistory(Cause::new("required revision has been compacted")),
    }
}
