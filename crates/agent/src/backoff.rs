//! How long to wait before something that failed is tried again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// Delays that double from the first to the last, each shortened by chance so that many that
/// failed together do not come back together.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
}

impl Backoff {
    /// Delays from about `first` to about `last`.
    pub(crate) fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first }
    }

    /// How long to wait now: between half of the delay it is the turn of and all of it.
    pub(crate) fn delay(&mut self) -> Duration {
        let delay = self.next;
        self.next = (delay * 2).min(self.last);
        jittered(delay)
    }

    /// It went well: the next delay is the first again.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// By chance, something from half of `duration` to all of it.
pub(crate) fn jittered(duration: Duration) -> Duration {
    // The keys of each state are fresh, and nothing is hashed: a random number.
    let random = RandomState::new().hash_one(()) as u32;
    duration.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
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
