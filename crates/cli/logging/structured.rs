//! Events as lines for programs: one JSON object or one line of logfmt for each.
//!
//! The fields `time`, `level` and `msg` come first, in each line. `resource`, `dest` and `kind` follow where
//! the event has them, and `excerpt`, the faulty lines of a file, is the last. A text with several lines
//! stays one field of one line.

use std::fmt::{self, Write as _};

use report::Harmless;
use tracing::{Event, field::Field};
use tracing_subscriber::{field::Visit, fmt::format::Writer};
use world::time::Time;

use super::{Format, Level};

/// RFC 3339 with nanoseconds, as a layout of Go.
const NANOSECONDS: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

impl Level {
    /// The word in the live fork's structured lines.
    fn structured(self) -> &'static str {
        match self {
            Level::Warning => "WARN",
            other => other.word(),
        }
    }
}

/// Writes the event as one line.
pub(super) fn write(
    mut line: Writer<'_>,
    format: Format,
    now: &Time,
    level: Level,
    event: &Event<'_>,
) -> fmt::Result {
    let mut fields = Fields::default();
    event.record(&mut fields);
    let Fields { message, others, excerpt } = fields;
    let time = String::from_utf8_lossy(&now.format(NANOSECONDS)).into_owned();
    let first = [("time", time), ("level", level.structured().to_owned()), ("msg", message)];
    let excerpt = Some(("excerpt", excerpt)).filter(|(_, excerpt)| !excerpt.is_empty());
    let all = first.into_iter().chain(others).chain(excerpt);
    let mut text = String::new();
    for (name, value) in all {
        match (format, text.is_empty()) {
            (Format::Json, true) => text.push('{'),
            (Format::Json, false) => text.push(','),
            (_, true) => {}
            (_, false) => text.push(' '),
        }
        match format {
            Format::Json => {
                _ = write!(text, "\"{name}\":");
                json(&mut text, &value);
            }
            _ => {
                _ = write!(text, "{name}=");
                logfmt(&mut text, &value);
            }
        }
    }
    if format == Format::Json {
        text.push('}');
    }
    writeln!(line, "{text}")
}

/// The fields of an event in their order.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
    excerpt: String,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            "excerpt" => value.clone_into(&mut self.excerpt),
            name => self.others.push((name, value.to_owned())),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

/// Writes a text of JSON. Characters that a terminal obeys are escaped too.
fn json(text: &mut String, value: &str) {
    text.push('"');
    for character in value.chars() {
        // Writing to a string cannot fail.
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            other if report::is_harmful(other) => _ = write!(text, "\\u{:04x}", u32::from(other)),
            other => text.push(other),
        }
    }
    text.push('"');
}

/// Writes a value of logfmt: quoted if it has a space, a quote or an equals sign, or is empty.
fn logfmt(text: &mut String, value: &str) {
    let is_special = |c: char| c.is_whitespace() || report::is_harmful(c) || "\"=\\".contains(c);
    if !value.is_empty() && !value.contains(is_special) {
        return text.push_str(value);
    }
    text.push('"');
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\t', "\\t");
    // Writing to a string cannot fail.
    _ = Harmless(&mut *text).write_str(&escaped);
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(how: fn(&mut String, &str), value: &str) -> String {
        let mut text = String::new();
        how(&mut text, value);
        text
    }

    #[test]
    fn any_text_is_a_text_of_json_in_one_line() {
        let texts = ["", "a b", "a\"b\\c", "a\nb\tc\r", "\x1b[0m\u{202e}\u{9b}", "größe 😀"];
        for value in texts {
            let text = written(json, value);
            assert!(!text.contains(['\n', '\x1b', '\u{202e}', '\u{9b}']), "{text}");
            assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
        }
    }

    #[test]
    fn a_value_of_logfmt_is_quoted_only_where_it_must_be() {
        for (value, text) in [
            ("nginx", "nginx"),
            ("/etc/a.conf", "/etc/a.conf"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("a=b", "\"a=b\""),
            ("a\"b\\c\nd", r#""a\"b\\c\nd""#),
            ("\x1b[0m", r#""\x1b[0m""#),
        ] {
            assert_eq!(written(logfmt, value), text);
        }
    }
}
