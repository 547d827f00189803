//! Texts of unknown origin, so that a log, a terminal or a line of a protocol can show them.

use std::fmt::{self, Write as _};

/// `text` so that it stays in its line and a terminal only displays it.
pub fn harmless(text: &str) -> String {
    let mut written = String::with_capacity(text.len());
    // Writing to a string does not fail.
    let _ = Harmless(&mut written).write_str(text);
    written
}

/// Writes text so that it stays in its line and a terminal only displays it. Go's escapes stand in
/// place of line breaks, control characters except for tabs, and characters that change the
/// direction of text. Keys, values, names of files and answers of servers can contain them.
#[derive(Debug)]
pub struct Harmless<W>(pub W);

impl<W: fmt::Write> fmt::Write for Harmless<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_harmful) {
            self.0.write_str(&rest[..at])?;
            let mut after = rest[at..].chars();
            match after.next() {
                Some('\n') => self.0.write_str("\\n")?,
                Some('\r') => self.0.write_str("\\r")?,
                Some(other) if other.is_ascii() => write!(self.0, "\\x{:02x}", u32::from(other))?,
                Some(other) => write!(self.0, "\\u{:04x}", u32::from(other))?,
                None => {}
            }
            rest = after.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Whether a line break, a terminal or the direction of text obeys a character. Tabs are harmless.
pub fn is_harmful(character: char) -> bool {
    match character {
        '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            true
        }
        other => other.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmful_characters_are_escaped_and_others_are_not() {
        let mut written = String::new();
        write!(Harmless(&mut written), "a\n\r\0\x1b[0m\x7f\u{9b}\u{202e}\u{61c}|").unwrap();
        assert_eq!(written, r"a\n\r\x00\x1b[0m\x7f\u009b\u202e\u061c|");
        written.clear();
        write!(Harmless(&mut written), "\t\\n é € 😀 \u{a0}").unwrap();
        assert_eq!(written, "\t\\n é € 😀 \u{a0}");
    }
}
