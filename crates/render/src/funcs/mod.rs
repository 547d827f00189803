//! confd's template functions as plain Rust functions over bytes.
//!
//! They know no template engine: each engine binds them to its own values. What they return and
//! what their errors say is confd's, to the byte.
//!
//! What callers may rely on: no function panics, and none answers with more than [`MAX_TEXT`]
//! bytes or [`MAX_LIST`] elements that its arguments did not already hold.

mod case;

pub mod data;
pub mod env;
pub mod kv;
pub mod math;
pub mod net;
pub mod path;
pub mod text;

use bytes::Bytes;
use gotmpl::quote;

/// The longest text one function call may make, in bytes (256 MiB).
pub const MAX_TEXT: usize = 256 << 20;

/// The longest list one function call may make.
pub const MAX_LIST: usize = 10_000_000;

/// What `get` and `getv` say of a missing key, which follows.
pub(crate) const NO_SUCH_KEY: &str = "key does not exist: ";

/// Why a function has no answer. The text is the one a template's author knows from confd.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `get` or `getv` of a key that is not there.
    #[error("{NO_SUCH_KEY}{}", String::from_utf8_lossy(key))]
    NoSuchKey {
        /// The key as the template wrote it.
        key: Bytes,
    },

    /// `gets` or `getvs` with a pattern that is none.
    #[error("{0}")]
    Pattern(store::PatternError),

    /// `div` or `mod` by zero.
    #[error("runtime error: integer divide by zero")]
    DivideByZero,

    /// `atoi` or `parseBool` of something else.
    #[error("strconv.{parser}: parsing {}: invalid syntax", quote(.text))]
    Syntax {
        /// The parser's name in Go: `Atoi`, `ParseBool`.
        parser: &'static str,
        /// What it was given.
        text: Vec<u8>,
    },

    /// `atoi` of a number that does not fit 64 bits.
    #[error("strconv.Atoi: parsing {}: value out of range", quote(.text))]
    Range {
        /// What it was given.
        text: Vec<u8>,
    },

    /// `base64Decode` of something else.
    #[error("illegal base64 data at input byte {at}")]
    Base64 {
        /// The offset Go reports.
        at: usize,
    },

    /// `map` with a key that has no value.
    #[error("invalid map call")]
    OddMap,

    /// `map` with a key that is not a string.
    #[error("map keys must be strings")]
    MapKey,

    /// A text longer than [`MAX_TEXT`].
    #[error("{function}: result exceeds {} MiB", MAX_TEXT >> 20)]
    TooLong {
        /// The function's name in templates.
        function: &'static str,
    },

    /// A list longer than [`MAX_LIST`].
    #[error("{function}: result exceeds {MAX_LIST} elements")]
    TooMany {
        /// The function's name in templates.
        function: &'static str,
    },
}
