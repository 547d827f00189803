//! Why a request failed.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use report::{FileError, errno_text_in};

/// Why a client got no answer from its store.
///
/// The text contains the causes, so [`source`](std::error::Error::source) is empty. No text
/// contains a value.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file that the client needs cannot be read: `open /etc/ca.pem: no such file or directory`.
    #[error(transparent)]
    File(#[from] FileError),

    /// A certificate or key cannot be used: `/etc/ca.pem: no certificate in PEM is in it`.
    #[error("{}: {reason}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A variable of the environment does not name a proxy. Its value may contain a password.
    #[error(
        "{variable} is not the address of a proxy, such as http://HOST:PORT or socks5://HOST:PORT"
    )]
    Proxy {
        /// The name of the variable.
        variable: &'static str,
    },

    /// The token contains bytes that are not allowed in an HTTP header.
    #[error("the token holds bytes that no HTTP header may hold")]
    Token,

    /// The client lacks what it needs before it can ask: `ssm: no region is known: …`.
    #[error("{store}: {reason}")]
    Prerequisite {
        /// The kind of store.
        store: &'static str,
        /// What is missing and where it was looked for, such as credentials.
        reason: Cause,
    },

    /// No node answered: `cannot reach etcd: http://127.0.0.1:2379: connection refused`.
    #[error("cannot reach {store}: {}", list(attempts))]
    Unreachable {
        /// The kind of store.
        store: &'static str,
        /// Each node that was asked, with the reason why it did not answer.
        attempts: Vec<Attempt>,
    },

    /// A node answered with a refusal.
    #[error("{store} at {node} refused: {reason}")]
    Refused {
        /// The kind of store.
        store: &'static str,
        /// The node.
        node: String,
        /// The node's explanation, with advice where a remedy is known.
        reason: Cause,
    },
}

impl Error {
    /// An error about a file that cannot be read.
    pub fn file(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        FileError::new(operation, path, cause).into()
    }

    /// An error about a certificate or key that cannot be used.
    pub fn tls(path: &Path, reason: impl ToString) -> Self {
        Error::Tls { path: path.to_owned(), reason: reason.to_string() }
    }

    /// Whether the same request may succeed later, without a change of configuration.
    pub fn is_transient(&self) -> bool {
        matches!(self, Error::File(_) | Error::Unreachable { .. } | Error::Prerequisite { .. })
    }

    /// Whether a node refused. It may still grant other requests: access may be denied to one key
    /// and not to others.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Error::Refused { .. })
    }

    /// Whether a node answered that it does not have what was asked for.
    pub fn is_missing(&self) -> bool {
        matches!(self, Error::Refused { reason, .. } if reason.kind == CauseKind::Missing)
    }

    /// Whether a node refused because of too many connections from this machine.
    pub fn is_too_many_connections(&self) -> bool {
        let Error::Unreachable { attempts, .. } = self else { return false };
        attempts.iter().any(|attempt| attempt.cause.kind == CauseKind::TooManyConnections)
    }
}

/// A node that was asked and did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The address of the node.
    pub node: String,
    /// The reason.
    pub cause: Cause,
}

/// Why one node did not answer, or refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    kind: CauseKind,
    text: String,
    advice: Option<&'static str>,
    /// Whether the node closed the connection.
    is_closed: bool,
    /// What the user has not given, so that the node has the default address; `None` if the user has
    /// chosen it.
    not_given: Option<&'static str>,
}

/// What a cause means for the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CauseKind {
    /// No special meaning.
    Other,
    /// The node takes no more connections or requests from this machine.
    TooManyConnections,
    /// The node does not accept the credentials.
    Credentials,
    /// The body of the node's answer is larger than its bound.
    TooLarge,
    /// The body of the node's answer arrives more slowly than its bound.
    TooSlow,
    /// The node does not have what is asked for.
    Missing,
}

impl Cause {
    /// A cause with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Cause {
            kind: CauseKind::Other,
            text: text.into(),
            advice: None,
            is_closed: false,
            not_given: None,
        }
    }

    /// A cause with `message` and the texts of all errors below it: often only the innermost error
    /// is useful.
    pub fn chain(message: &str, source: Option<&(dyn std::error::Error + 'static)>) -> Self {
        Cause::new(chain(message, source))
    }

    /// The same cause, of another kind.
    #[must_use]
    pub fn of_kind(mut self, kind: CauseKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same cause with advice, if there is some.
    #[must_use]
    pub fn advised(mut self, advice: Option<&'static str>) -> Self {
        self.advice = self.advice.or(advice);
        self
    }

    /// The same cause; `is_closed` says whether the node closed the connection.
    #[must_use]
    pub fn closed(mut self, is_closed: bool) -> Self {
        self.is_closed = is_closed;
        self
    }

    /// The same cause, of a node that has the default address because the user has not given
    /// `not_given`, such as `-node`; `None` if the user has chosen the node.
    #[must_use]
    pub fn at_default(mut self, not_given: Option<&'static str>) -> Self {
        self.not_given = not_given;
        self
    }

    /// The same cause, with advice if the node closed the connection.
    #[must_use]
    pub fn advised_if_closed(self, advice: &'static str) -> Self {
        let advice = self.is_closed.then_some(advice);
        self.advised(advice)
    }

    /// The kind of the cause.
    pub fn kind(&self) -> CauseKind {
        self.kind
    }

    /// Whether the text is empty.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = self.not_given.map(|not_given| {
            format!("this is the default address, because no {not_given} is given")
        });
        let advice = self.advice.map(str::to_owned);
        match advice.into_iter().chain(default).reduce(|one, next| format!("{one}; {next}")) {
            Some(advice) => write!(f, "{} ({advice})", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// The text for nodes that did not answer.
fn list(attempts: &[Attempt]) -> String {
    if attempts.is_empty() {
        return "no node is given".to_owned();
    }
    let attempts = attempts.iter().map(|attempt| format!("{}: {}", attempt.node, attempt.cause));
    attempts.collect::<Vec<_>>().join("; ")
}

fn chain(message: &str, source: Option<&(dyn std::error::Error + 'static)>) -> String {
    /// Texts that say only that an inner error happened.
    const EMPTY: [&str; 5] = [
        "transport error",
        "client error (",
        "tcp connect error",
        "dns error",
        "error resolving DNS",
    ];
    let mut parts = Vec::new();
    if !message.is_empty() {
        parts.push(errno_text_in(message));
    }
    let mut next = source;
    while let Some(cause) = next {
        let text = errno_text_in(&cause.to_string());
        if !text.is_empty() && !parts.iter().any(|part| part.contains(&text)) {
            // A text that contains the text of its own cause stands for both.
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
