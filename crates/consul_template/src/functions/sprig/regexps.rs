//! Regular expressions.

use bytes::Bytes;
use gotmpl::types::STRINGS;
use gotmpl::{Failure, Slice};
use regex::bytes::Regex;

use super::super::Context;
use super::super::regexp::{compile, matches, replace};
use super::Library;

pub(super) fn add(library: &mut Library<'_>) {
    // Without `must`, Go panics where the expression is faulty. A template sees the same text.
    for must in [false, true] {
        let name = |name: &str| match must {
            false => name.to_owned(),
            true => name.replacen("regex", "mustRegex", 1),
        };
        library.add(&name("regexMatch"), move |_: &Context, expression: Bytes, text: Bytes| {
            match compile(&expression) {
                Ok(expression) => Ok(expression.is_match(&text)),
                Err(failure) if must => Err(failure),
                Err(_) => Ok(false),
            }
        });
        library.add(&name("regexFind"), |_: &Context, expression: Bytes, text: Bytes| {
            let found = compile(&expression)?.find(&text).map(|found| found.as_bytes().to_vec());
            Ok::<_, Failure>(found.unwrap_or_default())
        });
        library.add(
            &name("regexFindAll"),
            |_: &Context, expression: Bytes, text: Bytes, count: i64| {
                let expression = compile(&expression)?;
                let count = usize::try_from(count).unwrap_or(usize::MAX);
                let found = matches(&expression, &text).take(count);
                let found: Vec<_> = found.map(|range| text.slice(range)).collect();
                Ok::<_, Failure>(match found.is_empty() {
                    true => Slice::nil(&STRINGS),
                    false => Slice::strings(found),
                })
            },
        );
        library.add(
            &name("regexReplaceAll"),
            |_: &Context, expression: Bytes, text: Bytes, with: Bytes| {
                Ok::<_, Failure>(replace(&compile(&expression)?, &text, &with))
            },
        );
        library.add(
            &name("regexReplaceAllLiteral"),
            |_: &Context, expression: Bytes, text: Bytes, with: Bytes| {
                let expression = compile(&expression)?;
                let mut out = Vec::with_capacity(text.len());
                let mut place = 0;
                for range in matches(&expression, &text) {
                    out.extend_from_slice(&text[place..range.start]);
                    out.extend_from_slice(&with);
                    place = range.end;
                }
                out.extend_from_slice(&text[place..]);
                Ok::<_, Failure>(out)
            },
        );
        library.add(
            &name("regexSplit"),
            |_: &Context, expression: Bytes, text: Bytes, count: i64| {
                let compiled = compile(&expression)?;
                let parts = split(&compiled, &text, count, !expression.is_empty());
                Ok::<_, Failure>(parts)
            },
        );
    }
    library.add("regexQuoteMeta", |_: &Context, text: Bytes| {
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
