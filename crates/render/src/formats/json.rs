//! JSON, as Go's `encoding/json` reads and writes it.

use std::fmt::Write;

use crate::GoTime;
use crate::queries::json_fields;
use bytes::Bytes;
use gotmpl::types::KeyType;
use gotmpl::{Failure, Map, Value};

/// The value of a JSON text. An empty text is an empty map.
///
/// # Errors
/// The text is no JSON.
pub fn parse(text: &Bytes) -> Result<Value, Failure> {
    if text.is_empty() {
        return Ok(Value::Map(Map::values(Vec::new())));
    }
    crate::json_value(text).map_err(|error| Failure::quoting(error.message(text)))
}

/// The layout of times in data.
pub const RFC3339: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

/// The form of a JSON text.
#[derive(Clone, Copy)]
pub struct Form {
    /// Whether `<`, `>` and `&` are escaped, so that the text can stand in HTML.
    pub for_html: bool,
    /// Whether each element has a line of its own, with two blanks for each level.
    pub pretty: bool,
}

/// The JSON text of a value.
///
/// # Errors
/// The value has no JSON form.
pub fn text(value: &Value, form: Form) -> Result<String, Failure> {
    crate::library::values::shallow(value)?;
    let mut writer = Writer { out: String::new(), form, depth: 0 };
    writer.value(value)?;
    Ok(writer.out)
}

struct Writer {
    out: String,
    form: Form,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::Bool(value) => self.out.push_str(if *value { "true" } else { "false" }),
            Value::Int(number) => self.display(number),
            Value::Integer(ty, bits) if ty.signed => self.display(bits.cast_signed()),
            Value::Integer(_, bits) => self.display(bits),
            Value::Float(number) => {
                let text = float(*number)
                    .ok_or_else(|| Failure::new(format!("json: unsupported value: {number}")))?;
                self.out.push_str(&text);
            }
            Value::String(text) => self.string(text),
            Value::Slice(slice) if !slice.is_nil() => {
                let elements = slice.elements().to_vec();
                self.nested('[', ']', elements.len(), |writer, nth| writer.value(&elements[nth]))?;
            }
            Value::Map(map) if !map.is_nil() => {
                let (key, entries) = (map.ty().key, map.entries());
                let mut entries: Vec<_> =
                    entries.iter().map(|(name, value)| (key.text(name), value)).collect();
                if key == KeyType::Int {
                    // Go sorts the texts of numbers.
                    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
                }
                self.nested('{', '}', entries.len(), |writer, nth| {
                    let (key, value) = &entries[nth];
                    writer.member(key, value)
                })?;
            }
            Value::Struct(value) => {
                let members = json_fields(value);
                self.nested('{', '}', members.len(), |writer, nth| {
                    let (name, content) = &members[nth];
                    writer.member(name.as_bytes(), content)
                })?;
            }
            Value::Pointer(pointer) if pointer.target().is_some() => {
                let target = pointer.target().cloned();
                return target.map_or(Ok(()), |target| self.value(&Value::Struct(target)));
            }
            value if value.is_nil() => self.out.push_str("null"),
            value if let Some(time) = GoTime::of(value) => match time.civil().year {
                0..=9999 => self.string(&time.format(RFC3339)),
                _ => {
                    let text = "json: error calling MarshalJSON for type time.Time: \
                                Time.MarshalJSON: year outside of range [0,9999]";
                    return Err(Failure::new(text));
                }
            },
            value => {
                let ty = crate::library::values::type_of(value);
                return Err(Failure::new(format!("json: unsupported type: {ty}")));
            }
        }
        Ok(())
    }

    fn display(&mut self, number: impl std::fmt::Display) {
        // Writing to a text cannot fail.
        let _ = write!(self.out, "{number}");
    }

    fn member(&mut self, key: &[u8], value: &Value) -> Result<(), Failure> {
        self.string(key);
        self.out.push_str(if self.form.pretty { ": " } else { ":" });
        self.value(value)
    }

    fn nested(
        &mut self,
        open: char,
        close: char,
        count: usize,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.out.push(open);
        self.depth += 1;
        for nth in 0..count {
            if nth > 0 {
                self.out.push(',');
            }
            self.line();
            element(self, nth)?;
        }
        self.depth -= 1;
        if count > 0 {
            self.line();
        }
        self.out.push(close);
        Ok(())
    }

    fn line(&mut self) {
        if self.form.pretty {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n("  ", self.depth));
        }
    }

    fn string(&mut self, text: &[u8]) {
        self.out.push('"');
        for chunk in text.utf8_chunks() {
            self.characters(chunk.valid());
            // Go writes this for each byte that is no part of a character.
            for _ in chunk.invalid() {
                self.out.push_str("\\ufffd");
            }
        }
        self.out.push('"');
    }

    fn characters(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                '\u{2028}' | '\u{2029}' | '\0'..'\u{20}' => self.escape(c),
                '<' | '>' | '&' if self.form.for_html => self.escape(c),
                c => self.out.push(c),
            }
        }
    }

    fn escape(&mut self, c: char) {
        // Writing to a text cannot fail.
        let _ = write!(self.out, "\\u{:04x}", u32::from(c));
    }
}

/// A number as Go's JSON has it; `None` if it has none.
fn float(number: f64) -> Option<String> {
    if !number.is_finite() {
        return None;
    }
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return Some(format!("{number}"));
    }
    let text = format!("{number:e}");
    let (digits, exponent) = text.split_once('e')?;
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    Some(format!("{digits}e{sign}{exponent}"))
}
