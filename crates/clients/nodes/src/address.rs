//! The host and port of a node, as people write them.

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

/// The host and port, as in a URL.
pub fn authority(host: &str, port: u16) -> String {
    match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    }
}
