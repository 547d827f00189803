//! Prints floats and complex numbers: `%b %e %E %f %F %g %G %x %X`, and `%v`.
//!
//! The decimal digits come from the standard library. Its shortest form, and its exact form
//! (rounded half to even), have the same digits as Go's; this module only arranges them.

use std::fmt::Write;

use super::int;
use super::spec::Spec;

/// The most significant digits of any float. All later digits of its exact decimal form are zeros.
const SIGNIFICANT: usize = 767;
/// The most decimal places of any float. All later places of its exact decimal form are zeros.
const PLACES: usize = 1074;

/// Appends `value` for `verb`. Appends nothing and returns false if floats do not have this verb.
pub(super) fn append(out: &mut Vec<u8>, spec: &Spec, value: f64, verb: char) -> bool {
    let Some(form) = Form::of(verb) else { return false };
    let start = out.len();
    let sign = if value.is_sign_negative() && !value.is_nan() {
        Some(b'-')
    } else if spec.plus {
        Some(b'+')
    } else {
        spec.space.then_some(b' ')
    };
    out.extend(sign);
    if !value.is_finite() {
        if value.is_infinite() && sign.is_none_or(|sign| sign == b' ') {
            // Infinity always has its sign, except that the flag ` ` replaces a plus by a blank.
            out.truncate(start);
            out.push(if spec.space && !spec.plus { b' ' } else { b'+' });
        }
        out.extend_from_slice(if value.is_nan() { b"NaN" } else { b"Inf" });
        spec.pad_with_blanks(out, start);
        return true;
    }
    let digits = out.len();
    form.append(out, value.abs(), spec.precision);
    if spec.sharp && !matches!(form, Form::Binary) {
        form.keep_point(out, digits, spec.precision, verb);
    }
    if verb.is_ascii_uppercase() {
        out[digits..].make_ascii_uppercase();
    }
    if spec.pads_with_zeros() && sign.is_some() {
        // The zeros go between the sign and the digits; the sign counts as a part of the width.
        let rest = Spec { width: spec.width.map(|width| width.saturating_sub(1)), ..*spec };
        rest.pad(out, digits);
    } else {
        spec.pad(out, start);
    }
    true
}

/// Appends `value` as a plain `%v` does.
pub(super) fn append_plain(out: &mut Vec<u8>, value: f64) {
    match small_whole(value) {
        // Zero is left to the general case because it can be negative.
        Some(whole) if whole > 0 => int::append_decimal(out, whole),
        _ => {
            append(out, &Spec::default(), value, 'v');
        }
    }
}

/// `value` as an integer, if the shortest `%g` writes it without point and exponent. Most floats
/// that are printed are of this kind.
fn small_whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (value < 1e6 && whole as f64 == value).then_some(whole)
}

/// Appends `(a+bi)` for `verb`; `spec` applies to both parts. Appends nothing and returns false if
/// complex numbers do not have this verb.
pub(super) fn append_complex(
    out: &mut Vec<u8>,
    spec: &Spec,
    (real, imaginary): (f64, f64),
    verb: char,
) -> bool {
    if Form::of(verb).is_none() {
        return false;
    }
    out.push(b'(');
    append(out, spec, real, verb);
    append(out, &Spec { plus: true, ..*spec }, imaginary, verb);
    out.extend_from_slice(b"i)");
    true
}

/// The form of number that a verb asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `%b`: the mantissa and the binary exponent, both in decimal.
    Binary,
    /// `%e`.
    Exponent,
    /// `%f`.
    Fixed,
    /// `%g`: fixed or with an exponent, depending on the size of the exponent.
    General,
    /// `%x`.
    Hexadecimal,
}

impl Form {
    fn of(verb: char) -> Option<Form> {
        Some(match verb {
            'b' => Form::Binary,
            'e' | 'E' => Form::Exponent,
            'f' | 'F' => Form::Fixed,
            'g' | 'G' | 'v' => Form::General,
            'x' | 'X' => Form::Hexadecimal,
            _ => return None,
        })
    }

    /// Appends the digits of `value`, which must be finite and not negative.
    fn append(self, out: &mut Vec<u8>, value: f64, precision: Option<usize>) {
        match self {
            Form::Binary => append_binary(out, value),
            Form::Exponent => append_exponent_form(out, value, precision.unwrap_or(6)),
            Form::Fixed => append_fixed(out, value, precision.unwrap_or(6)),
            Form::General => append_general(out, value, precision),
            Form::Hexadecimal => append_hexadecimal(out, value, precision),
        }
    }

    /// Applies the flag `#` to the digits from `start` on: adds a decimal point and, for `%g` and
    /// `%x` (but not `%X`), zeros up to the number of digits of the precision (six without one).
    fn keep_point(self, out: &mut Vec<u8>, start: usize, precision: Option<usize>, verb: char) {
        let number = &out[start..];
        let exponent = match self {
            Form::Hexadecimal => number.iter().position(|&byte| byte == b'p'),
            _ => number.iter().position(|&byte| byte == b'e'),
        };
        let mantissa = &number[..exponent.unwrap_or(number.len())];
        let end = start + mantissa.len();
        let point = mantissa.contains(&b'.');
        let mut zeros = 0;
        if matches!(verb, 'v' | 'g' | 'G' | 'x') {
            // Leading zeros are not significant, except for a lone zero. Go counts the `x` of `0x`
            // as a significant digit.
            let significant = match mantissa {
                b"0" => 1,
                _ => mantissa
                    .iter()
                    .filter(|&&byte| byte != b'.')
                    .skip_while(|&&byte| byte == b'0')
                    .count(),
            };
            zeros = precision.unwrap_or(6).saturating_sub(significant);
        }
        let added = zeros + usize::from(!point);
        out.resize(out.len() + added, b'0');
        out[end..].rotate_right(added);
        if !point {
            out[end] = b'.';
        }
    }
}

/// The longest of the shortest forms: `-1.7976931348623157e-308`, for example.
const SHORT: usize = 32;
/// The longest exact form.
const LONG: usize = SIGNIFICANT + 16;

/// Text from the standard library's formatter, in a buffer on the stack.
struct Digits<const ROOM: usize> {
    bytes: [u8; ROOM],
    len: usize,
}

impl<const ROOM: usize> Write for Digits<ROOM> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let place = self.bytes.get_mut(self.len..self.len + text.len()).ok_or(std::fmt::Error)?;
        place.copy_from_slice(text.as_bytes());
        self.len += text.len();
        Ok(())
    }
}

impl<const ROOM: usize> Digits<ROOM> {
    /// The exact decimal form of `value` with an exponent, rounded to `significant` digits (at
    /// least one). Digits beyond [`SIGNIFICANT`] are left out, because they are zeros.
    fn exact(value: f64, significant: usize) -> Digits<ROOM> {
        let mut digits = Digits { bytes: [0; ROOM], len: 0 };
        let written = write!(digits, "{value:.*e}", significant.clamp(1, SIGNIFICANT) - 1);
        debug_assert!(written.is_ok(), "the buffer holds the longest form");
        digits
    }

    /// The shortest decimal form of `value` that reads back as the same float.
    fn shortest(value: f64) -> Digits<ROOM> {
        let mut digits = Digits { bytes: [0; ROOM], len: 0 };
        let written = write!(digits, "{value:e}");
        debug_assert!(written.is_ok(), "the buffer holds the longest form");
        // Two forms can be equally short and equally near to the value. Go takes the one with the
        // even digit, the standard library the larger one. With 15 digits or fewer this cannot
        // happen: each such form is a different float.
        let (_, rest, _) = digits.parts();
        if rest.len() >= 15 {
            let even = Digits::<ROOM>::exact(value, 1 + rest.len());
            if even.text() != digits.text() && even.text().parse() == Ok(value) {
                return even;
            }
        }
        digits
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    /// The first digit, the digits after the point, and the exponent.
    fn parts(&self) -> (u8, &[u8], i32) {
        let (mantissa, exponent) = self.text().split_once('e').unwrap_or_default();
        let mantissa = mantissa.as_bytes();
        let first = mantissa.first().copied().unwrap_or(b'0');
        (first, mantissa.get(2..).unwrap_or_default(), exponent.parse().unwrap_or(0))
    }
}

/// Appends an exponent: its sign and at least two digits.
fn append_exponent(out: &mut Vec<u8>, letter: u8, exponent: i32) {
    out.push(letter);
    out.push(if exponent < 0 { b'-' } else { b'+' });
    if exponent.abs() < 10 {
        out.push(b'0');
    }
    int::append_decimal(out, exponent.abs().into());
}

fn append_zeros(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b'0');
}

fn append_exponent_form(out: &mut Vec<u8>, value: f64, places: usize) {
    let digits = Digits::<LONG>::exact(value, places.saturating_add(1));
    let (first, rest, exponent) = digits.parts();
    out.push(first);
    if places > 0 {
        out.push(b'.');
        out.extend_from_slice(rest);
        append_zeros(out, places - rest.len());
    }
    append_exponent(out, b'e', exponent);
}

fn append_fixed(out: &mut Vec<u8>, value: f64, places: usize) {
    use std::io::Write;
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value:.*}", places.min(PLACES));
    append_zeros(out, places.saturating_sub(PLACES));
}

fn append_general(out: &mut Vec<u8>, value: f64, precision: Option<usize>) {
    if precision.is_none()
        && let Some(whole) = small_whole(value)
    {
        return int::append_decimal(out, whole);
    }
    match precision {
        Some(significant) => {
            let digits = Digits::<LONG>::exact(value, significant);
            arrange_general(out, digits.parts(), significant.max(1));
        }
        None => arrange_general(out, Digits::<SHORT>::shortest(value).parts(), 6),
    }
}

/// Appends the digits in fixed form. Uses an exponent instead if it is below -4, or `limit` or
/// more.
fn arrange_general(out: &mut Vec<u8>, parts: (u8, &[u8], i32), limit: usize) {
    let (first, rest, exponent) = parts;
    let rest = &rest[..rest.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1)];
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < limit => {
            // The number of digits before the point, as the exponent says.
            let whole = exponent.min(rest.len());
            out.push(first);
            out.extend_from_slice(&rest[..whole]);
            append_zeros(out, exponent - whole);
            if whole < rest.len() {
                out.push(b'.');
                out.extend_from_slice(&rest[whole..]);
            }
        }
        Err(_) if exponent >= -4 => {
            out.extend_from_slice(b"0.");
            append_zeros(out, exponent.unsigned_abs() as usize - 1);
            out.push(first);
            out.extend_from_slice(rest);
        }
        _ => {
            out.push(first);
            if !rest.is_empty() {
                out.push(b'.');
                out.extend_from_slice(rest);
            }
            append_exponent(out, b'e', exponent);
        }
    }
}

/// The mantissa as an integer, and the exponent: `value` is the mantissa times two to the power of
/// the exponent.
fn split(value: f64) -> (u64, i32) {
    let bits = value.to_bits();
    let fraction = bits & ((1 << 52) - 1);
    match (bits >> 52 & 0x7ff) as i32 {
        0 => (fraction, -1074),
        biased => (fraction | 1 << 52, biased - 1075),
    }
}

fn append_binary(out: &mut Vec<u8>, value: f64) {
    let (mantissa, exponent) = split(value);
    int::append_decimal(out, mantissa as i64);
    out.push(b'p');
    if exponent >= 0 {
        out.push(b'+');
    }
    int::append_decimal(out, exponent.into());
}

fn append_hexadecimal(out: &mut Vec<u8>, value: f64, places: Option<usize>) {
    let (mut mantissa, mut exponent) = split(value);
    if mantissa == 0 {
        exponent = 0;
    } else {
        // Moves the first bit, also that of a subnormal, to bit 60. Fifteen hexadecimal digits
        // follow it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - shift as i32;
    }
    if let Some(lost) = places.filter(|&places| places < 15).map(|places| 60 - 4 * places) {
        let half = 1 << (lost - 1);
        let odd = mantissa >> lost & 1;
        // Rounds half to even: adds one less than half if the last digit is even, so that exactly
        // half does not carry.
        mantissa = (mantissa + half - 1 + odd) >> lost << lost;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    out.extend_from_slice(b"0x");
    out.push(b'0' + (mantissa >> 60) as u8);
    let mut fraction = mantissa << 4;
    if places.map_or(fraction != 0, |places| places > 0) {
        out.push(b'.');
    }
    let mut written = 0;
    while fraction != 0 {
        out.push(b"0123456789abcdef"[(fraction >> 60) as usize]);
        fraction <<= 4;
        written += 1;
    }
    append_zeros(out, places.unwrap_or(0).saturating_sub(written));
    append_exponent(out, b'p', exponent);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_have_an_exponent_from_a_million_on() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (8080.0, "8080"),
            (-8080.0, "-8080"),
            (0.5, "0.5"),
            (999_999.0, "999999"),
            (999_999.5, "999999.5"),
            (1e6, "1e+06"),
            (-1e6, "-1e+06"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            let mut out = Vec::new();
            append_plain(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
