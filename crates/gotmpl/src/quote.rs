//! Go's quoted text: writes it as `%q` does, and reads it as literals of a template need.
//!
//! All functions work on bytes. A byte that is not UTF-8 is written as `\xff`. A literal that
//! contains such a byte unescaped gets U+FFFD in its place, as in Go.

use std::borrow::Cow;

use crate::unicode::{self, REPLACEMENT};

/// The code points that quoted text shows without an escape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    /// Everything that [`unicode::is_printable`] accepts: `%q`.
    Printable,
    /// Printable ASCII: `%+q`.
    Ascii,
}

impl Charset {
    fn shows(self, c: char) -> bool {
        match self {
            Charset::Printable => unicode::is_printable(c),
            Charset::Ascii => matches!(c, ' '..='~'),
        }
    }
}

/// `text` as a double-quoted Go string literal: Go's `strconv.Quote`.
///
/// Bytes that are not UTF-8 are escaped, so the result always is UTF-8.
pub fn quote(text: &[u8]) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    append_quoted(&mut out, text, Charset::Printable);
    String::from_utf8_lossy(&out).into_owned()
}

/// Appends `text` as a double-quoted Go string literal.
pub(crate) fn append_quoted(out: &mut Vec<u8>, text: &[u8], charset: Charset) {
    out.push(b'"');
    let mut rest = text;
    while !rest.is_empty() {
        // Most characters need no escape: copy the part before the next one that does.
        let plain = rest
            .iter()
            .position(|&byte| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\'))
            .unwrap_or(rest.len());
        out.extend_from_slice(&rest[..plain]);
        rest = &rest[plain..];
        let (c, width) = unicode::decode(rest);
        match c {
            Some(c) => append_escaped(out, c, b'"', charset),
            None if width == 1 => append_hex_byte(out, rest[0]),
            None => {}
        }
        rest = &rest[width..];
    }
    out.push(b'"');
}

/// Appends `c` as a single-quoted Go character literal.
pub(crate) fn append_quoted_rune(out: &mut Vec<u8>, c: char, charset: Charset) {
    out.push(b'\'');
    append_escaped(out, c, b'\'', charset);
    out.push(b'\'');
}

/// Whether `text` can stand between back quotes: one line of UTF-8 without a back quote, a byte
/// order mark, or a control character other than the tab.
pub(crate) fn can_back_quote(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| {
        text.chars().all(|c| c == '\t' || (!c.is_ascii_control() && c != '`' && c != '\u{feff}'))
    })
}

fn append_escaped(out: &mut Vec<u8>, c: char, quote: u8, charset: Charset) {
    if c == char::from(quote) || c == '\\' {
        out.extend_from_slice(&[b'\\', c as u8]);
        return;
    }
    if charset.shows(c) {
        append_char(out, c);
        return;
    }
    let letter = match c {
        '\u{7}' => b'a',
        '\u{8}' => b'b',
        '\u{c}' => b'f',
        '\n' => b'n',
        '\r' => b'r',
        '\t' => b't',
        '\u{b}' => b'v',
        _ => {
            let code = u32::from(c);
            match c {
                '\0'..' ' | '\u{7f}' => append_hex_byte(out, code as u8),
                '\0'..='\u{ffff}' => {
                    out.extend_from_slice(b"\\u");
                    append_hex(out, code, 4);
                }
                _ => {
                    out.extend_from_slice(b"\\U");
                    append_hex(out, code, 8);
                }
            }
            return;
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// Appends the UTF-8 form of `c`.
pub(crate) fn append_char(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

fn append_hex_byte(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(b"\\x");
    append_hex(out, u32::from(byte), 2);
}

fn append_hex(out: &mut Vec<u8>, code: u32, digits: u32) {
    for place in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(code >> (4 * place) & 0xf) as usize]);
    }
}

/// The literal does not follow Go's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidSyntax;

impl std::fmt::Display for InvalidSyntax {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("invalid syntax")
    }
}

impl std::error::Error for InvalidSyntax {}

/// The meaning of a string literal. `literal` includes its quotes, double or back ones.
///
/// A back-quoted literal keeps every byte except carriage returns.
///
/// # Errors
///
/// The quotes do not match, an escape is not one of Go's, or a double-quoted literal spans lines.
pub(crate) fn unquote(literal: &[u8]) -> Result<Cow<'_, [u8]>, InvalidSyntax> {
    let [first, inner @ .., last] = literal else { return Err(InvalidSyntax) };
    if first != last {
        return Err(InvalidSyntax);
    }
    match first {
        b'`' if inner.contains(&b'`') => Err(InvalidSyntax),
        b'`' if inner.contains(&b'\r') => {
            Ok(Cow::Owned(inner.iter().copied().filter(|&byte| byte != b'\r').collect()))
        }
        b'`' => Ok(Cow::Borrowed(inner)),
        b'"' => unquote_double(inner),
        _ => Err(InvalidSyntax),
    }
}

fn unquote_double(inner: &[u8]) -> Result<Cow<'_, [u8]>, InvalidSyntax> {
    // A literal without escapes is used where it stands in the source.
    let special = inner.iter().position(|byte| matches!(byte, b'\n' | b'\\' | b'"' | 0x80..));
    match special.map(|first| &inner[first..]) {
        None => return Ok(Cow::Borrowed(inner)),
        Some(rest) if rest.contains(&b'\n') => return Err(InvalidSyntax),
        Some(rest) => {
            let escaped = rest.iter().any(|byte| matches!(byte, b'\\' | b'"'));
            if !escaped && std::str::from_utf8(rest).is_ok() {
                return Ok(Cow::Borrowed(inner));
            }
        }
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while !rest.is_empty() {
        let (unit, width) = read_unit(rest, b'"')?;
        match unit {
            Unit::Byte(byte) => out.push(byte),
            Unit::Char(c) => append_char(&mut out, c),
        }
        rest = &rest[width..];
    }
    Ok(Cow::Owned(out))
}

/// Why a text is not a character literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CharFault {
    /// It is empty, or Go does not have its escape.
    InvalidSyntax,
    /// More than one character.
    Malformed,
}

/// The number of a character literal: a code point, or the byte of a `\xff` or `\377`. `literal`
/// includes its quotes.
///
/// # Errors
///
/// See [`CharFault`].
pub(crate) fn unquote_char(literal: &[u8]) -> Result<u32, CharFault> {
    let [b'\'', rest @ ..] = literal else { return Err(CharFault::InvalidSyntax) };
    let (unit, width) = read_unit(rest, b'\'').map_err(|InvalidSyntax| CharFault::InvalidSyntax)?;
    if &rest[width..] != b"'" {
        return Err(CharFault::Malformed);
    }
    Ok(match unit {
        Unit::Byte(byte) => u32::from(byte),
        Unit::Char(c) => u32::from(c),
    })
}

/// The meaning of one character or one escape.
enum Unit {
    /// `\xff` or `\377`: exactly this byte, even if the string is then not UTF-8.
    Byte(u8),
    /// A code point, which a string holds as UTF-8.
    Char(char),
}

/// Reads one character or escape at the start of `text`. Also returns its length in bytes.
fn read_unit(text: &[u8], quote: u8) -> Result<(Unit, usize), InvalidSyntax> {
    let [b'\\', escape, rest @ ..] = text else {
        return match text.first() {
            None | Some(b'\\') => Err(InvalidSyntax),
            Some(&byte) if byte == quote => Err(InvalidSyntax),
            Some(_) => {
                let (c, width) = unicode::decode(text);
                Ok((Unit::Char(c.unwrap_or(REPLACEMENT)), width))
            }
        };
    };
    let c = match escape {
        b'a' => '\u{7}',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\u{b}',
        b'\\' => '\\',
        b'\'' | b'"' if *escape == quote => char::from(quote),
        b'x' => return Ok((Unit::Byte(read_digits(rest, 2, 16)? as u8), 4)),
        b'0'..=b'7' => {
            let value = read_digits(&text[1..], 3, 8)?;
            let byte = u8::try_from(value).map_err(|_| InvalidSyntax)?;
            return Ok((Unit::Byte(byte), 4));
        }
        b'u' | b'U' => {
            let digits = if *escape == b'u' { 4 } else { 8 };
            let c = char::from_u32(read_digits(rest, digits, 16)?).ok_or(InvalidSyntax)?;
            return Ok((Unit::Char(c), 2 + digits));
        }
        _ => return Err(InvalidSyntax),
    };
    Ok((Unit::Char(c), 2))
}

/// The number that the first `count` digits of `text` form. All of them must be digits.
fn read_digits(text: &[u8], count: usize, base: u32) -> Result<u32, InvalidSyntax> {
    let digits = text.get(..count).ok_or(InvalidSyntax)?;
    digits.iter().try_fold(0_u32, |value, &byte| {
        let digit = char::from(byte).to_digit(base).ok_or(InvalidSyntax)?;
        // Cannot overflow: there are at most eight hexadecimal digits.
        Ok(value * base + digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn quoting_is_gos() {
        golden::check("quote.tsv", |fields| {
            let text = golden::bytes(fields[0]);
            let quoted = |charset| {
                let mut out = Vec::new();
                append_quoted(&mut out, &text, charset);
                String::from_utf8(out).expect("quoted text is UTF-8")
            };
            vec![
                quoted(Charset::Printable),
                quoted(Charset::Ascii),
                can_back_quote(&text).to_string(),
            ]
        });
    }

    #[test]
    fn unquoting_is_gos() {
        golden::check("unquote.tsv", |fields| {
            let literal = golden::bytes(fields[0]);
            let meaning = if literal.starts_with(b"'") {
                match unquote_char(&literal) {
                    Ok(code) => code.to_string(),
                    Err(CharFault::InvalidSyntax) => "!invalid syntax".to_owned(),
                    Err(CharFault::Malformed) => "!malformed".to_owned(),
                }
            } else {
                match unquote(&literal) {
                    Ok(text) => golden::hex(&text),
                    Err(fault) => format!("!{fault}"),
                }
            };
            vec![meaning]
        });
    }

    #[test]
    fn a_plain_literal_is_not_copied() {
        assert!(matches!(unquote(b"\"plain\""), Ok(Cow::Borrowed(b"plain"))));
        assert!(matches!(unquote(b"`a\\b`"), Ok(Cow::Borrowed(b"a\\b"))));
    }
}
