//! Regular expressions in Go's syntax, as functions of templates use them.

use bytes::Bytes;
use gotmpl::Failure;
use regex::bytes::Regex;

use super::values::{bounded, quoting};

/// Compiles an expression of Go.
///
/// # Errors
/// It is none.
pub fn compile(expression: &Bytes) -> Result<Regex, Failure> {
    ::regexp::compile(&String::from_utf8_lossy(expression)).map_err(|why| quoting(&why, expression))
}

/// The matches in a text. Where the text is UTF-8, none is between the bytes of one character.
pub fn matches<'t>(
    expression: &'t Regex,
    text: &'t [u8],
) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
    let is_inside = |place: usize| text.get(place).is_some_and(|byte| byte & 0xc0 == 0x80);
    let is_utf8 = std::str::from_utf8(text).is_ok();
    let found = expression.find_iter(text).map(|found| found.range());
    found.filter(move |range| !is_utf8 || !range.is_empty() || !is_inside(range.start))
}

/// The text with all matches replaced. `$1` and `${name}` in `with` stand for parts of a match.
///
/// # Errors
/// The result would be too long.
pub fn replace(expression: &Regex, text: &[u8], with: &[u8]) -> Result<Vec<u8>, Failure> {
    replace_by(expression, text, |range, out| {
        if let Some(parts) = expression.captures_at(text, range.start) {
            parts.expand(with, out);
        }
    })
}

/// The text with each match replaced by what `append` appends.
///
/// # Errors
/// The result would be too long.
pub(super) fn replace_by(
    expression: &Regex,
    text: &[u8],
    append: impl Fn(&std::ops::Range<usize>, &mut Vec<u8>),
) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::with_capacity(text.len());
    let mut place = 0;
    for range in matches(expression, text) {
        out.extend_from_slice(&text[place..range.start]);
        append(&range, &mut out);
        bounded(out.len())?;
        place = range.end;
    }
    out.extend_from_slice(&text[place..]);
    Ok(out)
}
