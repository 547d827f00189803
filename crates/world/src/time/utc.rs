//! Moments of the system's clock as text.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Location, Time, Zone};

/// The layout of RFC 3339 with whole seconds, as a layout of Go: `Z` for an offset of zero.
pub const RFC_3339: &[u8] = b"2006-01-02T15:04:05Z07:00";

/// A moment in UTC: `2026-12-31T23:59:59Z`. Moments before 1970 count as its beginning.
pub fn utc_text(at: SystemTime) -> String {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let time = Time::new(seconds, 0, Arc::new(Zone::utc())).at(Location::Utc);
    String::from_utf8_lossy(&time.format(RFC_3339)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let at = |seconds| utc_text(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_827_696), "2000-02-29T12:34:56Z");
        assert_eq!(at(1_798_761_599), "2026-12-31T23:59:59Z");
    }
}
