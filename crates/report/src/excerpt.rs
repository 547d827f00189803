//! The part of a file that is at fault, as people like to see it:
//!
//! ```text
//!     --> /etc/confd/templates/nginx.tmpl:12:9
//!      |
//!   12 | server {{getv "/nmae"}};
//!      |          ^
//!      = did you mean "/name"?
//! ```
//!
//! Every line is indented, so that it cannot be taken for an event of the log. What the file
//! holds is written so that a terminal shows it and does nothing else: control characters and
//! those that change the direction of text come as symbols, other bytes as U+FFFD.
//!
//! Only text of the file is shown and never what it is executed with, such as values of keys.

use std::fmt;
use std::path::Path;

use unicode_width::UnicodeWidthChar as _;

/// How many columns of a line are shown at most.
const WIDTH: usize = 100;

/// How many of them are before the fault, where the line goes on behind.
const BEFORE: usize = 60;

/// The columns of a tab, wherever it is.
const TAB: &str = "    ";

/// Where in a file something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The file, as the user would name it.
    pub path: &'a Path,
    /// All that the file holds.
    pub source: &'a [u8],
    /// The line, counted from 1.
    pub line: usize,
    /// How many bytes of the line are before the fault, where that is known.
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
}

/// What helps a person with an error: the line at fault, and what was probably meant.
///
/// The display has several lines, without a line break behind the last; it is empty if there is
/// nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    line: Option<Box<Line>>,
    hint: Option<String>,
}

/// A line of a file, ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    path: String,
    number: usize,
    text: String,
    fault: Option<Fault>,
}

/// A place in a line, in each of the units that somebody counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    /// The characters before it in the file.
    characters: usize,
    /// The columns before it in the text that is shown.
    columns: usize,
}

impl Excerpt {
    /// The line at `place`.
    pub fn of(place: Place<'_>) -> Self {
        Self::default().at(place)
    }

    /// The same with the line at `place`.
    #[must_use]
    pub fn at(mut self, place: Place<'_>) -> Self {
        self.line = Some(Box::new(Line::at(place)));
        self
    }

    /// The same with what was probably meant, one line, if anything comes near.
    #[must_use]
    pub fn hinting(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    /// What was probably meant.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.line.is_none() && self.hint.is_none()
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
            write!(f, "\n  {:gutter$} |\n  {number} | {text}", "")?;
            if let Some(Fault { columns, .. }) = fault {
                write!(f, "\n  {:gutter$} | {:columns$}^", "", "")?;
            }
        }
        if let Some(hint) = &self.hint {
            let line_break = if self.line.is_some() { "\n" } else { "" };
            let hint: String = hint.chars().map(visible).collect();
            write!(f, "{line_break}  {:gutter$} = {hint}", "")?;
        }
        Ok(())
    }
}

impl Line {
    fn at(place: Place<'_>) -> Self {
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
        let path = place.path.to_string_lossy().chars().map(visible).collect();
        Self { path, number, text: cut.shown(bytes), fault }
    }
}

/// The columns of a line that are shown.
struct Cut {
    start: usize,
    end: usize,
    /// How many there are.
    all: usize,
}

impl Cut {
    /// Those around column `fault` of a line that has `all`.
    fn around(fault: usize, all: usize) -> Self {
        if all <= WIDTH {
            return Self { start: 0, end: all, all };
        }
        let start = fault.saturating_sub(BEFORE).min(all - WIDTH);
        Self { start, end: start + WIDTH, all }
    }

    /// These columns of `bytes`, with an ellipsis for what is left out on either side.
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
                // Wider than one column, and cut in the middle.
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

/// A character as it is shown: a tab, or something that is safe to write.
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

/// The character, or a symbol for it if a terminal would do anything but show it.
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

    /// The line that is shown and the column of the caret in it, of the fault behind the bytes
    /// `before` of a line.
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
    fn nothing_known_is_an_empty_text_and_a_hint_can_stand_alone() {
        assert!(Excerpt::default().is_empty());
        assert_eq!(Excerpt::default().to_string(), "");
        let hint = Excerpt::default().hinting(Some("try y".into()));
        assert_eq!((hint.is_empty(), hint.to_string().as_str()), (false, "   = try y"));
    }

    #[test]
    fn the_caret_is_under_the_fault_whatever_is_before_it() {
        for (before, column) in [
            ("", 0),
            ("\t", 4),
            ("a\tb", 6),
            ("äöü", 3),
            // Two columns each; none for the accent.
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
