//! The address of a node that speaks HTTP.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use nodes::address;

/// The address of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A network address.
    Tcp {
        /// `http` or `https`.
        scheme: &'static str,
        /// A name or an IP address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// What stands before the paths of the API, such as `/consul`; mostly nothing.
        prefix: String,
    },
    /// A socket on this machine.
    Unix(PathBuf),
}

impl Node {
    /// Parses `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT` or `unix:///PATH`; `tls` decides
    /// whether the first form uses TLS. As in the stores' own clients, the default ports are 80 and
    /// 443, and a path is put before those of the API. Returns `None` for any other text, and for
    /// several addresses separated by commas.
    pub fn parse(text: &str, tls: bool) -> Option<Self> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) => ("https", rest),
            Some(("unix", path)) => {
                return path.starts_with('/').then(|| Node::Unix(path.into()));
            }
            Some(_) => return None,
            None => (if tls { "https" } else { "http" }, text),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (host, port) = address::parse(authority, if scheme == "https" { 443 } else { 80 })?;
        let path = path.trim_matches('/');
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/%".contains(c);
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        path.chars().all(allowed).then_some(Node::Tcp { scheme, host, port, prefix })
    }

    /// The part of a URL before the path of the API.
    pub fn base(&self) -> String {
        match self {
            Node::Tcp { scheme, host, port, prefix } => {
                format!("{scheme}://{}{prefix}", address::authority(host, *port))
            }
            // HTTP needs a host name, and any name will do for a socket.
            Node::Unix(_) => "http://localhost".to_owned(),
        }
    }

    /// Whether the node is connected to by TLS.
    pub fn tls(&self) -> bool {
        matches!(self, Node::Tcp { scheme: "https", .. })
    }

    /// Whether the node is on this machine, as far as the address shows it.
    pub fn is_here(&self) -> bool {
        match self {
            Node::Tcp { host, .. } => {
                host == "localhost"
                    || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
            }
            Node::Unix(_) => true,
        }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Node::Tcp { .. } => f.write_str(&self.base()),
            Node::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_an_address_wins_over_the_one_asked_for() {
        for (text, tls, shown) in [
            ("127.0.0.1:8500", false, "http://127.0.0.1:8500"),
            ("127.0.0.1:8501", true, "https://127.0.0.1:8501"),
            ("http://consul-1.example:80/", true, "http://consul-1.example:80"),
            ("https://consul-1.example", false, "https://consul-1.example:443"),
            ("10.1.1.5", false, "http://10.1.1.5:80"),
            ("10.1.1.5", true, "https://10.1.1.5:443"),
            ("https://gateway.example/consul/", false, "https://gateway.example:443/consul"),
            ("gateway.example:80/a/b", false, "http://gateway.example:80/a/b"),
            ("[::1]:1", false, "http://[::1]:1"),
            ("unix:///run/consul.sock", true, "unix:///run/consul.sock"),
        ] {
            assert_eq!(Node::parse(text, tls).unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn other_texts_are_not_addresses() {
        for text in
            ["", "a:1,b:2", "unix://run/consul", "ftp://a:1", "a:1/?x", "a:1/a b", "u:p@a:1"]
        {
            assert_eq!(Node::parse(text, false), None, "{text}");
        }
    }

    #[test]
    fn loopback_and_sockets_are_on_this_machine() {
        for (text, here) in [
            ("127.0.0.9:1", true),
            ("localhost", true),
            ("[::1]:1", true),
            ("unix:///run/consul.sock", true),
            ("10.0.0.1:1", false),
            ("consul", false),
        ] {
            assert_eq!(Node::parse(text, false).unwrap().is_here(), here, "{text}");
        }
    }
}
