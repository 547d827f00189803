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

pub mod interfaces;
pub mod time;

mod with;

use std::ffi::OsStr;
use std::io;
use std::net::IpAddr;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use names::Resolver;
pub use names::Service;

pub use self::with::With;

use self::interfaces::Interface;
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

    /// The name of this machine.
    ///
    /// # Errors
    /// There is no machine, as in a test.
    fn machine_name(&self) -> io::Result<Bytes> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The addresses of the network interfaces of this machine.
    ///
    /// # Errors
    /// The system does not say, or there is no machine, as in a test.
    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        Err(io::ErrorKind::Unsupported.into())
    }
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

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        let name = std::str::from_utf8(name).map_err(|_| no_such_host("no such host"))?;
        // The caller knows the name and shows it as a value, which may be secret.
        Resolver::system().wait_for_addresses(name).map_err(|error| {
            let kind = io::Error::from(error.clone()).kind();
            io::Error::new(kind, error.reason())
        })
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        let text = std::str::from_utf8(name).map_err(|_| {
            let name = String::from_utf8_lossy(name);
            no_such_host(format!("lookup {name}: no such host (not a domain name)"))
        })?;
        Ok(Resolver::system().wait_for_services(text)?)
    }

    fn machine_name(&self) -> io::Result<Bytes> {
        Ok(Bytes::copy_from_slice(rustix::system::uname().nodename().to_bytes()))
    }

    fn interfaces(&self) -> io::Result<Vec<Interface>> {
        interfaces::interfaces()
    }
}

/// The error for a text that is no name.
fn no_such_host(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, text.into())
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
    fn bytes_that_are_no_text_are_no_names() {
        let error = System::new().addresses(b"\xff.x").unwrap_err();
        assert_eq!(error.to_string(), "no such host");
        let error = System::new().services(b"\xff.x").unwrap_err();
        assert_eq!(error.to_string(), "lookup \u{fffd}.x: no such host (not a domain name)");
    }

    #[test]
    fn the_error_for_a_host_does_not_repeat_its_name() {
        for name in ["", "127.1", "a b", "010.0.0.1"] {
            let error = System::new().addresses(name.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), "no such host", "{name}");
        }
    }
}
