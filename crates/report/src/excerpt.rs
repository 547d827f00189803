//! The faulty part of a file, in a form for people:
//!
//! ```text
//!     --> /etc/confd/templates/nginx.tmpl:12:9
//!      |
//!   12 | server {{getv "/nmae"}};
//!      |          ^
//!      = did you mean "/name"?
//! ```
//!
//! Every line is indented, so that it cannot be confused with a message of the log. The content of
//! the file is written so that a terminal only displays it: control characters, and characters that
//! change the direction of text, are shown as symbols, and bytes that are not UTF-8 as U+FFFD.
//!
//! Only text of the file is shown, never the data that it was used with, such as values of keys.

use std::fmt;
use std::path::Path;

use unicode_width::UnicodeWidthChar as _;

/// The most columns of a line that are shown.
const WIDTH: usize = 100;

/// The most of these columns that stand before the fault, if the line continues behind it.
const BEFORE: usize = 60;

/// A tab, which always takes these columns.
const TAB: &str = "    ";

/// The place of a fault in a file.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The path of the file, as the user writes it.
    pub path: &'a Path,
    /// The whole content of the file.
    pub source: &'a [u8],
    /// The line, counted from 1.
    pub line: usize,
    /// The number of bytes before the fault in its line, if it is known.
    pub column: Option<usize>,
}

impl<'a> Place<'a> {
    /// The place behind the first `offset` bytes of `source`.
    pub fn at_offset(path: &'a Path, source: &'a [u8], offset: usize) -> Self {
        let before = source.get(..offset).unwrap_or(source);
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        Self { path, source, line, column: Some(before.len() - line_start) }
    }

    /// Moves a place behind the last line with text to the end of that line, because an empty line
    /// shows nothing.
    fn leave_blank_end(&mut self) {
        let lines = self.source.split(|byte| *byte == b'\n').take(self.line);
        let text = self.source.trim_ascii_end();
        let last = 1 + text.iter().filter(|byte| **byte == b'\n').count();
        if !text.is_empty() && self.line > last && lines.count() == self.line {
            let start = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            (self.line, self.column) = (last, Some(text.len() - start));
        }
    }
}

/// Help for a person who reads an error: the faulty line, and what was probably meant.
///
/// `Display` gives several lines, without a line break after the last one. It is empty if there is
/// nothing to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    line: Option<Box<Line>>,
    hint: Option<String>,
    /// More lines below the hint.
    list: Vec<String>,
}

/// A line of a file, in the form in which it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    path: String,
    number: usize,
    /// Its content; `None` if it is not shown.
    text: Option<String>,
    fault: Option<Fault>,
}

/// A place in a line, in two units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    /// The number of characters before it in the file.
    characters: usize,
    /// The number of columns before it in the text that is shown.
    columns: usize,
}

impl Excerpt {
    /// An excerpt with the line at `place`.
    pub fn of(place: Place<'_>) -> Self {
        Self::default().at(place)
    }

    /// The same excerpt, with the line at `place`.
    #[must_use]
    pub fn at(mut self, place: Place<'_>) -> Self {
        self.line = Some(Box::new(Line::at(place)));
        self
    }

    /// The same excerpt, with the place of line `number` of the file `path`. The line itself is not
    /// shown: it can hold a password.
    #[must_use]
    pub fn within(mut self, path: &Path, number: usize) -> Self {
        let line = Line { path: shown_path(path), number, text: None, fault: None };
        self.line = Some(Box::new(line));
        self
    }

    /// The same excerpt, with a hint of one line, if there is one.
    #[must_use]
    pub fn hinting(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// The same excerpt, with a list below the hint.
    #[must_use]
    pub fn listing(mut self, lines: Vec<String>) -> Self {
        self.list = lines;
        self
    }

    /// The hint: what was probably meant.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The place: the path of the file as it is shown, the line, and the column, counted in characters from
    /// 1, if it is known.
    pub fn place(&self) -> Option<(&str, usize, Option<usize>)> {
        let Line { path, number, fault, .. } = self.line.as_deref()?;
        Some((path, *number, fault.map(|fault| fault.characters + 1)))
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.line.is_none() && self.hint.is_none() && self.list.is_empty()
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut gutter = 0;
        if let Some(Line { path, number, text, fault }) = self.line.as_deref() {
            gutter = number.to_string().len();
            write!(f, "  {:gutter$}--> {path}:{number}", "")?;
            if let Some(Fault { characters, .. }) = fault {
                write!(f, ":{}", characters + 1)?;
            }
            if let Some(text) = text {
                write!(f, "\n  {:gutter$} |\n  {number} | {text}", "")?;
            }
            if let Some(Fault { columns, .. }) = fault {
                write!(f, "\n  {:gutter$} | {:columns$}^", "", "")?;
            }
        }
        let below = self.hint.iter().chain(&self.list);
        for (nth, text) in below.enumerate() {
            let line_break = if nth > 0 || self.line.is_some() { "\n" } else { "" };
            let text: String = text.chars().map(visible).collect();
            write!(f, "{line_break}  {:gutter$} = {text}", "")?;
        }
        Ok(())
    }
}

impl Line {
    fn at(mut place: Place<'_>) -> Self {
        place.leave_blank_end();
        let number = place.line.max(1);
        let bytes = place.source.split(|byte| *byte == b'\n').nth(number - 1).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        let fault = place.column.filter(|column| *column <= bytes.len());
        let before = fault.map(|column| &bytes[..column]);
        let columns = before.map_or(0, |before| cells(before).map(|cell| cell.columns).sum());
        let cut = Cut::around(columns, cells(bytes).map(|cell| cell.columns).sum());
        let fault = before.map(|before| Fault {
            characters: cells(before).count(),
            columns: columns - cut.start + usize::from(cut.start > 0),
        });
        Self { path: shown_path(place.path), number, text: Some(cut.shown(bytes)), fault }
    }
}

/// A path in the form in which it is shown.
fn shown_path(path: &Path) -> String {
    path.to_string_lossy().chars().map(visible).collect()
}

/// The columns of a line that are shown.
struct Cut {
    start: usize,
    end: usize,
    /// The number of columns of the whole line.
    all: usize,
}

impl Cut {
    /// The columns around column `fault` of a line with `all` columns.
    fn around(fault: usize, all: usize) -> Self {
        if all <= WIDTH {
            return Self { start: 0, end: all, all };
        }
        let start = fault.saturating_sub(BEFORE).min(all - WIDTH);
        Self { start, end: start + WIDTH, all }
    }

    /// These columns of `bytes`, with an ellipsis on each side where text is left out.
    fn shown(&self, bytes: &[u8]) -> String {
        let mut text = String::new();
        if self.start > 0 {
            text.push('…');
        }
        let mut column = 0;
        for cell in cells(bytes) {
            let next = column + cell.columns;
            if column >= self.start && next <= self.end {
                match cell.character {
                    '\t' => text.push_str(TAB),
                    character => text.push(character),
                }
            } else if next > self.start && column < self.end {
                // A character that is wider than one column and cut in the middle is shown as
                // blanks.
                text.extend((column.max(self.start)..next.min(self.end)).map(|_| ' '));
            }
            column = next;
        }
        if self.end < self.all {
            text.push('…');
        }
        text
    }
}

/// A character in the form in which it is shown.
struct Cell {
    character: char,
    columns: usize,
}

fn cells(bytes: &[u8]) -> impl Iterator<Item = Cell> {
    bytes.utf8_chunks().flat_map(|chunk| {
        let invalid = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        chunk.valid().chars().chain(invalid).map(|character| match character {
            '\t' => Cell { character, columns: TAB.len() },
            _ => {
                let character = visible(character);
                Cell { character, columns: character.width().unwrap_or(1) }
            }
        })
    })
}

/// The character, or a symbol for it if a terminal would not simply display it.
fn visible(character: char) -> char {
    match character {
        '\0'..='\x1f' => char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}'),
        '\x7f' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => char::REPLACEMENT_CHARACTER,
        _ => character,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excerpt(source: &[u8], offset: usize) -> Excerpt {
        Excerpt::of(Place::at_offset(Path::new("t/a.tmpl"), source, offset))
    }

    /// The line that is shown and the column of its caret, for a fault behind the bytes `before` of
    /// a line.
    fn shown(before: &[u8], after: &[u8]) -> (String, usize) {
        let text = excerpt(&[before, after].concat(), before.len()).to_string();
        let mut lines = text.lines().skip(2).map(|line| line.split_once(" | ").expect(line).1);
        let line = lines.next().expect("the line").to_owned();
        (line, lines.next().expect("the caret").find('^').expect("a caret"))
    }

    #[test]
    fn a_line_comes_with_its_place_a_caret_and_a_hint() {
        let excerpt = excerpt(b"one\r\n\tt\xc3\xb6 {{x}}\r\n", 13).hinting(Some("try y".into()));
        let expected = [
            "   --> t/a.tmpl:2:8",
            "    |",
            "  2 |     t\u{f6} {{x}}",
            "    |           ^",
            "    = try y",
        ];
        assert_eq!(excerpt.to_string().lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_gutter_is_as_wide_as_the_number() {
        let text = excerpt("\n".repeat(99).as_bytes(), 99).to_string();
        assert_eq!(text, "     --> t/a.tmpl:100:1\n      |\n  100 | \n      | ^");
    }

    #[test]
    fn a_place_without_a_column_has_no_caret() {
        let place = Place { path: Path::new("a"), source: b"x\ny", line: 2, column: None };
        assert_eq!(Excerpt::of(place).to_string(), "   --> a:2\n    |\n  2 | y");
    }

    #[test]
    fn a_line_that_is_not_shown_has_a_place() {
        let excerpt = Excerpt::default().within(Path::new("a"), 12).hinting(Some("try y".into()));
        assert_eq!(excerpt.to_string(), "    --> a:12\n     = try y");
    }

    #[test]
    fn nothing_known_is_an_empty_text_and_a_hint_can_stand_alone() {
        assert!(Excerpt::default().is_empty());
        assert_eq!(Excerpt::default().to_string(), "");
        let hint = Excerpt::default().hinting(Some("try y".into()));
        assert_eq!((hint.is_empty(), hint.to_string().as_str()), (false, "   = try y"));
    }

    #[test]
    fn a_list_stands_below_the_hint_in_lines_of_its_own() {
        let list = || vec!["2 keys:".to_owned(), "  /a\n".to_owned(), "  /b".to_owned()];
        let excerpt = Excerpt::default().hinting(Some("try y".into())).listing(list());
        assert_eq!(excerpt.to_string(), "   = try y\n   = 2 keys:\n   =   /a␊\n   =   /b");
        let place = Place { path: Path::new("a"), source: b"x", line: 1, column: None };
        let excerpt = Excerpt::of(place).listing(list());
        assert!(!excerpt.is_empty());
        let text = excerpt.to_string();
        assert!(text.ends_with("\n  1 | x\n    = 2 keys:\n    =   /a␊\n    =   /b"), "{text}");
    }

    #[test]
    fn the_caret_is_under_the_fault_whatever_is_before_it() {
        for (before, column) in [
            ("", 0),
            ("\t", 4),
            ("a\tb", 6),
            ("äöü", 3),
            // Two columns for each of these characters, none for the accent.
            ("日本", 4),
            ("e\u{301}", 1),
        ] {
            assert_eq!(shown(before.as_bytes(), b"{{x}}").1, column, "{before:?}");
        }
        assert_eq!(shown(b"\xff\xc3", b"x"), ("\u{fffd}\u{fffd}x".to_owned(), 2));
    }

    #[test]
    fn what_a_terminal_would_obey_is_shown_as_a_symbol() {
        let (line, caret) = shown("\x1b[2J\0\u{9b}\u{202e}".as_bytes(), b"\x7f\rx");
        assert_eq!((line.as_str(), caret), ("␛[2J␀\u{fffd}\u{fffd}␡␍x", 7));
        let place = Place { path: Path::new("a\x1b\n"), source: b"", line: 1, column: None };
        let text = Excerpt::of(place).hinting(Some("key \x07".into())).to_string();
        assert!(
            text.chars().all(|character| character == '\n' || !character.is_control()),
            "{text}"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_fault() {
        let long = vec![b'a'; 1000];
        let around = |before: usize, start: &str, end: &str| {
            let (line, caret) = shown(&long[..before], &[b"X", &long[before..]].concat());
            assert_eq!(line.chars().nth(caret), Some('X'), "{line}");
            assert!(line.starts_with(start) && line.ends_with(end), "{line}");
            assert!(line.chars().count() <= WIDTH + 2, "{line}");
        };
        around(0, "X", "…");
        around(60, "aaa", "a…");
        around(61, "…aaa", "a…");
        around(500, "…aaa", "a…");
        around(1000, "…aaa", "X");
        let wide = "日".repeat(500);
        for before in 0..100 {
            let (line, caret) = shown(&wide.as_bytes()[..3 * before], wide.as_bytes());
            let columns: usize = line.chars().map(|character| character.width().unwrap_or(0)).sum();
            assert!(columns <= WIDTH + 2 && caret < columns, "{line}");
        }
    }

    #[test]
    fn a_place_outside_of_the_file_shows_what_there_is() {
        let place = Place { path: Path::new("a"), source: b"x", line: 9, column: Some(9) };
        assert_eq!(Excerpt::of(place).to_string(), "   --> a:9\n    |\n  9 | ");
        assert!(excerpt(b"x", 99).to_string().ends_with(" | x\n    |  ^"));
    }
}
