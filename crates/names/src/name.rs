//! The forms of names: addresses, domain names, the search list.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

/// The longest domain name, with a dot at its end.
const LONGEST: usize = 254;

/// The address that `text` is, if it is one, with port 0. An IPv6 address can have a zone, as in
/// `fe80::1%eth0`: the name or number of an interface. An IPv4 address inside of an IPv6 address
/// counts as IPv4.
pub(crate) fn literal(text: &str) -> Option<SocketAddr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(of, zone)| (of, Some(zone)));
    match (address.parse().ok()?, zone) {
        (IpAddr::V6(_), Some("")) | (IpAddr::V4(_), Some(_)) => None,
        (IpAddr::V6(address), Some(zone)) if address.to_ipv4_mapped().is_none() => {
            Some(SocketAddrV6::new(address, 0, 0, scope(zone)).into())
        }
        (address, _) => Some(SocketAddr::new(address.to_canonical(), 0)),
    }
}

/// The number of an interface; 0 if there is none of this name.
fn scope(zone: &str) -> u32 {
    zone.parse().unwrap_or_else(|_| {
        let socket = socket(AddressFamily::INET6, SocketType::DGRAM, None);
        socket.and_then(|socket| name_to_index(socket, zone)).unwrap_or_default()
    })
}

/// Whether `name` can be a domain name: labels of 1 to 63 letters, digits, `-` and `_`, which do
/// not begin or end with `-`, and not only digits.
pub(crate) fn is_domain(name: &str) -> bool {
    if name == "." {
        return true;
    }
    let labels = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    labels.len() < LONGEST
        && labels.split('.').all(is_label)
        && labels.bytes().any(|byte| byte != b'.' && !byte.is_ascii_digit())
}

/// Whether `name` is `localhost` or below it.
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// The names that the DNS is asked for, in this order, when a user looks up `name`. Each ends with
/// a dot.
pub(crate) fn candidates(name: &str, search: &[String], ndots: usize) -> Vec<String> {
    if name.ends_with('.') {
        return Some(name.to_owned()).filter(|name| may_be_asked(name)).into_iter().collect();
    }
    let itself = format!("{name}.");
    let mut names: Vec<_> = search.iter().map(|suffix| format!("{itself}{suffix}")).collect();
    let at = if name.matches('.').count() >= ndots { 0 } else { names.len() };
    names.insert(at, itself);
    names.retain(|name| may_be_asked(name));
    names
}

/// Whether the DNS may be asked for a name. It has no names that end in `.onion` (RFC 7686).
fn may_be_asked(name: &str) -> bool {
    let of_onion = name.to_ascii_lowercase().ends_with(".onion.");
    name.len() <= LONGEST && !of_onion
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_literals_with_and_without_a_zone() {
        for (text, address) in [
            ("9.9.9.9", Some("9.9.9.9:0")),
            ("2001:db8::1", Some("[2001:db8::1]:0")),
            ("fe80::1%7", Some("[fe80::1%7]:0")),
            ("fe80::1%lo", Some("[fe80::1%1]:0")),
            ("fe80::1%nosuch", Some("[fe80::1]:0")),
            ("fe80::1%", None),
            ("9.9.9.9%lo", None),
            ("010.0.0.1", None),
            ("127.1", None),
            ("[::1]", None),
            ("", None),
        ] {
            assert_eq!(literal(text).map(|address| address.to_string()).as_deref(), address);
        }
    }

    #[test]
    fn domain_names_have_letters_digits_dashes_and_underscores() {
        let (longest_label, longest) = ("a".repeat(63), format!("{}bbbb", "a.".repeat(124)));
        assert_eq!(longest.len(), LONGEST - 2);
        for name in [
            "a",
            "a.",
            ".",
            "web_1",
            "_http._tcp.x",
            "a-b.c-d",
            "1a",
            "1.a",
            "0x7f.1",
            "A.B",
            "xn--a",
            "_",
            &longest_label,
            &format!("{longest}b"),
            &format!("{longest}b."),
        ] {
            assert!(is_domain(name), "{name}");
        }
        for name in [
            "",
            "1",
            "127.1",
            "1.2.3.4.",
            "a..b",
            ".a",
            "a..",
            "..",
            "-a",
            "a-",
            "a.-b",
            "a-.b",
            "a b",
            "ä",
            "a/b",
            "a:1",
            "a%b",
            "a\u{1}",
            &"a".repeat(64),
            &format!("{longest}bb"),
        ] {
            assert!(!is_domain(name), "{name}");
        }
    }

    #[test]
    fn the_search_list_follows_a_name_with_enough_dots_and_precedes_others() {
        let search = ["x.test.".to_owned(), "test.".to_owned()];
        let of = |name: &str, ndots| candidates(name, &search, ndots).join(" ");
        assert_eq!(of("a", 1), "a.x.test. a.test. a.");
        assert_eq!(of("a.b", 1), "a.b. a.b.x.test. a.b.test.");
        assert_eq!(of("a.b", 5), "a.b.x.test. a.b.test. a.b.");
        assert_eq!(of("a", 0), "a. a.x.test. a.test.");
        assert_eq!(of("a.", 5), "a.");
        assert_eq!(of("a.onion", 1), "a.onion.x.test. a.onion.test.");
        assert_eq!(of("a.ONION.", 1), "");
        assert_eq!(candidates("a", &[], 1), ["a."]);
        let long = "a.".repeat(124) + "b";
        assert_eq!(of(&long, 1), format!("{long}."), "the others are too long");
    }

    #[test]
    fn names_below_localhost_are_this_machine() {
        for name in ["localhost", "LocalHost.", "a.localhost", "a.b.localhost."] {
            assert!(is_localhost(name), "{name}");
        }
        for name in ["localhost.test", "mylocalhost", "local"] {
            assert!(!is_localhost(name), "{name}");
        }
    }
}
