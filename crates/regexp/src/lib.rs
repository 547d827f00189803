//! Regular expressions in Go's syntax.
//!
//! The crate `regex` executes them. Its syntax is nearly Go's; [`compile`] translates what differs, so that
//! an expression that was written for a Go program means the same here, and one that Go refuses is refused
//! in Go's words.
//!
//! This crate does not know what the expressions are for.

use regex::bytes::Regex;

/// Compiles an expression of Go.
///
/// # Errors
/// It is none: Go's text, such as ``error parsing regexp: missing closing ): `(` ``.
pub fn compile(expression: &str) -> Result<Regex, String> {
    let failed = |why: &str| format!("error parsing regexp: {why}");
    let translated = translated(expression).map_err(|why| failed(&why))?;
    Regex::new(&translated).map_err(|error| {
        let why = match error {
            regex::Error::Syntax(text) => {
                let last = text.lines().next_back().unwrap_or_default();
                in_words_of_go(last.trim_start_matches("error: ")).to_owned()
            }
            error => error.to_string(),
        };
        failed(&format!("{why}: `{expression}`"))
    })
}

/// An expression with its text. Expressions with the same text are equal.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    compiled: Regex,
}

impl Expression {
    /// The expression with this text.
    ///
    /// # Errors
    /// As for [`compile`].
    pub fn parse(text: &str) -> Result<Self, String> {
        Ok(Self { text: text.to_owned(), compiled: compile(text)? })
    }

    /// Whether it matches somewhere in `text`.
    pub fn is_match(&self, text: &[u8]) -> bool {
        self.compiled.is_match(text)
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Expression {}

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
            let found = compile(expression).unwrap();
            assert_eq!(found.is_match(text.as_bytes()), expect, "{expression} {text}");
        }
        let error = compile("(").unwrap_err();
        assert_eq!(error, "error parsing regexp: missing closing ): `(`");
    }

    #[test]
    fn expressions_are_equal_if_their_texts_are() {
        let parsed = |text| Expression::parse(text).unwrap();
        assert_eq!(parsed("^#"), parsed("^#"));
        assert_ne!(parsed("^#"), parsed("^[#]"));
        assert!(parsed("^#").is_match(b"# \xff") && !parsed("^#").is_match(b"a #"));
    }
}
