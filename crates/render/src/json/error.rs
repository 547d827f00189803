//! Why a text is not the JSON that was asked for, in Go's words.

use std::fmt;

use gotmpl::quote;

use super::Root;

/// Why a text is not the JSON that was asked for. `Display` is Go's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text ends inside a value.
    #[error("unexpected end of JSON input")]
    End,

    /// A character that cannot stand where it does.
    #[error("invalid character {character} {place}")]
    Character {
        /// The character as a Go character literal.
        character: String,
        /// Where it was found.
        place: Place,
    },

    /// A backslash in a string with something unknown behind it.
    #[error("invalid escape sequence {sequence} in string")]
    Escape {
        /// The sequence, quoted as Go quotes it.
        sequence: String,
    },

    /// Too many open brackets.
    #[error("exceeded max depth")]
    Depth,

    /// The outermost value is of another kind.
    #[error("json: cannot unmarshal {found} into Go value of type {}", .root.go_type())]
    Kind {
        /// The kind of value there is: `array`, `bool`, `number`, `object`, `string`.
        found: &'static str,
        /// The one that was asked for.
        root: Root,
    },

    /// A number too large for a `float64`.
    #[error("json: cannot unmarshal number {number} into {target} of type float64")]
    Number {
        /// The number as it was written.
        number: String,
        /// Go's words for its place in the document.
        target: String,
    },
}

/// What was being read when a character did not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// At the beginning of any value.
    Value,
    /// At the beginning of an object's key.
    Key,
    /// Behind a key, where the colon belongs.
    AfterKey,
    /// Behind a member of an object.
    AfterMember,
    /// Behind an element of an array.
    AfterElement,
    /// Behind everything.
    AfterRoot,
    /// Inside a string.
    String,
    /// Inside a number.
    Number,
    /// Inside `true`, `false` or `null`, where one certain letter belongs.
    Literal {
        /// The whole word.
        word: &'static str,
        /// The letter.
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
    /// The character `text` begins with cannot stand at `place`; the end of the text can nowhere.
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

    /// `sequence` begins with a backslash and means nothing.
    pub(super) fn escape(sequence: &[u8]) -> Self {
        // Go prefers back quotes where nothing but quotes and backslashes would need escaping,
        // and nothing could be mistaken for the message around it.
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
