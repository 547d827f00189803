//! Functions for names of hosts and services. A name that cannot be looked up gives an empty list,
//! as in confd, and a warning, which confd does not give.

use std::net::IpAddr;

use bytes::Bytes;
use gotmpl::Message;
use world::{Host, Service};

use crate::Warnings;

/// The addresses of the host `name`, sorted as texts.
pub fn lookup_ip(host: &dyn Host, warnings: &Warnings, name: &[u8]) -> Vec<Bytes> {
    lookup(host, warnings, "lookupIP", name, |_| true)
}

/// The IPv4 addresses of the host `name`, sorted as texts.
pub fn lookup_ipv4(host: &dyn Host, warnings: &Warnings, name: &[u8]) -> Vec<Bytes> {
    lookup(host, warnings, "lookupIPV4", name, IpAddr::is_ipv4)
}

/// The IPv6 addresses of the host `name`, sorted as texts.
pub fn lookup_ipv6(host: &dyn Host, warnings: &Warnings, name: &[u8]) -> Vec<Bytes> {
    lookup(host, warnings, "lookupIPV6", name, IpAddr::is_ipv6)
}

fn lookup(
    host: &dyn Host,
    warnings: &Warnings,
    function: &str,
    name: &[u8],
    wanted: impl Fn(&IpAddr) -> bool,
) -> Vec<Bytes> {
    let addresses = host.addresses(name).unwrap_or_else(|error| {
        warnings.warn(
            Message::new(format!("{function}: cannot resolve "))
                .value(name, name.to_vec())
                .text(format!(": {error}")),
        );
        Vec::new()
    });
    // An IPv4 address inside of an IPv6 address counts as IPv4 and is printed so, as in Go.
    let addresses = addresses.iter().map(IpAddr::to_canonical).filter(wanted);
    let mut texts: Vec<Bytes> = addresses.map(|address| address.to_string().into()).collect();
    texts.sort();
    texts
}

/// The SRV records of a service, sorted by the joined text of target, port, priority and weight. If
/// `service` and `protocol` are empty, `name` is looked up unchanged.
pub fn lookup_srv(
    host: &dyn Host,
    warnings: &Warnings,
    service: &[u8],
    protocol: &[u8],
    name: &[u8],
) -> Vec<Service> {
    let domain = if service.is_empty() && protocol.is_empty() {
        name.to_vec()
    } else {
        [b"_", service, b"._", protocol, b".", name].concat()
    };
    let mut services = host.services(&domain).unwrap_or_else(|error| {
        let error = error.to_string();
        let domain = String::from_utf8_lossy(&domain);
        // The error names the domain, which may be made of values.
        let mut parts = error.split(&*domain);
        let mut message = Message::new("lookupSRV: ").text(parts.next().unwrap_or_default());
        for part in parts {
            message = match service.is_empty() && protocol.is_empty() {
                true => message.value(name, name.to_vec()),
                false => message
                    .text("_")
                    .value(service, service.to_vec())
                    .text("._")
                    .value(protocol, protocol.to_vec())
                    .text(".")
                    .value(name, name.to_vec()),
            };
            message = message.text(part);
        }
        warnings.warn(message);
        Vec::new()
    });
    services.sort_by_cached_key(|Service { target, port, priority, weight }| {
        format!("{target}{port}{priority}{weight}")
    });
    services
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use world::time::Time;

    /// A host where all names have these addresses and services, or where every lookup fails.
    struct World(Option<(Vec<IpAddr>, Vec<Service>)>);

    impl World {
        fn addresses(texts: &[&str]) -> Self {
            let parse = |text: &&str| text.parse().expect("an address");
            World(Some((texts.iter().map(parse).collect(), Vec::new())))
        }
    }

    impl Host for World {
        fn variable(&self, _: &[u8]) -> Option<Bytes> {
            None
        }
        fn now(&self) -> Time {
            unreachable!("names have no time")
        }
        fn file_exists(&self, _: &[u8]) -> bool {
            false
        }
        fn addresses(&self, _: &[u8]) -> io::Result<Vec<IpAddr>> {
            self.0.clone().map(|(addresses, _)| addresses).ok_or(io::ErrorKind::NotFound.into())
        }
        fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
            let (_, services) = self.0.clone().ok_or(io::ErrorKind::NotFound)?;
            let asked = String::from_utf8_lossy(name);
            Ok(services.into_iter().filter(|service| service.target.ends_with(&*asked)).collect())
        }
    }

    #[test]
    fn addresses_are_sorted_as_texts() {
        let world = World::addresses(&["10.0.0.9", "9.9.9.9", "10.0.0.10", "::1"]);
        assert_eq!(
            lookup_ip(&world, &Warnings::default(), b"x"),
            ["10.0.0.10", "10.0.0.9", "9.9.9.9", "::1"]
        );
        assert_eq!(
            lookup_ipv4(&world, &Warnings::default(), b"x"),
            ["10.0.0.10", "10.0.0.9", "9.9.9.9"]
        );
        assert_eq!(lookup_ipv6(&world, &Warnings::default(), b"x"), ["::1"]);
    }

    #[test]
    fn a_wrapped_ipv4_address_is_one() {
        let world = World::addresses(&["::ffff:1.2.3.4", "::1.2.3.4", "::ffff:0:1.2.3.4"]);
        assert_eq!(lookup_ipv4(&world, &Warnings::default(), b"x"), ["1.2.3.4"]);
        assert_eq!(
            lookup_ipv6(&world, &Warnings::default(), b"x"),
            ["::102:304", "::ffff:0:102:304"]
        );
    }

    #[test]
    fn what_cannot_be_resolved_is_an_empty_list() {
        assert!(lookup_ip(&World(None), &Warnings::default(), b"x").is_empty());
        assert!(lookup_srv(&World(None), &Warnings::default(), b"a", b"b", b"c").is_empty());
    }

    #[test]
    fn services_are_sorted_by_the_text_of_all_fields() {
        let record = |port, priority, weight| Service {
            target: "_a._b.c".to_owned(),
            port,
            priority,
            weight,
        };
        let services = vec![record(9, 1, 1), record(80, 2, 1), record(80, 1, 10), record(8, 1, 1)];
        let world = World(Some((Vec::new(), services)));
        let order: Vec<_> = lookup_srv(&world, &Warnings::default(), b"a", b"b", b"c")
            .iter()
            .map(|s| (s.port, s.priority))
            .collect();
        assert_eq!(order, [(80, 1), (80, 2), (8, 1), (9, 1)]);
    }

    #[test]
    fn the_name_asked_for_has_service_and_protocol_unless_both_are_empty() {
        let service =
            |target: &str| Service { target: target.to_owned(), port: 1, priority: 1, weight: 1 };
        let found = |target: &str, service_name: &[u8], protocol: &[u8]| {
            let world = World(Some((Vec::new(), vec![service(target)])));
            lookup_srv(&world, &Warnings::default(), service_name, protocol, b"c").len()
        };
        assert_eq!(found("_a._b.c", b"a", b"b"), 1);
        assert_eq!(found("_._b.c", b"", b"b"), 1);
        assert_eq!(found("x.c", b"a", b"b"), 0);
        assert_eq!(found("c", b"", b""), 1);
    }
}
