//! The times of a run: limits, delays and the interval.

use std::time::Duration;

use agent::Growth;
use config::Dialect;
use options::{Given, Invalid, Opt, duration};

use super::Mode;
use crate::{general, logging::Notice};

/// The delays between the retries of a failed pass. In the live fork the last one is an option of Redis that
/// is compared with nothing: there it can be any.
pub(super) fn retry(given: &Given, dialect: Dialect) -> Result<Growth, Invalid> {
    let first = given.get_as(&general::RETRY_DELAY, |first| match first.is_zero() {
        true => Err(
            "-retry-delay is 0: without a delay, a pass that fails would be tried again without a pause"
                .to_owned(),
        ),
        false => Ok(first),
    })?;
    let last = given.get_as(&general::RETRY_MAX_DELAY, |last| match last < first {
        true if dialect == Dialect::Fork && last.is_zero() => Ok(first),
        true if dialect == Dialect::Fork => Ok(last),
        true => Err(format!("-retry-max-delay {last:?} is less than -retry-delay {first:?}")),
        false => Ok(last),
    })?;
    let first = first.min(last);
    Ok(Growth { first, factor: given.get(&general::RETRY_FACTOR)?, last })
}

/// The time limit for commands and templates of resources that set none; `of_fork` is the one that the
/// live fork has in every mode. `None` means without a limit.
pub(super) fn limit(
    given: &Given,
    option: &Opt<Option<Duration>>,
    mode: Mode,
    of_fork: Option<Duration>,
) -> Result<Option<Duration>, Invalid> {
    /// A daemon has a limit unless the user sets another: a command or template that hangs would
    /// otherwise stop the updates of its resource for ever.
    const OF_A_DAEMON: Duration = Duration::from_secs(60);

    let usual = of_fork.or((mode != Mode::Onetime).then_some(OF_A_DAEMON));
    let limit = given.get(option)?.or(usual);
    Ok(limit.filter(|limit| !limit.is_zero()))
}

/// The time between two passes, which is at least a second.
pub(super) fn interval(
    given: &Given,
    mode: Mode,
    notices: &mut Vec<Notice>,
) -> anyhow::Result<Duration> {
    let seconds = given.get(&general::INTERVAL)?;
    let used = u64::try_from(seconds).unwrap_or(0).clamp(1, duration::LONGEST.as_secs());
    if mode != Mode::Onetime && i128::from(used) != i128::from(seconds) {
        notices.push(Notice::Warning(match used {
            1 => format!("interval {seconds} is too short: 1 second is used"),
            _ => format!(
                "interval {seconds} is too long: {used} seconds are used, which is a hundred years"
            ),
        }));
    }
    Ok(Duration::from_secs(used))
}
