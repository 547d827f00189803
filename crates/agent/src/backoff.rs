//! The growing delays between retries.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Delays that double from the first to the last. Jitter shortens each delay, so that failures of
/// the same moment are not retried at the same moment.
#[derive(Debug)]
pub(crate) struct Backoff {
    plan: ExponentialBuilder,
    delays: ExponentialBackoff,
}

impl Backoff {
    /// Delays from about `first` to about `last`.
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        // backon's jitter adds up to the delay itself, so that half of each delay is given to it.
        let plan = ExponentialBuilder::new()
            .with_min_delay(first / 2)
            .with_max_delay(last / 2)
            .with_factor(2.0)
            .without_max_times()
            .with_jitter();
        Self { plan, delays: plan.build() }
    }

    /// The delay of the next retry: a random time between half of the current delay and all of it.
    pub(crate) fn delay(&mut self) -> Duration {
        // A plan without a number of times never ends.
        self.delays.next().unwrap_or_default()
    }

    /// Starts again with the first delay, after a success.
    pub(crate) fn reset(&mut self) {
        self.delays = self.plan.build();
    }
}

/// A random time between half of `duration` and all of it.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(f64::midpoint(1.0, fastrand::f64()))
}

/// Waits for `duration`, which may be longer than a moment in time can be far.
#[expect(
    clippy::disallowed_methods,
    reason = "`sleep_until` has no moment for a very long duration"
)]
pub(crate) async fn rest(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_begin_again_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, 5 * second);
        for full in [1, 2, 4, 5, 5] {
            let delay = backoff.delay();
            assert!(delay >= full * second / 2 && delay <= full * second, "{delay:?} of {full}");
        }
        backoff.reset();
        assert!(backoff.delay() <= second);
    }
}
