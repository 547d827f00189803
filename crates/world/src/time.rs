//! Time as templates see it: Go's `time.Time` and `time.Duration`.
//!
//! A [`Time`] is an instant (nanoseconds), the [`Location`] whose clocks show it, and optionally a
//! reading of the monotonic clock, which Go keeps with the time and prints as `m=+0.017`. The
//! calendar is calculated here, for all years that 64 bits of seconds can express; jiff is only
//! used for the offset of a zone's clocks from UTC.

mod duration;
mod layout;
mod parse;
mod utc;
mod zone;

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use duration::Duration;
pub use utc::{RFC_3339, utc_text};
pub use zone::Zone;

/// The English names of the months.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The English names of the days of a week, which begins on Sunday.
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

const SECONDS_PER_DAY: i64 = 86_400;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// The seconds from the first day of year 1, which is Go's zero time, to the first day of 1970.
const ZERO_TO_EPOCH: i64 = 62_135_596_800;

/// Go's text for a `time.Month`; months count from 1.
pub fn month_name(month: i64) -> String {
    let name = month.checked_sub(1).and_then(|index| MONTHS.get(usize::try_from(index).ok()?));
    name.map_or_else(|| format!("%!Month({month})"), |name| (*name).to_owned())
}

/// Go's text for a `time.Weekday`; days count from Sunday, which is 0.
pub fn weekday_name(weekday: i64) -> String {
    let name = usize::try_from(weekday).ok().and_then(|index| WEEKDAYS.get(index));
    name.map_or_else(|| format!("%!Weekday({weekday})"), |name| (*name).to_owned())
}

/// The place whose clocks show a [`Time`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// Coordinated Universal Time.
    Utc,
    /// The place of this machine, in its zone.
    Local,
}

/// A moment: Go's `time.Time`.
#[derive(Clone, Debug)]
pub struct Time {
    /// Seconds since the beginning of 1970 in UTC.
    seconds: i64,
    /// Nanoseconds of the current second, below a thousand million.
    nanos: u32,
    /// Nanoseconds on the monotonic clock since the start of the process.
    monotonic: Option<i64>,
    location: Location,
    local: Arc<Zone>,
}

/// A moment on the calendar and the clock of its location.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// The year; there is a year 0.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
    /// 0 (Sunday) to 6.
    pub weekday: i64,
    /// 1 to 366.
    pub year_day: i64,
}

impl Time {
    /// The moment `seconds` and `nanos` (below a thousand million) after the beginning of 1970,
    /// looked at from the zone `local`.
    pub fn new(seconds: i64, nanos: u32, local: Arc<Zone>) -> Self {
        Self { seconds, nanos, monotonic: None, location: Location::Local, local }
    }

    /// The same moment with a reading of the clock that only goes forward: nanoseconds since the
    /// start of the process.
    #[must_use]
    pub fn with_monotonic(mut self, reading: i64) -> Self {
        self.monotonic = Some(reading);
        self
    }

    /// The same moment looked at from `location`, without the monotonic reading.
    #[must_use]
    pub fn at(&self, location: Location) -> Self {
        Self { location, monotonic: None, ..self.clone() }
    }

    /// The location whose clocks show the moment.
    pub fn location(&self) -> Location {
        self.location
    }

    /// Go's name of the location: `UTC`, or what the local zone is called (mostly `Local`).
    pub fn location_name(&self) -> &str {
        match self.location {
            Location::Utc => "UTC",
            Location::Local => self.local.name(),
        }
    }

    /// Seconds since the beginning of 1970, UTC.
    pub fn unix(&self) -> i64 {
        self.seconds
    }

    /// Thousandths of a second since the beginning of 1970, wrapping.
    pub fn unix_milli(&self) -> i64 {
        self.seconds.wrapping_mul(1_000).wrapping_add(i64::from(self.nanos / 1_000_000))
    }

    /// Millionths of a second since the beginning of 1970, wrapping.
    pub fn unix_micro(&self) -> i64 {
        self.seconds.wrapping_mul(1_000_000).wrapping_add(i64::from(self.nanos / 1_000))
    }

    /// Nanoseconds since the beginning of 1970, wrapping (after the year 2262).
    pub fn unix_nano(&self) -> i64 {
        self.seconds.wrapping_mul(NANOS_PER_SECOND).wrapping_add(i64::from(self.nanos))
    }

    /// The nanoseconds behind the full second.
    pub fn nanosecond(&self) -> u32 {
        self.nanos
    }

    /// Whether this is the beginning of year 1, UTC.
    pub fn is_zero(&self) -> bool {
        self.seconds == -ZERO_TO_EPOCH && self.nanos == 0
    }

    /// Whether the location has summer time at this moment.
    pub fn is_summer_time(&self) -> bool {
        self.location == Location::Local && self.local.at(self.seconds).summer
    }

    /// Go's internal fields `wall` and `ext` for the moment, which are seen when it is printed with
    /// a verb that does not fit. Without a monotonic reading they are the nanoseconds, and the
    /// seconds since the beginning of year 1. With a reading, the first is one number made of a
    /// flag, the seconds since 1885 and the nanoseconds; the second is the reading.
    pub fn parts(&self) -> (u64, i64) {
        const MARK: u64 = 1 << 63;
        const ZERO_TO_1885: i64 = 59_453_308_800;
        let seconds = self.seconds.wrapping_add(ZERO_TO_EPOCH);
        let since_1885 = u64::try_from(seconds.wrapping_sub(ZERO_TO_1885)).ok();
        match (self.monotonic, since_1885.filter(|seconds| *seconds < 1 << 33)) {
            (Some(reading), Some(since)) => (MARK | since << 30 | u64::from(self.nanos), reading),
            _ => (u64::from(self.nanos), seconds),
        }
    }

    /// The date and the time of day at the location.
    pub fn civil(&self) -> Civil {
        let local = self.seconds.wrapping_add(self.offset());
        let days = local.div_euclid(SECONDS_PER_DAY);
        let second = local.rem_euclid(SECONDS_PER_DAY);
        let (year, month, day) = date_of(days);
        Civil {
            year,
            month,
            day,
            hour: second / 3_600,
            minute: second / 60 % 60,
            second: second % 60,
            // The first day of 1970 was a Thursday.
            weekday: (days + 4).rem_euclid(7),
            year_day: days - days_before(year, 1, 1) + 1,
        }
    }

    /// The number of seconds by which the clocks at the location are ahead of UTC.
    fn offset(&self) -> i64 {
        match self.location {
            Location::Utc => 0,
            Location::Local => self.local.at(self.seconds).offset,
        }
    }

    /// The name of the zone at this moment, such as `CET`. Empty if it has no name.
    fn zone_abbreviation(&self) -> String {
        match self.location {
            Location::Utc => "UTC".to_owned(),
            Location::Local => self.local.at(self.seconds).abbreviation,
        }
    }

    /// The moment after `duration`. Keeps the monotonic reading unless that overflows.
    #[must_use]
    pub fn add(&self, duration: Duration) -> Self {
        let nanos = i64::from(self.nanos) + duration.0 % NANOS_PER_SECOND;
        let carry = nanos.div_euclid(NANOS_PER_SECOND);
        let seconds = self.seconds.wrapping_add(duration.0 / NANOS_PER_SECOND).wrapping_add(carry);
        let nanos = u32::try_from(nanos.rem_euclid(NANOS_PER_SECOND)).unwrap_or_default();
        let monotonic = self.monotonic.and_then(|reading| reading.checked_add(duration.0));
        Self { seconds, nanos, monotonic, ..self.clone() }
    }

    /// The same time of day on another date, without the monotonic reading. A date that does not
    /// exist continues into the next month: 31 October plus a month is 1 December.
    #[must_use]
    pub fn add_date(&self, years: i64, months: i64, days: i64) -> Self {
        let civil = self.civil();
        let months = civil.month.wrapping_add(months).wrapping_sub(1);
        let year = civil.year.wrapping_add(years).wrapping_add(months.div_euclid(12));
        let day = civil.day.wrapping_add(days);
        let days =
            days_before(year, months.rem_euclid(12) + 1, 1).wrapping_add(day.wrapping_sub(1));
        let local = days
            .wrapping_mul(SECONDS_PER_DAY)
            .wrapping_add(civil.hour * 3_600 + civil.minute * 60 + civil.second);
        let seconds = match self.location {
            Location::Utc => local,
            Location::Local => self.local.local_seconds(local),
        };
        Self { seconds, ..self.at(self.location) }
    }

    /// The duration from `other` to this moment; the greatest or smallest duration if it does not
    /// fit.
    pub fn sub(&self, other: &Self) -> Duration {
        if let (Some(a), Some(b)) = (self.monotonic, other.monotonic) {
            return Duration(a.saturating_sub(b));
        }
        let seconds = i128::from(self.seconds) - i128::from(other.seconds);
        let nanos = i128::from(self.nanos) - i128::from(other.nanos);
        let difference = seconds * i128::from(NANOS_PER_SECOND) + nanos;
        let limit = if difference < 0 { i64::MIN } else { i64::MAX };
        Duration(i64::try_from(difference).unwrap_or(limit))
    }

    /// The order of two moments. Uses the monotonic readings if both moments have one.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self.monotonic, other.monotonic) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos)),
        }
    }

    /// Go's `==`: compares moment, location and monotonic reading.
    pub fn is_identical(&self, other: &Self) -> bool {
        (self.seconds, self.nanos, self.monotonic, self.location)
            == (other.seconds, other.nanos, other.monotonic, other.location)
            // Go compares the pointers of two zones that texts have named.
            && (self.location == Location::Utc || !self.local.is_fixed() && !other.local.is_fixed())
    }

    /// The last multiple of `step` since the zero time that is not after this moment, without the
    /// monotonic reading. If `step` is not positive, only the reading is removed.
    #[must_use]
    pub fn truncate(&self, step: Duration) -> Self {
        let time = self.at(self.location);
        match self.past_multiple(step) {
            Some(rest) => time.add(Duration(-rest)),
            None => time,
        }
    }

    /// The nearest multiple of `step` since the zero time, without the monotonic reading; of two
    /// equally near ones the later. If `step` is not positive, only the reading is removed.
    #[must_use]
    pub fn round(&self, step: Duration) -> Self {
        let time = self.at(self.location);
        match self.past_multiple(step) {
            Some(rest) if rest < step.0 - rest => time.add(Duration(-rest)),
            Some(rest) => time.add(Duration(step.0 - rest)),
            None => time,
        }
    }

    /// The distance of this moment from the last multiple of `step` since the zero time.
    fn past_multiple(&self, step: Duration) -> Option<i64> {
        if step.0 <= 0 {
            return None;
        }
        let since_zero = (i128::from(self.seconds) + i128::from(ZERO_TO_EPOCH))
            * i128::from(NANOS_PER_SECOND)
            + i128::from(self.nanos);
        i64::try_from(since_zero.rem_euclid(i128::from(step.0))).ok()
    }

    /// The moment in the form in which `layout` writes Go's reference time, Monday 2 January 2006,
    /// 15:04:05 -0700. Other parts of the layout are copied.
    pub fn format(&self, layout: &[u8]) -> Vec<u8> {
        layout::format(self, layout)
    }

    /// The moment that `value` stands for, if `layout` is its form: Go's reference time, as for
    /// [`format`](Time::format). A text without a zone is a time of the zone of `self`'s machine.
    ///
    /// # Errors
    /// The text does not have the form, or there is no such time: the text of Go's error.
    pub fn parse_here(&self, layout: &[u8], value: &[u8]) -> Result<Self, String> {
        parse::parse(layout, value, &self.local)
    }

    /// The moment this many seconds after the beginning of 1970, looked at from the same zone.
    #[must_use]
    pub fn with_unix(&self, seconds: i64) -> Self {
        Self::new(seconds, 0, Arc::clone(&self.local))
    }

    /// Go's zero time: the beginning of year 1 in UTC.
    #[must_use]
    pub fn zero(&self) -> Self {
        let zero = Self::new(-ZERO_TO_EPOCH, 0, Arc::clone(&self.local));
        zero.at(Location::Utc)
    }

    /// The Go expression for this time, which `%#v` prints.
    pub fn go_expression(&self) -> String {
        let Civil { year, month, day, hour, minute, second, .. } = self.civil();
        let month = usize::try_from(month - 1).map_or("", |index| MONTHS[index]);
        let location = match self.location {
            Location::Local => "Local",
            Location::Utc => "UTC",
        };
        format!(
            "time.Date({year}, time.{month}, {day}, {hour}, {minute}, {second}, {}, time.{location})",
            self.nanos
        )
    }
}

/// Go's `String`: `2006-01-02 15:04:05.999999999 -0700 MST`, then the monotonic reading if there is
/// one.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.format(b"2006-01-02 15:04:05.999999999 -0700 MST");
        f.write_str(&String::from_utf8_lossy(&text))?;
        match self.monotonic {
            Some(reading) => {
                let sign = if reading < 0 { '-' } else { '+' };
                let nanos = reading.unsigned_abs();
                write!(f, " m={sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
            }
            None => Ok(()),
        }
    }
}

/// The days from the beginning of 1970 to a date, in the Gregorian calendar, extended to all years.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    // In a year that begins in March the leap day is the last day. The months before it have 30.6
    // days on average, which rounding turns into their real lengths.
    let year = if month <= 2 { year.wrapping_sub(1) } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era.wrapping_mul(146_097).wrapping_add(day_of_era - 719_468)
}

/// The year, month and day that is `days` after the first day of 1970.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = (shifted + 2) % 12 + 1;
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests;
