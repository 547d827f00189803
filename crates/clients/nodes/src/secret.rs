//! A text that is never shown, such as a token: given itself, or by a file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use report::read_regular;

use crate::Error;

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// The text itself.
    Text(String),
    /// A file that contains it. It is read each time, so a new text counts at once.
    File(PathBuf),
}

impl Secret {
    /// The text; of a file without the white space around it.
    ///
    /// # Errors
    /// The file cannot be read, or is not UTF-8.
    pub fn read(&self) -> Result<String, Error> {
        match self {
            Secret::Text(text) => Ok(text.clone()),
            Secret::File(path) => {
                let text = read_regular(path)
                    .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
                    .map_err(|cause| Error::file("open", path, cause))?;
                Ok(text.trim().to_owned())
            }
        }
    }
}

impl fmt::Debug for Secret {
    /// Shows the path of a file, and never the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Secret::Text(_) => f.write_str("Text(…)"),
            Secret::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}
