//! Prints integers: `%b %c %d %o %O %q %U %x %X`, and `%v`.

use super::spec::Spec;
use crate::quote::{self, Charset};
use crate::unicode::{self, REPLACEMENT};

/// An integer of any Go type: the part of it that the verbs need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Int {
    /// Whether the number is below zero.
    pub(super) negative: bool,
    /// The absolute value.
    pub(super) magnitude: u64,
    /// Whether the type is signed. `%#v` writes unsigned types in hexadecimal.
    pub(super) signed: bool,
}

impl Int {
    pub(super) fn signed(value: i64) -> Int {
        Int { negative: value < 0, magnitude: value.unsigned_abs(), signed: true }
    }

    pub(super) fn unsigned(value: u64) -> Int {
        Int { negative: false, magnitude: value, signed: false }
    }

    /// The code point with this number, or U+FFFD if there is none.
    fn as_char(self) -> char {
        let code = u32::try_from(self.magnitude).ok().filter(|_| !self.negative);
        code.and_then(char::from_u32).unwrap_or(REPLACEMENT)
    }

    /// The number in two's complement.
    fn bits(self) -> u64 {
        if self.negative { self.magnitude.wrapping_neg() } else { self.magnitude }
    }
}

/// Appends `value` in decimal, like a plain `%d`.
pub(super) fn append_decimal(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    append_digits(out, value.unsigned_abs(), 10, false);
}

/// Appends `value` for `verb`. Appends nothing and returns false if integers do not have this verb.
pub(super) fn append(out: &mut Vec<u8>, spec: &Spec, value: Int, verb: char) -> bool {
    match verb {
        'v' if spec.sharp_v && !value.signed => {
            append_integer(out, &Spec { sharp: true, ..*spec }, value, 16, verb);
        }
        'v' | 'd' => append_integer(out, spec, value, 10, verb),
        'b' => append_integer(out, spec, value, 2, verb),
        'o' | 'O' => append_integer(out, spec, value, 8, verb),
        'x' | 'X' => append_integer(out, spec, value, 16, verb),
        'c' => {
            let start = out.len();
            quote::append_char(out, value.as_char());
            spec.pad(out, start);
        }
        'q' => {
            let start = out.len();
            let charset = if spec.plus { Charset::Ascii } else { Charset::Printable };
            quote::append_quoted_rune(out, value.as_char(), charset);
            spec.pad(out, start);
        }
        'U' => append_code_point(out, spec, value),
        _ => return false,
    }
    true
}

/// The digits of a number in base 2, 8, 10 or 16 without sign or prefix.
fn append_digits(out: &mut Vec<u8>, magnitude: u64, base: u64, upper: bool) {
    let alphabet = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
    // Dividing by a constant is much faster than dividing by a variable.
    match base {
        2 => append_digits_of::<2>(out, magnitude, alphabet),
        8 => append_digits_of::<8>(out, magnitude, alphabet),
        16 => append_digits_of::<16>(out, magnitude, alphabet),
        _ => append_digits_of::<10>(out, magnitude, alphabet),
    }
}

fn append_digits_of<const BASE: u64>(out: &mut Vec<u8>, mut magnitude: u64, alphabet: &[u8; 16]) {
    let mut digits = [0; 64];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = alphabet[(magnitude % BASE) as usize];
        magnitude /= BASE;
        if magnitude == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

/// Appends the digits, with leading zeros up to the number `fewest`.
fn append_padded(out: &mut Vec<u8>, magnitude: u64, base: u64, upper: bool, fewest: usize) {
    let start = out.len();
    append_digits(out, magnitude, base, upper);
    let missing = fewest.saturating_sub(out.len() - start);
    if missing > 0 {
        out.resize(out.len() + missing, b'0');
        out[start..].rotate_right(missing);
    }
}

fn append_integer(out: &mut Vec<u8>, spec: &Spec, value: Int, base: u64, verb: char) {
    let start = out.len();
    if spec.precision == Some(0) && value.magnitude == 0 {
        spec.pad_with_blanks(out, start);
        return;
    }
    let sign = match value.negative {
        true => Some(b'-'),
        false if spec.plus => Some(b'+'),
        false => spec.space.then_some(b' '),
    };
    // Zeros that fill the width stand after the prefix. The sign counts as a part of the width, the
    // prefix does not.
    let fewest = match (spec.precision, spec.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.pads_with_zeros() => {
            width.saturating_sub(usize::from(sign.is_some()))
        }
        _ => 0,
    };
    out.extend(sign);
    if verb == 'O' {
        out.extend_from_slice(b"0o");
    }
    let upper = verb == 'X';
    if spec.sharp {
        match base {
            2 => out.extend_from_slice(b"0b"),
            16 => out.extend_from_slice(if upper { b"0X" } else { b"0x" }),
            _ => {}
        }
    }
    let digits = out.len();
    append_padded(out, value.magnitude, base, upper, fewest);
    if spec.sharp && base == 8 && out[digits] != b'0' {
        out.insert(digits, b'0');
    }
    spec.pad_with_blanks(out, start);
}

/// `U+0041`, and with `#` the character too, if it is printable: `U+0041 'A'`.
fn append_code_point(out: &mut Vec<u8>, spec: &Spec, value: Int) {
    let start = out.len();
    out.extend_from_slice(b"U+");
    append_padded(out, value.bits(), 16, true, spec.precision.unwrap_or(4).max(4));
    let c = u32::try_from(value.bits()).ok().and_then(char::from_u32);
    if let Some(c) = c.filter(|&c| spec.sharp && unicode::is_printable(c)) {
        out.extend_from_slice(b" '");
        quote::append_char(out, c);
        out.push(b'\'');
    }
    spec.pad_with_blanks(out, start);
}
