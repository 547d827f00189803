//! An interest that is followed: one stream of events for all of its scopes.
//!
//! The first state is a reading; from the revision behind it on events patch the snapshot. When
//! the stream ends, for whatever reason, it is opened again where it ended. Only if that place is
//! not there any more, because the history was compacted or is another one (the server was wiped
//! or restored from a backup), everything is read anew and compared. Ranges that are added to the
//! interest are read, and get a watch in the same stream.
//!
//! Each scope of a state is as of one revision, however many ranges there are: see `completeness`.

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

/// A stream that ends earlier is not opened again at once: whoever waits for it is told.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// How often the place of a reading may be lost before the stream is open there.
const ATTEMPTS: usize = 3;

/// An interest that is followed.
pub(super) struct Following {
    store: Arc<Store>,
    interest: Interest,
    refusals: Refusals,
    /// The ranges of what is asked for and not refused.
    wanted: Vec<Range>,
    /// What is known of them. It follows no others.
    state: State,
    stream: Option<(Answerer, Box<Stream>)>,
    /// Whether the stream may have other watches than the state has ranges.
    stream_is_old: bool,
    /// The ranges of the state given last; `None` before the first.
    given: Option<Vec<Range>>,
    /// Whether there is to be a state although no value has changed.
    is_due: bool,
    /// Whether the server was asked for its progress since the interest was set.
    asked_progress: bool,
}

/// What came of an attempt to go on.
enum Resumed {
    /// The stream, and everything, if the place in the history was lost.
    Open(Box<Stream>, Option<Reading>),
    /// Some of the ranges may not be read any more.
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

    /// Wants what is asked for and not refused. What nobody wants any more is forgotten; what is new
    /// is missing until it is read.
    fn want(&mut self) {
        self.wanted = Range::of(self.refusals.allowed(&self.interest.scopes));
        self.state.keep(&self.wanted);
        if self.state.position.places.is_empty() {
            self.stream = None;
        }
        (self.is_due, self.asked_progress, self.stream_is_old) = (true, false, true);
    }

    /// Goes on without the ranges that were refused, if there were any.
    ///
    /// # Errors
    ///
    /// Nothing is left to go on with.
    fn without_refused(&mut self, refused_before: usize) -> Result<(), Error> {
        if self.refusals.len() == refused_before {
            return Ok(());
        }
        let was_due = self.is_due;
        let checked = self.refusals.check_any_allowed(&self.interest.scopes);
        self.want();
        // That nothing is allowed is told by the error.
        self.is_due = checked.is_ok() || was_due;
        checked
    }

    /// What there is to tell, if there is something.
    fn update(&mut self) -> Option<Update> {
        let mut changed = self.state.pairs.take_changed();
        let changed = self.given.as_ref().map(|given| {
            changed.retain(|key| {
                Range::any_covers(given, key) && Range::any_covers(&self.wanted, key)
            });
            changed
        });
        // What was followed may be another by now if the stream has ended.
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

    /// Whether the state knows all that is wanted, and each scope of it as of one revision.
    fn is_complete(&self) -> bool {
        self.state.is_complete(&self.wanted) && !(self.is_due && self.is_torn(&[]))
    }

    /// Whether a scope would be of several revisions if `missing` were read now.
    fn is_torn(&self, missing: &[&Range]) -> bool {
        let mut allowed = self.refusals.allowed(&self.interest.scopes);
        !(missing.is_empty() && self.state.is_one_batch())
            && allowed.any(|scope| self.state.is_torn(scope, missing))
    }

    /// Reads everything that is wanted, where nothing is followed yet.
    async fn read_all(&mut self) -> Result<(), Error> {
        let (wanted, refused) = (self.wanted.iter().collect::<Vec<_>>(), self.refusals.len());
        let reading = self.store.read(&wanted, &mut self.refusals).await?;
        self.state.add(&wanted, reading);
        self.without_refused(refused)
    }

    /// Reads the ranges that are missing, and nothing of those that are followed.
    ///
    /// The others may be known as of an older revision. That is for no scope to see: if one asks for
    /// ranges of both kinds, the server is asked for its progress, and what is missing is read as of that
    /// revision. Where the server does not tell its progress, everything is read.
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
            reading if !self.asked_progress && self.tells_progress() => {
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

    /// Whether the server was asked for its progress, and has neither answered nor been given up.
    fn waits_for_progress(&self) -> bool {
        self.asked_progress && self.state.is_behind()
    }

    /// Whether the server says how far it has told everything.
    fn tells_progress(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|(_, stream)| stream.completeness == Completeness::Progress)
    }

    /// Opens the stream at the position, or reads everything and opens it from there.
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

    /// Reads all ranges that are followed, as the server does not say how far it has told everything.
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

    /// Waits for events, and takes all that are there.
    ///
    /// # Errors
    ///
    /// The stream has ended after a short life.
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

    /// Leaves the stream, so that another is opened at the position.
    fn leave_stream(&mut self) {
        self.state.forget_waiting();
        (self.stream, self.asked_progress) = (None, false);
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // Whatever is waited for below, what was learnt before is in `self`: the future may be
        // dropped anywhere.
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
                // The position is proved before anything is read at it.
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
}

/// Waits for events, and takes all that are there.
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
            stream.progress_was_told();
        }
        state.take(message, stream.completeness)?;
        match stream.message_now() {
            Some(next) => message = next?,
            None => return Ok(()),
        }
    }
}

/// Opens the stream at a position, or reads everything and opens it from there.
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
            // If none is refused now, the next attempt will see it.
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
