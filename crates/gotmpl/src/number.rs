//! Number and character literals, in every Go type they can be read as.
//!
//! A literal has no type of its own. `1.0` and `'a'` are integers where a function takes an
//! integer, and `1+0i` is a float where it takes a float. So reading a literal gives up to four
//! numbers.

use std::fmt;

use crate::quote::{self, CharFault};
use crate::unicode;

/// The readings of a literal; at least one of them exists.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Number {
    /// As Go's `int64`.
    pub(crate) int: Option<i64>,
    /// As Go's `uint64`.
    pub(crate) uint: Option<u64>,
    /// As Go's `float64`.
    pub(crate) float: Option<f64>,
    /// As Go's `complex128`: real and imaginary part. Only for literals with an `i`.
    pub(crate) complex: Option<(f64, f64)>,
}

/// Why a text is not a number literal. `Display` gives Go's text of the parse error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `''`, or a character literal with an escape that Go does not have.
    InvalidSyntax,
    /// A character literal of more than one character.
    MalformedCharacter(String),
    /// Only digits, but more than 64 bits; or digits that do not exist in the base, as in `089`.
    IntegerOverflow(String),
    /// Neither an integer nor a float.
    IllegalNumber(String),
    /// One part of a complex number, sign included, is not a float.
    PartSyntax(String),
    /// One part of a complex number is beyond the largest float.
    PartRange(String),
    /// The imaginary part does not begin with a sign.
    Complex,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| quote::quote(text.as_bytes());
        match self {
            Fault::InvalidSyntax => f.write_str("invalid syntax"),
            Fault::MalformedCharacter(text) => write!(f, "malformed character constant: {text}"),
            Fault::IntegerOverflow(text) => write!(f, "integer overflow: {}", quoted(text)),
            Fault::IllegalNumber(text) => write!(f, "illegal number syntax: {}", quoted(text)),
            Fault::PartSyntax(text) => {
                write!(f, "strconv.ParseFloat: parsing {}: invalid syntax", quoted(text))
            }
            Fault::PartRange(text) => {
                write!(f, "strconv.ParseFloat: parsing {}: value out of range", quoted(text))
            }
            Fault::Complex => f.write_str("syntax error scanning complex number"),
        }
    }
}

impl std::error::Error for Fault {}

/// Reads a character literal with its quotes, as the number of its code point.
///
/// # Errors
///
/// [`Fault::InvalidSyntax`] and [`Fault::MalformedCharacter`].
pub(crate) fn parse_char(literal: &[u8]) -> Result<Number, Fault> {
    match quote::unquote_char(literal) {
        Ok(code) => Ok(Number {
            int: Some(code.into()),
            uint: Some(code.into()),
            float: Some(code.into()),
            complex: None,
        }),
        Err(CharFault::InvalidSyntax) => Err(Fault::InvalidSyntax),
        Err(CharFault::Malformed) => {
            Err(Fault::MalformedCharacter(unicode::lossy(literal).into_owned()))
        }
    }
}

/// Reads a number of one part: an integer, a float, or either of them with an `i`.
///
/// # Errors
///
/// [`Fault::IntegerOverflow`] and [`Fault::IllegalNumber`].
pub(crate) fn parse(literal: &str) -> Result<Number, Fault> {
    if let Some(int) = parse_plain(literal) {
        let uint = Some(int.cast_unsigned());
        return Ok(Number { int: Some(int), uint, float: Some(int as f64), complex: None });
    }
    if let Some(Ok(imaginary)) = literal.strip_suffix('i').map(parse_float) {
        return Ok(from_complex(0.0, imaginary));
    }
    let int = parse_int(literal);
    let mut uint = parse_uint(literal);
    if int == Some(0) {
        // An unsigned literal has no sign, but Go accepts `-0` as zero.
        uint = Some(0);
    }
    let float = match (int, uint) {
        (Some(int), _) => int as f64,
        (None, Some(uint)) => uint as f64,
        (None, None) => {
            let float =
                parse_float(literal).map_err(|_| Fault::IllegalNumber(literal.to_owned()))?;
            // A text without point or exponent was meant as an integer.
            if !literal.contains(['.', 'e', 'E', 'p', 'P']) {
                return Err(Fault::IntegerOverflow(literal.to_owned()));
            }
            return Ok(from_float(float));
        }
    };
    Ok(Number { int, uint, float: Some(float), complex: None })
}

/// Reads a number of two parts, such as `1-2i`.
///
/// Each part follows the rules of Go's `fmt.Sscan` for a float: of the prefixes only `0x` is known.
///
/// # Errors
///
/// [`Fault::PartSyntax`], [`Fault::PartRange`] and [`Fault::Complex`].
pub(crate) fn parse_complex(literal: &str) -> Result<Number, Fault> {
    let part = |text: &str| {
        parse_float(text).map_err(|fault| match fault {
            FloatFault::Syntax => Fault::PartSyntax(text.to_owned()),
            FloatFault::Range => Fault::PartRange(text.to_owned()),
        })
    };
    // The ends of both parts are found before either part is read: of several faults, Go reports
    // the one between the parts first.
    let (real, rest) = literal.split_at(float_length(literal));
    if !rest.starts_with(['+', '-']) {
        return Err(Fault::Complex);
    }
    let (imaginary, rest) = rest.split_at(1 + float_length(&rest[1..]));
    if !rest.starts_with('i') {
        return Err(Fault::Complex);
    }
    Ok(from_complex(part(real)?, part(imaginary)?))
}

fn from_complex(real: f64, imaginary: f64) -> Number {
    let simple = if imaginary == 0.0 { from_float(real) } else { Number::default() };
    Number { complex: Some((real, imaginary)), ..simple }
}

fn from_float(float: f64) -> Number {
    // Both limits are powers of two, so a float holds them exactly.
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    const TWO_64: f64 = 18_446_744_073_709_551_616.0;
    let whole = float.trunc() == float;
    let int = (whole && (-TWO_63..TWO_63).contains(&float)).then_some(float as i64);
    let uint = (whole && (0.0..TWO_64).contains(&float)).then_some(float as u64);
    Number { int, uint, float: Some(float), complex: None }
}

/// The fast path for most numbers: a few decimal digits, which have only one reading.
fn parse_plain(literal: &str) -> Option<i64> {
    let digits = literal.as_bytes();
    let decimal = matches!(digits, [b'0'] | [b'1'..=b'9', ..]);
    if !decimal || digits.len() > 18 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

fn parse_int(literal: &str) -> Option<i64> {
    if let Some(digits) = literal.strip_prefix('-') {
        return 0_i64.checked_sub_unsigned(parse_uint(digits)?);
    }
    i64::try_from(parse_uint(literal.strip_prefix('+').unwrap_or(literal))?).ok()
}

fn parse_uint(literal: &str) -> Option<u64> {
    if !underscores_separate(literal) {
        return None;
    }
    let (base, digits) = match literal.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, &literal[2..]),
        [b'0', b'o' | b'O', ..] => (8, &literal[2..]),
        [b'0', b'b' | b'B', ..] => (2, &literal[2..]),
        [b'0', _, ..] => (8, &literal[1..]),
        _ => (10, literal),
    };
    let mut value = None;
    for digit in digits.chars().filter(|&c| c != '_') {
        let digit = u64::from(digit.to_digit(base)?);
        value = Some(value.unwrap_or(0_u64).checked_mul(base.into())?.checked_add(digit)?);
    }
    value
}

/// Whether every underscore stands between digits, or between a base prefix and a digit.
fn underscores_separate(literal: &str) -> bool {
    if !literal.contains('_') {
        return true;
    }
    let unsigned = literal.strip_prefix(['+', '-']).unwrap_or(literal).as_bytes();
    let (hexadecimal, mut after_digit, digits) = match unsigned {
        [b'0', b'x' | b'X', rest @ ..] => (true, true, rest),
        [b'0', b'b' | b'B' | b'o' | b'O', rest @ ..] => (false, true, rest),
        _ => (false, false, unsigned),
    };
    let mut underscore = false;
    for &byte in digits {
        let digit = if hexadecimal { byte.is_ascii_hexdigit() } else { byte.is_ascii_digit() };
        if (byte == b'_' && !after_digit) || (underscore && !digit) {
            return false;
        }
        underscore = byte == b'_';
        after_digit = digit;
    }
    !underscore
}

/// Why a text is not a float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FloatFault {
    Syntax,
    Range,
}

/// Reads a decimal or hexadecimal float as Go's `strconv.ParseFloat` does, correctly rounded.
fn parse_float(literal: &str) -> Result<f64, FloatFault> {
    if !underscores_separate(literal) {
        return Err(FloatFault::Syntax);
    }
    let plain: String = literal.chars().filter(|&c| c != '_').collect();
    let (negative, unsigned) = match plain.as_bytes() {
        [b'-', ..] => (true, &plain[1..]),
        [b'+', ..] => (false, &plain[1..]),
        _ => (false, &plain[..]),
    };
    let magnitude = match unsigned.as_bytes() {
        [b'0', b'x' | b'X', ..] => parse_hexadecimal(&unsigned[2..])?,
        // The test of the first byte keeps out `inf`, `nan` and a second sign, which Rust's parser
        // accepts.
        [b'0'..=b'9' | b'.', ..] => unsigned.parse().map_err(|_| FloatFault::Syntax)?,
        _ => return Err(FloatFault::Syntax),
    };
    if magnitude.is_infinite() {
        return Err(FloatFault::Range);
    }
    Ok(if negative { -magnitude } else { magnitude })
}

/// Reads the part of a hexadecimal float behind `0x`. The exponent is mandatory.
fn parse_hexadecimal(text: &str) -> Result<f64, FloatFault> {
    let (digits, exponent) = text.split_once(['p', 'P']).ok_or(FloatFault::Syntax)?;
    let mut exponent = parse_exponent(exponent)?;

    // Keeps the first sixty-four bits of the digits. Later digits only matter for breaking ties.
    let mut mantissa = 0_u64;
    let mut any = false;
    let mut point = false;
    for byte in digits.bytes() {
        if byte == b'.' && !point {
            point = true;
            continue;
        }
        let digit = char::from(byte).to_digit(16).ok_or(FloatFault::Syntax)?;
        any = true;
        // Beyond sixty bits it only matters whether any later digit is not zero.
        if mantissa >> 60 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            exponent = exponent.saturating_sub(if point { 4 } else { 0 });
        } else {
            mantissa |= u64::from(digit != 0);
            exponent = exponent.saturating_add(if point { 0 } else { 4 });
        }
    }
    if !any {
        return Err(FloatFault::Syntax);
    }
    Ok(scale(mantissa, exponent))
}

fn parse_exponent(text: &str) -> Result<i64, FloatFault> {
    let (sign, digits) = match text.as_bytes() {
        [b'-', ..] => (-1, &text[1..]),
        [b'+', ..] => (1, &text[1..]),
        _ => (1, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(FloatFault::Syntax);
    }
    // An exponent with too many digits for an `i64` is far beyond the range of a float.
    Ok(sign * digits.parse::<i64>().unwrap_or(1 << 40).min(1 << 40))
}

/// `mantissa` times two to the power of `exponent`, rounded once, half to even. Infinity if too
/// large.
fn scale(mantissa: u64, exponent: i64) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let top = exponent + 63 - i64::from(mantissa.leading_zeros());
    if top > 1023 {
        return f64::INFINITY;
    }
    // The exponent of the lowest bit that the result can hold.
    let last = (top - 52).max(-1074);
    let mut units = mantissa;
    let mut unit_exponent = exponent;
    if last > exponent {
        let shift = last - exponent;
        if shift > 64 {
            // Less than half of the smallest float.
            return 0.0;
        }
        let exact = u128::from(mantissa);
        let kept = exact >> shift;
        let lost = exact & ((1 << shift) - 1);
        let half = 1_u128 << (shift - 1);
        let up = lost > half || (lost == half && kept & 1 == 1);
        units = (kept + u128::from(up)) as u64;
        unit_exponent = last;
    }
    // `units` has at most 53 bits here, or it is a power of two with 54 bits: both are exact as a
    // float. The power is applied in two steps, because each factor must be a float too.
    let half = unit_exponent / 2;
    units as f64 * power_of_two(half) * power_of_two(unit_exponent - half)
}

/// Two to the power of `exponent`, which must be from -1022 to 1023.
fn power_of_two(exponent: i64) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

/// The length of the float at the start of `text`, by the rules of Go's `fmt.Sscan`: checks which
/// characters stand there, not whether they form a number.
fn float_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut at = 0;
    let skip = |at: &mut usize, accept: &[u8], many: bool| {
        let mut found = false;
        while (many || !found) && bytes.get(*at).is_some_and(|byte| accept.contains(byte)) {
            *at += 1;
            found = true;
        }
        found
    };
    skip(&mut at, b"+-", false);
    // An `i` here can begin `Inf`, so Go takes it as part of the float and not as the imaginary
    // unit.
    skip(&mut at, b"iI", false);
    let hexadecimal = skip(&mut at, b"0", false) && skip(&mut at, b"xX", false);
    let (digits, exponent): (&[u8], &[u8]) =
        if hexadecimal { (b"0123456789abcdefABCDEF_", b"pP") } else { (b"0123456789_", b"eEpP") };
    skip(&mut at, digits, true);
    if skip(&mut at, b".", false) {
        skip(&mut at, digits, true);
    }
    if skip(&mut at, exponent, false) {
        skip(&mut at, b"+-", false);
        skip(&mut at, b"0123456789_", true);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn literals_read_as_in_go() {
        golden::check("number.tsv", |fields| {
            let literal = fields[1];
            let number = match fields[0] {
                "char" => parse_char(literal.as_bytes()),
                "two" => parse_complex(literal),
                _ => parse(literal),
            };
            let bits = |float: f64| format!("{:016x}", float.to_bits());
            let reading = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
            match number {
                Err(fault) => vec!["!".to_owned(), fault.to_string()],
                Ok(number) => vec![
                    reading(number.int.map(|int| int.to_string())),
                    reading(number.uint.map(|uint| uint.to_string())),
                    reading(number.float.map(bits)),
                    reading(number.complex.map(|(re, im)| format!("{},{}", bits(re), bits(im)))),
                ],
            }
        });
    }
}
