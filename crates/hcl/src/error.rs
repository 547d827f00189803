//! Where a text is faulty, and why.

use std::fmt;

/// A place in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line, counted from 1.
    pub line: usize,
    /// The character of the line, counted from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a text cannot be read. `Display` has the words of HashiCorp's library, because people search
/// for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    place: Place,
    message: String,
}

impl Error {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Error {
        Error { place, message: message.into() }
    }

    /// The place of the fault.
    pub fn place(&self) -> Place {
        self.place
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "At {}: {}", self.place, self.message)
    }
}

impl std::error::Error for Error {}
