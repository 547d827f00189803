//! Parses JSON for the functions `json` and `jsonArray`.
//!
//! [`decode`] is the whole interface. It builds values through the trait [`Build`], so that each
//! template engine gets its own values without a tree in between. What is accepted, the result and
//! the error texts follow Go 1.27's `encoding/json`, decoding into `map[string]interface{}` or
//! `[]interface{}`:
//!
//! - Each number must fit in a `float64`.
//! - Of members with equal names the last one counts.
//! - Each byte that is not UTF-8 and each lone surrogate becomes U+FFFD.
//! - Syntax errors come first: a wrong type, or a number beyond `float64`, is reported only for a
//!   text that is JSON as a whole.
//! - More than 10,000 open brackets are an error. Nothing here recurses.
//!
//! Strings without escapes share the storage of the input.

mod error;
mod scan;

use std::mem;

use bytes::Bytes;

pub use error::{Error, Place};
use scan::Scanner;

/// The most arrays and objects that can be open at the same time.
const MAX_DEPTH: usize = 10_000;

/// The kind of value that the whole text must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// An object, for `json`.
    Object,
    /// An array, for `jsonArray`.
    Array,
    /// Any value.
    Any,
}

/// Builds an engine's values.
pub trait Build {
    /// The type of the engine's values.
    type Value;

    /// `null`.
    fn null(&self) -> Self::Value;
    /// `true` or `false`.
    fn boolean(&self, value: bool) -> Self::Value;
    /// A number: its text, and the nearest `float64`, which is finite.
    fn number(&self, text: &str, value: f64) -> Self::Value;
    /// A string, which is UTF-8.
    fn string(&self, value: Bytes) -> Self::Value;
    /// An array.
    fn array(&self, elements: Vec<Self::Value>) -> Self::Value;
    /// An object. Its members have distinct names and are sorted by the bytes of their names.
    fn object(&self, members: Vec<(Bytes, Self::Value)>) -> Self::Value;
}

impl Root {
    /// The Go type that Go decodes the value into.
    fn go_type(self) -> &'static str {
        match self {
            Root::Object => "map[string]interface {}",
            Root::Array => "[]interface {}",
            Root::Any => "interface {}",
        }
    }
}

/// Parses all of `input` as one value. `None` stands for `null`, which is accepted for all kinds of
/// root.
///
/// # Errors
/// The first syntax error. Otherwise, that the value is not of the kind `root`. Otherwise, the
/// first number beyond `float64`.
pub fn decode<B: Build>(input: &Bytes, root: Root, build: &B) -> Result<Option<B::Value>, Error> {
    let mut decoder = Decoder {
        scanner: Scanner::new(input),
        build,
        // Most texts are small and need no more than this.
        open: Vec::with_capacity(4),
        values: Vec::with_capacity(8),
        keys: Vec::with_capacity(8),
        beyond: None,
    };
    decoder.scanner.skip_space();
    // Noted now, because syntax errors are reported before a wrong kind.
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
        ("object", Root::Object) | ("array", Root::Array) | (_, Root::Any) => {
            decoder.beyond.map_or(Ok(Some(value)), Err)
        }
        _ => Err(Error::Kind { found, root }),
    }
}

/// An array or object whose closing bracket has not been read yet.
#[derive(Clone, Copy)]
struct Open {
    is_object: bool,
    /// The index in `Decoder::values` of its first element or member value.
    values: usize,
    /// The index in `Decoder::keys` of its first member name.
    keys: usize,
}

struct Decoder<'a, B: Build> {
    scanner: Scanner<'a>,
    build: &'a B,
    /// The open arrays and objects, innermost last.
    open: Vec<Open>,
    /// The complete values inside of the open arrays and objects.
    values: Vec<B::Value>,
    /// The member names of the open objects, including the member that is being read.
    keys: Vec<Bytes>,
    /// The error for the first number beyond `float64`.
    beyond: Option<Error>,
}

/// What is expected next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The beginning of a value.
    Value,
    /// What follows a complete value, which is the last of [`Decoder::values`].
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

    /// Reads a scalar, or an empty array or object, or the opening bracket of one that is not
    /// empty.
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

    /// Reads an opening bracket and what stands before the first value.
    fn begin(&mut self, is_object: bool) -> Result<Next, Error> {
        // Go counts the brackets that are open at the same time.
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

    /// Reads a member name and its colon.
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

    /// Reads what follows a value in `open`, the innermost array or object.
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
            // Behind a comma an object must go on with a name; a closing bracket is an error.
            self.scanner.skip_space();
            self.key()?;
        }
        Ok(Next::Value)
    }

    /// Builds the value of `open`, whose closing bracket has been read.
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

    /// A number. For one beyond `float64`, remembers the error and uses zero.
    fn number(&mut self, text: &str) -> B::Value {
        let value = number_value(text);
        if value.is_finite() {
            return self.build.number(text, value);
        }
        // Go reports the first one, after all syntax errors.
        if self.beyond.is_none() {
            let error = Error::Number { number: text.to_owned(), target: self.target() };
            self.beyond = Some(error);
        }
        self.build.number("0", 0.0)
    }

    /// Go's words for the place of the value that is being read.
    fn target(&self) -> String {
        let mut path = String::new();
        for (nth, open) in self.open.iter().enumerate() {
            // The values and names of an inner array or object begin where those of the outer one
            // end.
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

/// Sorts members by name. Of members with equal names the last one stays.
fn sort_members<V>(members: &mut Vec<(Bytes, V)>) {
    // Many objects are written in this order already, without equal names.
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

/// The nearest `float64`, or infinity if the number is too large.
fn number_value(text: &str) -> f64 {
    // The fast path: up to 15 digits are exact, and most numbers in configuration data are such
    // integers.
    if text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.bytes().fold(0.0, |value, digit| value * 10.0 + f64::from(digit - b'0'));
    }
    text.parse().unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests;
