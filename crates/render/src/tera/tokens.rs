//! The tokens of the expressions of a template. Tera does not give its own to others.

use std::ops::Range;

use super::tags::is_word;

/// A token of an expression, as byte offsets into the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or a number, and where it begins.
    Word(&'a str, usize),
    /// A constant text, without its quotes. One with an escape is not known.
    Text(Option<&'a str>),
    /// Any other ASCII character.
    Sign(u8),
}

/// The tokens of the expression that stands at `body` in `text`.
pub(super) fn tokens(text: &str, body: Range<usize>) -> Vec<Token<'_>> {
    let (mut tokens, mut at, end) = (Vec::new(), body.start, body.end);
    while let Some(c) = text[at..end].chars().next() {
        let rest = &text[at..end];
        let length = match c {
            '"' | '\'' | '`' => {
                let inner = &rest[1..];
                let mut is_escaped = false;
                let close = inner.find(|found| {
                    let is_end = found == c && !is_escaped;
                    is_escaped = found == '\\' && !is_escaped;
                    is_end
                });
                let Some(close) = close else { break };
                let inner = &inner[..close];
                tokens.push(Token::Text(Some(inner).filter(|inner| !inner.contains('\\'))));
                close + 2
            }
            c if is_word(c) => {
                let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..length], at));
                length
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                tokens.extend(u8::try_from(c).ok().map(Token::Sign));
                c.len_utf8()
            }
        };
        at += length;
    }
    tokens
}
