//! The address of an engine, as `DOCKER_HOST` has it.

use std::fmt;
use std::path::PathBuf;

use nodes::address;

/// The address that registrator has always used when `DOCKER_HOST` is not set.
pub const DEFAULT: &str = "unix:///tmp/docker.sock";

/// The port of an address without one.
const PORT: u16 = 2375;

/// The address of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket on this machine.
    Unix(PathBuf),
    /// A network address.
    Tcp {
        /// A name or an IP address; IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

/// A text that is no address of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable(String);

impl Address {
    /// Parses `unix:///PATH`, `tcp://HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT`,
    /// `HOST:PORT` or a path. The default port is 2375.
    ///
    /// # Errors
    /// The text has another form.
    pub fn parse(text: &str) -> Result<Address, Unusable> {
        let (scheme, rest) = text.split_once("://").unwrap_or(match text.starts_with('/') {
            true => ("unix", text),
            false => ("tcp", text),
        });
        let parsed = match scheme {
            "unix" => rest.starts_with('/').then(|| Address::Unix(rest.into())),
            "tcp" | "http" | "https" => {
                let authority = rest.split('/').next().unwrap_or_default();
                address::parse(authority, PORT).map(|(host, port)| Address::Tcp { host, port })
            }
            _ => None,
        };
        parsed.ok_or_else(|| Unusable(address::shown(text)))
    }

    /// The part of a URL before the path.
    pub(crate) fn base(&self, tls: bool) -> String {
        match self {
            // HTTP needs a host name, and any name will do for a socket.
            Address::Unix(_) => "http://localhost".to_owned(),
            Address::Tcp { host, port } => {
                let scheme = if tls { "https" } else { "http" };
                format!("{scheme}://{}", address::authority(host, *port))
            }
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
            Address::Tcp { host, port } => {
                write!(f, "tcp://{}", address::authority(host, *port))
            }
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FORMS: &str = "is not an address of the form unix:///PATH or tcp://HOST:PORT";
        write!(f, "{} {FORMS}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_socket_or_a_host_with_a_port() {
        for (text, shown) in [
            ("unix:///var/run/docker.sock", "unix:///var/run/docker.sock"),
            ("/run/podman/podman.sock", "unix:///run/podman/podman.sock"),
            ("tcp://10.0.0.1:2376", "tcp://10.0.0.1:2376"),
            ("tcp://engine", "tcp://engine:2375"),
            ("https://engine:1/", "tcp://engine:1"),
            ("[::1]:5", "tcp://[::1]:5"),
            ("nonsense", "tcp://nonsense:2375"),
        ] {
            assert_eq!(Address::parse(text).unwrap().to_string(), shown);
        }
        for text in ["unix://docker.sock", "ssh://engine", "tcp://", "npipe:////./pipe/x"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_network_address_has_tls() {
        let base = |text: &str, tls| Address::parse(text).unwrap().base(tls);
        assert_eq!(base("tcp://engine", true), "https://engine:2375");
        assert_eq!(base("tcp://engine", false), "http://engine:2375");
        assert_eq!(base("/s", true), "http://localhost");
    }
}
