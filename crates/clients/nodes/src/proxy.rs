//! The proxies that the environment names, by the rules of Go's `net/http`.
//!
//! `HTTP_PROXY` is for addresses with `http`, `HTTPS_PROXY` for those with `https`, and `NO_PROXY`
//! lists exceptions. The same names in lower case count where a name in upper case is not set. The
//! loopback interface needs no proxy. No other variable counts.

use std::fmt;
use std::net::IpAddr;

use options::{Given, Variable};
use percent_encoding::percent_decode_str;

use crate::{Error, address};

const HTTP: [Variable; 2] = [Variable("HTTP_PROXY"), Variable("http_proxy")];
const HTTPS: [Variable; 2] = [Variable("HTTPS_PROXY"), Variable("https_proxy")];
const NONE: [Variable; 2] = [Variable("NO_PROXY"), Variable("no_proxy")];

/// The variables that are read.
pub const VARIABLES: &[Variable] = &[HTTP[0], HTTP[1], HTTPS[0], HTTPS[1], NONE[0], NONE[1]];

/// The proxies of a machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<Named>,
    https: Option<Named>,
    exceptions: Vec<Exception>,
}

/// The value of a variable. It is judged only when a proxy is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    variable: &'static str,
    /// `None` if the value is not the address of a proxy.
    proxy: Option<Proxy>,
}

/// A proxy.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// The protocol that the proxy speaks.
    pub protocol: Protocol,
    /// The host and port, as in a URL.
    pub authority: String,
    /// User name and password for the proxy.
    pub user: Option<(String, String)>,
}

/// The protocol between a client and a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP.
    Http,
    /// HTTP over TLS.
    Https,
    /// SOCKS 5. The proxy looks up the names of hosts.
    Socks5,
}

impl fmt::Debug for Proxy {
    /// Shows everything but user name and password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("protocol", &self.protocol)
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

/// Hosts that need no proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    /// The addresses of a network that have the first bits of this one.
    Network(IpAddr, u8),
    Address(IpAddr, Option<u16>),
    /// The names that end with `suffix`, which begins with a dot.
    Names {
        suffix: String,
        /// Whether the suffix without its dot counts too.
        itself: bool,
        port: Option<u16>,
    },
}

impl Proxies {
    /// Reads the variables.
    pub fn of(given: &Given) -> Self {
        let named = |variables: [Variable; 2]| {
            let (variable, text) = value(given, variables)?;
            Some(Named { variable, proxy: Proxy::parse(text) })
        };
        let exceptions = value(given, NONE).map_or("", |(_, text)| text);
        Proxies {
            http: named(HTTP),
            https: named(HTTPS),
            exceptions: exceptions.split(',').filter_map(Exception::parse).collect(),
        }
    }

    /// The proxy for a node, or `None` if it is reached directly. `over_https` chooses the
    /// variable.
    ///
    /// # Errors
    ///
    /// The variable contains something that is not the address of a proxy.
    pub fn of_node(
        &self,
        over_https: bool,
        host: &str,
        port: u16,
    ) -> Result<Option<&Proxy>, Error> {
        let Some(named) = (if over_https { &self.https } else { &self.http }) else {
            return Ok(None);
        };
        let host = host.to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok();
        let is_here = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        if is_here || self.exceptions.iter().any(|one| one.has(&host, address, port)) {
            return Ok(None);
        }
        match &named.proxy {
            Some(proxy) => Ok(Some(proxy)),
            None => Err(Error::Proxy { variable: named.variable }),
        }
    }
}

/// The first variable that has a value, with its value.
fn value(given: &Given, variables: [Variable; 2]) -> Option<(&'static str, &str)> {
    variables.into_iter().find_map(|variable| Some((variable.0, given.variable(variable)?)))
}

impl Proxy {
    /// Parses `SCHEME://USER:PASSWORD@HOST:PORT`; without a scheme, the proxy speaks HTTP.
    fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (protocol, port) = match scheme {
            "http" => (Protocol::Http, 80),
            "https" => (Protocol::Https, 443),
            "socks5" | "socks5h" => (Protocol::Socks5, 1080),
            _ => return None,
        };
        let rest = rest.split('/').next().unwrap_or_default();
        let (user, place) = match rest.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, rest),
        };
        let plain = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let user = user.map(|user| {
            let (name, password) = user.split_once(':').unwrap_or((user, ""));
            (plain(name), plain(password))
        });
        let (host, port) = address::parse(place, port)?;
        Some(Proxy { protocol, authority: address::authority(&host, port), user })
    }
}

impl Exception {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if text == "*" {
            return Some(Exception::All);
        }
        if let Some((address, bits)) = text.split_once('/') {
            let (address, bits): (IpAddr, u8) = (address.parse().ok()?, bits.parse().ok()?);
            let all = if address.is_ipv4() { 32 } else { 128 };
            return (bits <= all).then_some(Exception::Network(address, bits));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if text.starts_with('[') || !host.contains(':') => {
                (host, port.parse().ok())
            }
            _ => (&*text, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = host.parse() {
            return Some(Exception::Address(address, port));
        }
        let host = if host.starts_with("*.") { &host[1..] } else { host };
        let name = host.strip_prefix('.').unwrap_or(host);
        let itself = name.len() == host.len();
        (!name.is_empty()).then(|| Exception::Names { suffix: format!(".{name}"), itself, port })
    }

    fn has(&self, host: &str, address: Option<IpAddr>, port: u16) -> bool {
        match (self, address) {
            (Exception::All, _) => true,
            (Exception::Network(network, bits), Some(address)) => {
                is_in_network(address, *network, *bits)
            }
            (Exception::Address(one, of_port), Some(address)) => {
                *one == address && of_port.is_none_or(|of_port| of_port == port)
            }
            (Exception::Names { suffix, itself, port: of_port }, _) => {
                (host.ends_with(suffix) || *itself && host == &suffix[1..])
                    && of_port.is_none_or(|of_port| of_port == port)
            }
            _ => false,
        }
    }
}

/// Whether the first `bits` of both addresses are equal.
fn is_in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let rest = |length: u32| length.saturating_sub(bits.into());
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.checked_shr(rest(32)).unwrap_or(0) == 0
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.checked_shr(rest(128)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        let value = |name: &str| {
            let (_, value) = variables.iter().find(|(of, _)| *of == name)?;
            Some(value.into())
        };
        Proxies::of(&Given::default().with_variables(VARIABLES, value))
    }

    /// The proxy for a node, or `-`.
    fn used(proxies: &Proxies, over_https: bool, host: &str, port: u16) -> String {
        let proxy = proxies.of_node(over_https, host, port).unwrap();
        proxy.map_or("-".to_owned(), |proxy| proxy.authority.clone())
    }

    #[test]
    fn each_scheme_has_its_variable_and_upper_case_wins() {
        let given =
            [("http_proxy", "lower:1"), ("HTTP_PROXY", "upper:2"), ("https_proxy", "tls:3")];
        let proxies = proxies(&given);
        assert_eq!(used(&proxies, false, "a", 80), "upper:2");
        assert_eq!(used(&proxies, true, "a", 443), "tls:3");
    }

    #[test]
    fn an_address_of_a_proxy_has_a_scheme_a_user_and_a_port_or_not() {
        use Protocol::{Http, Https, Socks5};

        let user = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        for (text, protocol, authority, of) in [
            ("proxy:3128", Http, "proxy:3128", None),
            ("http://proxy/", Http, "proxy:80", None),
            ("https://u:p%40@proxy", Https, "proxy:443", user("u", "p@")),
            ("socks5://[::1]", Socks5, "[::1]:1080", None),
            ("u@proxy:1", Http, "proxy:1", user("u", "")),
        ] {
            let expected = Proxy { protocol, authority: authority.to_owned(), user: of };
            assert_eq!(Proxy::parse(text), Some(expected), "{text}");
        }
        for text in ["ftp://proxy", "http://", "http://a b", "proxy:port"] {
            assert_eq!(Proxy::parse(text), None, "{text}");
        }
    }

    #[test]
    fn exceptions_are_names_addresses_and_networks() {
        for (no, host, port, is_excepted) in [
            ("*", "a", 1, true),
            ("example.com", "example.com", 1, true),
            ("example.com", "EXAMPLE.com", 1, true),
            ("example.com", "www.example.com", 1, true),
            ("example.com", "badexample.com", 1, false),
            (".example.com", "www.example.com", 1, true),
            (".example.com", "example.com", 1, false),
            ("*.example.com", "www.example.com", 1, true),
            ("*.example.com", "example.com", 1, false),
            ("example.com:80", "example.com", 80, true),
            ("example.com:80", "example.com", 81, false),
            ("a, b ,c", "b", 1, true),
            ("10.0.0.1", "10.0.0.1", 1, true),
            ("10.0.0.1", "10.0.0.2", 1, false),
            ("10.0.0.1:80", "10.0.0.1", 81, false),
            ("10.0.0.0/8", "10.9.9.9", 1, true),
            ("10.0.0.0/8", "11.0.0.1", 1, false),
            ("0.0.0.0/0", "11.0.0.1", 1, true),
            ("fd00::/8", "fd12::1", 1, true),
            ("fd00::1", "fd00::1", 1, true),
            ("[fd00::1]:80", "fd00::1", 80, true),
            ("[fd00::1]:80", "fd00::1", 81, false),
            ("10.0.0.0/8", "ten.example", 1, false),
            ("", "a", 1, false),
            ("other,", "a", 1, false),
            ("", "localhost", 1, true),
            ("", "127.0.0.9", 1, true),
            ("", "::1", 1, true),
        ] {
            let proxies = proxies(&[("HTTP_PROXY", "proxy:1"), ("NO_PROXY", no)]);
            let expected = if is_excepted { "-" } else { "proxy:1" };
            assert_eq!(used(&proxies, false, host, port), expected, "{no:?} for {host}:{port}");
        }
    }

    #[test]
    fn a_value_that_is_no_proxy_is_an_error_only_where_it_is_needed() {
        let proxies = proxies(&[("https_proxy", "ftp://u:secret@proxy")]);
        assert_eq!(used(&proxies, true, "localhost", 1), "-");
        let error = proxies.of_node(true, "a", 1).unwrap_err().to_string();
        assert!(error.starts_with("https_proxy is not the address of a proxy"), "{error}");
        assert!(!format!("{proxies:?}{error}").contains("secret"));
    }
}
