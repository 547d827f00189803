//! What becomes of a pass whose template asks for a key that does not exist.

use crate::keys::Word;

/// What a resource does if its template asks for a key that does not exist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnMissing {
    /// The pass fails.
    #[default]
    Error,
    /// The key reads as the empty text.
    Empty,
    /// The file stays as it is until a key changes.
    Keep,
}

impl Word for OnMissing {
    const ALL: &'static [(&'static str, Self)] =
        &[("error", Self::Error), ("empty", Self::Empty), ("keep", Self::Keep)];
}
