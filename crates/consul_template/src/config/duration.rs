//! Durations in Go's form: `1m30.5s`, `250ms`, `-5s`, and `0` without a unit.

/// The nanoseconds that `text` stands for.
///
/// # Errors
/// The text of Go's `time.ParseDuration`.
pub(crate) fn parse(text: &str) -> Result<i64, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    if digits == "0" {
        return Ok(0);
    }
    if digits.is_empty() {
        return Err(invalid());
    }
    let mut rest = digits;
    let mut nanos = 0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: f64 = rest[..end].parse().map_err(|_| invalid())?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            "ns" => 1.0,
            "us" | "µs" | "μs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            unit => return Err(format!("time: unknown unit {unit:?} in duration {text:?}")),
        };
        rest = &rest[end..];
        nanos += number * unit;
    }
    // 2^63: a larger number is no `time.Duration`.
    if nanos >= 9_223_372_036_854_775_808.0 {
        return Err(invalid());
    }
    let nanos = nanos as i64;
    Ok(if negative { -nanos } else { nanos })
}

/// The duration as Go prints it.
pub(crate) fn shown(duration: std::time::Duration) -> String {
    show(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// The duration as Go prints it: `1m30s`, `250ms`.
pub(crate) fn show(nanos: i64) -> String {
    let (sign, nanos) = (if nanos < 0 { "-" } else { "" }, nanos.unsigned_abs());
    let decimals = |whole: u64, unit: u64| {
        let (integer, rest) = (whole / unit, whole % unit);
        let digits = unit.ilog10() as usize;
        let fraction = format!("{rest:0digits$}");
        match fraction.trim_end_matches('0') {
            "" => integer.to_string(),
            fraction => format!("{integer}.{fraction}"),
        }
    };
    let text = match nanos {
        0 => return "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimals(nanos, 1_000)),
        1_000_000..1_000_000_000 => format!("{}ms", decimals(nanos, 1_000_000)),
        _ => {
            const MINUTE: u64 = 60_000_000_000;
            let (minutes, seconds) = (nanos / MINUTE, decimals(nanos % MINUTE, 1_000_000_000));
            match (minutes / 60, minutes % 60) {
                (0, 0) => format!("{seconds}s"),
                (0, minutes) => format!("{minutes}m{seconds}s"),
                (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
            }
        }
    };
    sign.to_owned() + &text
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
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
            assert_eq!(show(nanos), shown, "{text}");
        }
        for (text, error) in [
            ("10", "time: missing unit in duration \"10\""),
            ("ten", "time: invalid duration \"ten\""),
            ("", "time: invalid duration \"\""),
            ("1x", "time: unknown unit \"x\" in duration \"1x\""),
            ("300000000h", "time: invalid duration \"300000000h\""),
        ] {
            assert_eq!(parse(text), Err(error.to_owned()));
        }
    }
}
