//! The system's log: datagrams to the local socket.

use std::io;
use std::os::unix::net::UnixDatagram;

use super::Level;
use crate::config::Syslog;

/// The sockets of the system's log, of which the first that is there is used.
const SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// The facilities by their names. The place of each is its number.
const FACILITIES: [&str; 24] = [
    "KERN", "USER", "MAIL", "DAEMON", "AUTH", "SYSLOG", "LPR", "NEWS", "UUCP", "CRON", "AUTHPRIV",
    "FTP", "NTP", "AUDIT", "ALERT", "CLOCK", "LOCAL0", "LOCAL1", "LOCAL2", "LOCAL3", "LOCAL4",
    "LOCAL5", "LOCAL6", "LOCAL7",
];

/// A connection to the system's log.
pub(super) struct Sender {
    socket: UnixDatagram,
    facility: usize,
    name: String,
}

impl Sender {
    pub(super) fn open(settings: &Syslog) -> io::Result<Sender> {
        let wanted = settings.facility.to_uppercase();
        let facility = FACILITIES.iter().position(|name| *name == wanted).ok_or_else(|| {
            let text = format!("invalid syslog facility: {}", settings.facility);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let socket = UnixDatagram::unbound()?;
        if !SOCKETS.iter().any(|path| socket.connect(path).is_ok()) {
            let text = "Unix syslog delivery error";
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(Sender { socket, facility, name: settings.name.clone() })
    }

    pub(super) fn send(&self, level: Level, text: &str) {
        // The numbers of the priorities err, warning, notice and info.
        let severity = match level {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info | Level::Trace => 5,
            Level::Debug => 6,
        };
        let priority = self.facility * 8 + severity;
        let line = format!("<{priority}>{}[{}]: {text}", self.name, std::process::id());
        // Nothing can be done about a log that cannot be written.
        let _ = self.socket.send(line.as_bytes());
    }
}
