//! Floats and complex numbers: `%b %e %E %f %F %g %G %x %X`, and `%v`.
//!
//! Decimal digits come from the standard library, whose shortest form and whose exact form
//! (rounded half to even on the exact value) are also Go's. Only their arrangement is done here.

use std::fmt::Write;

use super::int;
use super::spec::Spec;

/// Significant digits beyond which every float's exact decimal form has only zeros.
const SIGNIFICANT: usize = 767;
/// Decimal places beyond which every float's exact decimal form has only zeros.
const PLACES: usize = 1074;

/// Appends `value` by `verb`. False, and nothing appended, if floats have no such verb.
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
            // Of infinity the sign is always there, unless a blank was asked for.
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
        // The sign stays in front of the zeros, and counts.
        let rest = Spec { width: spec.width.map(|width| width.saturating_sub(1)), ..*spec };
        rest.pad(out, digits);
    } else {
        spec.pad(out, start);
    }
    true
}

/// Appends `value` as `%v` without flags does.
pub(super) fn append_plain(out: &mut Vec<u8>, value: f64) {
    match small_whole(value) {
        // Zero may be a negative one.
        Some(whole) if whole > 0 => int::append_decimal(out, whole),
        _ => {
            append(out, &Spec::default(), value, 'v');
        }
    }
}

/// `value` as an integer, if it is one that the shortest `%g` writes as such: those are most of
/// the floats that are printed.
fn small_whole(value: f64) -> Option<i64> {
    let whole = value as i64;
    (value < 1e6 && whole as f64 == value).then_some(whole)
}

/// Appends `(a+bi)` by `verb`, both parts with all that `spec` asks for. False, and nothing
/// appended, if complex numbers have no such verb.
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

/// The arrangement of digits that a verb asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `%b`: mantissa and binary exponent, both in decimal.
    Binary,
    /// `%e`.
    Exponent,
    /// `%f`.
    Fixed,
    /// `%g`: whichever of the two suits the exponent.
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

    /// Appends the digits of `value`, which is finite and not negative.
    fn append(self, out: &mut Vec<u8>, value: f64, precision: Option<usize>) {
        match self {
            Form::Binary => append_binary(out, value),
            Form::Exponent => append_exponent_form(out, value, precision.unwrap_or(6)),
            Form::Fixed => append_fixed(out, value, precision.unwrap_or(6)),
            Form::General => append_general(out, value, precision),
            Form::Hexadecimal => append_hexadecimal(out, value, precision),
        }
    }

    /// Gives the digits from `start` on what `#` promises: a decimal point, and of `%g` and `%x`
    /// (not `%X`) as many digits as the precision says (six without one), trailing zeros or not.
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
            // Leading zeros are not significant, but a lone zero is. The `x` of `0x` is taken
            // for a significant digit.
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

/// Room for the longest of the shortest forms, `-1.7976931348623157e-308` and the like.
const SHORT: usize = 32;
/// Room for the longest form.
const LONG: usize = SIGNIFICANT + 16;

/// Text made by the standard library's formatting, kept off the heap.
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
    /// The decimal form of `value` with an exponent, rounded from its exact one to `significant`
    /// digits (at least one; zeros beyond [`SIGNIFICANT`] are left out).
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
        // Two forms can be equally short and equally near. Go takes the even one, the standard
        // library the larger. With 15 digits or fewer, every form is a float of its own.
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

    /// The first digit, those after the point, and the exponent.
    fn parts(&self) -> (u8, &[u8], i32) {
        let (mantissa, exponent) = self.text().split_once('e').unwrap_or_default();
        let mantissa = mantissa.as_bytes();
        let first = mantissa.first().copied().unwrap_or(b'0');
        (first, mantissa.get(2..).unwrap_or_default(), exponent.parse().unwrap_or(0))
    }
}

/// Appends an exponent: a sign, and two digits or more.
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

/// Appends the digits in fixed form, or with an exponent if that is `limit` or more, or below -4.
fn arrange_general(out: &mut Vec<u8>, parts: (u8, &[u8], i32), limit: usize) {
    let (first, rest, exponent) = parts;
    let rest = &rest[..rest.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1)];
    match usize::try_from(exponent) {
        Ok(exponent) if exponent < limit => {
            // Digits before the point, as many as the exponent says.
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

/// The mantissa as an integer and the exponent of its last bit: `value` is one times two to the
/// power of the other.
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
        // Bring the first bit, also that of a subnormal, to bit 60: fifteen digits follow it.
        let shift = mantissa.leading_zeros() - 3;
        mantissa <<= shift;
        exponent += 60 - shift as i32;
    }
    if let Some(lost) = places.filter(|&places| places < 15).map(|places| 60 - 4 * places) {
        let half = 1 << (lost - 1);
        let odd = mantissa >> lost & 1;
        // Just below half for an even digit, so that only more than half carries.
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
