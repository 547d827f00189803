//! Where a server listens, as users write it.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A port of all addresses of the machine, IPv4 and IPv6: `:9100`.
    Port(u16),
    /// A port of one address: `127.0.0.1:9100`, `[::1]:9100`.
    Tcp(SocketAddr),
    /// A Unix socket: `unix:/run/confd/metrics.sock`, or its absolute path.
    Unix(PathBuf),
}

/// A text that is no address, and what would be one.
#[derive(Debug, PartialEq, Eq)]
pub struct BadAddress(String);

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is no address to listen at: write :9100 (all addresses of this machine), \
             127.0.0.1:9100, [::1]:9100 or unix:/path/of/a/socket",
            self.0
        )
    }
}

impl std::error::Error for BadAddress {}

impl Address {
    /// Reads what a user wrote. Names of hosts are not looked up, except for `localhost`, which is
    /// `127.0.0.1`.
    ///
    /// # Errors
    /// The text is no address.
    pub fn read(text: &str) -> Result<Self, BadAddress> {
        let bad = || BadAddress(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path.starts_with('/') {
                true => Ok(Address::Unix(path.into())),
                false => Err(bad()),
            };
        }
        if text.starts_with('/') {
            return Ok(Address::Unix(text.into()));
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port = port.parse().map_err(|_| bad())?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(host) => IpAddr::V6(host.parse().map_err(|_| bad())?),
            None if host.is_empty() || host == "*" => return Ok(Address::Port(port)),
            None if host == "localhost" => Ipv4Addr::LOCALHOST.into(),
            None => IpAddr::V4(host.parse().map_err(|_| bad())?),
        };
        Ok(Address::Tcp(SocketAddr::new(host, port)))
    }
}

/// As users write it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Port(port) => write!(f, ":{port}"),
            Address::Tcp(address) => address.fmt(f),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_an_address_is_read_and_written() {
        for (text, written) in [
            (":9100", ":9100"),
            ("*:9100", ":9100"),
            ("127.0.0.1:9100", "127.0.0.1:9100"),
            ("localhost:9100", "127.0.0.1:9100"),
            ("[::1]:9100", "[::1]:9100"),
            ("unix:/run/a", "unix:/run/a"),
            ("unix:///run/a", "unix:/run/a"),
            ("/run/a", "unix:/run/a"),
        ] {
            assert_eq!(Address::read(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn a_text_that_is_no_address_is_refused_with_the_forms_of_addresses() {
        for text in ["9100", "example.org:9100", ":", ":x", ":65536", "::1:80", "unix:a", "a", ""] {
            let error = Address::read(text).unwrap_err().to_string();
            assert!(error.contains("unix:/path"), "{error}");
        }
    }
}
