//! Regular expressions.

use bytes::Bytes;
use gotmpl::types::STRINGS;
use gotmpl::{Failure, Slice};
use regex::bytes::Regex;

use super::expression::{compile, matches, replace, replace_by};
use super::{Library, Machine};

pub(super) fn add(library: &mut Library<'_>) {
    library.add_sprig("regexMatch", |_: &Machine, expression: Bytes, text: Bytes| {
        compile(&expression).is_ok_and(|expression| expression.is_match(&text))
    });
    library.add_own("regexMatch", "regex |text", is_match);
    library.add("mustRegexMatch", "regex |text", is_match);
    // Without `must`, Go panics where the expression is faulty. A template sees the same text.
    for name in ["regexFind", "mustRegexFind"] {
        library.add(name, "regex |text", |_: &Machine, expression: Bytes, text: Bytes| {
            let found = compile(&expression)?.find(&text).map(|found| found.as_bytes().to_vec());
            Ok::<_, Failure>(found.unwrap_or_default())
        });
    }
    for name in ["regexFindAll", "mustRegexFindAll"] {
        library.add(name, "regex |text count", find_all);
    }
    for name in ["regexReplaceAll", "mustRegexReplaceAll"] {
        library.add(
            name,
            "regex |text replacement",
            |_: &Machine, expression: Bytes, text: Bytes, with: Bytes| {
                replace(&compile(&expression)?, &text, &with)
            },
        );
    }
    for name in ["regexReplaceAllLiteral", "mustRegexReplaceAllLiteral"] {
        library.add(name, "regex |text replacement", replace_literally);
    }
    for name in ["regexSplit", "mustRegexSplit"] {
        library.add(
            name,
            "regex |text count",
            |_: &Machine, expression: Bytes, text: Bytes, count: i64| {
                let compiled = compile(&expression)?;
                let parts = split(&compiled, &text, count, !expression.is_empty());
                Ok::<_, Failure>(parts)
            },
        );
    }
    library.add("regexQuoteMeta", "|text", |_: &Machine, text: Bytes| {
        let mut out = Vec::with_capacity(text.len());
        for byte in text {
            if br"\.+*?()|[]{}^$".contains(&byte) {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out
    });
}

fn is_match(_: &Machine, expression: Bytes, text: Bytes) -> Result<bool, Failure> {
    Ok(compile(&expression)?.is_match(&text))
}

fn find_all(_: &Machine, expression: Bytes, text: Bytes, count: i64) -> Result<Slice, Failure> {
    let expression = compile(&expression)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let found = matches(&expression, &text).take(count);
    let found: Vec<_> = found.map(|range| text.slice(range)).collect();
    Ok(match found.is_empty() {
        true => Slice::nil(&STRINGS),
        false => Slice::strings(found),
    })
}

fn replace_literally(
    _: &Machine,
    expression: Bytes,
    text: Bytes,
    with: Bytes,
) -> Result<Vec<u8>, Failure> {
    let literally = |_: &std::ops::Range<usize>, out: &mut Vec<u8>| out.extend_from_slice(&with);
    replace_by(&compile(&expression)?, &text, literally)
}

/// The parts of a text between matches, at most `count` of them if that is not negative.
fn split(expression: &Regex, text: &Bytes, count: i64, has_expression: bool) -> Vec<Bytes> {
    if count == 0 {
        return Vec::new();
    }
    if has_expression && text.is_empty() {
        return vec![Bytes::new()];
    }
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for range in matches(expression, text) {
        if parts.len() + 1 >= most {
            break;
        }
        end = range.start;
        // An empty match at the beginning separates nothing.
        if range.end != 0 {
            parts.push(text.slice(begin..end));
        }
        begin = range.end;
    }
    if end != text.len() {
        parts.push(text.slice(begin..));
    }
    parts
}
