//! The functions of sprig that need nothing of the machine, with the prefix `sprig_`.
//!
//! They take values of any type where Go's take `interface {}`, and convert them as sprig does: what
//! cannot be converted is zero.

mod crypto;
mod dates;
mod decimal;
mod lists;
mod logic;
mod maps;
mod numbers;
mod regexps;
mod semver;
mod text;
mod urls;
mod words;

use bytes::Bytes;
use gotmpl::{Functions, Native, Value};

use super::Context;
use super::values::lossy;

pub(super) fn add(functions: &mut Functions<Context>) {
    let mut library = Library(functions);
    text::add(&mut library);
    words::add(&mut library);
    numbers::add(&mut library);
    lists::add(&mut library);
    maps::add(&mut library);
    logic::add(&mut library);
    regexps::add(&mut library);
    semver::add(&mut library);
    crypto::add(&mut library);
    dates::add(&mut library);
    urls::add(&mut library);
}

/// Registers functions with the prefix.
struct Library<'f>(&'f mut Functions<Context>);

impl Library<'_> {
    fn add<P, F: Native<Context, P>>(&mut self, name: &str, function: F) {
        self.0.add(&format!("sprig_{name}"), function);
    }
}

/// The text of a value: a text as it is, anything else as Go prints it.
fn text_of(value: &Value) -> Bytes {
    match value {
        Value::String(text) => text.clone(),
        value => value.text(),
    }
}

/// The elements of a list as texts, without those that are nil. Any other value is one element.
fn texts_of(value: &Value) -> Vec<Bytes> {
    match value {
        Value::Slice(slice) => {
            let elements = slice.elements();
            elements.iter().filter(|element| !element.is_nil()).map(text_of).collect()
        }
        value if value.is_nil() => Vec::new(),
        value => vec![text_of(value)],
    }
}

/// The number that a value means; 0 if it means none. A text is a number as in Go's source.
fn to_int(value: &Value) -> i64 {
    match value {
        Value::Bool(value) => i64::from(*value),
        Value::Float(number) => truncated(*number),
        Value::Integer(_, bits) => bits.cast_signed(),
        Value::String(text) => {
            let text = lossy(text);
            let whole = match text.split_once('.') {
                Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
                _ => &text,
            };
            int_literal(whole).unwrap_or(0)
        }
        value => value.as_i64().unwrap_or(0),
    }
}

/// The whole part of a number, as amd64 has it: numbers that do not fit are the smallest integer.
fn truncated(number: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&number) { number as i64 } else { i64::MIN }
}

/// An integer with the prefixes and the underscores of Go's literals.
fn int_literal(text: &str) -> Option<i64> {
    let bare = text.replace('_', "");
    let is_between = !text.starts_with('_') && !text.ends_with('_') && !text.contains("__");
    let text = if is_between { &bare } else { text };
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match digits.get(..2).unwrap_or_default() {
        "0x" | "0X" => (16, &digits[2..]),
        "0b" | "0B" => (2, &digits[2..]),
        "0o" | "0O" => (8, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    i64::from_str_radix(&format!("{sign}{digits}"), base).ok()
}

/// The number that a value means; 0 if it means none.
fn to_float(value: &Value) -> f64 {
    match value {
        Value::Bool(value) => f64::from(u8::from(*value)),
        Value::Float(number) => *number,
        Value::String(text) => super::text::float(&lossy(text)).unwrap_or(0.0),
        Value::Integer(ty, bits) if !ty.signed => *bits as f64,
        value => value.as_i64().map_or(0.0, |number| number as f64),
    }
}
