//! Runs a command and keeps a bounded part of its output.
//!
//! A [`Command`] says what to run. [`Command::run`] runs it to its end and returns its output and
//! its result, as an [`Ended`]. [`Command::start`] returns a [`Running`] command, which can be
//! waited for, signalled and stopped.
//!
//! The promises to callers, each with a test:
//!
//! - A command has ended when its first process has ended. Background processes that it left are
//!   not waited for and not disturbed, whether their output is redirected or not.
//! - A command that exceeds its time limit is stopped with everything it started: SIGTERM to the
//!   group, then SIGKILL after [`GRACE`].
//! - A command whose future or handle is dropped is killed at once, with everything it started.
//! - At most 64 KiB of the output are kept, and the command never has to wait until this process
//!   reads its output.
//!
//! An [`Attached`] program is for callers whose users expect to see and to feed it: it has the
//! standard streams of this process, and only the environment that it is given.
//!
//! The standard input of a command is empty; its working folder is that of this process. This crate
//! writes nothing to the log: it returns values, and the caller decides what to log. It knows
//! programs, not files or resources.

mod attached;
mod orphans;
mod output;
mod running;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use report::{errno_text, signal_text};

pub use attached::{Attached, Group};
pub use orphans::reap_orphans;
pub use output::Output;
pub use running::{Running, Signal};

/// The shell that runs a [`Program::Shell`].
const SHELL: &str = "/bin/sh";
/// The time that a stopped command has to end before it is killed.
pub const GRACE: Duration = Duration::from_secs(5);
/// The time after which [`Command::run`] reports [`Notice::StillRunning`].
pub const SLOW: Duration = Duration::from_secs(10);

/// The program to run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Program {
    /// A text for `/bin/sh -c`, unchanged.
    Shell(OsString),
    /// A program, looked up in `PATH` unless its name has a slash, and its arguments. No shell is
    /// involved.
    Argv(Vec<OsString>),
}

impl Program {
    /// Whether it is an empty text or an empty list, which says that there is no command.
    pub fn is_empty(&self) -> bool {
        match self {
            Program::Shell(text) => text.is_empty(),
            Program::Argv(words) => words.is_empty(),
        }
    }

    /// The path or name of the file that is executed; empty for an empty [`Program::Argv`].
    fn file(&self) -> &OsStr {
        match self {
            Program::Shell(_) => OsStr::new(SHELL),
            Program::Argv(words) => words.first().map_or(OsStr::new(""), OsString::as_os_str),
        }
    }
}

/// A text for the shell.
impl From<&str> for Program {
    fn from(text: &str) -> Self {
        Program::Shell(text.into())
    }
}

/// A text for the shell.
impl From<String> for Program {
    fn from(text: String) -> Self {
        Program::Shell(text.into())
    }
}

/// Shows the shell's text unchanged, or the arguments with spaces between them. An argument that a
/// shell would not take as it is stands in quotes, so that the line can be copied to a shell.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Program::Shell(text) => return write!(f, "{}", text.display()),
            Program::Argv(words) => words,
        };
        for (nth, word) in words.iter().enumerate() {
            let space = if nth == 0 { "" } else { " " };
            let shown = word.display();
            match is_plain(word) {
                true => write!(f, "{space}{shown}")?,
                false => write!(f, "{space}'{}'", shown.to_string().replace('\'', "'\\''"))?,
            }
        }
        Ok(())
    }
}

/// Whether a shell takes the word as it is.
fn is_plain(word: &OsStr) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-+=./:,@%".contains(byte);
    !word.is_empty() && word.as_encoded_bytes().iter().all(is_plain)
}

/// A program and the way to run it.
#[derive(Clone, Debug)]
pub struct Command {
    program: Program,
    environment: Vec<(OsString, OsString)>,
    limit: Option<Duration>,
    grace: Duration,
}

impl Command {
    /// Runs `program` with the environment of this process and without a time limit.
    pub fn new(program: Program) -> Command {
        Command { program, environment: Vec::new(), limit: None, grace: GRACE }
    }

    /// Sets a variable of the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Command {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Sets the time after which [`run`](Command::run) stops the command. `None` means no limit.
    #[must_use]
    pub fn limit(mut self, limit: Option<Duration>) -> Command {
        self.limit = limit;
        self
    }

    /// The program to run.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Starts the command. The time limit has no effect here: only [`run`](Command::run) enforces
    /// it.
    ///
    /// It must be called on a Tokio runtime with I/O enabled.
    ///
    /// # Errors
    ///
    /// The program could not be started.
    pub fn start(&self) -> Result<Running, Error> {
        Running::start(&self.program, &self.environment)
            .map_err(|cause| Error::Start { file: self.program.file().to_owned(), cause })
    }

    /// Runs the command to its end, or to its time limit.
    ///
    /// `notify` is called while the command runs, with each [`Notice`] at most once. The command
    /// must be run on a Tokio runtime with I/O and time enabled. Dropping the future kills the
    /// command and everything it started.
    pub async fn run(&self, notify: &(dyn Fn(Notice) + Send + Sync)) -> Ended {
        let mut output = Output::default();
        let result = match self.start() {
            Ok(running) => self.supervise(running, notify, &mut output).await,
            Err(error) => Err(error),
        };
        Ended { output, result }
    }

    async fn supervise(
        &self,
        mut running: Running,
        notify: &(dyn Fn(Notice) + Send + Sync),
        output: &mut Output,
    ) -> Result<(), Error> {
        let ended = tokio::select! {
            biased;
            ended = running.wait(output) => Ok(ended),
            limit = self.limit_is_over(notify) => Err(limit),
        };
        match ended {
            Ok(ended) => {
                let status = ended.map_err(Error::Wait)?;
                running.leave(output);
                Error::unless_successful(status)
            }
            Err(limit) => {
                notify(Notice::Stopping { limit });
                running.stop(self.grace, output).await;
                Err(Error::TimedOut { limit })
            }
        }
    }

    /// Waits for the time limit and returns it; waits for ever if there is none. Reports
    /// [`Notice::StillRunning`] on the way.
    #[expect(
        clippy::disallowed_methods,
        reason = "`sleep_until` has no moment for a very long limit"
    )]
    async fn limit_is_over(&self, notify: &(dyn Fn(Notice) + Send + Sync)) -> Duration {
        match self.limit {
            Some(limit) if limit <= SLOW => {
                tokio::time::sleep(limit).await;
                limit
            }
            limit => {
                tokio::time::sleep(SLOW).await;
                notify(Notice::StillRunning { after: SLOW });
                let Some(limit) = limit else { return std::future::pending().await };
                tokio::time::sleep(limit - SLOW).await;
                limit
            }
        }
    }
}

/// A report of [`Command::run`] while the command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The command has been running for [`SLOW`].
    StillRunning {
        /// How long it has been running.
        after: Duration,
    },
    /// The command has passed its time limit and is sent SIGTERM.
    Stopping {
        /// The time limit.
        limit: Duration,
    },
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The output of the command, standard output and standard error together.
    pub output: Output,
    /// `Ok` if its exit status was 0.
    pub result: Result<(), Error>,
}

/// Why a command did not succeed, in the words of Go's `os/exec`.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// It ended with this exit status, which is not 0: `exit status 3`.
    Exit(i32),
    /// It was ended by a signal: `signal: killed`.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
    /// It was stopped because it passed its time limit.
    TimedOut {
        /// The time limit.
        limit: Duration,
    },
    /// It could not be started.
    Start {
        /// The program that was to be executed.
        file: OsString,
        /// The error of the system.
        cause: io::Error,
    },
    /// It could not be waited for.
    Wait(io::Error),
}

impl Error {
    /// The exit status as a Go program sees it, in one byte: 255 if a signal ended the command. `None` if
    /// it did not end by itself.
    pub fn status(&self) -> Option<u8> {
        match self {
            Error::Exit(status) => u8::try_from(*status).ok(),
            Error::Signal { .. } => Some(u8::MAX),
            _ => None,
        }
    }

    fn unless_successful(status: ExitStatus) -> Result<(), Error> {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(0), _) => Ok(()),
            (Some(code), _) => Err(Error::Exit(code)),
            (None, signal) => Err(Error::Signal {
                number: signal.unwrap_or_default(),
                core_dumped: status.core_dumped(),
            }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Exit(status) => write!(f, "exit status {status}"),
            Error::Signal { number, core_dumped } => {
                let dump = if *core_dumped { " (core dumped)" } else { "" };
                write!(f, "signal: {}{dump}", signal_text(*number))
            }
            Error::TimedOut { limit } => write!(f, "timed out after {limit:?}"),
            Error::Start { file, cause } => {
                write!(f, "fork/exec {}: {}", file.display(), errno_text(cause))
            }
            Error::Wait(cause) => write!(f, "wait: {}", errno_text(cause)),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
