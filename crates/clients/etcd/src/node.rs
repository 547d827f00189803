//! The address of a node, and whether it uses TLS.

use std::fmt;

use nodes::address;

/// The default port.
const PORT: u16 = 2379;

/// The address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node {
    /// A name or an IP address; IPv6 without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
}

impl Node {
    /// Parses `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`; `tls` decides whether the
    /// first form uses TLS. Returns `None` for any other text, and for several addresses separated
    /// by commas.
    pub(crate) fn parse(text: &str, tls: bool) -> Option<Self> {
        let (tls, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            Some(_) => return None,
            None => (tls, text),
        };
        // etcd's protocol has no use for a path.
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = address::parse(authority, PORT)?;
        Some(Node { host, port, tls })
    }

    /// The host and port, as in a URL.
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
    fn the_scheme_of_an_address_decides_about_tls() {
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
    fn other_texts_are_not_addresses() {
        for text in
            ["", "a:1,b:2", "unix:///run/etcd", "a:port", "a:99999", "[::1", "u:p@a:1", ":1"]
        {
            assert_eq!(Node::parse(text, false), None, "{text}");
        }
    }
}
