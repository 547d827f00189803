//! Why a source could not answer.

use std::io;
use std::path::{Path, PathBuf};

use report::{errno_text, errno_text_in};
use store::PatternError;

use crate::file::YamlError;

/// Why a backend could not answer.
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
    #[error("{cause} (in {})", path.display())]
    Document {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, in one line or, as in confd, in two.
        cause: YamlError,
    },

    /// The pattern that chooses files in folders cannot be read: `syntax error in pattern`.
    #[error("{0}")]
    Filter(PatternError),

    /// A certificate or key cannot be used: `/etc/ca.pem: no certificate in PEM is in it`.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// What is given as a token cannot be one.
    #[error("the token holds bytes that no HTTP header may hold")]
    Token,

    /// No node answered: `cannot reach etcd: http://127.0.0.1:2379: connection refused`.
    #[error("cannot reach {backend}: {}", list(attempts))]
    Unreachable {
        /// The kind of source.
        backend: &'static str,
        /// Each node that was asked, and what came of it.
        attempts: Vec<Attempt>,
    },

    /// A node answered, and the answer is no.
    #[error("{backend} at {node} refused: {reason}")]
    Refused {
        /// The kind of source.
        backend: &'static str,
        /// The node that said so.
        node: String,
        /// In its words, with what can be done about it where that is known.
        reason: String,
    },
}

/// A node that was asked in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its address.
    pub node: String,
    /// What came of it.
    pub cause: String,
}

impl Error {
    /// Whether the same request may succeed later although nobody corrects anything: a file that
    /// is not there may come, a document that cannot be read stays as it is until it is edited.
    pub fn is_transient(&self) -> bool {
        match self {
            Error::File { .. } | Error::Unreachable { .. } => true,
            Error::Document { .. }
            | Error::Filter(_)
            | Error::Tls { .. }
            | Error::Token
            | Error::Refused { .. } => false,
        }
    }

    /// Whether the source answered, and would not give what was asked for. It may well give
    /// something else: of several scopes one may be forbidden and the others not.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Error::Refused { .. })
    }

    pub(crate) fn file(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        Error::File { operation, path: path.to_owned(), cause }
    }

    pub(crate) fn tls(path: &Path, reason: impl ToString) -> Self {
        Error::Tls { path: path.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn refused(backend: &'static str, node: &str, reason: &str) -> Self {
        Error::Refused { backend, node: node.to_owned(), reason: advised(reason) }
    }
}

/// What people see for nodes that did not answer.
fn list(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "no node is given".to_owned();
    }
    let attempts =
        attempts.iter().map(|attempt| format!("{}: {}", attempt.node, advised(&attempt.cause)));
    attempts.collect::<Vec<_>>().join("; ")
}

/// What a store or a library says, with what to do about it where it is known to people only
/// by experience.
fn advised(reason: &str) -> String {
    let advice = [
        ("user name is empty", "it wants a user name and password, and basic authentication on"),
        ("UnknownIssuer", "the CA that signed the server's certificate is not among those trusted"),
        ("BadSignature", "another CA of the same name signed the server's certificate"),
        ("not valid for name", "the server's certificate is for another name than its address"),
        ("UnknownCa", "it does not trust the CA that signed the client certificate"),
        ("connection refused", "nothing listens there"),
        ("InvalidContentType", "it does not speak TLS"),
        ("HTTP request to an HTTPS server", "give it as https://HOST:PORT"),
        ("ACL not found", "the token is not, or no longer, known to it"),
    ];
    let known = |words: &str| reason.to_lowercase().contains(&words.to_lowercase());
    match advice.into_iter().find(|(words, _)| known(words)) {
        Some((_, advice)) => format!("{reason} ({advice})"),
        None => reason.to_owned(),
    }
}

/// What somebody says, and what caused it: the useful words are often only in the cause's cause.
pub(crate) fn causes(message: &str, source: Option<&(dyn std::error::Error + 'static)>) -> String {
    /// They say only that something below them failed.
    const EMPTY: [&str; 3] = ["transport error", "client error (", "tcp connect error"];
    let mut parts = Vec::new();
    if !message.is_empty() {
        parts.push(errno_text_in(message));
    }
    let mut next = source;
    while let Some(cause) = next {
        let text = errno_text_in(&cause.to_string());
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            // A cause that repeats what it caused stands for both.
            parts.retain(|part| !text.contains(part.as_str()));
            parts.push(text);
        }
        next = cause.source();
    }
    if parts.len() > 1 {
        parts.retain(|part| !EMPTY.iter().any(|words| part.starts_with(words)));
    }
    parts.join(": ")
}

/// The cause of a failure over TLS, with what is likely behind it. In TLS 1.3 a server refuses a
/// client's certificate after the client takes the connection for made, and how that looks is a
/// matter of chance.
pub(crate) fn hung_up(cause: String) -> String {
    let hung_up = ["connection closed", "broken pipe", "connection reset", "alert", "eof"];
    match hung_up.iter().any(|words| cause.contains(words)) {
        true => format!("{cause} (perhaps it wants another client certificate, or no TLS)"),
        false => cause,
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
