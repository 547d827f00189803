//! A stream of events of several ranges.

use std::collections::VecDeque;
use std::time::Duration;

use etcd_client::{Client, WatchOptions, WatchRequestSender, WatchResponse, WatchResponseStream};
use futures_util::{FutureExt, StreamExt, future};
use tokio::select;
use tokio::time::{Instant, sleep_until};
use tracing::debug;

use super::completeness::Completeness;
use crate::position::{Mark, Position};
use crate::range::Range;
use client_etcd::Failure;
use client_etcd::within;
use nodes::Cause;

/// After how long a server is asked for its progress again: it says nothing while a watch is behind.
const AGAIN: Duration = Duration::from_millis(50);

/// How long messages wait until the server tells its progress. It does not while a watch is behind,
/// which is for as long as hundreds of ranges change without a pause.
const PATIENCE: Duration = Duration::from_millis(250);

/// An open stream, with a watch for each range.
pub(super) struct Stream {
    /// The stream ends when this is dropped.
    requests: WatchRequestSender,
    messages: WatchResponseStream,
    /// Those that came while the watches were made.
    early: VecDeque<WatchResponse>,
    /// When it was opened.
    pub(super) opened: Instant,
    pub(super) completeness: Completeness,
    /// When the server may be asked for its progress.
    ask_at: Instant,
    /// Since when the server's progress is wanted.
    wanted_since: Option<Instant>,
    /// Whether the server has told its progress.
    told: bool,
}

/// What came of opening a stream.
pub(super) enum Opened {
    Open(Box<Stream>),
    /// The revision is not in the store's history; why.
    Lost(&'static str),
}

impl Stream {
    /// Opens a stream of what happens in each range after a position.
    pub(super) async fn open(
        client: &Client,
        ranges: &[Range],
        position: &Position,
    ) -> Result<Opened, Failure> {
        let completeness = Completeness::of(client, ranges.len()).await;
        let marks = &position.marks;
        let mut watches = ranges.iter().zip(marks).zip(1..).map(|((range, mark), id)| {
            let options = WatchOptions::new()
                .with_range(range.end.as_slice())
                .with_start_revision(mark.revision + 1)
                .with_watch_id(id)
                .with_progress_notify();
            (range.start.as_slice(), options)
        });
        let Some((key, options)) = watches.next() else {
            return Err(Failure::Unreachable(Cause::new("there is nothing to watch")));
        };
        let mut client = client.watch_client().max_decoding_message_size(usize::MAX);
        let stream = within(client.watch(key, Some(options))).await?;
        let (mut requests, mut messages) = stream.split();
        // Answers are taken while requests are sent: the server stops to take requests when
        // nobody takes its answers.
        let asking = async {
            for (key, options) in watches {
                requests.watch(key, Some(options)).await?;
            }
            Ok(())
        };
        let making = future::try_join(asking, made(&mut messages, marks));
        let ((), made) = within(making).await?;
        Ok(match made {
            Ok(early) => Opened::Open(Box::new(Stream {
                requests,
                messages,
                early,
                opened: Instant::now(),
                completeness,
                ask_at: Instant::now(),
                wanted_since: None,
                told: false,
            })),
            Err(lost) => Opened::Lost(lost),
        })
    }

    /// The next message. Dropping the future loses none.
    pub(super) async fn message(&mut self) -> Result<WatchResponse, Failure> {
        match self.early.pop_front() {
            Some(message) => Ok(message),
            None => received(self.messages.next().await),
        }
    }

    /// The next message, while the server is asked for its progress; `None` if it does not tell it
    /// in time. Dropping the future loses no message.
    pub(super) async fn message_or_progress(&mut self) -> Result<Option<WatchResponse>, Failure> {
        let patience = *self.wanted_since.get_or_insert_with(Instant::now) + PATIENCE;
        loop {
            let now = Instant::now();
            if patience <= now {
                self.wanted_since = None;
                if !self.told {
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

    /// The server has told its progress, and may be asked again.
    pub(super) fn progress_was_told(&mut self) {
        self.ask_at = Instant::now();
        self.wanted_since = None;
        self.told = true;
    }

    /// The next message if it is there already.
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

/// Waits until every watch is made; gives the messages that are more than that, or why a revision
/// is none of the store's.
async fn made(
    messages: &mut WatchResponseStream,
    marks: &[Mark],
) -> Result<Result<VecDeque<WatchResponse>, &'static str>, Failure> {
    let mut early = VecDeque::new();
    let mut missing = marks.len();
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
        let revision = message.header().map_or(0, |header| header.revision());
        // A watch that starts in the future says nothing until the store gets there, whatever
        // happens before.
        if range_of(&message)
            .and_then(|range| marks.get(range))
            .is_none_or(|at| revision < at.revision)
        {
            return Ok(Err("the store has an older revision than before"));
        }
    }
    Ok(Ok(early))
}

/// Which range a message is about.
pub(super) fn range_of(message: &WatchResponse) -> Option<usize> {
    usize::try_from(message.watch_id()).ok()?.checked_sub(1)
}

/// Whether a message says how far everything has been told, for all ranges.
pub(super) fn is_progress(message: &WatchResponse) -> bool {
    message.watch_id() < 0 && message.events().is_empty() && !message.canceled()
}

/// Why a watch was cancelled.
pub(super) fn refusal(message: &WatchResponse) -> Failure {
    match (message.compact_revision(), message.cancel_reason()) {
        (0, "") => Failure::Unreachable(Cause::new("the watch was cancelled")),
        // Why is for people. If it is a refusal, the request that comes before the next stream is
        // refused too, with a code.
        (0, reason) => Failure::Unreachable(Cause::new(reason)),
        _ => Failure::OutOfHistory(Cause::new("required revision has been compacted")),
    }
}
