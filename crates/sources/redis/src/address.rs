//! The address of a node, as users write it.

use std::fmt;
use std::path::{Path, PathBuf};

use nodes::address::{authority, parse};
use percent_encoding::percent_decode_str;

/// The forms of an address, for people.
pub(crate) const FORMS: &str = "not an address of the form HOST:PORT, HOST:PORT/DATABASE, \
    redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss://… for TLS, or the path of a socket";

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Who logs in to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    /// The user; `None` for the one that needs no name.
    pub(crate) user: Option<String>,
    pub(crate) password: Secret,
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A host, and a port of it.
    Host(String, u16),
    /// The path of a socket.
    Socket(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Host(host, port) => f.write_str(&authority(host, *port)),
            Place::Socket(path) => path.display().fmt(f),
        }
    }
}

/// What an address says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) place: Place,
    /// Whether the address asks for TLS.
    pub(crate) tls: bool,
    /// Who logs in, if the address says it.
    pub(crate) login: Option<Login>,
    /// The database; `None` if the address says nothing of it.
    pub(crate) database: Option<u32>,
}

impl Node {
    /// Parses an address. `port` is the port of an address without one.
    pub(crate) fn parse(text: &str, port: u16) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            None => ("", text),
            Some((scheme, rest)) => (scheme, rest),
        };
        match scheme {
            "" if is_socket(text) => Some(Node::at(Place::Socket(text.into()))),
            "unix" | "redis+unix" | "redis-socket" => Self::socket(rest),
            // As in Go confd, a path that is no number means nothing.
            "" => Self::host(rest, port).map(|(node, _)| node),
            "redis" | "rediss" => {
                let (node, path) = Self::host(rest, port)?;
                let is_understood = path.is_empty() || node.database.is_some();
                is_understood.then_some(Node { tls: scheme == "rediss", ..node })
            }
            _ => None,
        }
    }

    fn at(place: Place) -> Self {
        Node { place, tls: false, login: None, database: None }
    }

    /// `USER:PASSWORD@HOST:PORT/DATABASE`. Returns the path too.
    fn host(text: &str, port: u16) -> Option<(Self, &str)> {
        let (login, rest) = login(text)?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = parse(host, port)?;
        let node = Node::at(Place::Host(host, port));
        Some((Node { login, database: path.parse().ok(), ..node }, path))
    }

    /// `USER:PASSWORD@/PATH?db=DATABASE`.
    fn socket(text: &str) -> Option<Self> {
        let (login, rest) = login(text)?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let database = query.split('&').find_map(|part| part.strip_prefix("db=")?.parse().ok());
        let node = Node::at(Place::Socket(decoded(path)?.into()));
        (!path.is_empty()).then_some(Node { login, database, ..node })
    }
}

/// The login before the last `@`, and what follows it. An empty user is none.
fn login(text: &str) -> Option<(Option<Login>, &str)> {
    let Some((login, rest)) = text.rsplit_once('@') else { return Some((None, text)) };
    let (user, password) = login.split_once(':').unwrap_or(("", login));
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    Some((Some(Login { user, password: Secret(decoded(password)?) }), rest))
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(|text| text.into_owned())
}

/// Whether the text is the path of a socket. As in Go confd, any path counts that exists.
fn is_socket(text: &str) -> bool {
    text.starts_with('/') || Path::new(text).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> String {
        let Some(node) = Node::parse(text, 6379) else { return "none".to_owned() };
        let login = node.login.map(|Login { user, password: Secret(password) }| {
            format!(" {}:{password}", user.unwrap_or_default())
        });
        let database = node.database.map(|database| format!(" {database}"));
        let tls = if node.tls { " tls" } else { "" };
        [
            node.place.to_string(),
            login.unwrap_or_default(),
            database.unwrap_or_default(),
            tls.into(),
        ]
        .concat()
    }

    #[test]
    fn all_forms_of_addresses_are_understood() {
        for (text, expected) in [
            ("localhost", "localhost:6379"),
            ("10.0.0.1:7000", "10.0.0.1:7000"),
            ("10.0.0.1:7000/3", "10.0.0.1:7000 3"),
            ("10.0.0.1:7000/", "10.0.0.1:7000"),
            ("10.0.0.1:7000/x", "10.0.0.1:7000"),
            ("[::1]:7000/3", "[::1]:7000 3"),
            ("redis://host", "host:6379"),
            ("redis://:p%40ss@host:1/2", "host:1 :p@ss 2"),
            ("rediss://joe:se:cr@et@host", "host:6379 joe:se:cr@et tls"),
            ("redis://secret@host", "host:6379 :secret"),
            ("/run/redis.sock", "/run/redis.sock"),
            ("unix:///run/redis.sock", "/run/redis.sock"),
            ("unix://joe:secret@/run/redis.sock?db=2", "/run/redis.sock joe:secret 2"),
            ("redis://host/", "host:6379"),
            ("redis://host/x", "none"),
            ("redis://host/1?timeout=3", "none"),
            ("http://host:1", "none"),
            ("a:1,b:1", "none"),
            ("", "none"),
            ("unix://", "none"),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn debug_output_shows_no_password() {
        let node = Node::parse("redis://joe:hunter2@host", 1).unwrap();
        assert!(!format!("{node:?}").contains("hunter2"));
    }
}
