//! The meaning of a single value of a YAML document, by the rules of YAML 1.1 as confd applies
//! them.
//!
//! The parser says only how a value is written. This module decides its meaning, which is visible
//! in rendered files: `0644` is 420, `yes` is `true`, `1.50` is `1.5`, `1:30:00` stays as it is.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

/// A value without structure.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// `null`, `~`, or nothing.
    Null,
    /// `true`, `yes`, `on` and their opposites.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer that is too large for a signed 64-bit number.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
    /// Text, or the bytes of a `!!binary`.
    Text(Bytes),
}

/// A value does not fit its tag. The text leaves out the value, which may be a secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mistyped {
    /// The text of a `!!binary` is no base64.
    #[error("!!binary value contains invalid base64 data")]
    Binary,
    /// A value has another type than its tag says.
    #[error("cannot decode {found} as a !!{wanted}")]
    Tag {
        /// The tag of the type that the value has.
        found: &'static str,
        /// The name of its tag.
        wanted: String,
    },
}

impl Scalar {
    /// The meaning of `text`. A plain text is interpreted by its form, a quoted text is itself, and
    /// one of YAML's own tags decides (`tag` is its name, `int` for `!!int`). Any other tag makes
    /// it text. `verbatim` returns the bytes of a text.
    ///
    /// # Errors
    /// The text does not fit its tag.
    pub fn new(
        text: &str,
        verbatim: impl Fn() -> Bytes,
        plain: bool,
        tag: Option<&str>,
    ) -> Result<Self, Mistyped> {
        let verbatim = || Scalar::Text(verbatim());
        let of_plain = || Scalar::of_plain(text).unwrap_or_else(verbatim);
        let Some(tag) = tag else {
            return Ok(if plain { of_plain() } else { verbatim() });
        };
        match (tag, of_plain()) {
            ("binary", _) => decode(text).map(Scalar::Text).ok_or(Mistyped::Binary),
            ("int", int @ (Scalar::Int(_) | Scalar::Unsigned(_))) => Ok(int),
            ("float", Scalar::Int(int)) => Ok(Scalar::Float(int as f64)),
            ("float", float @ Scalar::Float(_)) => Ok(float),
            ("bool", bool @ Scalar::Bool(_)) => Ok(bool),
            ("null", null @ Scalar::Null) => Ok(null),
            ("int" | "float" | "bool" | "null", other) => {
                Err(Mistyped::Tag { found: other.tag(), wanted: tag.to_owned() })
            }
            _ => Ok(verbatim()),
        }
    }

    /// The meaning of a value without quotes and tag; `None` if it is text.
    fn of_plain(text: &str) -> Option<Self> {
        Some(match text {
            "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
            "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
                Scalar::Bool(true)
            }
            "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False"
            | "FALSE" => Scalar::Bool(false),
            ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
            ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
            "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
            _ => return Scalar::of_number(text),
        })
    }

    /// The number in `text`, if it is a number. Underscores are ignored, wherever they are; only
    /// after a leading point they must be between digits.
    fn of_number(text: &str) -> Option<Self> {
        // All characters that a number of any base, with an exponent, can contain.
        let in_numbers = |byte: u8| byte.is_ascii_hexdigit() || b"+-._xXoO".contains(&byte);
        if !text.bytes().all(in_numbers) {
            return None;
        }
        match text.as_bytes() {
            [b'.', fraction @ ..] if separates_digits_only(fraction) => {
                float(&without_underscores(text)).map(Scalar::Float)
            }
            [b'+' | b'-' | b'0'..=b'9', ..] => {
                let digits = without_underscores(text);
                integer(&digits).or_else(|| float(&digits).map(Scalar::Float))
            }
            _ => None,
        }
    }

    /// The value of a pair. `None` for null, and for an integer that is too large for a signed
    /// number, which confd drops.
    pub fn value(&self) -> Option<Bytes> {
        match self {
            Scalar::Null | Scalar::Unsigned(_) => None,
            _ => Some(self.key()),
        }
    }

    /// The text of this value as the key of a mapping.
    pub fn key(&self) -> Bytes {
        match self {
            Scalar::Null => Bytes::from_static(b"null"),
            Scalar::Bool(true) => Bytes::from_static(b"true"),
            Scalar::Bool(false) => Bytes::from_static(b"false"),
            Scalar::Int(int) => int.to_string().into(),
            Scalar::Unsigned(int) => int.to_string().into(),
            Scalar::Float(float) if *float == f64::INFINITY => Bytes::from_static(b"+Inf"),
            Scalar::Float(float) if *float == f64::NEG_INFINITY => Bytes::from_static(b"-Inf"),
            // The shortest form in Rust, as in Go, has no exponent.
            Scalar::Float(float) => float.to_string().into(),
            Scalar::Text(text) => text.clone(),
        }
    }

    /// The tag of the type, for messages.
    pub fn tag(&self) -> &'static str {
        match self {
            Scalar::Null => "!!null",
            Scalar::Bool(_) => "!!bool",
            Scalar::Int(_) | Scalar::Unsigned(_) => "!!int",
            Scalar::Float(_) => "!!float",
            Scalar::Text(_) => "!!str",
        }
    }
}

fn without_underscores(text: &str) -> Cow<'_, str> {
    match text.contains('_') {
        true => text.replace('_', "").into(),
        false => text.into(),
    }
}

/// Whether every underscore has a digit on both sides.
fn separates_digits_only(text: &[u8]) -> bool {
    let is_digit = |part: Option<&u8>| part.is_some_and(u8::is_ascii_digit);
    let mut parts = text.split(|byte| *byte == b'_').peekable();
    while let (Some(part), Some(next)) = (parts.next(), parts.peek()) {
        if !is_digit(part.last()) || !is_digit(next.first()) {
            return false;
        }
    }
    true
}

/// An integer with its base as a prefix: `0x`, `0o` or `0`, `0b`, in either case, else decimal.
fn integer(text: &str) -> Option<Scalar> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let (base, digits) = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &unsigned[2..]),
        [b'0', b'o' | b'O', ..] => (8, &unsigned[2..]),
        [b'0', b'b' | b'B', ..] => (2, &unsigned[2..]),
        [b'0', _, ..] => (8, &unsigned[1..]),
        _ => (10, unsigned),
    };
    // Rust's parser accepts a sign, which would be a second sign here.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    match (negative, i64::try_from(magnitude)) {
        (false, Ok(int)) => Some(Scalar::Int(int)),
        (false, Err(_)) => Some(Scalar::Unsigned(magnitude)),
        (true, _) => 0i64.checked_sub_unsigned(magnitude).map(Scalar::Int),
    }
}

/// A decimal fraction, with digits before or after the point and an optional exponent. `None` if it
/// is too large.
fn float(text: &str) -> Option<f64> {
    let well_formed = {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
            }
            None => (unsigned, None),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        digits(whole)
            && digits(fraction)
            && !(whole.is_empty() && fraction.is_empty())
            && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
    };
    if !well_formed {
        return None;
    }
    text.parse().ok().filter(|float: &f64| float.is_finite())
}

/// The bytes that base64 text encodes. Line breaks in it are ignored; other white space is an
/// error, and so is missing padding.
fn decode(text: &str) -> Option<Bytes> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
    );
    let text: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    BASE64.decode(text).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Option<String> {
        value(text, true, None).unwrap()
    }

    fn value(text: &str, plain: bool, tag: Option<&str>) -> Result<Option<String>, Mistyped> {
        let verbatim = || Bytes::copy_from_slice(text.as_bytes());
        let scalar = Scalar::new(text, verbatim, plain, tag)?;
        Ok(scalar.value().map(|value| String::from_utf8(value.to_vec()).unwrap()))
    }

    #[test]
    fn integers_are_read_in_their_base_and_written_in_decimal() {
        for (text, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("00", "0"),
            ("0644", "420"),
            ("0_7", "7"),
            ("0o644", "420"),
            ("0O7", "7"),
            ("-0o7", "-7"),
            ("0x1F", "31"),
            ("0X1f", "31"),
            ("+0x1", "1"),
            ("0x_1", "1"),
            ("0b11", "3"),
            ("-0b1", "-1"),
            ("1_000", "1000"),
            ("1_", "1"),
            ("-_1", "-1"),
            ("+1", "1"),
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-0x8000000000000000", "-9223372036854775808"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_integer_too_large_for_a_signed_one_is_dropped() {
        for text in ["9223372036854775808", "18446744073709551615", "0xFFFFFFFFFFFFFFFF"] {
            assert_eq!(plain(text), None, "{text}");
        }
    }

    #[test]
    fn floats_are_written_in_the_shortest_form_without_exponent() {
        for (text, expected) in [
            ("1.50", "1.5"),
            ("1.0", "1"),
            ("5.", "5"),
            (".5", "0.5"),
            ("-.5", "-0.5"),
            ("1e3", "1000"),
            ("1.e3", "1000"),
            ("1E+3", "1000"),
            ("1e-7", "0.0000001"),
            ("-0.0", "-0"),
            ("+0.0", "0"),
            ("1e23", "100000000000000000000000"),
            ("18446744073709551616", "18446744073709552000"),
            ("-9223372036854775809", "-9223372036854776000"),
            ("123456789012345678901234567890", "123456789012345680000000000000"),
            ("1_000.5_0", "1000.5"),
            (".21_10", "0.211"),
            ("0.1e-400", "0"),
            // These are not octal numbers, so they are decimal.
            ("08", "8"),
            ("09.5", "9.5"),
            ("02000000000000000000000", "2000000000000000000000"),
            (".inf", "+Inf"),
            ("+.Inf", "+Inf"),
            ("-.INF", "-Inf"),
            (".nan", "NaN"),
            (".NaN", "NaN"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn the_words_of_yaml_1_1_are_booleans() {
        for text in ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"] {
            assert_eq!(plain(text).as_deref(), Some("true"), "{text}");
        }
        for text in ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"] {
            assert_eq!(plain(text).as_deref(), Some("false"), "{text}");
        }
    }

    #[test]
    fn a_null_has_no_value() {
        for text in ["", "~", "null", "Null", "NULL"] {
            assert_eq!(plain(text), None, "{text:?}");
        }
    }

    #[test]
    fn everything_else_is_text_as_written() {
        for text in [
            "word",
            "1:30:00",
            "190:20:30.15",
            "2001-01-01",
            "2001-01-01T00:00:00Z",
            "1.2.3",
            "10.0.0.1",
            "1e",
            ".e5",
            "1e400",
            "0o8",
            "0b2",
            "0x",
            "0xg",
            "0x1FFFFFFFFFFFFFFFF",
            "0x1p3",
            "_1",
            "__",
            "+",
            "-",
            ".",
            "--1",
            "+-1",
            "0x-1",
            "1,000",
            "oN",
            "tRue",
            "nULL",
            "inf",
            "nan",
            "-.nan",
            ".iNf",
            ".01_",
            "._1",
            "<<",
            "=",
            "１",
        ] {
            assert_eq!(plain(text).as_deref(), Some(text));
        }
    }

    #[test]
    fn quotes_make_text_of_anything() {
        for text in ["", "1", "0644", "yes", "~", "<<"] {
            assert_eq!(value(text, false, None).unwrap().as_deref(), Some(text));
        }
    }

    #[test]
    fn a_tag_decides_over_looks_and_quotes() {
        for (text, tag, expected) in [
            ("1", "str", Some("1")),
            ("~", "str", Some("~")),
            ("0x10", "int", Some("16")),
            ("1", "float", Some("1")),
            ("9223372036854775807", "float", Some("9223372036854776000")),
            (".5", "float", Some("0.5")),
            ("yes", "bool", Some("true")),
            ("", "null", None),
            ("2001-01-01", "timestamp", Some("2001-01-01")),
            ("aGVs\nbG8=\n", "binary", Some("hello")),
            ("aGl=", "binary", Some("hi")),
            ("", "binary", Some("")),
            // Any other tag makes text.
            ("yes", "", Some("yes")),
            ("0x10", "foo", Some("0x10")),
        ] {
            for plain in [true, false] {
                let found = value(text, plain, Some(tag)).unwrap();
                assert_eq!(found.as_deref(), expected, "!!{tag} {text}");
            }
        }
    }

    #[test]
    fn a_value_of_another_type_than_its_tag_is_an_error() {
        for (text, tag, message) in [
            ("hunter2", "int", "cannot decode !!str as a !!int"),
            ("1.0", "int", "cannot decode !!float as a !!int"),
            ("yes", "float", "cannot decode !!bool as a !!float"),
            ("1", "bool", "cannot decode !!int as a !!bool"),
            ("1", "null", "cannot decode !!int as a !!null"),
            ("***", "binary", "!!binary value contains invalid base64 data"),
            ("aGk", "binary", "!!binary value contains invalid base64 data"),
            ("aG k=", "binary", "!!binary value contains invalid base64 data"),
        ] {
            let error = value(text, true, Some(tag)).unwrap_err();
            assert_eq!(error.to_string(), message, "!!{tag} {text}");
        }
    }
}
