//! Follows an interest with one stream of events for all scopes.
//!
//! The first state is read; from its revision on, events patch the snapshot. When the stream ends,
//! for any reason, it is opened again from the revision where it ended. If that revision is
//! compacted, or belongs to a different history (the server was wiped or restored from a backup),
//! everything is read again and compared. Ranges that are added to the interest are read, and get a
//! watch in the same stream.
//!
//! Each scope of a state has one revision, however many ranges there are: see `completeness`.

mod completeness;
mod state;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use client_etcd::{Answerer, Failure};
use etcd_client::Client;
use nodes::Cause;
use source::{Error, Interest, Refusals, Update, Watch};
use tracing::debug;

use self::completeness::Completeness;
use self::state::State;
use self::stream::{Opened, Stream};
use crate::Store;
use crate::position::Position;
use crate::range::Range;
use crate::read::{self, FirstPage, Reading, Refused};

/// If a stream ends within this time, the error is reported before the stream is opened again.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// The most tries to open a stream, if the revision of the read is lost each time.
const ATTEMPTS: usize = 3;

/// An interest that is followed.
pub(super) struct Following {
    store: Arc<Store>,
    interest: Interest,
    refusals: Refusals,
    /// The ranges that are asked for and not refused.
    wanted: Vec<Range>,
    /// The known state of these ranges. No other ranges are followed.
    state: State,
    stream: Option<(Answerer, Box<Stream>)>,
    /// Whether the stream may have watches for ranges that the state does not have.
    stream_is_old: bool,
    /// The ranges of the last reported state; `None` before the first.
    given: Option<Vec<Range>>,
    /// Whether a state must be reported although no value has changed.
    is_due: bool,
    /// Whether the server was asked for its progress since the interest was set.
    asked_progress: bool,
}

/// The result of an attempt to continue.
enum Resumed {
    /// The stream, and a reading of all ranges if the position was lost.
    Open(Box<Stream>, Option<Reading>),
    /// Some ranges are refused now.
    Refused(Refused),
}

impl Following {
    pub(super) fn new(store: Arc<Store>, interest: &Interest) -> Self {
        Following {
            store,
            interest: interest.clone(),
            refusals: Refusals::default(),
            wanted: Range::of(&interest.scopes),
            state: State::new(),
            stream: None,
            stream_is_old: false,
            given: None,
            is_due: true,
            asked_progress: false,
        }
    }

    /// Selects the ranges that are asked for and not refused. Other ranges are forgotten; new
    /// ranges are missing until they are read.
    fn want(&mut self) {
        self.wanted = Range::of(self.refusals.allowed(&self.interest.scopes));
        self.state.keep(&self.wanted);
        if self.state.position.places.is_empty() {
            self.stream = None;
        }
        (self.is_due, self.asked_progress, self.stream_is_old) = (true, false, true);
    }

    /// Continues without the refused ranges, if there are any.
    ///
    /// # Errors
    ///
    /// Every range is refused.
    fn without_refused(&mut self, refused_before: usize) -> Result<(), Error> {
        if self.refusals.len() == refused_before {
            return Ok(());
        }
        let was_due = self.is_due;
        let checked = self.refusals.check_any_allowed(&self.interest.scopes);
        self.want();
        // If every range is refused, the error is the report.
        self.is_due = checked.is_ok() || was_due;
        checked
    }

    /// The state to report, if there is one.
    fn update(&mut self) -> Option<Update> {
        let mut changed = self.state.pairs.take_changed();
        let changed = self.given.as_ref().map(|given| {
            changed.retain(|key| {
                Range::any_covers(given, key) && Range::any_covers(&self.wanted, key)
            });
            changed
        });
        // If the stream has ended, the known pairs may be stale.
        let is_known = self.given.is_none() || self.stream.is_some() || self.wanted.is_empty();
        let is_due = self.is_due && is_known;
        if !is_due && changed.as_ref().is_none_or(Vec::is_empty) {
            return None;
        }
        if self.is_due {
            self.given = Some(self.wanted.clone());
            self.is_due = false;
        }
        let snapshot = self.state.pairs.snapshot();
        Some(Update { answers: self.refusals.answers(&self.interest.scopes, snapshot), changed })
    }

    /// Whether the state has all selected ranges, and each scope at one revision.
    fn is_complete(&self) -> bool {
        self.state.is_complete(&self.wanted) && !(self.is_due && self.is_torn(&[]))
    }

    /// Whether a scope would have several revisions if `missing` were read now.
    fn is_torn(&self, missing: &[&Range]) -> bool {
        let mut allowed = self.refusals.allowed(&self.interest.scopes);
        !(missing.is_empty() && self.state.is_one_batch())
            && allowed.any(|scope| self.state.is_torn(scope, missing))
    }

    /// Reads all selected ranges, while nothing is followed yet.
    async fn read_all(&mut self) -> Result<(), Error> {
        let (wanted, refused) = (self.wanted.iter().collect::<Vec<_>>(), self.refusals.len());
        let reading = self.store.read(&wanted, &mut self.refusals).await?;
        self.state.add(&wanted, reading);
        self.without_refused(refused)
    }

    /// Reads the missing ranges, and none of the followed ranges.
    ///
    /// The followed ranges may be known at an older revision, which no scope may see. If a scope
    /// asks for both kinds of ranges, the server is asked for its progress, and the missing ranges
    /// are read at that revision. If the server does not report its progress, all ranges are read.
    async fn read_missing(&mut self) -> Result<(), Error> {
        let missing = self.state.missing(&self.wanted);
        let (store, refused) = (&self.store, self.refusals.len());
        let reading = if missing.is_empty() {
            None
        } else if !self.asked_progress {
            Some(store.read(&missing, &mut self.refusals).await?)
        } else if self.state.has_caught_up() {
            let revision = self.state.position.revision();
            store.read_at(&missing, revision, &mut self.refusals).await?
        } else {
            None
        };
        match reading {
            Some(reading) if !self.state.is_followed_by(&reading) => {
                debug!("etcd: the store that is read is not the one that is followed");
                self.leave_stream();
            }
            Some(reading) if self.state.is_at(&reading) || !self.is_torn(&missing) => {
                self.state.add(&missing, reading);
                self.stream_is_old = true;
            }
            reading if !self.asked_progress && self.reports_progress() => {
                self.asked_progress = true;
                self.state.catch_up(reading.map_or(0, |reading| reading.revision()));
            }
            _ => {
                debug!("etcd: everything is read, to have it as of one revision");
                self.stream = None;
                self.state.forget_places();
            }
        }
        self.without_refused(refused)
    }

    /// Whether the source still waits for the server's answer about its progress.
    fn waits_for_progress(&self) -> bool {
        self.asked_progress && self.state.is_behind()
    }

    /// Whether the server reports its progress reliably.
    fn reports_progress(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|(_, stream)| stream.completeness == Completeness::Progress)
    }

    /// Opens the stream at the position. If the position is lost, reads everything and opens the
    /// stream from there.
    async fn resume(&mut self) -> Result<(), Error> {
        let (position, first_page) = (&self.state.position, &self.store.first_page);
        let resume = |client| resume(client, position, first_page);
        let (answerer, resumed) = self.store.cluster.ask(resume).await?;
        match resumed {
            Resumed::Open(stream, reading) => {
                let node = self.store.cluster.address(answerer);
                if let Some(reading) = reading {
                    debug!("etcd: read anew at {node}");
                    self.state.replace(reading);
                }
                debug!("etcd: following at {node}");
                self.stream = Some((answerer, stream));
                self.stream_is_old = false;
                Ok(())
            }
            Resumed::Refused(refused) => {
                let before = self.refusals.len();
                let ranges = self.state.position.ranges();
                self.store.note(answerer, &ranges, &refused, &mut self.refusals);
                self.without_refused(before)
            }
        }
    }

    /// Reads all followed ranges, because the server does not report its progress.
    async fn read_followed(&mut self) -> Result<(), Error> {
        let before = self.refusals.len();
        let ranges = self.state.position.ranges();
        let reading = self.store.read(&ranges, &mut self.refusals).await?;
        if reading.refused.is_empty() {
            if self.state.is_held_by(&reading) {
                self.state.replace(reading);
            } else {
                debug!("etcd: the store that is read is not the one that is followed");
                self.leave_stream();
            }
        }
        self.without_refused(before)
    }

    /// Waits for events, and applies all that have arrived.
    ///
    /// # Errors
    ///
    /// The stream ended shortly after it was opened.
    async fn follow(&mut self) -> Result<(), Error> {
        let Some((answerer, stream)) = &mut self.stream else { return Ok(()) };
        let followed = match self.stream_is_old {
            true => stream.follow(&self.state.position.places).await,
            false => follow(stream, &mut self.state).await,
        };
        let Err(failure) = followed else {
            self.stream_is_old = false;
            return Ok(());
        };
        let short = stream.opened.elapsed() < SHORT_LIVED;
        let error = self.store.cluster.ended(*answerer, failure);
        self.leave_stream();
        debug!("etcd: the stream of events ended: {error}");
        if short { Err(error.into()) } else { Ok(()) }
    }

    /// Closes the stream, so that a new stream is opened at the position.
    fn leave_stream(&mut self) {
        self.state.forget_waiting();
        (self.stream, self.asked_progress) = (None, false);
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // All progress is kept in `self` before each wait, because the future may be dropped at
        // every wait.
        loop {
            let is_complete = self.is_complete();
            if is_complete && let Some(update) = self.update() {
                return Ok(update);
            }
            if self.wanted.is_empty() {
                return std::future::pending().await;
            }
            match &self.stream {
                // Nothing is followed yet, so there is no position.
                _ if self.state.position.places.is_empty() => self.read_all().await?,
                // The position is verified before anything is read at it.
                None => self.resume().await?,
                Some((_, stream)) if stream.is_broken() => self.leave_stream(),
                Some(_) if !is_complete && !self.waits_for_progress() => {
                    self.read_missing().await?;
                }
                Some((_, stream)) if self.state.needs_reading(stream.completeness) => {
                    self.read_followed().await?;
                }
                Some(_) => self.follow().await?,
            }
        }
    }

    fn set_interest(&mut self, interest: &Interest) {
        self.interest = interest.clone();
        self.refusals.clear();
        self.want();
    }

    fn reread(&mut self) {
        (self.stream, self.asked_progress) = (None, false);
        self.state.forget_places();
    }
}

/// Waits for events, and applies all that have arrived.
async fn follow(stream: &mut Stream, state: &mut State) -> Result<(), Failure> {
    let mut message = match state.wants_progress() {
        false => stream.message().await?,
        true => match stream.message_or_progress().await? {
            Some(message) => message,
            None => {
                state.gives_up_progress();
                return Ok(());
            }
        },
    };
    loop {
        if stream::is_progress(&message) {
            stream.progress_was_reported();
        }
        state.take(message, stream.completeness)?;
        match stream.message_now() {
            Some(next) => message = next?,
            None => return Ok(()),
        }
    }
}

/// Opens the stream at a position. If the position is lost, reads everything and opens the stream
/// from there.
async fn resume(
    client: Client,
    position: &Position,
    first_page: &FirstPage,
) -> Result<Resumed, Failure> {
    match position.is_known(&client).await {
        Ok(false) => {}
        Ok(true) => {
            if let Opened::Open(stream) = Stream::open(&client, &position.places).await? {
                return Ok(Resumed::Open(stream, None));
            }
        }
        Err(Failure::Refused(reason)) => {
            let refused = read::refused(&client, &position.ranges()).await?;
            // If no range is refused now, the next attempt opens the stream.
            let is_over = refused.is_empty();
            return if is_over {
                Err(Failure::Refused(reason))
            } else {
                Ok(Resumed::Refused(refused))
            };
        }
        Err(failure) => return Err(failure),
    }
    let mut reason = "";
    for _ in 0..ATTEMPTS {
        let reading = read::read(client.clone(), &position.ranges(), first_page).await?;
        if !reading.refused.is_empty() {
            return Ok(Resumed::Refused(reading.refused));
        }
        let places = position.read(&reading);
        match Stream::open(&client, &places).await? {
            Opened::Open(stream) => return Ok(Resumed::Open(stream, Some(reading))),
            Opened::Lost(lost) => reason = lost,
        }
    }
    Err(Failure::Unreachable(Cause::new(reason)))
}
