//! Regular expressions in Go's syntax.

use bytes::Bytes;
use gotmpl::Failure;
use regex::bytes::Regex;

/// Compiles an expression of Go.
///
/// # Errors
/// It is none.
pub(super) fn compile(expression: &Bytes) -> Result<Regex, Failure> {
    let text = String::from_utf8_lossy(expression);
    let translated =
        translated(&text).map_err(|why| Failure::new(format!("error parsing regexp: {why}")))?;
    Regex::new(&translated).map_err(|error| {
        let why = match error {
            regex::Error::Syntax(text) => {
                let last = text.lines().next_back().unwrap_or_default();
                in_words_of_go(last.trim_start_matches("error: ")).to_owned()
            }
            error => error.to_string(),
        };
        Failure::new(format!("error parsing regexp: {why}: `{text}`"))
    })
}

/// The matches in a text. Where the text is UTF-8, none is between the bytes of one character.
pub(super) fn matches<'t>(
    expression: &'t Regex,
    text: &'t [u8],
) -> impl Iterator<Item = std::ops::Range<usize>> + 't {
    let is_inside = |place: usize| text.get(place).is_some_and(|byte| byte & 0xc0 == 0x80);
    let is_utf8 = std::str::from_utf8(text).is_ok();
    let found = expression.find_iter(text).map(|found| found.range());
    found.filter(move |range| !is_utf8 || !range.is_empty() || !is_inside(range.start))
}

/// The text with all matches replaced. `$1` and `${name}` in `with` stand for parts of a match.
pub(super) fn replace(expression: &Regex, text: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut place = 0;
    for range in matches(expression, text) {
        out.extend_from_slice(&text[place..range.start]);
        if let Some(parts) = expression.captures_at(text, range.start) {
            parts.expand(with, &mut out);
        }
        place = range.end;
    }
    out.extend_from_slice(&text[place..]);
    out
}

/// Go's words for an error of the crate `regex`.
fn in_words_of_go(error: &str) -> &str {
    match error {
        "unclosed group" => "missing closing )",
        "unopened group" => "unexpected )",
        "unclosed character class" => "missing closing ]",
        "repetition operator missing expression" => "missing argument to repetition operator",
        "incomplete escape sequence, reached end of pattern prematurely" => {
            "trailing backslash at end of expression"
        }
        "unrecognized escape sequence" | "backreferences are not supported" => {
            "invalid escape sequence"
        }
        "invalid character class range, the start must be <= the end" => {
            "invalid character class range"
        }
        error => error,
    }
}

/// The expression in the syntax of the crate `regex`. There classes such as `\d` have characters
/// beyond ASCII, `[`, `&`, `~` and `-` have meanings in classes, `{` always begins a repetition, and
/// `\Q` does not exist.
///
/// # Errors
/// A repetition is repeated, or has a number above 1000: Go's words.
fn translated(expression: &str) -> Result<String, String> {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    let mut in_class = false;
    // Where the repetition begins that ends here.
    let mut repetition: Option<&str> = None;
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(text));
            rest = after;
            repetition = None;
            continue;
        }
        let earlier = repetition.take();
        if !in_class && let Some(length) = repetition_length(rest)? {
            let length = length + usize::from(rest[length..].starts_with('?'));
            if let Some(earlier) = earlier {
                let both = &earlier[..earlier.len() - rest.len() + length];
                return Err(format!("invalid nested repetition operator: `{both}`"));
            }
            out.push_str(&rest[..length]);
            repetition = Some(rest);
            rest = &rest[length..];
            continue;
        }
        if c == '\\' {
            let length = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            out.push_str(match &rest[..length] {
                "\\d" => "[0-9]",
                "\\D" => "[^0-9]",
                "\\w" => "[0-9A-Za-z_]",
                "\\W" => "[^0-9A-Za-z_]",
                "\\s" => "[\\t\\n\\f\\r ]",
                "\\S" => "[^\\t\\n\\f\\r ]",
                "\\b" => "(?-u:\\b)",
                "\\B" => "(?-u:\\B)",
                other => other,
            });
            rest = &rest[length..];
            continue;
        }
        if !in_class {
            if c == '{' {
                out.push('\\');
            }
            out.push(c);
            rest = &rest[c.len_utf8()..];
            if c == '[' {
                in_class = true;
                if let Some(after) = rest.strip_prefix('^') {
                    out.push('^');
                    rest = after;
                }
                // A bracket that comes first stands for itself.
                if let Some(after) = rest.strip_prefix(']') {
                    out.push_str("\\]");
                    rest = after;
                }
            }
            continue;
        }
        if let Some(named) = rest.strip_prefix("[:")
            && let Some(end) = named.find(":]")
        {
            out.push_str(&rest[..end + 4]);
            rest = &rest[end + 4..];
            continue;
        }
        match c {
            ']' => {
                in_class = false;
                out.push(']');
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(c);
            }
            '-' if rest.starts_with("--") => out.push_str("\\-"),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    Ok(out)
}

/// The length of the repetition that a text begins with, without a `?` behind it.
///
/// # Errors
/// It has a number above 1000: Go's words.
fn repetition_length(text: &str) -> Result<Option<usize>, String> {
    if text.starts_with(['*', '+', '?']) {
        return Ok(Some(1));
    }
    let Some((inside, _)) = text.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Ok(None);
    };
    let (from, to) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if from.is_empty() || !is_number(from) || !is_number(to) {
        return Ok(None);
    }
    let is_large = |text: &str| !text.is_empty() && !matches!(text.parse(), Ok(0..=1000));
    if is_large(from) || is_large(to) {
        return Err(format!("invalid repeat count: `{{{inside}}}`"));
    }
    Ok(Some(inside.len() + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_syntax_has_gos_meaning() {
        for (expression, text, expect) in [
            (r"^\d+$", "12", true),
            (r"^\d+$", "١", false),
            (r"^[\w.-]+$", "a_b.c-d", true),
            (r"^[[a]+$", "[a", true),
            (r"^[]a]+$", "]a", true),
            (r"^[[:alpha:]&&]+$", "a&", true),
            (r"^\Qa.b\E$", "a.b", true),
            (r"^\Qa.b\E$", "axb", false),
            (r"\bfoo\b", "a foo b", true),
            (r"^.$", "é", true),
        ] {
            let found = compile(&Bytes::from_static(expression.as_bytes())).unwrap();
            assert_eq!(found.is_match(text.as_bytes()), expect, "{expression} {text}");
        }
        let error = compile(&Bytes::from_static(b"(")).unwrap_err();
        assert!(error.to_string().starts_with("error parsing regexp: "), "{error}");
    }
}
