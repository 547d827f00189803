//! `/etc/hosts`.

use std::net::SocketAddr;

use crate::name::literal;

/// The addresses of `host` in the text of a hosts file, in the order of its lines, each once.
///
/// A line has an address and names of a host, upper or lower case. Several lines can have the same
/// name. `#` begins a comment. Lines without an address are passed over.
pub(crate) fn find(text: &[u8], host: &str) -> Vec<SocketAddr> {
    let host = host.strip_suffix('.').unwrap_or(host);
    let mut found = Vec::new();
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.split(|&byte| byte == b'#').next().unwrap_or_default();
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let Some(address) = words.next() else { continue };
        let is_host = |word: &[u8]| {
            word.strip_suffix(b".").unwrap_or(word).eq_ignore_ascii_case(host.as_bytes())
        };
        if !host.is_empty() && words.any(is_host) {
            let address = std::str::from_utf8(address).ok().and_then(literal);
            found.extend(address.filter(|address| !found.contains(address)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_gives_an_address_to_its_names() {
        let text = b"# a comment of a\n\
            127.0.0.1\tlocalhost a_b # c\n\
            10.0.0.1 A B.example\r\n  10.0.0.2 a\n10.0.0.1 a\n::1 a\nfe80::1%7 zone\n\
            nonsense a\n10.0.0.9\n\xff\xfe x\n10.0.0.3 a";
        let of = |host: &str| -> Vec<String> {
            find(text, host).iter().map(|address| address.ip().to_string()).collect()
        };
        assert_eq!(of("a"), ["10.0.0.1", "10.0.0.2", "::1", "10.0.0.3"]);
        assert_eq!(of("A."), of("a"));
        assert_eq!(of("a_b"), ["127.0.0.1"]);
        assert_eq!(of("b.EXAMPLE"), ["10.0.0.1"]);
        assert_eq!(find(text, "zone"), ["[fe80::1%7]:0".parse().expect("an address")]);
        for host in ["c", "b", "comment", "10.0.0.1", "x", ""] {
            assert_eq!(of(host), [""; 0], "{host}");
        }
    }
}
