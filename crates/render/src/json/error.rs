//! Errors of JSON, in Go's words.

use std::fmt;

use bytes::Bytes;
use gotmpl::{Message, quote};

use super::Root;

/// Why a text is not the JSON that was asked for. `Display` gives Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text ends inside of a value.
    #[error("unexpected end of JSON input")]
    End,

    /// A character that must not stand at its place.
    #[error("invalid character {character} {place}")]
    Character {
        /// The character as a Go character literal.
        character: String,
        /// Its place.
        place: Place,
    },

    /// A backslash in a string with an unknown escape.
    #[error("invalid escape sequence {sequence} in string")]
    Escape {
        /// The escape, quoted as Go quotes it.
        sequence: String,
    },

    /// Too many open brackets.
    #[error("exceeded max depth")]
    Depth,

    /// The whole text is a value of the wrong kind.
    #[error("json: cannot unmarshal {found} into Go value of type {}", .root.go_type())]
    Kind {
        /// The kind of the value: `array`, `bool`, `number`, `object`, `string`.
        found: &'static str,
        /// The kind that was asked for.
        root: Root,
    },

    /// A number too large for a `float64`.
    #[error("json: cannot unmarshal number {number} into {target} of type float64")]
    Number {
        /// The number as it was written.
        number: String,
        /// Go's words for its place in the text.
        target: String,
    },
}

/// The place of a character that must not stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// At the beginning of any value.
    Value,
    /// At the beginning of an object's key.
    Key,
    /// Behind a key, where the colon belongs.
    AfterKey,
    /// Behind a member of an object, where a comma or closing bracket must follow.
    AfterMember,
    /// Behind an element of an array, where a comma or closing bracket must follow.
    AfterElement,
    /// Behind the whole value.
    AfterRoot,
    /// Inside a string.
    String,
    /// Inside a number.
    Number,
    /// Inside of `true`, `false` or `null`, where only one letter is possible.
    Literal {
        /// The whole word.
        word: &'static str,
        /// That letter.
        expected: char,
    },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Value => "looking for beginning of value",
            Place::Key => "looking for beginning of object key string",
            Place::AfterKey => "after object key",
            Place::AfterMember => "after object key:value pair",
            Place::AfterElement => "after array element",
            Place::AfterRoot => "after top-level value",
            Place::String => "in string",
            Place::Number => "in numeric literal",
            Place::Literal { word, expected } => {
                return write!(f, "in literal {word} (expecting '{expected}')");
            }
        })
    }
}

impl Error {
    /// The text of the error about `json`, which knows where it shows parts of it.
    pub(crate) fn message(&self, json: &Bytes) -> Message {
        match self {
            Error::Character { character, place } => Message::new("invalid character ")
                .value(character, json.clone())
                .text(format!(" {place}")),
            Error::Escape { sequence } => Message::new("invalid escape sequence ")
                .value(sequence, json.clone())
                .text(" in string"),
            Error::Number { number, target } => Message::new("json: cannot unmarshal number ")
                .value(number, json.clone())
                .text(" into ")
                .value(target, json.clone())
                .text(" of type float64"),
            error => Message::new(error.to_string()),
        }
    }

    /// The error for the first character of `text` at `place`, or for the end of the text.
    pub(super) fn character(text: &[u8], place: Place) -> Self {
        let window = &text[..text.len().min(4)];
        let Some(chunk) = window.utf8_chunks().next() else { return Error::End };
        let quoted = match chunk.valid().chars().next() {
            Some(character) => quote(character.encode_utf8(&mut [0; 4]).as_bytes()),
            None => quote(&window[..1]),
        };
        let character = match quoted.as_str() {
            "\"'\"" => r"'\''".to_owned(),
            r#""\"""# => "'\"'".to_owned(),
            other => format!("'{}'", &other[1..other.len() - 1]),
        };
        Error::Character { character, place }
    }

    /// The error for the unknown escape `sequence`, which begins with a backslash.
    pub(super) fn escape(sequence: &[u8]) -> Self {
        // Go uses back quotes if only quotes and backslashes would need an escape, and if nothing
        // could be confused with the message around the text.
        let plain = std::str::from_utf8(sequence).ok().filter(|plain| {
            let bare = plain.replace(['\\', '"'], "");
            !bare.contains(['`', ' ', char::REPLACEMENT_CHARACTER])
                && quote(bare.as_bytes()) == format!("\"{bare}\"")
        });
        Error::Escape {
            sequence: plain.map_or_else(|| quote(sequence), |plain| format!("`{plain}`")),
        }
    }
}
