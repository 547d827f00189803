//! Follows the events of the engine's containers, and outlives the engine.

use std::rc::Rc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use client_docker::{Engine, Event, Moment};
use nodes::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The pauses before the engine is asked again.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// What the follower reports.
#[derive(Debug)]
pub(crate) enum Report {
    /// All events from now on are reported. Events may have been missed before.
    Following,
    /// Something happened to a container.
    Happened(Event),
    /// The engine does not answer, for this reason, and is asked again.
    Away(Error),
}

/// Follows the events until the receiver is gone. Reports wait for the receiver without a limit, so
/// that no event is lost.
pub(crate) async fn follow(engine: Rc<Engine>, reports: mpsc::UnboundedSender<Report>) {
    let mut seen = Seen::default();
    let mut pauses = backoff();
    loop {
        let error = match engine.events(seen.last).await {
            Ok(mut events) => {
                let opened = Instant::now();
                if reports.send(Report::Following).is_err() {
                    return;
                }
                let ended = loop {
                    match events.next().await {
                        Ok(Some(event)) if seen.is_new(&event) => {
                            if reports.send(Report::Happened(event)).is_err() {
                                return;
                            }
                        }
                        Ok(Some(_)) => {}
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                };
                // A stream that ends at once, again and again, is no reason to hurry.
                if opened.elapsed() > LONGEST {
                    pauses = backoff();
                }
                ended
            }
            Err(error) => Some(error),
        };
        if let Some(error) = error
            && reports.send(Report::Away(error)).is_err()
        {
            return;
        }
        sleep_until(Instant::now() + pauses.next().unwrap_or(LONGEST)).await;
    }
}

fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(FIRST)
        .with_max_delay(LONGEST)
        .without_max_times()
        .build()
}

/// The last moment of which there was an event, and the events of that moment. The engine sends
/// them again to who asks for the events since then.
#[derive(Default)]
struct Seen {
    last: Option<Moment>,
    of_last: Vec<Event>,
}

impl Seen {
    fn is_new(&mut self, event: &Event) -> bool {
        if self.last != Some(event.at) {
            self.last = self.last.max(Some(event.at));
            self.of_last.clear();
        } else if self.of_last.contains(event) {
            return false;
        }
        self.of_last.push(event.clone());
        true
    }
}
