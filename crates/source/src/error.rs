//! Why a source could not answer.

use std::io;
use std::path::{Path, PathBuf};

use report::errno_text;
use store::PatternError;

/// Why a source could not answer.
///
/// The text is complete, in the words of Go confd where people search for them, so that
/// [`source`](std::error::Error::source) has nothing left to add. No text holds a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: `stat /nope.yaml: no such file or directory`.
    #[error("{operation} {}: {}", path.display(), errno_text(cause))]
    File {
        /// The system call, as confd names it: `stat`, `open` or `read`.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },

    /// A file is not what it has to be: `yaml: line 3: … (in /etc/data.yaml)`.
    #[error("{reason} (in {})", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in one line or, as in confd, in two.
        reason: String,
    },

    /// The pattern that chooses files in folders cannot be read: `syntax error in pattern`.
    #[error("{0}")]
    Filter(PatternError),

    /// The store of the source gave no answer.
    #[error(transparent)]
    Store(#[from] nodes::Error),
}

impl Error {
    /// Whether the same request may succeed later although nobody corrects anything: a file that
    /// is not there may come, a document that cannot be read stays as it is until it is edited.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::File { .. } => true,
            Error::Document { .. } | Error::Filter(_) => false,
            Error::Store(error) => error.is_transient(),
        }
    }

    /// Whether the source answered, and would not give what was asked for. It may well give
    /// something else: of several scopes one may be forbidden and the others not.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Error::Store(error) if error.is_refusal())
    }

    /// A file or folder that cannot be read.
    pub fn file(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        Error::File { operation, path: path.to_owned(), cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_reads_as_in_confd() {
        let cause = std::fs::metadata("/nope.yaml").unwrap_err();
        let error = Error::file("stat", Path::new("/nope.yaml"), cause);
        assert_eq!(error.to_string(), "stat /nope.yaml: no such file or directory");
        assert!(error.is_transient());
    }

    #[test]
    fn a_filter_that_cannot_be_read_says_so_in_the_words_of_confd() {
        let error = Error::Filter(PatternError);
        assert_eq!(error.to_string(), "syntax error in pattern");
        assert!(!error.is_transient());
    }
}
