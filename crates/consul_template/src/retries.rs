//! Commands and checks of templates that failed and are tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

/// The delay before the first retry. It doubles with each retry.
const FIRST: Duration = Duration::from_secs(1);
/// The longest delay.
const LONGEST: Duration = Duration::from_secs(60);

/// The templates, by their places, whose commands, or whose checks, are tried again.
#[derive(Default)]
pub(crate) struct Retries(BTreeMap<usize, Retry>);

struct Retry {
    due: Instant,
    delay: Duration,
}

impl Retries {
    /// Notes a failure. Returns the delay before the next try.
    pub(crate) fn failed(&mut self, place: usize) -> Duration {
        let delay = self.0.get(&place).map_or(FIRST, |last| (last.delay * 2).min(LONGEST));
        self.0.insert(place, Retry { due: Instant::now() + delay, delay });
        delay
    }

    /// Notes a success.
    pub(crate) fn succeeded(&mut self, place: usize) {
        self.0.remove(&place);
    }

    /// Whether the next try at this place is not due yet.
    pub(crate) fn is_waiting(&self, place: usize) -> bool {
        self.0.get(&place).is_some_and(|retry| retry.due > Instant::now())
    }

    /// The templates that are tried again.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        self.0.keys().copied()
    }

    /// The template that is tried again first, and when.
    pub(crate) fn next(&self) -> Option<(Instant, usize)> {
        self.0.iter().map(|(place, retry)| (retry.due, *place)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_until_the_command_succeeds() {
        let mut retries = Retries::default();
        let delays: Vec<_> = (0..8).map(|_| retries.failed(3).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retries.failed(1).as_secs(), 1);
        assert_eq!(retries.next().map(|(_, place)| place), Some(1));
        retries.succeeded(1);
        retries.succeeded(3);
        assert!(retries.next().is_none());
        assert_eq!(retries.failed(3).as_secs(), 1);
    }
}
