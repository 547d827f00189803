//! confd's template functions, as plain Rust functions over bytes.
//!
//! They know no template engine: each engine binds them to its own values. Their results and error
//! texts are confd's, byte for byte.
//!
//! What callers may rely on: no function panics, and no result has more than [`MAX_TEXT`] bytes or
//! [`MAX_LIST`] elements in addition to those of its arguments.

pub mod case;

pub mod data;
pub mod env;
pub mod kv;
pub mod math;
pub mod net;
pub mod path;
pub mod text;

use bytes::Bytes;
use gotmpl::{Message, quote};

/// The most bytes of a text that one call may return: 256 MiB.
pub const MAX_TEXT: usize = 256 << 20;

/// The most elements of a list that one call may return.
pub const MAX_LIST: usize = 10_000_000;

/// The text of [`Error::NoSuchKey`] before the key.
pub(crate) const NO_SUCH_KEY: &str = "key does not exist: ";

/// Why a function returned no result. The texts are confd's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `get` or `getv` of a key that does not exist.
    #[error("{NO_SUCH_KEY}{}", String::from_utf8_lossy(key))]
    NoSuchKey {
        /// The key as the template wrote it.
        key: Bytes,
    },

    /// `gets` or `getvs` with a malformed pattern.
    #[error("{0}")]
    Pattern(store::PatternError),

    /// `div` or `mod` by zero.
    #[error("runtime error: integer divide by zero")]
    DivideByZero,

    /// `atoi` or `parseBool` of a text that they cannot parse.
    #[error("strconv.{parser}: parsing {}: invalid syntax", quote(.text))]
    Syntax {
        /// The name of the parser in Go: `Atoi`, `ParseBool`.
        parser: &'static str,
        /// The text.
        text: Vec<u8>,
    },

    /// `atoi` of a number that does not fit in 64 bits.
    #[error("strconv.Atoi: parsing {}: value out of range", quote(.text))]
    Range {
        /// The text.
        text: Vec<u8>,
    },

    /// `base64Decode` of a text that is not base64.
    #[error("illegal base64 data at input byte {at}")]
    Base64 {
        /// The offset that Go reports.
        at: usize,
    },

    /// `map` with a key that has no value.
    #[error("invalid map call")]
    OddMap,

    /// `map` with a key that is not a string.
    #[error("map keys must be strings")]
    MapKey,

    /// The result would be a text longer than [`MAX_TEXT`].
    #[error("{function}: result exceeds {} MiB", MAX_TEXT >> 20)]
    TooLong {
        /// The function's name in templates.
        function: &'static str,
    },

    /// The result would be a list longer than [`MAX_LIST`].
    #[error("{function}: result exceeds {MAX_LIST} elements")]
    TooMany {
        /// The function's name in templates.
        function: &'static str,
    },
}

impl Error {
    /// The text of the error, which knows where it shows values.
    pub(crate) fn message(&self) -> Message {
        match self {
            // With the bytes of the key, which need not be UTF-8.
            Error::NoSuchKey { key } => Message::new(NO_SUCH_KEY).value(key, key.clone()),
            Error::Syntax { parser, text } => Message::new(format!("strconv.{parser}: parsing "))
                .value(quote(text), text.clone())
                .text(": invalid syntax"),
            Error::Range { text } => Message::new("strconv.Atoi: parsing ")
                .value(quote(text), text.clone())
                .text(": value out of range"),
            error => Message::new(error.to_string()),
        }
    }
}
