//! The log: lines on standard error, in a file and in the system's log.

mod file;
mod syslog;

use std::fmt::{self, Display};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use world::Host;

use crate::config::{LogFile, Syslog};
use file::Rotating;

/// The importance of a line, the least important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

const LEVELS: [(Level, &str); 5] = [
    (Level::Trace, "TRACE"),
    (Level::Debug, "DEBUG"),
    (Level::Info, "INFO"),
    (Level::Warn, "WARN"),
    (Level::Error, "ERR"),
];

impl Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = LEVELS.iter().find(|(level, _)| level == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// The log of a run. Clones write to the same places.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Places>>);

struct Places {
    host: Arc<dyn Host>,
    stderr: Box<dyn Write + Send>,
    /// `None` until the configuration was read. All lines are written until then.
    level: Option<Level>,
    file: Option<Rotating>,
    syslog: Option<syslog::Sender>,
}

/// The time of a line, in Go's form of layouts.
const LAYOUT: &[u8] = b"2006-01-02T15:04:05.000Z0700";
/// The time of a line that is written before the configuration was read.
const EARLY: &[u8] = b"2006/01/02 15:04:05";

impl Log {
    /// A log on `stderr`.
    pub(crate) fn new(host: Arc<dyn Host>, stderr: Box<dyn Write + Send>) -> Log {
        Log(Arc::new(Mutex::new(Places { host, stderr, level: None, file: None, syslog: None })))
    }

    /// Writes the lines of this level and above from now on, also to a file and to the system's
    /// log.
    ///
    /// # Errors
    /// There is no such level, or one of the places cannot be opened.
    pub(crate) fn configure(
        &self,
        level: &str,
        file: Option<&LogFile>,
        system: Option<&Syslog>,
    ) -> Result<(), String> {
        let name = level.to_uppercase();
        let Some((level, _)) = LEVELS.iter().find(|(_, known)| *known == name) else {
            let valid = LEVELS.map(|(_, name)| name).join(", ");
            return Err(format!("invalid log level {name:?}, valid log levels are {valid}"));
        };
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = file {
            let text = format!(
                "(logging) enabling log_file logging to {} with rotation every {}",
                file::shown_path(file).display(),
                crate::config::duration::shown(file.age),
            );
            places.line(Level::Debug, &text);
            places.file = Some(
                Rotating::open(file)
                    .map_err(|error| format!("error setting up log_file logging : {error}"))?,
            );
        }
        if let Some(system) = system {
            let sender = syslog::Sender::open(system);
            places.syslog =
                Some(sender.map_err(|error| format!("error setting up syslog logger: {error}"))?);
        }
        places.level = Some(*level);
        Ok(())
    }

    /// Writes a line. Its text begins with the component in parentheses.
    pub(crate) fn write(&self, level: Level, text: impl Display) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if places.level.is_none_or(|least| level >= least) {
            let text = text.to_string();
            places.line(level, &text);
        }
    }

    /// Writes a text that is no line of the log.
    pub(crate) fn print(&self, text: &str) {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Nothing can be done if standard error is closed.
        let _ = places.stderr.write_all(text.as_bytes());
    }

    pub(crate) fn debug(&self, text: impl Display) {
        self.write(Level::Debug, text);
    }

    pub(crate) fn info(&self, text: impl Display) {
        self.write(Level::Info, text);
    }

    pub(crate) fn warn(&self, text: impl Display) {
        self.write(Level::Warn, text);
    }

    pub(crate) fn error(&self, text: impl Display) {
        self.write(Level::Error, text);
    }
}

impl Places {
    fn line(&mut self, level: Level, text: &str) {
        let layout = if self.level.is_some() { LAYOUT } else { EARLY };
        let mut line = self.host.now().format(layout);
        let content = format!("[{level}] {text}\n");
        line.extend_from_slice(format!(" {content}").as_bytes());
        // Nothing can be done about a log that cannot be written.
        let _ = self.stderr.write_all(&line);
        if let Some(file) = &mut self.file {
            let _ = file.write(content.as_bytes());
        }
        if let Some(syslog) = &self.syslog {
            syslog.send(level, text);
        }
    }
}
