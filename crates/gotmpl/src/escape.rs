//! The builtins that escape text for another language: `html`, `js` and `urlquery`.

use crate::fmt::{TooLarge, print_shown};
use crate::unicode;
use crate::value::Value;

/// The language that text is escaped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Content and quoted attributes of HTML.
    Html,
    /// String literals of JavaScript.
    Js,
    /// One component of the query of a URL.
    UrlQuery,
}

impl Escape {
    /// Appends the builtin's result: the text of all `arguments`, as [`print_shown`] makes it,
    /// escaped.
    ///
    /// # Errors
    ///
    /// The text has more than `limit` bytes, escaped or not.
    pub(crate) fn append_arguments(
        self,
        out: &mut Vec<u8>,
        arguments: &[Value],
        limit: usize,
    ) -> Result<(), TooLarge> {
        // One string, the usual case, needs no copy.
        if let [Value::String(text)] = arguments {
            return self.append(out, text, limit);
        }
        let mut text = Vec::new();
        print_shown(&mut text, arguments, limit)?;
        self.append(out, &text, limit)
    }

    /// Appends `text` escaped.
    ///
    /// # Errors
    ///
    /// The result has more than `limit` bytes.
    pub(crate) fn append(
        self,
        out: &mut Vec<u8>,
        text: &[u8],
        limit: usize,
    ) -> Result<(), TooLarge> {
        let end = out.len().saturating_add(limit);
        let mut rest = text;
        while !rest.is_empty() {
            let plain = rest.iter().position(|&byte| !self.keeps(byte)).unwrap_or(rest.len());
            // An escape is never shorter than what it replaces, so the rest needs at least its own
            // length.
            if rest.len() > end.saturating_sub(out.len()) {
                return Err(TooLarge);
            }
            out.extend_from_slice(&rest[..plain]);
            rest = &rest[plain..];
            if !rest.is_empty() {
                let width = self.append_special(out, rest);
                rest = &rest[width..];
            }
        }
        if out.len() > end { Err(TooLarge) } else { Ok(()) }
    }

    /// Whether `byte` never needs an escape.
    fn keeps(self, byte: u8) -> bool {
        match self {
            Escape::Html => !matches!(byte, b'\0' | b'"' | b'\'' | b'&' | b'<' | b'>'),
            Escape::Js => {
                matches!(byte, b' '..=0x7f)
                    && !matches!(byte, b'\\' | b'\'' | b'"' | b'<' | b'>' | b'&' | b'=')
            }
            Escape::UrlQuery => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')
            }
        }
    }

    /// Appends the escape for the start of `text`, whose first byte needs one. Returns the number
    /// of bytes of `text` that it replaces.
    fn append_special(self, out: &mut Vec<u8>, text: &[u8]) -> usize {
        let byte = text[0];
        match self {
            Escape::Html => {
                out.extend_from_slice(match byte {
                    b'"' => b"&#34;",
                    b'\'' => b"&#39;",
                    b'&' => b"&amp;",
                    b'<' => b"&lt;",
                    b'>' => b"&gt;",
                    // HTML cannot express NUL.
                    _ => "\u{fffd}".as_bytes(),
                });
                1
            }
            Escape::UrlQuery => {
                match byte {
                    b' ' => out.push(b'+'),
                    _ => append_hex(out, b"%", byte.into(), 2),
                }
                1
            }
            Escape::Js => append_js(out, text),
        }
    }
}

fn append_js(out: &mut Vec<u8>, text: &[u8]) -> usize {
    let byte = text[0];
    if matches!(byte, b'\\' | b'\'' | b'"') {
        out.extend_from_slice(&[b'\\', byte]);
        return 1;
    }
    let (c, width) = unicode::decode(text);
    match c {
        Some(c) if c.is_ascii() || !unicode::is_printable(c) => {
            append_hex(out, b"\\u", c.into(), 4);
        }
        // Bytes that are not UTF-8 pass through, as in Go.
        _ => out.extend_from_slice(&text[..width]),
    }
    width
}

/// Appends `prefix` and then `code` in hexadecimal, with at least `fewest` digits.
fn append_hex(out: &mut Vec<u8>, prefix: &[u8], code: u32, fewest: u32) {
    out.extend_from_slice(prefix);
    let digits = fewest.max((32 - code.leading_zeros()).div_ceil(4));
    for place in (0..digits).rev() {
        out.push(b"0123456789ABCDEF"[(code >> (4 * place) & 0xf) as usize]);
    }
}
