//! JSON as the functions `json` and `jsonArray` read it.
//!
//! [`decode`] is the whole interface. It makes values of any kind through [`Build`], so each
//! template engine gets its own without a tree in between. What it accepts, what it makes of it
//! and what its errors say follows Go 1.27's `encoding/json` decoding into
//! `map[string]interface{}` or `[]interface{}`:
//!
//! - every number has to fit a `float64`;
//! - of members with equal names the last wins;
//! - a byte that is not UTF-8 and a lone surrogate become U+FFFD each;
//! - syntax comes first: a wrong type or a number beyond `float64` is told only of a text that is
//!   JSON as a whole;
//! - more than 10,000 open brackets are an error. Nothing here recurses.
//!
//! Strings without escapes share the storage of the input.

mod error;
mod scan;

use std::mem;

use bytes::Bytes;

pub use error::{Error, Place};
use scan::Scanner;

/// How many arrays and objects may be open at once.
const MAX_DEPTH: usize = 10_000;

/// What the outermost value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// An object, as `json` wants it.
    Object,
    /// An array, as `jsonArray` wants it.
    Array,
}

/// Makes an engine's values out of what was read.
pub trait Build {
    /// The engine's value.
    type Value;

    /// `null`.
    fn null(&self) -> Self::Value;
    /// `true` or `false`.
    fn boolean(&self, value: bool) -> Self::Value;
    /// Any number: as it is written, and the nearest `float64`, which is finite.
    fn number(&self, text: &str, value: f64) -> Self::Value;
    /// A string; valid UTF-8.
    fn string(&self, value: Bytes) -> Self::Value;
    /// An array.
    fn array(&self, elements: Vec<Self::Value>) -> Self::Value;
    /// An object; its names are sorted by bytes and distinct.
    fn object(&self, members: Vec<(Bytes, Self::Value)>) -> Self::Value;
}

impl Root {
    /// The Go type the value is decoded into.
    fn go_type(self) -> &'static str {
        match self {
            Root::Object => "map[string]interface {}",
            Root::Array => "[]interface {}",
        }
    }
}

/// Reads all of `input` as one value; `None` is `null`, which both kinds of root accept.
///
/// # Errors
/// The first syntax error; without one, that the root is of another kind than `root`; without
/// that, the first number beyond `float64`.
pub fn decode<B: Build>(input: &Bytes, root: Root, build: &B) -> Result<Option<B::Value>, Error> {
    let mut decoder = Decoder {
        scanner: Scanner::new(input),
        build,
        // Most texts are small: there is room for one without growing step by step.
        open: Vec::with_capacity(4),
        values: Vec::with_capacity(8),
        keys: Vec::with_capacity(8),
        beyond: None,
    };
    decoder.scanner.skip_space();
    let found = decoder.scanner.peek();
    let value = decoder.root()?;
    let found = match found {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'n') => return Ok(None),
        _ => "number",
    };
    match (found, root) {
        ("object", Root::Object) | ("array", Root::Array) => {
            decoder.beyond.map_or(Ok(Some(value)), Err)
        }
        _ => Err(Error::Kind { found, root }),
    }
}

/// An array or object whose end has not been seen.
#[derive(Clone, Copy)]
struct Open {
    is_object: bool,
    /// Where its elements, or the values of its members, begin among those of all open ones.
    values: usize,
    /// The same for the names of its members.
    keys: usize,
}

struct Decoder<'a, B: Build> {
    scanner: Scanner<'a>,
    build: &'a B,
    /// Innermost last.
    open: Vec<Open>,
    /// The complete values in the open arrays and objects.
    values: Vec<B::Value>,
    /// The names of the members of the open objects, the one being read included.
    keys: Vec<Bytes>,
    /// The first number beyond `float64`.
    beyond: Option<Error>,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A value begins here.
    Value,
    /// A value has just ended; it is the last of [`Decoder::values`].
    Rest,
}

impl<B: Build> Decoder<'_, B> {
    /// Reads the whole text.
    fn root(&mut self) -> Result<B::Value, Error> {
        let mut next = Next::Value;
        loop {
            next = match (next, self.open.last().copied()) {
                (Next::Value, _) => self.value()?,
                (Next::Rest, Some(open)) => self.after(open)?,
                (Next::Rest, None) => {
                    self.scanner.skip_space();
                    return match (self.scanner.peek(), self.values.pop()) {
                        (None, Some(value)) => Ok(value),
                        _ => Err(self.scanner.unexpected(Place::AfterRoot)),
                    };
                }
            }
        }
    }

    /// Reads a scalar, an empty array or object, or the beginning of one that is not empty.
    fn value(&mut self) -> Result<Next, Error> {
        self.scanner.skip_space();
        let value = match self.scanner.peek() {
            Some(b'"') => self.build.string(self.scanner.string()?),
            Some(b'[') => return self.begin(false),
            Some(b'{') => return self.begin(true),
            Some(b't') => {
                self.scanner.literal("true")?;
                self.build.boolean(true)
            }
            Some(b'f') => {
                self.scanner.literal("false")?;
                self.build.boolean(false)
            }
            Some(b'n') => {
                self.scanner.literal("null")?;
                self.build.null()
            }
            Some(b'-' | b'0'..=b'9') => {
                let number = self.scanner.number()?;
                self.number(number)
            }
            _ => return Err(self.scanner.unexpected(Place::Value)),
        };
        self.values.push(value);
        Ok(Next::Rest)
    }

    /// Goes past an opening bracket, and up to the first value.
    fn begin(&mut self, is_object: bool) -> Result<Next, Error> {
        if self.open.len() == MAX_DEPTH {
            return Err(Error::Depth);
        }
        let open = Open { is_object, values: self.values.len(), keys: self.keys.len() };
        self.open.push(open);
        self.scanner.advance();
        self.scanner.skip_space();
        match (self.scanner.peek(), is_object) {
            (Some(b']'), false) | (Some(b'}'), true) => {
                self.scanner.advance();
                self.close(open);
                return Ok(Next::Rest);
            }
            (_, true) => self.key()?,
            (_, false) => {}
        }
        Ok(Next::Value)
    }

    /// Reads a key and its colon.
    fn key(&mut self) -> Result<(), Error> {
        if self.scanner.peek() != Some(b'"') {
            return Err(self.scanner.unexpected(Place::Key));
        }
        let key = self.scanner.string()?;
        self.scanner.skip_space();
        if self.scanner.peek() != Some(b':') {
            return Err(self.scanner.unexpected(Place::AfterKey));
        }
        self.scanner.advance();
        self.keys.push(key);
        Ok(())
    }

    /// Reads what follows a value in the innermost array or object, which is `open`.
    fn after(&mut self, open: Open) -> Result<Next, Error> {
        self.scanner.skip_space();
        let (place, end) = match open.is_object {
            true => (Place::AfterMember, b'}'),
            false => (Place::AfterElement, b']'),
        };
        match self.scanner.peek() {
            Some(b',') => self.scanner.advance(),
            Some(byte) if byte == end => {
                self.scanner.advance();
                self.close(open);
                return Ok(Next::Rest);
            }
            _ => return Err(self.scanner.unexpected(place)),
        }
        if open.is_object {
            self.scanner.skip_space();
            self.key()?;
        }
        Ok(Next::Value)
    }

    /// Makes the value of the array or object that has just ended, which is `open`.
    fn close(&mut self, open: Open) {
        self.open.pop();
        let values = self.values.drain(open.values..);
        let value = if open.is_object {
            let mut members: Vec<_> = self.keys.drain(open.keys..).zip(values).collect();
            sort_members(&mut members);
            self.build.object(members)
        } else {
            self.build.array(values.collect())
        };
        self.values.push(value);
    }

    /// A number; one beyond `float64` is remembered and stands as zero.
    fn number(&mut self, text: &str) -> B::Value {
        let value = number_value(text);
        if value.is_finite() {
            return self.build.number(text, value);
        }
        if self.beyond.is_none() {
            let error = Error::Number { number: text.to_owned(), target: self.target() };
            self.beyond = Some(error);
        }
        self.build.number("0", 0.0)
    }

    /// Go's words for the place of the value being read.
    fn target(&self) -> String {
        let mut path = String::new();
        for (nth, open) in self.open.iter().enumerate() {
            // What lies deeper begins where this one's own values and names end.
            let (values, keys) = match self.open.get(nth + 1) {
                Some(inner) => (inner.values, inner.keys),
                None => (self.values.len(), self.keys.len()),
            };
            path.push('.');
            if open.is_object {
                let key = self.keys[..keys].last().map(|key| String::from_utf8_lossy(key));
                path.push_str(&key.unwrap_or_default().replace('~', "~0").replace('/', "~1"));
            } else {
                path.push_str(&(values - open.values).to_string());
            }
        }
        match self.open.last() {
            Some(Open { is_object: true, .. }) if path != "." => format!("Go struct field {path}"),
            Some(Open { is_object: false, .. }) => path,
            _ => "Go value".to_owned(),
        }
    }
}

/// Puts members in the order of their names; of equal names the last stays.
fn sort_members<V>(members: &mut Vec<(Bytes, V)>) {
    if members.is_sorted_by(|a, b| a.0 < b.0) {
        return;
    }
    members.sort_by(|a, b| a.0.cmp(&b.0));
    members.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            mem::swap(later, kept);
        }
        same
    });
}

/// The nearest `float64`; infinite where there is none.
fn number_value(text: &str) -> f64 {
    // Up to 15 digits are exact; most numbers in configuration data are such integers.
    if text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.bytes().fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    }
    text.parse().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests;
