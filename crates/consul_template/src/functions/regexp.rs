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
    Regex::new(&translated(&text)).map_err(|error| {
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
        "unrecognized escape sequence" => "invalid escape sequence",
        error => error,
    }
}

/// The expression in the syntax of the crate `regex`. There classes such as `\d` have characters
/// beyond ASCII, `[`, `&`, `~` and `-` have meanings in classes, and `\Q` does not exist.
fn translated(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression;
    let mut in_class = false;
    while let Some(c) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (text, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            out.push_str(&regex::escape(text));
            rest = after;
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
    out
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
