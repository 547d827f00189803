//! The growing delays between retries.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};

use config::Factor;

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
    pub(crate) const fn doubling(first: Duration, last: Duration) -> Self {
        Growth { first, factor: Factor::DOUBLE, last }
    }

    /// The delays of a resource that sets `own`. A first delay of its own raises the longest.
    pub(crate) fn of(self, own: &config::Retry) -> Self {
        let first = own.delay.unwrap_or(match own.max_delay {
            Some(last) => self.first.min(last),
            None => self.first,
        });
        let last = own.max_delay.unwrap_or(self.last).max(first);
        Growth { first, factor: own.factor.unwrap_or(self.factor), last }
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
    pub(crate) fn follow(&mut self, growth: Growth) {
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
        let mut backoff = Backoff::new(Growth::doubling(second, 5 * second));
        for full in [1, 2, 4, 5, 5] {
            let delay = backoff.delay();
            assert!(delay >= full * second / 2 && delay <= full * second, "{delay:?} of {full}");
        }
        backoff.reset();
        assert!(backoff.delay() <= second);
    }

    #[test]
    fn a_resource_replaces_parts_of_the_growth_and_the_longest_is_never_below_the_first() {
        let seconds = Duration::from_secs;
        let of = |delay: Option<u64>, max_delay: Option<u64>| {
            let (delay, max_delay) = (delay.map(seconds), max_delay.map(seconds));
            let own = config::Retry { delay, factor: None, max_delay };
            let Growth { first, last, .. } = Growth::default().of(&own);
            (first.as_secs_f32(), last.as_secs())
        };
        assert_eq!(of(None, None), (1.0, 60));
        assert_eq!(of(Some(5), Some(7)), (5.0, 7));
        assert_eq!(of(Some(90), None), (90.0, 90));
        assert_eq!(of(None, Some(1)), (1.0, 1));
    }
}
