//! Go's `time.Duration`: a count of nanoseconds.

use std::fmt;

/// A span of time in nanoseconds, as Go's `time.Duration`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

impl Duration {
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
