//! Why a source returned no keys.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use report::FileError;
use store::{Key, PatternError};

/// Why a source returned no keys.
///
/// The text is complete, with the words of Go confd where people search for them, so
/// [`source`](std::error::Error::source) is empty. No text contains a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused: `stat /nope.yaml: no such file or directory`.
    #[error(transparent)]
    File(#[from] FileError),

    /// The content of a file is malformed: `yaml: line 3: … (in /etc/data.yaml)`.
    #[error("{reason} (in {})", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// The problem, in one line or, as in confd, in two.
        reason: String,
    },

    /// The filter for files in folders is malformed: `syntax error in pattern`.
    #[error("{0}")]
    Filter(PatternError),

    /// The source did not answer in time: `the backend did not answer within 30s (-backend-timeout)`.
    #[error("the backend did not answer within {limit:?} (-backend-timeout)")]
    Late {
        /// The longest time that it has.
        limit: Duration,
    },

    /// A resource names a backend that the run does not have: `there is no backend vault`.
    #[error("there is no backend {backend}")]
    Unknown {
        /// Its name.
        backend: String,
    },

    /// A key that no backend of the run has: `no backend has /app: none is mounted there, and there is no main
    /// backend`.
    #[error("no backend has {key}: none is mounted there, and there is no main backend")]
    NotMounted {
        /// The key.
        key: Key,
    },

    /// One of several backends has not answered so far: `the backend secrets has not answered yet`.
    #[error("the backend {backend} has not answered yet")]
    Unanswered {
        /// Its name.
        backend: String,
    },

    /// The store did not answer, or refused.
    #[error(transparent)]
    Store(#[from] nodes::Error),
}

impl Error {
    /// Whether the same request may succeed later, without a correction by a person. A missing file
    /// may appear; a malformed document stays malformed until it is edited.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::File(_) | Error::Late { .. } | Error::Unanswered { .. } => true,
            Error::Document { .. }
            | Error::Filter(_)
            | Error::Unknown { .. }
            | Error::NotMounted { .. } => false,
            Error::Store(error) => error.is_transient(),
        }
    }

    /// What was probably meant, if that is known.
    pub fn hint(&self) -> Option<&'static str> {
        let Error::File(error) = self else { return None };
        let is_list = error.is_missing() && error.path().to_string_lossy().contains(',');
        is_list.then_some("each file has a -file of its own")
    }

    /// Whether the source refused. It may still grant other requests: access may be denied to one
    /// scope and not to others.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Error::Store(error) if error.is_refusal())
    }

    /// An error about a file or folder that cannot be read.
    pub fn file(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        FileError::new(operation, path, cause).into()
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
    fn a_malformed_filter_is_reported_in_the_words_of_confd() {
        let error = Error::Filter(PatternError);
        assert_eq!(error.to_string(), "syntax error in pattern");
        assert!(!error.is_transient());
    }
}
