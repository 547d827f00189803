//! Limits the time that searches for changes may take.
//!
//! A search costs a request for each query, for this machine and for Consul. A few changes after a
//! quiet time are searched for without a pause. If changes never stop, a tenth of the time is for
//! searches.

use std::time::Duration;

use tokio::time::Instant;

/// The time of searches that may follow each other without pauses.
const BURST: Duration = Duration::from_secs(10);

/// After a search, this many times its duration passes before the next.
const REST: u32 = 9;

/// The longest of these pauses. A change that is searched for is not seen later than that.
const LONGEST_REST: Duration = Duration::from_secs(2);

/// The time of searches for which there was no pause yet.
#[derive(Debug, Default)]
pub(super) struct Budget {
    spent: Duration,
    /// As of when.
    since: Option<Instant>,
}

impl Budget {
    /// Notes a search that took this time until `now`. Returns the pause before the next.
    pub(super) fn spend(&mut self, took: Duration, now: Instant) -> Duration {
        let passed = self.since.map_or(Duration::ZERO, |since| now.duration_since(since));
        let earned = passed.saturating_sub(took) / REST;
        self.spent = self.spent.saturating_sub(earned) + took;
        self.since = Some(now);
        if self.spent <= BURST {
            return Duration::ZERO;
        }
        self.spent = BURST;
        rest(took)
    }
}

/// The pause after a search that took this time, if it may not be omitted.
pub(super) fn rest(took: Duration) -> Duration {
    (took * REST).min(LONGEST_REST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEARCH: Duration = Duration::from_millis(100);

    /// Searches without a pause until there has to be one. Returns how many these are.
    fn until_a_pause(budget: &mut Budget, now: &mut Instant) -> usize {
        let searches = 1..10_000;
        let search = |_: &usize| {
            *now += SEARCH;
            budget.spend(SEARCH, *now).is_zero()
        };
        searches.take_while(search).count()
    }

    #[test]
    fn searches_follow_each_other_until_their_time_is_spent_and_then_take_a_tenth_of_the_time() {
        let (mut budget, mut now) = (Budget::default(), Instant::now());
        assert_eq!(until_a_pause(&mut budget, &mut now), 100);
        for _ in 0..3 {
            now += SEARCH * 8;
            assert_eq!(budget.spend(SEARCH, now), SEARCH * REST);
        }
        now += BURST * (REST + 1);
        assert!(until_a_pause(&mut budget, &mut now) >= 100);
    }

    #[test]
    fn a_pause_is_never_longer_than_a_change_may_be_late() {
        assert_eq!(rest(SEARCH), SEARCH * REST);
        assert_eq!(rest(Duration::from_secs(60)), LONGEST_REST);
    }
}
