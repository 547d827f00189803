//! Durations in Go's form: `1m30.5s`, `250ms`, `-5s`, and `0` without a unit.

use world::time::Duration;

/// The nanoseconds that `text` stands for.
///
/// # Errors
/// The text of Go's `time.ParseDuration`.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    Duration::parse(text).map(|duration| duration.0)
}

/// The duration as Go prints it.
pub(crate) fn shown(duration: std::time::Duration) -> String {
    Duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)).to_string()
}
