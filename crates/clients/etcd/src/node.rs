//! Where a node is, and whether TLS is spoken to it.

use std::fmt;

use nodes::address;

/// The port of a node that names none.
const PORT: u16 = 2379;

/// The address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// A name or an address, that of IPv6 without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Node {
    /// Reads `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`; `tls` is for the first.
    /// `None` if it is none of them. A comma does not separate: each node is given by itself.
    pub(crate) fn parse(text: &str, tls: bool) -> Option<Self> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return None,
            None => (tls, text),
        };
        // What stands behind a slash has no meaning for etcd's protocol.
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = address::parse(authority, PORT)?;
        Some(Node { host, port, tls })
    }

    /// The host and port, as they stand in a URL.
    pub(crate) fn authority(&self) -> String {
        address::authority(&self.host, self.port)
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_says_by_its_scheme_whether_tls_is_spoken() {
        for (text, tls, shown) in [
            ("127.0.0.1:2379", false, "http://127.0.0.1:2379"),
            ("127.0.0.1:2379", true, "https://127.0.0.1:2379"),
            ("http://etcd-1.example:4001", true, "http://etcd-1.example:4001"),
            ("https://etcd-1.example:4001/", false, "https://etcd-1.example:4001"),
            ("etcd", false, "http://etcd:2379"),
            ("[::1]:1", false, "http://[::1]:1"),
            ("[::1]", false, "http://[::1]:2379"),
            ("::1", false, "http://[::1]:2379"),
        ] {
            assert_eq!(Node::parse(text, tls).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        for text in
            ["", "a:1,b:2", "unix:///run/etcd", "a:port", "a:99999", "[::1", "u:p@a:1", ":1"]
        {
            assert_eq!(Node::parse(text, false), None, "{text}");
        }
    }
}
