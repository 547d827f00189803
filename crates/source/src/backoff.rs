//! The growing delays between retries.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use options::factor::Factor;

/// How the delays between retries grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Growth {
    /// The first delay.
    pub first: Duration,
    /// By what each delay is longer than the one before.
    pub factor: Factor,
    /// The longest delay.
    pub last: Duration,
}

impl Default for Growth {
    /// From a second to a minute, doubling.
    fn default() -> Self {
        Growth::doubling(Duration::from_secs(1), Duration::from_secs(60))
    }
}

impl Growth {
    /// Delays that double from `first` to `last`.
    pub const fn doubling(first: Duration, last: Duration) -> Self {
        Growth { first, factor: Factor::DOUBLE, last }
    }
}

/// Delays that grow from the first to the last. Jitter shortens each delay, so that failures of
/// the same moment are not retried at the same moment.
#[derive(Debug)]
pub struct Backoff {
    growth: Growth,
    plan: ExponentialBuilder,
    delays: ExponentialBackoff,
}

impl Backoff {
    /// Delays that grow in this way.
    pub fn new(growth: Growth) -> Self {
        let Growth { first, factor, last } = growth;
        // backon's jitter adds up to the delay itself, so that half of each delay is given to it.
        let plan = ExponentialBuilder::new()
            .with_min_delay(first / 2)
            .with_max_delay(last / 2)
            .with_factor(factor.get())
            .without_max_times()
            .with_jitter();
        Self { growth, plan, delays: plan.build() }
    }

    /// Lets the delays grow in this way from now on. They begin again if that is new.
    pub fn follow(&mut self, growth: Growth) {
        if self.growth != growth {
            *self = Backoff::new(growth);
        }
    }

    /// The delay of the next retry: a random time between half of the current delay and all of it.
    pub fn delay(&mut self) -> Duration {
        // A plan without a number of times never ends.
        self.delays.next().unwrap_or_default()
    }

    /// Starts again with the first delay, after a success.
    pub fn reset(&mut self) {
        self.delays = self.plan.build();
    }
}

/// A random time between half of `duration` and all of it.
pub fn jittered(duration: Duration) -> Duration {
    duration.mul_f64(f64::midpoint(1.0, fastrand::f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_last_and_begin_again_after_a_success() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(Growth::doubling(second, 5 * second));
        for full in [1, 2, 4, 5, 5] {
            let delay = backoff.delay();
            assert!(delay >= full * second / 2 && delay <= full * second, "{delay:?} of {full}");
        }
        backoff.reset();
        assert!(backoff.delay() <= second);
    }
}
