//! Integers as Go's `strconv` reads them with base 0: `mode = "0644"`, `-interval 0x10`.
//!
//! A prefix chooses the base (`0x`, `0o`, `0b`, a bare leading `0` is octal), and `_` may
//! stand between digits or after the prefix.

/// Why a text is not an integer of the wanted size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The text is not a number.
    Syntax,
    /// The text is a number, but too large.
    Range,
}

/// Reads an unsigned integer of at most `max`. No sign is allowed.
///
/// # Errors
/// [`Fault`] says whether the text is malformed or the number too large.
pub fn unsigned(text: &str, max: u64) -> Result<u64, Fault> {
    let (base, digits) = match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &text[2..]),
        [b'0', b'o' | b'O', ..] => (8, &text[2..]),
        [b'0', b'b' | b'B', ..] => (2, &text[2..]),
        [b'0', _, ..] => (8, &text[1..]),
        _ => (10, text),
    };
    let prefixed = digits.len() < text.len();
    let mut value: Option<u64> = Some(0);
    // Go lets `_` follow a digit or the prefix, and a digit must follow `_`.
    let (mut any, mut previous_counts) = (false, prefixed);
    for character in digits.chars() {
        if character == '_' {
            if !previous_counts {
                return Err(Fault::Syntax);
            }
            previous_counts = false;
            continue;
        }
        let digit = character.to_digit(base).ok_or(Fault::Syntax)?;
        value = value.and_then(|v| v.checked_mul(u64::from(base))?.checked_add(u64::from(digit)));
        (any, previous_counts) = (true, true);
    }
    if !any || !previous_counts {
        return Err(Fault::Syntax);
    }
    value.filter(|&value| value <= max).ok_or(Fault::Range)
}

/// Reads a signed 64-bit integer, with an optional `+` or `-` in front.
///
/// # Errors
/// [`Fault`] says whether the text is malformed or the number too large.
pub fn signed(text: &str) -> Result<i64, Fault> {
    let (negative, magnitude) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let limit = if negative { i64::MIN.unsigned_abs() } else { i64::MAX.unsigned_abs() };
    let value = unsigned(magnitude, limit)?;
    Ok(if negative { 0_i64.wrapping_sub_unsigned(value) } else { value.cast_signed() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_chooses_the_base() {
        for (text, value) in [
            ("0644", 420),
            ("0o644", 420),
            ("0x1a4", 420),
            ("0b110100100", 420),
            ("420", 420),
            ("644", 644),
            ("0", 0),
            ("1_000", 1000),
            ("0x_1F", 31),
            ("0_7", 7),
            ("00", 0),
        ] {
            assert_eq!(unsigned(text, u64::MAX), Ok(value), "{text}");
        }
    }

    #[test]
    fn malformed_numbers_are_refused() {
        for text in
            ["", "abc", "-1", "+1", "0888", "_1", "1_", "1__0", "0x", "0b2", "1.0", " 1", "0_"]
        {
            assert_eq!(unsigned(text, u64::MAX), Err(Fault::Syntax), "{text}");
        }
    }

    #[test]
    fn numbers_too_large_are_distinguished_by_sign() {
        assert_eq!(unsigned("999999999999", u64::from(u32::MAX)), Err(Fault::Range));
        assert_eq!(unsigned("99999999999999999999999", u64::MAX), Err(Fault::Range));
        assert_eq!(signed("9223372036854775808"), Err(Fault::Range));
        assert_eq!(signed("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(signed("-0x10"), Ok(-16));
        assert_eq!(signed("+017"), Ok(15));
    }
}
