//! The address of a node, as users write it.

use nodes::address::parse;

/// The forms of an address, for people.
pub(crate) const FORMS: &str = "not an address of the form HOST:PORT, HOST:PORT/CHROOT, \
    HOST:PORT,HOST:PORT/CHROOT, or zookeepers://HOST:PORT/CHROOT for TLS";

/// The port of an address without one.
const PORT: u16 = 2181;

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Its address for messages.
    pub(crate) shown: String,
    /// Host and port; `None` if the address cannot be understood.
    pub(crate) place: Option<(String, u16)>,
    pub(crate) tls: bool,
}

/// The servers, and the path of the node that is their root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) servers: Vec<Server>,
    /// Without a slash at its end; empty for the root of the servers.
    pub(crate) chroot: String,
}

/// Two addresses have different roots.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TwoRoots;

impl Places {
    /// Parses addresses. Each can be a list, separated by commas, with one root behind it.
    pub(crate) fn parse(texts: &[String], tls_is_default: bool) -> Result<Self, TwoRoots> {
        let mut places = Places { servers: Vec::new(), chroot: String::new() };
        for (nth, text) in texts.iter().enumerate() {
            let (tls, rest) = match text.split_once("://") {
                None => (Some(tls_is_default), text.as_str()),
                Some(("zookeeper", rest)) => (Some(false), rest),
                Some(("zookeepers", rest)) => (Some(true), rest),
                Some(_) => (None, text.as_str()),
            };
            let (hosts, chroot) = match tls {
                Some(_) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
                None => (rest, ""),
            };
            let chroot = chroot.trim_end_matches('/');
            if nth > 0 && places.chroot != chroot {
                return Err(TwoRoots);
            }
            chroot.clone_into(&mut places.chroot);
            places.servers.extend(hosts.split(',').map(|host| Server {
                shown: nodes::address::shown(host),
                place: tls.and_then(|_| parse(host, PORT)),
                tls: tls.unwrap_or_default(),
            }));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(texts: &[&str]) -> String {
        let texts: Vec<String> = texts.iter().map(ToString::to_string).collect();
        let Ok(places) = Places::parse(&texts, false) else { return "two roots".to_owned() };
        let server = |server: &Server| match &server.place {
            Some((host, port)) => format!("{host} {port}{}", if server.tls { " tls" } else { "" }),
            None => "none".to_owned(),
        };
        let servers: Vec<String> = places.servers.iter().map(server).collect();
        format!("{} {}", servers.join(", "), places.chroot).trim_end().to_owned()
    }

    #[test]
    fn all_forms_of_addresses_are_understood() {
        for (text, expected) in [
            ("localhost", "localhost 2181"),
            ("10.0.0.1:2182", "10.0.0.1 2182"),
            ("[::1]:2182/a/b", "::1 2182 /a/b"),
            ("a,b:2182,c/root/", "a 2181, b 2182, c 2181 /root"),
            ("zookeepers://a,b/root", "a 2181 tls, b 2181 tls /root"),
            ("zookeeper://a:1", "a 1"),
            ("a:1/", "a 1"),
            ("http://a:1/x", "none"),
            ("a b", "none"),
            ("joe:secret@a", "none"),
            ("", "none"),
        ] {
            assert_eq!(parsed(&[text]), expected, "{text}");
        }
    }

    #[test]
    fn all_nodes_have_one_root() {
        assert_eq!(parsed(&["a/x", "b/x/"]), "a 2181, b 2181 /x");
        assert_eq!(parsed(&["a/x", "b"]), "two roots");
        assert_eq!(parsed(&["a", "b/x"]), "two roots");
    }
}
