//! Addresses and networks, with the names and the arguments of Terraform's functions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;
use gotmpl::{Failure, Rest};

use super::values::{lossy, quoting};
use super::{Library, Machine};

pub(super) fn add(library: &mut Library<'_>) {
    library.add_own("cidrhost", "|network number", |_: &Machine, network: Bytes, number: i64| {
        Network::parse(&network)?.host(number).map(|address| address.to_string())
    });
    library.add_own("cidrnetmask", "|network", |_: &Machine, text: Bytes| {
        let network = Network::parse(&text)?;
        match network.is_v4 {
            true => Ok(network.address_of(network.mask()).to_string()),
            false => {
                let shown = gotmpl::quote(&text);
                let text = format!("only a network of IPv4 has a mask in this form: {shown}");
                Err(quoting(&text, &shown.into()))
            }
        }
    });
    library.add_own(
        "cidrsubnet",
        "|network bits number",
        |_: &Machine, network: Bytes, bits: i64, number: i64| {
            Network::parse(&network)?.part(bits, number).map(|part| part.to_string())
        },
    );
    library.add_own(
        "cidrsubnets",
        "|network bits...",
        |_: &Machine, network: Bytes, bits: Rest<i64>| {
            let parts = Network::parse(&network)?.parts(&bits.0)?;
            Ok::<_, Failure>(
                parts.iter().map(|part| part.to_string().into()).collect::<Vec<Bytes>>(),
            )
        },
    );
    library.add_own("cidrcontains", "|network part", |_: &Machine, network: Bytes, part: Bytes| {
        let network = Network::parse(&network)?;
        let part = match lossy(&part).parse() {
            Ok(address) => Network::of(address),
            Err(_) => Network::parse(&part)?,
        };
        Ok::<_, Failure>(network.contains(&part))
    });
}

/// A network: its first address, and how many bits all of its addresses have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    first: u128,
    prefix: u32,
    is_v4: bool,
}

impl Network {
    /// The network in a text such as `10.1.0.0/16`. Bits behind the prefix do not count.
    fn parse(text: &Bytes) -> Result<Network, Failure> {
        let shown = lossy(text);
        let parsed = shown.split_once('/').and_then(|(address, prefix)| {
            let network = Network::of(address.parse().ok()?);
            let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
            let prefix =
                prefix.parse().ok().filter(|prefix| is_number && *prefix <= network.prefix)?;
            let network = Network { prefix, ..network };
            Some(Network { first: network.first & network.mask(), ..network })
        });
        parsed.ok_or_else(|| {
            let shown = gotmpl::quote(text);
            quoting(&format!("not a network such as 10.1.0.0/16: {shown}"), text)
        })
    }

    /// The network of one address.
    fn of(address: IpAddr) -> Network {
        match address {
            IpAddr::V4(address) => {
                Network { first: address.to_bits().into(), prefix: 32, is_v4: true }
            }
            IpAddr::V6(address) => Network { first: address.to_bits(), prefix: 128, is_v4: false },
        }
    }

    /// The number of bits of an address.
    fn bits(&self) -> u32 {
        if self.is_v4 { 32 } else { 128 }
    }

    /// The number of bits in which addresses of the network differ.
    fn free(&self) -> u32 {
        self.bits() - self.prefix
    }

    /// The bits that all addresses of the network have in common.
    fn mask(&self) -> u128 {
        let all = u128::MAX >> (128 - self.bits());
        all & !low(self.free())
    }

    fn address_of(&self, bits: u128) -> IpAddr {
        match self.is_v4 {
            true => Ipv4Addr::from_bits(bits as u32).into(),
            false => Ipv6Addr::from_bits(bits).into(),
        }
    }

    /// The address with this number. A negative one counts from the end.
    fn host(&self, number: i64) -> Result<IpAddr, Failure> {
        let most = low(self.free());
        let distance = u128::from(number.unsigned_abs());
        let offset = match number {
            0.. => Some(distance).filter(|offset| *offset <= most),
            _ => most.checked_sub(distance - 1),
        };
        let offset = offset.ok_or_else(|| {
            let prefix = self.prefix;
            Failure::new(format!("a network with a prefix of {prefix} bits has no host {number}"))
        })?;
        Ok(self.address_of(self.first | offset))
    }

    /// The part with this number of the network, whose prefix is `bits` longer.
    fn part(&self, bits: i64, number: i64) -> Result<Network, Failure> {
        let part = self.longer(bits)?;
        let added = part.prefix - self.prefix;
        let number = u128::try_from(number).ok().filter(|number| *number <= low(added));
        let number = number.ok_or_else(|| {
            Failure::new(format!("a prefix that is {added} bits longer has no part of this number"))
        })?;
        let shifted = number.checked_shl(part.free()).unwrap_or(0);
        Ok(Network { first: self.first | shifted, ..part })
    }

    /// Parts behind each other, each with a prefix that is so many bits longer.
    fn parts(&self, bits: &[i64]) -> Result<Vec<Network>, Failure> {
        let full = || Failure::new("the network has not enough addresses for all parts");
        let last = self.first | low(self.free());
        // Nothing is left once the part with the last address was given.
        let mut next = Some(self.first);
        let mut parts = Vec::new();
        for bits in bits {
            let part = self.longer(*bits)?;
            let size = low(part.free());
            // A part begins at a multiple of its size.
            let first = match next.ok_or_else(full)? {
                from if from & size == 0 => from,
                from => (from | size).checked_add(1).ok_or_else(full)?,
            };
            if first > last {
                return Err(full());
            }
            parts.push(Network { first, ..part });
            next = (first | size).checked_add(1).filter(|next| *next <= last);
        }
        Ok(parts)
    }

    /// A network with the same first address, whose prefix is `bits` longer.
    fn longer(&self, bits: i64) -> Result<Network, Failure> {
        let added = u32::try_from(bits).ok().filter(|added| *added <= self.free());
        let added = added.ok_or_else(|| {
            let (prefix, most) = (self.prefix, self.bits());
            Failure::new(format!(
                "a prefix of {prefix} bits cannot be {bits} longer: {most} are the most"
            ))
        })?;
        Ok(Network { prefix: self.prefix + added, ..*self })
    }

    /// Whether all addresses of `other` are in this network.
    fn contains(&self, other: &Network) -> bool {
        self.is_v4 == other.is_v4
            && self.prefix <= other.prefix
            && other.first & self.mask() == self.first
    }
}

impl std::fmt::Display for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.address_of(self.first), self.prefix)
    }
}

/// A number whose last `bits` bits are set.
fn low(bits: u32) -> u128 {
    u128::MAX.checked_shr(128 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &'static str) -> Network {
        Network::parse(&Bytes::from_static(text.as_bytes())).expect(text)
    }

    #[test]
    fn a_part_of_a_network_has_the_number_of_the_bits_behind_the_prefix() {
        for (text, bits, number, part) in [
            ("172.16.0.0/12", 4, 2, "172.18.0.0/16"),
            ("10.1.2.0/24", 4, 15, "10.1.2.240/28"),
            ("fd00:fd12:3456:7890::/56", 16, 162, "fd00:fd12:3456:7800:a200::/72"),
            ("0.0.0.0/0", 32, 1, "0.0.0.1/32"),
            ("::/0", 0, 0, "::/0"),
            ("::/0", 128, 5, "::5/128"),
        ] {
            assert_eq!(network(text).part(bits, number).expect(text).to_string(), part);
        }
        for (bits, number) in [(33, 0), (-1, 0), (4, 16), (4, -1)] {
            assert!(network("10.0.0.0/8").part(bits, number).is_err(), "{bits} {number}");
        }
    }

    #[test]
    fn a_host_is_counted_from_the_first_address_or_from_the_last() {
        for (text, number, host) in [
            ("10.12.112.0/20", 16, "10.12.112.16"),
            ("10.12.112.0/20", 268, "10.12.113.12"),
            ("10.0.0.0/8", -1, "10.255.255.255"),
            ("fd00:fd12:3456:7890::/56", 34, "fd00:fd12:3456:7800::22"),
            ("192.0.2.1/32", 0, "192.0.2.1"),
        ] {
            assert_eq!(network(text).host(number).expect(text).to_string(), host);
        }
        assert!(network("10.0.0.0/30").host(4).is_err());
        assert!(network("10.0.0.0/30").host(-5).is_err());
    }

    #[test]
    fn parts_behind_each_other_begin_at_multiples_of_their_sizes() {
        let parts = |text, bits: &[i64]| {
            let parts = network(text).parts(bits);
            parts.map(|parts| parts.iter().map(Network::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            parts("10.1.0.0/16", &[4, 4, 8, 4]).expect("enough"),
            ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/24", "10.1.48.0/20"]
        );
        assert_eq!(parts("0.0.0.0/0", &[1, 1]).expect("enough"), ["0.0.0.0/1", "128.0.0.0/1"]);
        assert!(parts("0.0.0.0/0", &[1, 1, 32]).is_err());
        assert!(parts("ffff::/16", &[1, 1, 1]).is_err());
        assert!(parts("10.0.0.0/24", &[9]).is_err());
        assert_eq!(parts("10.0.0.0/24", &[]).expect("none"), [""; 0]);
    }

    #[test]
    fn a_network_contains_its_addresses_and_its_parts() {
        for (text, other, contains) in [
            ("10.0.0.0/8", "10.1.2.3/32", true),
            ("10.0.0.0/8", "10.0.0.0/8", true),
            ("10.0.0.0/8", "0.0.0.0/0", false),
            ("10.0.0.0/8", "11.0.0.0/16", false),
            ("::/0", "10.0.0.0/8", false),
        ] {
            assert_eq!(network(text).contains(&network(other)), contains, "{text} {other}");
        }
    }

    #[test]
    fn a_text_that_is_no_network_is_refused_without_showing_it() {
        for text in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "x/8", "::/129"] {
            let failure = Network::parse(&Bytes::from_static(text.as_bytes())).expect_err(text);
            let shown = failure.message().without(|_| false).into_owned();
            assert_eq!(String::from_utf8_lossy(&shown), "not a network such as 10.1.0.0/16: \"…\"");
        }
    }
}
