//! Prints strings, byte slices and booleans: `%s %q %x %X %t`, and `%v`.

use super::spec::Spec;
use crate::quote::{self, Charset};
use crate::unicode;

/// Appends `text` for `verb`. Appends nothing and returns false if strings do not have this verb.
pub(super) fn append(out: &mut Vec<u8>, spec: &Spec, text: &[u8], verb: char) -> bool {
    match verb {
        'v' if spec.sharp_v => append_quoted(out, spec, text),
        'v' | 's' => append_plain(out, spec, text),
        'q' => append_quoted(out, spec, text),
        'x' => append_hex(out, spec, text, b"0123456789abcdef", b"0x"),
        'X' => append_hex(out, spec, text, b"0123456789ABCDEF", b"0X"),
        _ => return false,
    }
    true
}

/// Appends a boolean. Appends nothing and returns false unless the verb is `%t` or `%v`.
pub(super) fn append_bool(out: &mut Vec<u8>, spec: &Spec, value: bool, verb: char) -> bool {
    let fits = matches!(verb, 't' | 'v');
    if fits {
        append_padded(out, spec, if value { b"true" } else { b"false" });
    }
    fits
}

/// Appends the whole `text`, padded to the width of `spec`.
pub(super) fn append_padded(out: &mut Vec<u8>, spec: &Spec, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(text);
    spec.pad(out, start);
}

/// Appends `text`, cut to the precision and padded to the width: `%s`.
pub(super) fn append_plain(out: &mut Vec<u8>, spec: &Spec, text: &[u8]) {
    append_padded(out, spec, truncate(spec, text));
}

fn truncate<'a>(spec: &Spec, text: &'a [u8]) -> &'a [u8] {
    match spec.precision {
        Some(runes) => &text[..unicode::prefix(text, runes)],
        None => text,
    }
}

fn append_quoted(out: &mut Vec<u8>, spec: &Spec, text: &[u8]) {
    let text = truncate(spec, text);
    let start = out.len();
    if spec.sharp && quote::can_back_quote(text) {
        out.push(b'`');
        out.extend_from_slice(text);
        out.push(b'`');
    } else {
        let charset = if spec.plus { Charset::Ascii } else { Charset::Printable };
        quote::append_quoted(out, text, charset);
    }
    spec.pad(out, start);
}

fn append_hex(out: &mut Vec<u8>, spec: &Spec, text: &[u8], digits: &[u8; 16], prefix: &[u8; 2]) {
    let text = &text[..spec.precision.map_or(text.len(), |bytes| bytes.min(text.len()))];
    let start = out.len();
    for (index, &byte) in text.iter().enumerate() {
        if spec.space && index > 0 {
            out.push(b' ');
        }
        if spec.sharp && (spec.space || index == 0) {
            out.extend_from_slice(prefix);
        }
        out.extend_from_slice(&[digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
    }
    spec.pad(out, start);
}
