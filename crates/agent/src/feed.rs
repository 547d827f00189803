//! The one line to the backend in watch mode: follows all scopes, and never gives up.

use std::{sync::Arc, time::Duration};

use backend::{Backend, Error, Update, Watch};
use store::Scope;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info};

use crate::{
    backoff::{Backoff, jittered},
    settings::Schedule,
};

/// Delays between attempts at a source that fails.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LAST_DELAY: Duration = Duration::from_secs(5);
/// How often a failure that stays the same is told again.
const REMINDER: Duration = Duration::from_secs(60);

/// Follows scopes of a backend.
///
/// A source that cannot tell of changes is read again every interval. One that can is also asked
/// anew for everything every [`Schedule::reconcile`], so that nothing depends on its watch being
/// perfect.
pub(crate) struct Feed {
    backend: Arc<dyn Backend>,
    scopes: Vec<Scope>,
    interval: Duration,
    reconcile: Duration,
    source: Source,
    /// Nothing is asked of the source before this moment.
    rest_until: Option<Instant>,
    backoff: Backoff,
    trouble: Option<Trouble>,
}

/// What is known of the source.
enum Source {
    /// It is to be asked whether it can be followed.
    Unknown,
    /// It is followed, until this moment.
    Followed(Box<dyn Watch>, Instant),
    /// It has to be read every interval.
    Polled,
}

/// The failure told last.
struct Trouble {
    text: String,
    told: Instant,
}

impl Feed {
    /// A feed of `scopes`. Nothing is asked of the backend yet.
    pub(crate) fn new(backend: Arc<dyn Backend>, scopes: Vec<Scope>, schedule: &Schedule) -> Self {
        Self {
            backend,
            scopes,
            interval: schedule.interval,
            reconcile: schedule.reconcile,
            source: Source::Unknown,
            rest_until: None,
            backoff: Backoff::new(FIRST_DELAY, LAST_DELAY),
            trouble: None,
        }
    }

    /// The scopes that are followed, in the order of an update's snapshots.
    pub(crate) fn scopes(&self) -> &[Scope] {
        &self.scopes
    }

    /// The next state. Failures are logged and followed by another attempt, for ever. Dropping the
    /// future loses nothing.
    pub(crate) async fn next(&mut self) -> Update {
        if self.scopes.is_empty() {
            return std::future::pending().await;
        }
        loop {
            if let Some(moment) = self.rest_until {
                sleep_until(moment).await;
                self.rest_until = None;
            }
            match self.ask().await {
                Ok(None) => {}
                Ok(Some(update)) => {
                    self.recovered();
                    return update;
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    /// One request of the source, which may take as long as nothing changes.
    async fn ask(&mut self) -> Result<Option<Update>, Error> {
        match &mut self.source {
            Source::Unknown => {
                self.source = match self.backend.watch(&self.scopes).await? {
                    Some(watch) => {
                        Source::Followed(watch, Instant::now() + jittered(self.reconcile))
                    }
                    None => Source::Polled,
                };
                Ok(None)
            }
            Source::Followed(watch, until) => {
                tokio::select! {
                    update = watch.next() => update.map(Some),
                    () = sleep_until(*until) => {
                        debug!("Reading all keys again, to compare");
                        self.source = Source::Unknown;
                        Ok(None)
                    }
                }
            }
            Source::Polled => {
                let snapshots = self.backend.read(&self.scopes).await?;
                self.rest_until = Some(Instant::now() + self.interval);
                Ok(Some(Update { snapshots, changed: None }))
            }
        }
    }

    fn failed(&mut self, error: &Error) {
        let now = Instant::now();
        self.rest_until = Some(now + self.backoff.delay());
        let text = error.to_string();
        let is_news = |trouble: &Trouble| trouble.text != text || now - trouble.told >= REMINDER;
        if self.trouble.as_ref().is_none_or(is_news) {
            error!("{text}");
            self.trouble = Some(Trouble { text, told: now });
        } else {
            debug!("{text}");
        }
    }

    fn recovered(&mut self) {
        self.backoff.reset();
        if self.trouble.take().is_some() {
            info!("The backend answers again");
        }
    }
}
