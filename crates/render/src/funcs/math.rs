//! Functions for numbers: 64-bit arithmetic that wraps around, and parsing.

use super::{Error, MAX_LIST};

/// `a + b`, wrapping.
pub fn add(a: i64, b: i64) -> i64 {
    a.wrapping_add(b)
}

/// `a - b`, wrapping.
pub fn sub(a: i64, b: i64) -> i64 {
    a.wrapping_sub(b)
}

/// `a * b`, wrapping.
pub fn mul(a: i64, b: i64) -> i64 {
    a.wrapping_mul(b)
}

/// `a / b` rounded toward zero. The smallest number divided by -1 gives itself.
///
/// # Errors
/// [`Error::DivideByZero`].
pub fn div(a: i64, b: i64) -> Result<i64, Error> {
    if b == 0 { Err(Error::DivideByZero) } else { Ok(a.wrapping_div(b)) }
}

/// The remainder of [`div`], with the sign of `a`.
///
/// # Errors
/// [`Error::DivideByZero`].
pub fn modulo(a: i64, b: i64) -> Result<i64, Error> {
    if b == 0 { Err(Error::DivideByZero) } else { Ok(a.wrapping_rem(b)) }
}

/// The numbers from `first` to `last`, both included. None if `first` is greater.
///
/// # Errors
/// [`Error::TooMany`] above [`MAX_LIST`] numbers.
pub fn seq(first: i64, last: i64) -> Result<impl ExactSizeIterator<Item = i64>, Error> {
    let count = if first > last { 0 } else { i128::from(last) - i128::from(first) + 1 };
    match usize::try_from(count) {
        Ok(count) if count <= MAX_LIST => Ok((0..count).map(move |step| first + step as i64)),
        _ => Err(Error::TooMany { function: "seq" }),
    }
}

/// Parses a decimal number: an optional sign, then only digits.
///
/// # Errors
/// [`Error::Syntax`]; or [`Error::Range`] as soon as the digits exceed 64 bits, whatever follows.
pub fn atoi(text: &[u8]) -> Result<i64, Error> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let syntax = || Error::Syntax { parser: "Atoi", text: text.to_vec() };
    let range = || Error::Range { text: text.to_vec() };
    if digits.is_empty() {
        return Err(syntax());
    }
    let mut magnitude = 0_u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return Err(syntax());
        }
        magnitude = magnitude
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
            .ok_or_else(range)?;
    }
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    i64::try_from(value).map_err(|_| range())
}

/// Parses a boolean, in one of twelve spellings.
///
/// # Errors
/// [`Error::Syntax`] for everything else, including `yes` and `on`.
pub fn parse_bool(text: &[u8]) -> Result<bool, Error> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok(false),
        _ => Err(Error::Syntax { parser: "ParseBool", text: text.to_vec() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(first: i64, last: i64) -> Vec<i64> {
        seq(first, last).expect("short").collect()
    }

    #[test]
    fn arithmetic_wraps_around() {
        assert_eq!(add(i64::MAX, 1), i64::MIN);
        assert_eq!(sub(i64::MIN, 1), i64::MAX);
        assert_eq!(mul(i64::MAX, 2), -2);
        assert_eq!(div(i64::MIN, -1), Ok(i64::MIN));
        assert_eq!(modulo(i64::MIN, -1), Ok(0));
    }

    #[test]
    fn division_truncates_toward_zero() {
        assert_eq!((div(-7, 2), modulo(-7, 2)), (Ok(-3), Ok(-1)));
        assert_eq!((div(7, -2), modulo(7, -2)), (Ok(-3), Ok(1)));
        let error = div(1, 0).expect_err("no answer");
        assert_eq!(error.to_string(), "runtime error: integer divide by zero");
        assert_eq!(modulo(0, 0), Err(error));
    }

    #[test]
    fn seq_ascends_only() {
        assert_eq!(numbers(-1, 2), [-1, 0, 1, 2]);
        assert_eq!(numbers(3, 3), [3]);
        assert!(numbers(3, 2).is_empty());
        assert_eq!(numbers(i64::MAX - 1, i64::MAX), [i64::MAX - 1, i64::MAX]);
        assert!(numbers(i64::MAX, i64::MIN).is_empty());
    }

    #[test]
    fn seq_without_bound_is_an_error() {
        let error = seq(i64::MIN, i64::MAX).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("seq: result exceeds 10000000 elements"));
    }

    #[test]
    fn atoi_reads_signed_decimals() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            ("007", 7),
            ("9223372036854775807", i64::MAX),
            ("-9223372036854775808", i64::MIN),
            ("0000000000000000000000000000001", 1),
        ] {
            assert_eq!(atoi(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn atoi_refuses_the_rest_in_the_words_of_go() {
        for (text, problem) in [
            (&b""[..], r#""": invalid syntax"#),
            (b"+", r#""+": invalid syntax"#),
            (b"--1", r#""--1": invalid syntax"#),
            (b"1x", r#""1x": invalid syntax"#),
            (b" 1", r#"" 1": invalid syntax"#),
            (b"1_000", r#""1_000": invalid syntax"#),
            (b"0x10", r#""0x10": invalid syntax"#),
            (b"\xff\n", r#""\xff\n": invalid syntax"#),
            (b"9223372036854775808", r#""9223372036854775808": value out of range"#),
            (b"-9223372036854775809", r#""-9223372036854775809": value out of range"#),
            (b"99999999999999999999x", r#""99999999999999999999x": value out of range"#),
            (b"9999999999999999999x", r#""9999999999999999999x": invalid syntax"#),
        ] {
            let error = atoi(text).expect_err("not a number");
            assert_eq!(error.to_string(), format!("strconv.Atoi: parsing {problem}"));
        }
    }

    #[test]
    fn parse_bool_knows_twelve_spellings() {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            assert_eq!(parse_bool(text.as_bytes()), Ok(true));
        }
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            assert_eq!(parse_bool(text.as_bytes()), Ok(false));
        }
        let error = parse_bool(b"yes").expect_err("not one of them");
        assert_eq!(error.to_string(), r#"strconv.ParseBool: parsing "yes": invalid syntax"#);
        assert!(parse_bool(b"tRUE").is_err());
    }
}
