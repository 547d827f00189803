//! Durations as people write them: `500ms`, `2s`, `1m30s`, or seconds without a unit.

use std::time::Duration;

use jiff::SignedDuration;

/// The longest duration, about a hundred years. The system's clock cannot add much longer times to
/// a moment.
pub const LONGEST: Duration = Duration::from_secs(876_000 * 3600);

/// The duration that `text` stands for.
///
/// # Errors
/// `text` is not a duration, is negative, or is longer than [`LONGEST`]. The error does not repeat
/// `text`.
pub fn parse(text: &str) -> Result<Duration, String> {
    let duration = parse_any(text)?;
    match duration <= LONGEST {
        true => Ok(duration),
        false => Err(TOO_LONG.to_owned()),
    }
}

const TOO_LONG: &str = "longer than 876000h, which is a hundred years";

fn parse_any(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return match seconds > LONGEST.as_secs_f64() {
            true => Err(TOO_LONG.to_owned()),
            false => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        };
    }
    let duration = text.parse::<SignedDuration>().map_err(|_| {
        "not a duration: write a number with a unit (ms, s, m, h), such as \"500ms\" or \"1m30s\""
            .to_owned()
    })?;
    duration.try_into().map_err(|_| "a duration cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_added_up_and_those_without_are_seconds() {
        for (text, millis) in [
            ("0", 0),
            ("2", 2000),
            ("0.5", 500),
            ("500ms", 500),
            ("2s", 2000),
            ("1m30s", 90_000),
            ("1.5h", 5_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["1e300", "inf", "3153600001", "876001h"] {
            assert_eq!(parse(text), Err(TOO_LONG.to_owned()), "{text}");
        }
        assert_eq!(parse("876000h"), Ok(LONGEST));
        for text in ["", "s", "5 apples", "-1s", "-1", "NaN", "inf"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
