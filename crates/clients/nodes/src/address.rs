//! The host and port of a node, as people write them.

/// The advice for several addresses in one text, separated by commas.
pub const SEVERAL: &str = "each node has a -node, or an element of the list nodes, of its own";

/// Parses `HOST`, `HOST:PORT`, `[IPV6]:PORT` or an IPv6 address. Returns the host without brackets,
/// and the port, which is `default` if the text has none. Returns `None` for any other text, and
/// for several addresses separated by commas.
pub fn parse(text: &str, default: u16) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, behind) = rest.split_once(']')?;
            (host, behind.strip_prefix(':').or(behind.is_empty().then_some(""))?)
        }
        None => match text.rsplit_once(':') {
            Some((host, _)) if host.contains(':') => (text, ""),
            Some(parts) => parts,
            None => (text, ""),
        },
    };
    let port = if port.is_empty() { default } else { port.parse().ok()? };
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    (!host.is_empty() && host.chars().all(allowed)).then(|| (host.to_owned(), port))
}

/// An address as the user wrote it, in the form in which people may see it. A password before the
/// host is hidden, and so is a query, which may contain a token. `joe:secret@host` becomes
/// `joe:…@host`.
///
/// No source accepts such addresses, but people write them, and errors name the address.
pub fn shown(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + 3),
        None => ("", text),
    };
    // A password can contain any of the characters that separate the parts of an address.
    let (user, rest) = match rest.rsplit_once('@') {
        None => (String::new(), rest),
        Some((user, rest)) => match user.split_once(':') {
            Some((name, _)) => (format!("{name}:…@"), rest),
            // This may be a token.
            None => ("…@".to_owned(), rest),
        },
    };
    let rest = match rest.split_once('?') {
        Some((before, _)) => format!("{before}?…"),
        None => rest.to_owned(),
    };
    format!("{scheme}{user}{rest}")
}

/// The host and port, as in a URL.
pub fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_and_queries_are_hidden() {
        for (text, expected) in [
            ("host:1", "host:1"),
            ("unix:///run/consul.sock", "unix:///run/consul.sock"),
            ("http://joe:secret@host:1/x", "http://joe:…@host:1/x"),
            ("joe:se:cr@et@host", "joe:…@host"),
            ("https://joe:se/cr?et@host", "https://joe:…@host"),
            ("https://token@[::1]:1", "https://…@[::1]:1"),
            ("host?token=secret", "host?…"),
            ("a:1,http://joe:secret@b:1", "a:1,http://…@b:1"),
        ] {
            assert!(!shown(text).contains("secret"), "{text}");
            if !text.contains(',') {
                assert_eq!(shown(text), expected);
            }
        }
    }
}
