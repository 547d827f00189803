//! The URI of a registry.

use percent_encoding::percent_decode_str;

/// A URI, as Go's package `net/url` splits it. User information and query count for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Uri {
    pub(crate) scheme: String,
    /// Host and port; empty if there are none.
    pub(crate) host: String,
    /// The path, with its first slash.
    pub(crate) path: String,
}

impl Uri {
    /// Parses a URI. `None` for a text that Go refuses.
    pub(crate) fn parse(text: &str) -> Option<Uri> {
        if text.is_empty() || text.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            return None;
        }
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = scheme(text)?;
        let rest = rest.split('?').next().unwrap_or_default();
        if scheme.is_empty() && rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return None;
        }
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None if rest.starts_with('/') => ("", rest),
            // What follows has no meaning for a registry.
            None => ("", ""),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let path = percent_decode_str(path).decode_utf8().ok()?.into_owned();
        is_host(host).then(|| Uri {
            scheme: scheme.to_ascii_lowercase(),
            host: host.to_owned(),
            path,
        })
    }
}

/// The scheme, which can be empty, and what follows it.
fn scheme(text: &str) -> Option<(&str, &str)> {
    for (at, letter) in text.char_indices() {
        match letter {
            'a'..='z' | 'A'..='Z' => {}
            '0'..='9' | '+' | '-' | '.' if at > 0 => {}
            ':' if at > 0 => return Some((&text[..at], &text[at + 1..])),
            ':' => return None,
            _ => break,
        }
    }
    Some(("", text))
}

/// Whether a host with its port has the right form.
fn is_host(host: &str) -> bool {
    let port = match host.strip_prefix('[') {
        Some(rest) => match rest.rsplit_once(']') {
            Some((_, port)) => port,
            None => return false,
        },
        None => host.rfind(':').map_or("", |at| &host[at..]),
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    is_port && !host.contains([' ', '<', '>', '"', '\\', '^', '`', '{', '}', '|'])
}

/// The elements of a path in a store: as Go cleans a path, without the slashes at its ends.
pub(crate) fn clean(path: &str) -> String {
    let mut elements = Vec::new();
    for element in path.split('/') {
        match element {
            "" | "." => {}
            ".." => {
                elements.pop();
            }
            element => elements.push(element),
        }
    }
    elements.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_has_a_scheme_a_host_and_a_path() {
        for (text, scheme, host, path) in [
            ("consul://127.0.0.1:8500", "consul", "127.0.0.1:8500", ""),
            ("consul:", "consul", "", ""),
            ("CONSUL://u:p@h/a?b#c", "consul", "h", "/a"),
            ("etcd:///a%20b", "etcd", "", "/a b"),
            ("consulkv-unix:///run/c.sock:/services", "consulkv-unix", "", "/run/c.sock:/services"),
            ("consul://[::1]:8500/", "consul", "[::1]:8500", "/"),
            ("localhost:8500", "localhost", "", ""),
            ("consul", "", "", ""),
        ] {
            let uri = Uri::parse(text).unwrap();
            assert_eq!(
                (&uri.scheme[..], &uri.host[..], &uri.path[..]),
                (scheme, host, path),
                "{text}"
            );
        }
        for text in ["127.0.0.1:8500", "consul://[::1", "://h", "consul://h:x", "consul://a b", ""]
        {
            assert_eq!(Uri::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_cleaned_as_in_go() {
        for (path, cleaned) in
            [("/a//b/", "a/b"), ("a/./b/../c", "a/c"), ("/", ""), ("../x", "x"), ("", "")]
        {
            assert_eq!(clean(path), cleaned);
        }
    }
}
