//! Scopes that are followed: one stream of events for all of them.
//!
//! The first state is a reading; from the revision behind it on events patch the snapshot. When
//! the stream ends, for whatever reason, it is opened again where it ended. Only if that place is
//! not there any more, because the history was compacted or is another one (the server was wiped
//! or restored from a backup), everything is read anew and compared.
//!
//! Each state is as of one revision, however many ranges there are: see `completeness`.

mod completeness;
mod state;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use client_etcd::{Answerer, Failure};
use etcd_client::Client;
use nodes::Cause;
use source::{Error, Update, Watch};
use store::{Coverage, Scope, Snapshot};
use tracing::debug;

use self::state::State;
use self::stream::{Opened, Stream};
use crate::Store;
use crate::position::Position;
use crate::range::Range;
use crate::read::{self, FirstPage, Reading};

/// A stream that ends earlier is not opened again at once: whoever waits for it is told.
const SHORT_LIVED: Duration = Duration::from_secs(1);

/// How often the place of a reading may be lost before the stream is open there.
const ATTEMPTS: usize = 3;

/// Scopes that are followed.
pub(super) struct Following {
    store: Arc<Store>,
    ranges: Vec<Range>,
    scopes: usize,
    state: Option<State>,
    stream: Option<(Answerer, Box<Stream>)>,
}

/// What is needed to go on.
struct Resumed {
    /// Everything, if the place in the history was lost.
    reading: Option<Reading>,
    stream: Box<Stream>,
}

impl Following {
    pub(super) fn new(store: Arc<Store>, scopes: &[Scope]) -> Self {
        let ranges = Range::of(scopes);
        Following { store, ranges, scopes: scopes.len(), state: None, stream: None }
    }

    async fn first(&mut self) -> Result<Update, Error> {
        let state = match self.ranges.is_empty() {
            true => State::new(Snapshot::new(Coverage::Subtree), Position::default()),
            false => {
                let reading = self.store.read(&self.ranges).await?;
                State::new(reading.snapshot, reading.position)
            }
        };
        let snapshots = vec![state.pairs.snapshot().clone(); self.scopes];
        self.state = Some(state);
        Ok(Update { snapshots, changed: None })
    }
}

#[async_trait]
impl Watch for Following {
    async fn next(&mut self) -> Result<Update, Error> {
        // Whatever is waited for below, what was learnt before is in `self`: the future may be
        // dropped anywhere.
        let Some(state) = &mut self.state else { return self.first().await };
        if self.ranges.is_empty() {
            return std::future::pending().await;
        }
        loop {
            let changed = state.pairs.take_changed();
            if !changed.is_empty() {
                let snapshots = vec![state.pairs.snapshot().clone(); self.scopes];
                return Ok(Update { snapshots, changed: Some(changed) });
            }
            match &mut self.stream {
                None => {
                    let (ranges, position) = (&self.ranges, &state.position);
                    let first_page = &self.store.first_page;
                    let resume = |client| resume(client, ranges, position, first_page);
                    let (answerer, resumed) = self.store.cluster.ask(resume).await?;
                    let node = self.store.cluster.address(answerer);
                    if let Some(reading) = resumed.reading {
                        debug!("etcd: read anew at {node}");
                        state.replace(reading);
                    }
                    debug!("etcd: following at {node}");
                    self.stream = Some((answerer, resumed.stream));
                }
                Some((_, stream)) if state.needs_reading(stream.completeness) => {
                    let reading = self.store.read(&self.ranges).await?;
                    if state.is_held_by(&reading) {
                        state.replace(reading);
                    } else {
                        debug!("etcd: the store that is read is not the one that is followed");
                        state.forget_waiting();
                        self.stream = None;
                    }
                }
                Some((answerer, stream)) => {
                    let Err(failure) = follow(stream, state, &self.ranges).await else { continue };
                    let short = stream.opened.elapsed() < SHORT_LIVED;
                    let error = self.store.cluster.ended(*answerer, failure);
                    state.forget_waiting();
                    self.stream = None;
                    debug!("etcd: the stream of events ended: {error}");
                    if short {
                        return Err(error.into());
                    }
                }
            }
        }
    }
}

/// Waits for events, and takes all that are there.
async fn follow(stream: &mut Stream, state: &mut State, ranges: &[Range]) -> Result<(), Failure> {
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
        state.take(message, stream.completeness, ranges)?;
        match stream.message_now() {
            Some(next) => message = next?,
            None => return Ok(()),
        }
    }
}

/// Opens the stream at a position, or reads everything and opens it from there.
async fn resume(
    client: Client,
    ranges: &[Range],
    position: &Position,
    first_page: &FirstPage,
) -> Result<Resumed, Failure> {
    if position.is_known(&client, ranges).await?
        && let Opened::Open(stream) = Stream::open(&client, ranges, position).await?
    {
        return Ok(Resumed { reading: None, stream });
    }
    let mut reason = "";
    for _ in 0..ATTEMPTS {
        let reading = read::read(client.clone(), ranges, first_page).await?;
        match Stream::open(&client, ranges, &reading.position).await? {
            Opened::Open(stream) => return Ok(Resumed { reading: Some(reading), stream }),
            Opened::Lost(lost) => reason = lost,
        }
    }
    Err(Failure::Unreachable(Cause::new(reason)))
}
