//! Reads the JSON form.

use crate::DEEPEST;
use crate::error::Error;
use crate::parse::list;
use crate::scan::Scanner;
use crate::value::{Body, Value};

/// Reads a whole file.
pub(crate) fn read(text: &str) -> Result<Body, Error> {
    let mut reader = Reader { scanner: Scanner::new(text), depth: 0 };
    let value = reader.value()?;
    reader.scanner.skip_space();
    match (reader.scanner.peek(), value) {
        (None, Value::Blocks(bodies)) => Ok(bodies.into_iter().next().unwrap_or_default()),
        (None, _) => Ok(Body::default()),
        (Some(c), _) => Err(reader.unexpected(c)),
    }
}

struct Reader<'t> {
    scanner: Scanner<'t>,
    /// The number of open lists and objects.
    depth: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Result<Value, Error> {
        self.scanner.skip_space();
        match self.scanner.peek() {
            Some('{') => self.nested(Self::object),
            Some('[') => self.nested(Self::array),
            Some('"') => self.scanner.json_string().map(Value::String),
            Some('-' | '0'..='9') => self.scanner.json_number(),
            Some(c) => {
                for (word, value) in [
                    ("true", Value::Bool(true)),
                    ("false", Value::Bool(false)),
                    ("null", Value::Null),
                ] {
                    if self.scanner.accept_text(word) {
                        return Ok(value);
                    }
                }
                Err(self.unexpected(c))
            }
            None => Err(self.unfinished()),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, Error>) -> Result<Value, Error> {
        self.depth += 1;
        if self.depth > DEEPEST {
            let text = format!("nested more than {DEEPEST} deep");
            return Err(Error::new(self.scanner.place(), text));
        }
        self.scanner.next_char();
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, Error> {
        let mut body = Body::default();
        self.elements('}', |reader| {
            let place = reader.scanner.place();
            match reader.scanner.peek() {
                Some('"') => {}
                Some(c) => return Err(reader.unexpected(c)),
                None => return Err(reader.unfinished()),
            }
            let key = reader.scanner.json_string()?;
            reader.scanner.skip_space();
            match reader.scanner.peek() {
                Some(':') => reader.scanner.next_char(),
                Some(c) => return Err(reader.unexpected(c)),
                None => return Err(reader.unfinished()),
            };
            let value = reader.value()?;
            body.add(key, place, value);
            Ok(())
        })?;
        Ok(Value::Blocks(vec![body]))
    }

    fn array(&mut self) -> Result<Value, Error> {
        let mut elements = Vec::new();
        self.elements(']', |reader| {
            elements.push(reader.value()?);
            Ok(())
        })?;
        Ok(list(elements))
    }

    /// Reads what stands between commas, up to `end`.
    fn elements(
        &mut self,
        end: char,
        mut read: impl FnMut(&mut Self) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.scanner.skip_space();
        if self.scanner.peek() == Some(end) {
            self.scanner.next_char();
            return Ok(());
        }
        loop {
            self.scanner.skip_space();
            read(self)?;
            self.scanner.skip_space();
            match self.scanner.peek() {
                Some(',') => self.scanner.next_char(),
                Some(c) if c == end => {
                    self.scanner.next_char();
                    return Ok(());
                }
                Some(c) => return Err(self.unexpected(c)),
                None => return Err(self.unfinished()),
            };
        }
    }

    fn unexpected(&self, c: char) -> Error {
        Error::new(self.scanner.place(), format!("unexpected character {c:?} in JSON"))
    }

    fn unfinished(&self) -> Error {
        Error::new(self.scanner.place(), "unexpected end of JSON")
    }
}

impl Scanner<'_> {
    fn json_number(&mut self) -> Result<Value, Error> {
        let place = self.place();
        let text = self.take_run(|c| matches!(c, '-' | '+' | '.' | 'e' | 'E' | '0'..='9'));
        let number = match text.contains(['.', 'e', 'E']) {
            true => text.parse().ok().map(Value::Float),
            false => text.parse().ok().map(Value::Int),
        };
        number.ok_or_else(|| Error::new(place, format!("{text:?} is no number")))
    }

    fn json_string(&mut self) -> Result<String, Error> {
        let mut content = String::new();
        self.next_char();
        loop {
            let place = self.place();
            match self.next_char() {
                None | Some('\n') => return Err(Error::new(place, "literal not terminated")),
                Some('"') => return Ok(content),
                Some('\\') => {
                    let escaped = self.json_escape();
                    content.push(escaped.ok_or_else(|| Error::new(place, "illegal char escape"))?);
                }
                Some(c) => content.push(c),
            }
        }
    }

    /// The character that an escape means. Its backslash has been taken.
    fn json_escape(&mut self) -> Option<char> {
        Some(match self.next_char()? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            c @ ('"' | '\\' | '/') => c,
            'u' => {
                let unit = self.four_digits()?;
                let second = match unit {
                    0xd800..0xdc00 if self.accept_text("\\u") => Some(self.four_digits()?),
                    _ => None,
                };
                let units = [unit].into_iter().chain(second);
                char::decode_utf16(units).next()?.unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return None,
        })
    }

    fn four_digits(&mut self) -> Option<u16> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + self.next_char()?.to_digit(16)?;
        }
        u16::try_from(code).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_gives_the_same_values_as_hcl() {
        let json = r#" {"a": {"b": [1, 2.5, "x\u00e9\ud83d\ude00\/", true, null]}, "t": [{"s": 1}, {}],
            "empty": [], "a": {"c": -3}} "#;
        let hcl = "a { b = [1, 2.5, \"x\u{e9}\u{1f600}/\", true] }\na { c = -3 }\nt { s = 1 }\nt {}\nempty = []";
        let (json, hcl) = (read(json).unwrap(), crate::parse::read(hcl).unwrap());
        for key in ["t", "empty"] {
            assert_eq!(json.get(key).map(|e| &e.value), hcl.get(key).map(|e| &e.value), "{key}");
        }
        let blocks = |body: &Body| body.get("a").unwrap().value.as_blocks().unwrap().to_vec();
        assert_eq!(blocks(&json)[1].get("c"), blocks(&json)[1].get("c"));
        assert_eq!((blocks(&json).len(), blocks(&hcl).len()), (2, 2));
        let Some(Value::List(list)) = blocks(&json)[0].get("b").map(|e| e.value.clone()) else {
            panic!()
        };
        assert_eq!(list[2], Value::String("x\u{e9}\u{1f600}/".into()));
        assert_eq!(list[4], Value::Null);
    }

    #[test]
    fn what_is_no_json_is_an_error_with_a_place() {
        for (text, error) in [
            ("{\"a\": 1,\n b: 2}", "At 2:2: unexpected character 'b' in JSON"),
            ("{\"a\": [1 2]}", "At 1:10: unexpected character '2' in JSON"),
            ("{\"a\"", "At 1:5: unexpected end of JSON"),
            ("{\"a\": \"b", "At 1:9: literal not terminated"),
            ("{\"a\": \"\\q\"}", "At 1:8: illegal char escape"),
            ("{\"a\": 1.2.3}", "At 1:7: \"1.2.3\" is no number"),
            ("{} x", "At 1:4: unexpected character 'x' in JSON"),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), error, "{text}");
        }
        let deep = "{\"a\":".repeat(100_000);
        assert!(read(&deep).unwrap_err().to_string().contains("deep"));
    }
}
