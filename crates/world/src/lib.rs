//! What template functions can ask of the machine: environment, clock and time zone, files, names
//! of hosts and services.
//!
//! [`Host`] is the whole interface, so that tests can replace the machine. [`System`] is the real
//! machine. Nothing is prepared in advance: a template that needs neither time nor names reads no
//! zone file and builds no resolver.
//!
//! [`time`] is in this crate and not with the template functions, because the clock returns its
//! values, and because the log uses the same clock, zone and layouts.
//!
//! This crate does not know templates, keys or destinations. Everything that the program reads from
//! its environment goes through it, except what the command line itself reads.

mod srv;
pub mod time;

use std::ffi::OsStr;
use std::io;
use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use self::time::{Time, Zone};

/// What template functions can ask of the machine.
pub trait Host: Send + Sync {
    /// The value of the environment variable `name`; `None` if it is not set.
    fn variable(&self, name: &[u8]) -> Option<Bytes>;

    /// The current time in this machine's zone, with a reading of the monotonic clock.
    fn now(&self) -> Time;

    /// Whether a file or folder exists at `path`. Links are followed. False if it cannot be
    /// accessed.
    fn file_exists(&self, path: &[u8]) -> bool;

    /// The addresses of the host `name`. For an address, that address.
    ///
    /// # Errors
    /// Why the host has no addresses.
    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>>;

    /// The SRV records of the domain `name`.
    ///
    /// # Errors
    /// Why there are no records, and what was looked up.
    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>>;
}

/// An SRV record: a place where a service can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The name of the host, which ends in a dot.
    pub target: String,
    /// The port on that host.
    pub port: u16,
    /// The priority; lower values are tried first.
    pub priority: u16,
    /// The share of requests among the records of one priority.
    pub weight: u16,
}

/// The machine that the program runs on.
#[derive(Debug)]
pub struct System {
    started: Instant,
    zone: OnceLock<Arc<Zone>>,
}

impl System {
    /// The machine. Its monotonic clock starts now.
    pub fn new() -> Self {
        Self { started: Instant::now(), zone: OnceLock::new() }
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl Host for System {
    #[expect(clippy::disallowed_methods, reason = "templates may read the environment")]
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        std::env::var_os(OsStr::from_bytes(name)).map(|value| value.into_vec().into())
    }

    #[expect(clippy::disallowed_methods, reason = "`TZ` names the time zone of templates")]
    fn now(&self) -> Time {
        let zone =
            self.zone.get_or_init(|| Arc::new(Zone::local(std::env::var_os("TZ").as_deref())));
        let monotonic = i64::try_from(self.started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let (seconds, nanos) = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos()),
            // A clock before 1970 was never set.
            Err(_) => (0, 0),
        };
        Time::new(seconds, nanos, Arc::clone(zone)).with_monotonic(monotonic)
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        std::fs::metadata(OsStr::from_bytes(path)).is_ok()
    }

    /// Uses the system's resolver, which follows `/etc/hosts` and `nsswitch.conf`.
    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        let no_such_host = || io::Error::new(io::ErrorKind::NotFound, "no such host");
        let name = std::str::from_utf8(name).map_err(|_| no_such_host())?;
        if let Some(address) = literal_address(name) {
            return Ok(vec![address]);
        }
        if name.is_empty() || name.contains('%') || ends_in_number(name) {
            return Err(no_such_host());
        }
        let mut addresses = Vec::new();
        for address in (name, 0).to_socket_addrs()? {
            let address = address.ip().to_canonical();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        srv::lookup(name)
    }
}

/// The address that `name` is, if it is one. The zone of an IPv6 address is left out.
fn literal_address(name: &str) -> Option<IpAddr> {
    let address = match name.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => IpAddr::V6(address.parse::<Ipv6Addr>().ok()?),
        _ => name.parse().ok()?,
    };
    Some(address.to_canonical())
}

/// Whether the last label of `name` is a number, as in `127.1`. No host has such a name, but the
/// system's resolver reads it as an abbreviated address, which Go's resolver does not.
fn ends_in_number(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let label = name.rsplit('.').next().unwrap_or_default();
    let digits = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    match digits {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_looked_at_does_not_exist() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        std::fs::write(&file, "").expect("a file");
        let dangling = folder.path().join("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).expect("a link");
        let exists =
            |path: &std::path::Path| System::new().file_exists(path.as_os_str().as_bytes());
        assert!(exists(folder.path()));
        assert!(exists(&file));
        assert!(!exists(&dangling));
        assert!(!exists(&file.join("below")), "a file is no folder");
        assert!(!System::new().file_exists(b""));
        assert!(!System::new().file_exists(b"/\0"));
    }

    #[test]
    fn a_name_that_is_no_variable_is_not_set() {
        for name in [&b""[..], b"=", b"A\0B", b"\xff"] {
            assert_eq!(System::new().variable(name), None);
        }
    }

    #[test]
    fn the_monotonic_clock_begins_with_the_system() {
        let system = System::new();
        let (first, second) = (system.now(), system.now());
        assert!(first.to_string().contains(" m=+0.0"), "{first}");
        assert!(first.compare(&second).is_le());
    }

    #[test]
    fn addresses_stand_for_themselves() {
        for (name, want) in [
            ("9.9.9.9", "9.9.9.9"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
            ("fe80::1%nosuch", "fe80::1"),
        ] {
            let found = System::new().addresses(name.as_bytes()).expect(name);
            assert_eq!(found, [want.parse::<IpAddr>().expect(want)]);
        }
    }

    #[test]
    fn abbreviated_addresses_are_no_hosts() {
        for name in ["127.1", "1", "0x7f.1", "0x7f000001", "010.0.0.1", "1.2.3.4.", "", "\u{1}%x"] {
            assert!(System::new().addresses(name.as_bytes()).is_err(), "{name}");
        }
    }

    #[test]
    fn the_hosts_file_is_honoured() {
        let found = System::new().addresses(b"localhost").expect("in every hosts file");
        assert!(found.iter().all(IpAddr::is_loopback) && !found.is_empty(), "{found:?}");
    }
}
