//! `/etc/resolv.conf` and `/etc/nsswitch.conf`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::name::literal;

/// How many name servers count.
const SERVERS: usize = 3;

/// The largest `ndots`, `timeout` in seconds and `attempts`, as in the C library.
const NDOTS: usize = 15;
const TIMEOUT: u64 = 30;
const ATTEMPTS: usize = 5;

/// What `resolv.conf` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// The name servers.
    pub(crate) servers: Vec<SocketAddr>,
    /// The domains in which names are searched. Each ends with a dot.
    pub(crate) search: Vec<String>,
    /// A name with as many dots is first looked up unchanged.
    pub(crate) ndots: usize,
    /// How long each name server is waited for.
    pub(crate) timeout: Duration,
    /// How often the list of name servers is asked.
    pub(crate) attempts: usize,
    /// Whether each lookup begins with the next name server.
    pub(crate) rotate: bool,
    /// Whether IPv4 and IPv6 addresses are asked for one after the other.
    pub(crate) single_request: bool,
    /// Whether name servers are asked over TCP only.
    pub(crate) use_tcp: bool,
}

impl Settings {
    /// Parses the text of a `resolv.conf`. Unknown lines and options, and values that make no
    /// sense, are passed over. `port` is that of name servers. `own_name` is the name of this
    /// machine: if the file has no search list, its domain is searched.
    pub(crate) fn parse(text: &[u8], port: u16, own_name: &str) -> Self {
        let mut settings = Settings {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            rotate: false,
            single_request: false,
            use_tcp: false,
        };
        for line in String::from_utf8_lossy(text).lines() {
            let mut words = line.split_ascii_whitespace();
            // A comment begins with `#` or `;` and so is no keyword.
            match words.next() {
                Some("nameserver") if settings.servers.len() < SERVERS => {
                    settings.servers.extend(words.next().and_then(literal).map(|mut server| {
                        server.set_port(port);
                        server
                    }));
                }
                Some("domain") => {
                    settings.search = words.next().and_then(rooted).into_iter().collect()
                }
                Some("search") => settings.search = words.filter_map(rooted).collect(),
                Some("options") => words.for_each(|option| settings.set(option)),
                _ => {}
            }
        }
        if settings.servers.is_empty() {
            let here = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
            settings.servers = here.map(|address| SocketAddr::new(address, port)).into();
        }
        if settings.search.is_empty() {
            let domain = own_name.split_once('.').map(|(_, domain)| domain);
            settings.search = domain.and_then(rooted).into_iter().collect();
        }
        settings
    }

    fn set(&mut self, option: &str) {
        let (name, value) = option.split_once(':').unwrap_or((option, ""));
        let number = value.parse::<u64>().ok();
        let number_below = |most: usize| {
            number.map(|number| usize::try_from(number).map_or(most, |number| number.min(most)))
        };
        match name {
            "ndots" => self.ndots = number_below(NDOTS).unwrap_or(self.ndots),
            "timeout" => {
                let seconds = number.map(|number| number.clamp(1, TIMEOUT));
                self.timeout = seconds.map_or(self.timeout, Duration::from_secs);
            }
            "attempts" => {
                self.attempts =
                    number_below(ATTEMPTS).map_or(self.attempts, |number| number.max(1));
            }
            "rotate" => self.rotate = true,
            "single-request" | "single-request-reopen" => self.single_request = true,
            "use-vc" | "usevc" | "tcp" => self.use_tcp = true,
            _ => {}
        }
    }
}

/// A domain with a dot at its end. The root domain is no domain to search in.
fn rooted(domain: &str) -> Option<String> {
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    (!domain.is_empty()).then(|| format!("{domain}."))
}

/// Where hosts are looked up, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// In the hosts file, then in the DNS.
    FilesThenDns,
    /// In the DNS, then in the hosts file.
    DnsThenFiles,
    /// In the hosts file only.
    Files,
    /// In the DNS only.
    Dns,
}

impl Order {
    /// Parses the text of an `nsswitch.conf`. Sources that this crate does not have are passed
    /// over. Because such a source may stand for the DNS (as `resolve` does), the DNS counts as
    /// listed if there is one.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        let Some(sources) = lines.filter_map(|line| line.strip_prefix("hosts:")).next_back() else {
            return Order::FilesThenDns;
        };
        // `[NOTFOUND=return]` and its like are conditions.
        let mut is_condition = false;
        let sources = sources.split_ascii_whitespace().filter(|word| {
            let skipped = is_condition || word.starts_with('[');
            is_condition = skipped && !word.ends_with(']');
            !skipped
        });
        let sources: Vec<_> = sources.collect();
        let files = sources.iter().position(|source| *source == "files");
        let dns = sources.iter().position(|source| *source == "dns");
        let others = sources.iter().any(|source| !matches!(*source, "files" | "dns"));
        match (files, dns) {
            (Some(files), Some(dns)) if dns < files => Order::DnsThenFiles,
            (Some(_), None) if !others => Order::Files,
            (None, Some(_)) if !others => Order::Dns,
            _ => Order::FilesThenDns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Settings {
        Settings::parse(text.as_bytes(), 53, "me")
    }

    #[test]
    fn every_setting_counts() {
        let text = "# comment\n; nameserver 9.9.9.9\nnameserver 10.0.0.1 # comment\n\
            nameserver fe80::1%7\nnameserver nonsense\nnameserver\nnameserver 10.0.0.3\n\
            nameserver 10.0.0.4\nsearch a.test b.test.\t_c\n\
            options ndots:5 timeout:3 attempts:4 rotate single-request use-vc edns0 x:y\n";
        let servers = ["10.0.0.1:53", "[fe80::1%7]:53", "10.0.0.3:53"];
        let expected = Settings {
            servers: servers.map(|server| server.parse().expect(server)).into(),
            search: ["a.test.", "b.test.", "_c."].map(str::to_owned).into(),
            ndots: 5,
            timeout: Duration::from_secs(3),
            attempts: 4,
            rotate: true,
            single_request: true,
            use_tcp: true,
        };
        assert_eq!(parsed(text), expected);
    }

    #[test]
    fn an_empty_file_means_this_machine_and_the_defaults() {
        for text in ["", "nameserver nonsense\noptions ndots:x timeout: attempts:-1\n", "\u{0}"] {
            let expected = Settings {
                servers: ["127.0.0.1:53", "[::1]:53"].map(|at| at.parse().expect(at)).into(),
                search: Vec::new(),
                ndots: 1,
                timeout: Duration::from_secs(5),
                attempts: 2,
                rotate: false,
                single_request: false,
                use_tcp: false,
            };
            assert_eq!(parsed(text), expected, "{text:?}");
        }
    }

    #[test]
    fn values_have_limits() {
        let settings = parsed("options ndots:99 timeout:0 attempts:0\n");
        assert_eq!((settings.ndots, settings.attempts), (15, 1));
        assert_eq!(settings.timeout, Duration::from_secs(1));
        let settings = parsed("options timeout:99999999999 attempts:18446744073709551615\n");
        assert_eq!((settings.timeout, settings.attempts), (Duration::from_secs(30), 5));
    }

    #[test]
    fn the_last_search_list_counts_and_that_of_the_machine_only_without_one() {
        let search = |text: &str, own_name| Settings::parse(text.as_bytes(), 53, own_name).search;
        assert_eq!(search("search a b\ndomain c\n", "me.d.test"), ["c."]);
        assert_eq!(search("domain c\nsearch a b\n", "me.d.test"), ["a.", "b."]);
        assert_eq!(search("", "me.d.test"), ["d.test."]);
        assert_eq!(search("search .\n", "me.d.test"), ["d.test."]);
        assert_eq!(search("", "me"), [""; 0]);
    }

    #[test]
    fn nsswitch_gives_the_order_of_files_and_dns() {
        for (text, order) in [
            ("", Order::FilesThenDns),
            ("passwd: files\n", Order::FilesThenDns),
            ("hosts: files dns\n", Order::FilesThenDns),
            ("  hosts:\tdns files # files dns\n", Order::DnsThenFiles),
            ("hosts: files\n", Order::Files),
            ("hosts: dns", Order::Dns),
            ("hosts: files mdns4_minimal [NOTFOUND=return] dns\n", Order::FilesThenDns),
            (
                "hosts: mymachines resolve [ !UNAVAIL = return ] files myhostname dns\n",
                Order::FilesThenDns,
            ),
            ("hosts: files resolve\n", Order::FilesThenDns),
            ("hosts: files [ NOTFOUND=return dns ]\n", Order::Files),
            ("hosts: dns myhostname files\n", Order::DnsThenFiles),
            ("hosts:\n", Order::FilesThenDns),
            ("# hosts: dns\nhosts: files\n", Order::Files),
        ] {
            assert_eq!(Order::parse(text.as_bytes()), order, "{text:?}");
        }
    }
}
