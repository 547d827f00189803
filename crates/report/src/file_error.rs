//! Operations on files that failed.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::errno_text;

/// An operation on one path that failed, in Go's words: `open /etc/x: permission denied`.
///
/// The text contains the cause, so [`source`](std::error::Error::source) is empty.
#[derive(Debug)]
pub struct FileError {
    operation: &'static str,
    path: PathBuf,
    cause: io::Error,
}

impl FileError {
    /// `operation` is the name of the operation as Go has it: `open`, `stat`, `fsync`…
    pub fn new(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        FileError { operation, path: path.to_owned(), cause }
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether something on the way to the file is missing, or the file itself.
    pub fn is_missing(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&file_error_text(self.operation, &self.path, &self.cause))
    }
}

impl std::error::Error for FileError {}

/// The text of a [`FileError`] of these parts.
pub fn file_error_text(operation: &str, path: &Path, cause: &io::Error) -> String {
    format!("{operation} {}: {}", path.display(), errno_text(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_reads_as_in_go() {
        let path = Path::new("/nope");
        let error = FileError::new("stat", path, std::fs::metadata(path).unwrap_err());
        assert_eq!(error.to_string(), "stat /nope: no such file or directory");
    }
}
