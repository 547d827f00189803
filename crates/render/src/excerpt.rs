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

/// What helps a person with an error: the line at fault, and what was probably meant.
///
/// The display has several lines, without a line break behind the last; it is empty if there is
/// nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Excerpt {
    line: Option<Line>,
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
        self.line = Some(Line::at(place));
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
        if let Some(Line { path, number, text, fault }) = &self.line {
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
