//! The delays between the retries of a resource.

use std::time::Duration;

use source::backoff::Growth;

/// How the delays of a resource grow that sets `own`, in a run whose delays grow as `of_run`. A first
/// delay of its own raises the longest.
pub(crate) fn growth(of_run: Growth, own: &config::Retry) -> Growth {
    let first = own.delay.unwrap_or(match own.max_delay {
        Some(last) => of_run.first.min(last),
        None => of_run.first,
    });
    let last = own.max_delay.unwrap_or(of_run.last).max(first);
    Growth { first, factor: own.factor.unwrap_or(of_run.factor), last }
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
    fn a_resource_replaces_parts_of_the_growth_and_the_longest_is_never_below_the_first() {
        let seconds = Duration::from_secs;
        let of = |delay: Option<u64>, max_delay: Option<u64>| {
            let (delay, max_delay) = (delay.map(seconds), max_delay.map(seconds));
            let own = config::Retry { delay, factor: None, max_delay };
            let Growth { first, last, .. } = growth(Growth::default(), &own);
            (first.as_secs_f32(), last.as_secs())
        };
        assert_eq!(of(None, None), (1.0, 60));
        assert_eq!(of(Some(5), Some(7)), (5.0, 7));
        assert_eq!(of(Some(90), None), (90.0, 90));
        assert_eq!(of(None, Some(1)), (1.0, 1));
    }
}
