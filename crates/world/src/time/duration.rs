//! Go's `time.Duration`: a count of nanoseconds.

use std::fmt;

/// A span of time in nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

impl Duration {
    /// The duration that a text stands for: `1m30.5s`, `250ms`, `-5s`, or `0` without a unit.
    ///
    /// # Errors
    /// The text of Go's `time.ParseDuration`, which quotes `text`.
    pub fn parse(text: &str) -> Result<Duration, String> {
        let invalid = || format!("time: invalid duration {text:?}");
        let (is_negative, digits) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        if digits == "0" {
            return Ok(Duration(0));
        }
        if digits.is_empty() {
            return Err(invalid());
        }
        let mut rest = digits;
        let mut nanos = 0_u64;
        while !rest.is_empty() {
            let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
            let (number, behind) = rest.split_at(end);
            let end = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
            let (unit, behind) = behind.split_at(end);
            rest = behind;
            let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
            if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
                return Err(invalid());
            }
            let unit: u64 = match unit {
                "" => return Err(format!("time: missing unit in duration {text:?}")),
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
            };
            let whole: u64 = if whole.is_empty() { "0" } else { whole }.parse().unwrap_or(u64::MAX);
            let fraction: f64 = format!("0.{fraction}").parse().unwrap_or(0.0);
            let part = whole.checked_mul(unit).ok_or_else(invalid)?;
            let sum = part.checked_add((fraction * unit as f64) as u64);
            nanos = sum.and_then(|part| nanos.checked_add(part)).ok_or_else(invalid)?;
        }
        let nanos =
            if is_negative { 0_i64.checked_sub_unsigned(nanos) } else { nanos.try_into().ok() };
        nanos.map(Duration).ok_or_else(invalid)
    }

    /// The duration in units of `unit` nanoseconds: whole units exactly, plus a fraction.
    pub fn in_units(self, unit: i64) -> f64 {
        (self.0 / unit) as f64 + (self.0 % unit) as f64 / unit as f64
    }

    /// The duration rounded toward zero to a multiple of `step`. Unchanged if `step` is not
    /// positive.
    #[must_use]
    pub fn truncate(self, step: Duration) -> Duration {
        if step.0 <= 0 { self } else { Duration(self.0 - self.0 % step.0) }
    }

    /// The duration rounded to the nearest multiple of `step`, halves away from zero. Unchanged if
    /// `step` is not positive. The greatest or smallest duration if the result does not fit.
    #[must_use]
    pub fn round(self, step: Duration) -> Duration {
        if step.0 <= 0 {
            return self;
        }
        let rest = self.0 % step.0;
        let truncated = self.0 - rest;
        if rest.unsigned_abs() < step.0.unsigned_abs() - rest.unsigned_abs() {
            Duration(truncated)
        } else if self.0 < 0 {
            Duration(truncated.saturating_sub(step.0))
        } else {
            Duration(truncated.saturating_add(step.0))
        }
    }

    /// The absolute value. The smallest duration becomes the greatest.
    #[must_use]
    pub fn abs(self) -> Duration {
        Duration(self.0.saturating_abs())
    }
}

/// Go's `String`: `1h2m3.5s`. Below a second, in the unit that leaves a whole part: `1.5ms`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        let (whole, fraction, digits, unit) = match nanos {
            0 => return f.write_str("0s"),
            1..1_000 => (nanos, 0, 0, "ns"),
            1_000..1_000_000 => (nanos / 1_000, nanos % 1_000, 3, "µs"),
            1_000_000..1_000_000_000 => (nanos / 1_000_000, nanos % 1_000_000, 6, "ms"),
            _ => {
                let seconds = nanos / 1_000_000_000;
                let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                (seconds % 60, nanos % 1_000_000_000, 9, "s")
            }
        };
        write!(f, "{whole}")?;
        if fraction > 0 {
            let fraction = format!("{fraction:0digits$}");
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_printed_as_go_does() {
        for (text, nanos, shown) in [
            ("5s", 5_000_000_000, "5s"),
            ("1m30.5s", 90_500_000_000, "1m30.5s"),
            ("250ms", 250_000_000, "250ms"),
            ("90m", 5_400_000_000_000, "1h30m0s"),
            ("0", 0, "0s"),
            ("-1.5us", -1_500, "-1.5µs"),
            (".5s", 500_000_000, "500ms"),
            ("7ns", 7, "7ns"),
            ("2540400h10m10.000000001s", 9_145_440_610_000_000_001, "2540400h10m10.000000001s"),
            ("-2562047h47m16.854775808s", i64::MIN, "-2562047h47m16.854775808s"),
        ] {
            assert_eq!(Duration::parse(text), Ok(Duration(nanos)), "{text}");
            assert_eq!(Duration(nanos).to_string(), shown, "{text}");
        }
        for (text, error) in [
            ("10", "time: missing unit in duration \"10\""),
            ("ten", "time: invalid duration \"ten\""),
            ("", "time: invalid duration \"\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            (".s", "time: invalid duration \".s\""),
            ("300000000h", "time: invalid duration \"300000000h\""),
        ] {
            assert_eq!(Duration::parse(text), Err(error.to_owned()));
        }
    }
}
