//! Checks the syntax of a file. The errors show nothing that stands in the file.

use std::fmt;

use config::OutputFormat;
use quick_xml::{Reader, events::Event};

/// Why a content does not have its format, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    format: OutputFormat,
    place: Option<Place>,
}

/// A place in a text.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    /// Counted from 1.
    line: usize,
    /// Counted from 1, in characters, if it is known.
    column: Option<usize>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the result is no {}", self.format.name())?;
        match self.place {
            Some(Place { line, column: Some(column) }) => {
                write!(f, ", line {line}, column {column}")
            }
            Some(Place { line, column: None }) => write!(f, ", line {line}"),
            None => write!(f, ", it is not UTF-8"),
        }
    }
}

/// Checks that `content` has this format.
pub(crate) fn check(format: OutputFormat, content: &[u8]) -> Result<(), Fault> {
    let Ok(text) = std::str::from_utf8(content) else { return Err(Fault { format, place: None }) };
    let found = match format {
        OutputFormat::Json => json(text),
        OutputFormat::Yaml => yaml::check(text).map_err(|line| Place { line, column: None }),
        OutputFormat::Toml => toml::de::DeTable::parse(text)
            .map(|_| ())
            .map_err(|error| Place::at(text, error.span().map_or(0, |span| span.start))),
        OutputFormat::Xml => xml(text),
        OutputFormat::Ini => ini(text),
    };
    found.map_err(|place| Fault { format, place: Some(place) })
}

impl Place {
    /// The place behind `offset` bytes.
    fn at(text: &str, offset: usize) -> Place {
        let before = &text[..text.floor_char_boundary(offset)];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        Place {
            line: 1 + before.bytes().filter(|byte| *byte == b'\n').count(),
            column: Some(1 + before[start..].chars().count()),
        }
    }
}

fn json(text: &str) -> Result<(), Place> {
    let parsed: Result<serde::de::IgnoredAny, _> = serde_json::from_str(text);
    parsed
        .map(|_| ())
        .map_err(|error| Place { line: error.line(), column: Some(error.column().max(1)) })
}

/// One root element, whose start and end tags match.
fn xml(text: &str) -> Result<(), Place> {
    let mut reader = Reader::from_str(text);
    let (mut depth, mut has_root) = (0_usize, false);
    loop {
        let begins = usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX);
        let here = || Place::at(text, begins);
        match reader.read_event() {
            Err(_) => {
                let at = usize::try_from(reader.error_position()).unwrap_or(begins);
                return Err(Place::at(text, at));
            }
            Ok(Event::Eof) if depth == 0 && has_root => return Ok(()),
            Ok(Event::Eof) => return Err(here()),
            Ok(Event::Start(_) | Event::Empty(_)) if depth == 0 && has_root => return Err(here()),
            Ok(Event::Start(start)) => {
                start.attributes().try_for_each(|found| found.map(|_| ())).map_err(|_| here())?;
                (depth, has_root) = (depth + 1, true);
            }
            Ok(Event::Empty(start)) => {
                start.attributes().try_for_each(|found| found.map(|_| ())).map_err(|_| here())?;
                has_root = true;
            }
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Text(text)) if depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(here());
            }
            Ok(Event::CData(_)) if depth == 0 => return Err(here()),
            Ok(_) => {}
        }
    }
}

/// Lines that are empty, comments (`;`, `#`), sections (`[NAME]`), or keys with values (`=`, `:`).
/// A key may stand alone, as in my.cnf, if it is one word. An indented line goes on with the value
/// above it.
fn ini(text: &str) -> Result<(), Place> {
    let mut has_key = false;
    for (nth, line) in text.lines().enumerate() {
        let (is_indented, line) = (line.starts_with([' ', '\t']), line.trim());
        let is_right = match line.as_bytes() {
            [] | [b';' | b'#', ..] => true,
            _ if is_indented && has_key => true,
            [b'[', ..] => {
                let end = line.find(']');
                let rest = end.map(|end| line[end + 1..].trim_start());
                end.is_some_and(|end| end > 1)
                    && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([';', '#']))
            }
            _ => {
                let key = line.split(['=', ':']).next().unwrap_or_default().trim_end();
                has_key = true;
                let has_value = key.len() < line.len();
                !key.is_empty() && (has_value || !key.contains(char::is_whitespace))
            }
        };
        if !is_right {
            return Err(Place { line: nth + 1, column: None });
        }
        if line.starts_with('[') {
            has_key = false;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use OutputFormat::{Ini, Json, Toml, Xml, Yaml};

    use super::*;

    #[test]
    fn what_has_its_format_is_accepted() {
        for (format, content) in [
            (Json, "{\"a\": [1, null, \"x\"]}\n"),
            (Json, "1"),
            (Yaml, "a: 1\nb:\n  - x\n---\nc\n"),
            (Yaml, ""),
            (Toml, "a = 1\n[b]\nc = 'x'\n"),
            (Xml, "<?xml version=\"1.0\"?>\n<!-- c -->\n<a x=\"1\"><b/>t &amp; u</a>\n"),
            (Xml, "<a/>"),
            (Ini, "; c\n# d\na = 1\n[s t] ; c\nk: v\n  more\nskip-networking\nx=\n\n"),
        ] {
            assert_eq!(check(format, content.as_bytes()), Ok(()), "{content}");
        }
    }

    #[test]
    fn a_fault_names_its_place_and_shows_nothing() {
        for (format, content, place) in [
            (Json, "{\"a\": hush}", "json, line 1, column 7"),
            (Json, "", "json, line 1, column 1"),
            (Json, "1 2", "json, line 1, column 3"),
            (Yaml, "a: [1\nb: 2\n", "yaml, line 2"),
            (Toml, "a = 1\na = hush\n", "toml, line 2, column 5"),
            (Xml, "<a>\n<b></a>", "xml, line 2, column 4"),
            (Xml, "<a>", "xml, line 1, column 4"),
            (Xml, "", "xml, line 1, column 1"),
            (Xml, "hush", "xml, line 1, column 1"),
            (Xml, "<a/>\n<b/>", "xml, line 2, column 1"),
            (Xml, "<a x=1/>", "xml, line 1, column 1"),
            (Ini, "a = 1\n[s\n", "ini, line 2"),
            (Ini, "[]", "ini, line 1"),
            (Ini, "two words\n", "ini, line 1"),
            (Ini, "= 1\n", "ini, line 1"),
        ] {
            let fault = check(format, content.as_bytes()).unwrap_err().to_string();
            assert_eq!(fault, format!("the result is no {place}"), "{content:?}");
        }
        let fault = check(Json, b"\xff").unwrap_err().to_string();
        assert_eq!(fault, "the result is no json, it is not UTF-8");
    }
}
