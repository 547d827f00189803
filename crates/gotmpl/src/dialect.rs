//! What a program can choose about the language: delimiters, and what a missing map key gives.

use bytes::Bytes;

/// What Go's methods `Delims` and `Option` set for a template.
///
/// ```
/// use gotmpl::{Dialect, MissingKey};
///
/// let dialect = Dialect::new("[[", "]]").missing_key(MissingKey::Error);
/// assert_eq!(Dialect::default(), Dialect::new("", ""));
/// # drop(dialect);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub(crate) left: Bytes,
    pub(crate) right: Bytes,
    pub(crate) missing_key: MissingKey,
}

/// What `.name` gives for a map without the key `name`: Go's option `missingkey`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value, which prints as `<no value>`, and whose fields have no value either.
    #[default]
    NoValue,
    /// The zero value of the type of the map's values.
    Zero,
    /// An error. A field of nil is an error, too.
    Error,
}

impl Dialect {
    /// The language with these delimiters. An empty one means Go's: `{{` and `}}`.
    pub fn new(left: impl Into<Bytes>, right: impl Into<Bytes>) -> Dialect {
        let or = |given: Bytes, default| match given.is_empty() {
            true => Bytes::from_static(default),
            false => given,
        };
        Dialect {
            left: or(left.into(), b"{{"),
            right: or(right.into(), b"}}"),
            missing_key: MissingKey::default(),
        }
    }

    /// The same language with this meaning of a missing key.
    #[must_use]
    pub fn missing_key(mut self, missing_key: MissingKey) -> Dialect {
        self.missing_key = missing_key;
        self
    }
}

impl Default for Dialect {
    /// Go's own delimiters, and no value for a missing key.
    fn default() -> Dialect {
        Dialect::new("", "")
    }
}
