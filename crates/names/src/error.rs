//! Why a lookup failed, in Go's words.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use report::errno_text;

/// A lookup that failed.
///
/// Its text is Go's: `lookup NAME on SERVER: no such host`. The error has no source: a refused
/// connection to a name server is no refused connection to the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    name: String,
    server: Option<SocketAddr>,
    reason: Reason,
}

/// Why one name server has no answer, or why none was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The name does not exist, or has no records of this kind.
    NoSuchHost,
    /// The text is not a domain name, so that no server was asked.
    NotADomainName,
    /// No answer came in time.
    Timeout,
    /// The name server answered with an error, or without an answer and without knowing who has it.
    Misbehaving,
    /// The name server cannot be reached, or a thread or a socket cannot be made.
    System(String),
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Reason::System(errno_text(&error))
    }
}

impl Error {
    /// The lookup of `name` failed without a name server.
    pub(crate) fn new(name: &str, reason: Reason) -> Self {
        Error { name: name.to_owned(), server: None, reason }
    }

    /// The lookup of `name` failed, at the name server `server` if one was asked.
    pub(crate) fn at(name: &str, server: Option<SocketAddr>, reason: Reason) -> Self {
        Error { name: name.to_owned(), server, reason }
    }

    /// Whether the name does not exist. Otherwise the same lookup may succeed later.
    pub fn is_no_such_host(&self) -> bool {
        matches!(self.reason, Reason::NoSuchHost | Reason::NotADomainName)
    }

    /// The reason without the name, for callers that show the name in another way: `no such host`,
    /// or `SERVER: i/o timeout`.
    pub fn reason(&self) -> String {
        match self.server {
            Some(server) if !self.is_no_such_host() => format!("{server}: {}", self.reason),
            _ => self.reason.to_string(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NoSuchHost => "no such host",
            Reason::NotADomainName => "no such host (not a domain name)",
            Reason::Timeout => "i/o timeout",
            Reason::Misbehaving => "server misbehaving",
            Reason::System(text) => text,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lookup {}", self.name)?;
        if let Some(server) = self.server {
            write!(f, " on {server}")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.reason {
            Reason::NoSuchHost | Reason::NotADomainName => io::ErrorKind::NotFound,
            Reason::Timeout => io::ErrorKind::TimedOut,
            Reason::Misbehaving | Reason::System(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}
