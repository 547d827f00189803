//! How long to wait before something that failed is tried again.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

/// Delays that double from the first to the last. Each is shortened at random, so that many
/// processes that failed together do not come back together.
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

    /// How long to wait now: a random time between half of the current delay and all of it.
    pub(crate) fn delay(&mut self) -> Duration {
        // A plan without a number of times never ends.
        self.delays.next().unwrap_or_default()
    }

    /// The attempt succeeded: the next delay is the first one again.
    pub(crate) fn reset(&mut self) {
        self.delays = self.plan.build();
    }
}

/// A random time between half of `duration` and all of it.
pub(crate) fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(f64::midpoint(1.0, fastrand::f64()))
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
