//! Reads the tokens of JSON.

use bytes::Bytes;

use super::{Error, Place};

/// The input and a position in it.
pub(super) struct Scanner<'a> {
    input: &'a Bytes,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(input: &'a Bytes) -> Self {
        Self { input, at: 0 }
    }

    /// The next byte.
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    /// Skips the next byte.
    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// The error for the next character, which must not stand at `place`.
    pub(super) fn unexpected(&self, place: Place) -> Error {
        Error::character(&self.input[self.at..], place)
    }

    /// Reads `word`, whose first letter the caller has seen.
    pub(super) fn literal(&mut self, word: &'static str) -> Result<(), Error> {
        for expected in word.chars() {
            if self.peek().map(char::from) != Some(expected) {
                return Err(self.unexpected(Place::Literal { word, expected }));
            }
            self.at += 1;
        }
        Ok(())
    }

    /// Reads a number, whose first digit or sign the caller has seen.
    pub(super) fn number(&mut self) -> Result<&'a str, Error> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        match self.peek() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        // A number is ASCII, so this conversion cannot fail.
        Ok(std::str::from_utf8(&self.input[start..self.at]).unwrap_or_default())
    }

    /// Skips one or more digits.
    fn digits(&mut self) -> Result<(), Error> {
        let rest = &self.input[self.at..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.unexpected(Place::Number));
        }
        self.at += count;
        Ok(())
    }

    /// Reads a string, whose opening quote the caller has seen.
    pub(super) fn string(&mut self) -> Result<Bytes, Error> {
        self.at += 1;
        let start = self.at;
        let mut decoded: Option<Vec<u8>> = None;
        let mut copied = start;
        // All bits of all bytes of the string: if the highest is not set the string is ASCII and
        // needs no check for UTF-8.
        let mut bits = 0;
        loop {
            let rest = &self.input[self.at..];
            let plain = rest.iter().take_while(|byte| **byte >= 0x20 && !b"\"\\".contains(byte));
            self.at += plain.inspect(|byte| bits |= **byte).count();
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let text = decoded.get_or_insert_with(Vec::new);
                    push_text(text, &self.input[copied..self.at]);
                    self.escape(text)?;
                    copied = self.at;
                }
                Some(_) => return Err(self.unexpected(Place::String)),
                None => return Err(Error::End),
            }
        }
        let rest = copied..self.at;
        self.at += 1;
        match decoded {
            Some(mut text) => {
                push_text(&mut text, &self.input[rest]);
                Ok(text.into())
            }
            None if bits.is_ascii() || std::str::from_utf8(&self.input[rest.clone()]).is_ok() => {
                Ok(self.input.slice(rest))
            }
            None => {
                let mut text = Vec::with_capacity(rest.len() + 8);
                push_text(&mut text, &self.input[rest]);
                Ok(text.into())
            }
        }
    }

    /// Reads an escape and appends its meaning.
    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Error> {
        let sequence = &self.input[self.at..];
        let plain = match sequence.get(1) {
            Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                let unit = code_unit(sequence)?;
                self.at += 6;
                let character = match char::from_u32(unit) {
                    Some(character) => character,
                    None => self.low_surrogate(unit).unwrap_or(char::REPLACEMENT_CHARACTER),
                };
                text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            Some(_) => return Err(Error::escape(&sequence[..2])),
            None => return Err(Error::End),
        };
        text.push(plain);
        self.at += 2;
        Ok(())
    }

    /// Reads the second half of a surrogate pair, if `high` is the first half and a second half
    /// follows.
    fn low_surrogate(&mut self, high: u32) -> Option<char> {
        let sequence = &self.input[self.at..];
        if !sequence.starts_with(b"\\u") {
            return None;
        }
        let low = code_unit(sequence).ok()?;
        let (0xd800..=0xdbff, 0xdc00..=0xdfff) = (high, low) else { return None };
        self.at += 6;
        char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }
}

/// The number in an escape such as `\u00e9`, whose first two characters the caller has seen.
fn code_unit(sequence: &[u8]) -> Result<u32, Error> {
    let sequence = &sequence[..sequence.len().min(6)];
    let mut unit = 0;
    for &byte in &sequence[2..] {
        match char::from(byte).to_digit(16) {
            Some(digit) => unit = unit << 4 | digit,
            None => return Err(Error::escape(sequence)),
        }
    }
    if sequence.len() < 6 { Err(Error::End) } else { Ok(unit) }
}

/// Appends `raw`, with U+FFFD for each byte that is not UTF-8.
fn push_text(text: &mut Vec<u8>, raw: &[u8]) {
    for chunk in raw.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for _ in chunk.invalid() {
            text.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}
