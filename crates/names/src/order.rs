//! The order in which the addresses of a host are tried, by RFC 6724.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

/// Sorts the addresses: first those that can be reached, and among them those that suit this
/// machine's own addresses. Equal ones keep their order.
pub(crate) fn sort(addresses: &mut [SocketAddr]) {
    if addresses.len() > 1 {
        addresses.sort_by_cached_key(|address| rank(address.ip(), source(*address)));
    }
}

/// The address from which this machine would send to `address`; `None` if it has no route. No
/// packet is sent.
fn source(address: SocketAddr) -> Option<IpAddr> {
    let here: SocketAddr = match address {
        SocketAddr::V4(_) => "0.0.0.0:0".parse().ok()?,
        SocketAddr::V6(_) => "[::]:0".parse().ok()?,
    };
    let mut address = address;
    if address.port() == 0 {
        // A port that nothing uses: the socket only asks for a route.
        address.set_port(9);
    }
    let socket = UdpSocket::bind(here).ok()?;
    socket.connect(address).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// The rules 1, 2, 5, 6 and 8 of RFC 6724; the smallest comes first.
fn rank(address: IpAddr, source: Option<IpAddr>) -> impl Ord {
    let (precedence, label) = policy(address);
    let scope = scope(address);
    let differs = |of_source: Option<bool>| of_source != Some(true);
    (
        source.is_none(),
        differs(source.map(|source| self::scope(source) == scope)),
        differs(source.map(|source| policy(source).1 == label)),
        Reverse(precedence),
        scope,
    )
}

/// How far an address is valid; smaller is nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Link,
    Site,
    Global,
}

fn scope(address: IpAddr) -> Scope {
    let is_of_link = match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unicast_link_local(),
    };
    let is_of_site =
        matches!(address, IpAddr::V6(address) if address.segments()[0] & 0xffc0 == 0xfec0);
    match (is_of_link, is_of_site) {
        (true, _) => Scope::Link,
        (_, true) => Scope::Site,
        _ => Scope::Global,
    }
}

/// The precedence and the label of an address, by the table of RFC 6724.
fn policy(address: IpAddr) -> (u8, u8) {
    let IpAddr::V6(address) = address else { return (35, 4) };
    let [first, second, ..] = address.segments();
    match (first, second) {
        _ if address == Ipv6Addr::LOCALHOST => (50, 0),
        _ if address.to_ipv4_mapped().is_some() => (35, 4),
        (0x2002, _) => (30, 2),
        (0x2001, 0) => (5, 5),
        (0xfc00..=0xfdff, _) => (3, 13),
        (0xfec0..=0xfeff, _) => (1, 11),
        (0x3ffe, _) => (1, 12),
        _ if address.to_bits() >> 32 == 0 => (1, 3),
        _ => (40, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The addresses in their order, each with the source address or `-`.
    fn sorted(addresses: &[(&str, &str)]) -> Vec<String> {
        let mut addresses = addresses.to_vec();
        addresses.sort_by_cached_key(|(address, source)| {
            rank(address.parse().expect(address), source.parse().ok())
        });
        addresses.iter().map(|(address, _)| (*address).to_owned()).collect()
    }

    #[test]
    fn what_can_be_reached_comes_first_then_what_suits_the_own_address() {
        // IPv6 is preferred.
        let both = [("192.0.2.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::2")];
        assert_eq!(sorted(&both), ["2001:db8::1", "192.0.2.1"]);
        // This machine has no IPv6.
        let only_ipv4 = [("2001:db8::1", "-"), ("192.0.2.1", "10.0.0.1")];
        assert_eq!(sorted(&only_ipv4), ["192.0.2.1", "2001:db8::1"]);
        // This machine has only a private IPv6 address, from which the Internet is not reached.
        let private = [("2001:db8::1", "fd00::2"), ("192.0.2.1", "10.0.0.1")];
        assert_eq!(sorted(&private), ["192.0.2.1", "2001:db8::1"]);
        let local = [("127.0.0.1", "127.0.0.1"), ("::1", "::1")];
        assert_eq!(sorted(&local), ["::1", "127.0.0.1"]);
        let near = [("2001:db8::1", "fe80::1"), ("fe80::9", "fe80::1")];
        assert_eq!(sorted(&near), ["fe80::9", "2001:db8::1"]);
    }

    #[test]
    fn equal_addresses_keep_their_order() {
        let addresses =
            [("10.0.0.9", "10.0.0.1"), ("10.0.0.2", "10.0.0.1"), ("8.8.8.8", "10.0.0.1")];
        assert_eq!(sorted(&addresses), ["10.0.0.9", "10.0.0.2", "8.8.8.8"]);
    }

    #[test]
    fn the_loopback_interface_has_a_route() {
        let source = source("127.0.0.1:0".parse().expect("an address"));
        assert_eq!(source, Some("127.0.0.1".parse().expect("an address")));
    }
}
