//! Why a request came to nothing.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use report::{errno_text, errno_text_in};

/// Why a client got no answer from its store.
///
/// The text is complete, so that [`source`](std::error::Error::source) has nothing left to add. No
/// text holds a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that the client needs cannot be read: `open /etc/ca.pem: no such file or directory`.
    #[error("{operation} {}: {}", path.display(), errno_text(cause))]
    File {
        /// The system call, as confd names it: `open` or `read`.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },

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
    #[error("cannot reach {store}: {}", list(attempts))]
    Unreachable {
        /// The kind of store.
        store: &'static str,
        /// Each node that was asked, and what came of it.
        attempts: Vec<Attempt>,
    },

    /// A node answered, and the answer is no.
    #[error("{store} at {node} refused: {reason}")]
    Refused {
        /// The kind of store.
        store: &'static str,
        /// The node that said so.
        node: String,
        /// In its words, with what can be done about it where that is known.
        reason: Cause,
    },
}

impl Error {
    /// A file that cannot be read.
    pub fn file(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        Error::File { operation, path: path.to_owned(), cause }
    }

    /// A certificate or key that cannot be used.
    pub fn tls(path: &Path, reason: impl ToString) -> Self {
        Error::Tls { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Whether the same request may succeed later although nobody corrects anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::File { .. } | Error::Unreachable { .. })
    }

    /// Whether the store answered, and would not do what was asked for. It may well do something
    /// else: of several keys one may be forbidden and the others not.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Error::Refused { .. })
    }

    /// Whether a node would have answered if this machine had fewer connections to it.
    pub fn is_too_many_connections(&self) -> bool {
        let Error::Unreachable { attempts, .. } = self else { return false };
        attempts.iter().any(|attempt| attempt.cause.kind == CauseKind::TooManyConnections)
    }
}

/// A node that was asked in vain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its address.
    pub node: String,
    /// What came of it.
    pub cause: Cause,
}

/// Why one node gave no answer, or said no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    kind: CauseKind,
    text: String,
    advice: Option<&'static str>,
    /// What to do about it if the connection had TLS.
    tls_advice: Option<&'static str>,
}

/// What a cause means for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CauseKind {
    /// Nothing special.
    Other,
    /// The node takes no more connections or requests from this machine.
    TooManyConnections,
    /// The node does not accept who asks.
    Credentials,
}

impl Cause {
    /// A cause in these words.
    pub fn new(text: impl Into<String>) -> Self {
        Cause { kind: CauseKind::Other, text: text.into(), advice: None, tls_advice: None }
    }

    /// The words of `message` and of the errors below it: the useful words are often only in the
    /// cause of a cause.
    pub fn chain(message: &str, source: Option<&(dyn std::error::Error + 'static)>) -> Self {
        Cause::new(chain(message, source))
    }

    /// The same cause, with this meaning for the next request.
    #[must_use]
    pub fn of_kind(mut self, kind: CauseKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same cause, with what to do about it, if that is known.
    #[must_use]
    pub fn advised(mut self, advice: Option<&'static str>) -> Self {
        self.advice = self.advice.or(advice);
        self
    }

    /// The same cause, with what to do about it if the connection had TLS.
    #[must_use]
    pub fn advised_over_tls(mut self, advice: Option<&'static str>) -> Self {
        self.tls_advice = advice;
        self
    }

    /// The same cause, of a connection with TLS.
    #[must_use]
    pub fn over_tls(mut self) -> Self {
        self.advice = self.advice.or(self.tls_advice);
        self
    }

    /// What the cause means for the next request.
    pub fn kind(&self) -> CauseKind {
        self.kind
    }

    /// Whether there are no words.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.advice {
            Some(advice) => write!(f, "{} ({advice})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// What people see for nodes that did not answer.
fn list(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "no node is given".to_owned();
    }
    let attempts = attempts.iter().map(|attempt| format!("{}: {}", attempt.node, attempt.cause));
    attempts.collect::<Vec<_>>().join("; ")
}

fn chain(message: &str, source: Option<&(dyn std::error::Error + 'static)>) -> String {
    /// These words say only that something below them failed.
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
