//! The health check: whether the service works after its reload.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use command::Program;
use tokio::time::{Instant, sleep_until};

use crate::environment::Environment;
use crate::run::{self, Reporting};
use crate::step::{Observer, Purpose};

/// A command that succeeds when the service works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// The command.
    pub command: Program,
    /// The time limit of one run of the command. Zero means no limit of its own.
    pub timeout: Duration,
    /// How long the command is tried until it succeeds.
    pub window: Duration,
    /// The time between two tries.
    pub interval: Duration,
}

/// A health check that did not succeed.
#[derive(Debug)]
pub struct Unhealthy {
    /// How the command failed at last.
    pub cause: command::Error,
    /// How long it was tried.
    pub window: Duration,
    /// The command.
    pub command: Program,
}

impl Health {
    /// Runs the command until it succeeds. Only the failure of the last try is reported as one.
    pub(crate) async fn check(
        &self,
        environment: &Environment,
        observer: &dyn Observer,
    ) -> Result<(), Unhealthy> {
        let end = Instant::now() + self.window;
        loop {
            let begun = Instant::now();
            let interval = self.interval.max(SHORTEST);
            // A window that is over, or nearly, still allows one try.
            let left = end.saturating_duration_since(begun).max(interval);
            let own = (!self.timeout.is_zero()).then_some(self.timeout);
            let limit = own.map_or(left, |own| own.min(left));
            let next = begun + interval;
            let is_last = AtomicBool::new(false);
            let reporting = |result: &Result<(), command::Error>| {
                is_last.store(Instant::now().max(next) >= end, Ordering::Relaxed);
                let is_tried_again = result.is_err() && !is_last.load(Ordering::Relaxed);
                if is_tried_again { Reporting::Quiet } else { Reporting::Usual }
            };
            let run = run::run_reporting(
                Purpose::Health,
                self.command.clone(),
                Some(limit),
                environment,
                observer,
                reporting,
            );
            let Err(cause) = run.await else { return Ok(()) };
            if is_last.load(Ordering::Relaxed) {
                let (window, command) = (self.window, self.command.clone());
                return Err(Unhealthy { cause, window, command });
            }
            sleep_until(next).await;
        }
    }
}

/// The shortest time between two tries.
const SHORTEST: Duration = Duration::from_millis(10);
