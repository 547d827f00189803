//! The program consul-template: its command line, its configuration, its template language and its
//! log, on confd's own parts.
//!
//! [`run`] is the whole interface. It takes what the edge of the program knows, an [`Edge`], works
//! until there is nothing left to do or a signal ends it, and returns the exit code.
//!
//! ```text
//!  flags, files ──► config ──► runner: a pass over all templates ──► place ──► commands, child
//!                                │  template in a session           (deploy)   (command)
//!                                └─ views: what templates ask for ◄── answers
//! ```
//!
//! - `flags` and `config` make one `Config` of command line, files and variables.
//! - `template` compiles a template once and executes it in a `session`, which notes what is missing.
//! - `runner` repeats passes until nothing is missing, and again when an answer differs.
//! - `markers` remember the commands that have not succeeded, also for the next start.
//! - `functions` is the library of template functions.
//!
//! This crate names no source of keys: the edge opens Consul. Vault is asked by `secrets`, with the client of
//! `client-vault`. What asks Nomad is refused with a message.

mod child;
mod config;
mod flags;
mod functions;
mod log;
mod markers;
mod notify;
mod owner;
mod place;
mod program;
mod quiet;
mod retries;
mod runner;
mod secrets;
mod session;
mod signals;
mod template;
mod usage;
mod views;

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use report::errno_text;
use source::queries::{self, Queries};
use tokio::sync::mpsc;
use world::Host;

use config::Config;
use config::settings::Settings;
use flags::{Flags, Stop};
use log::Log;
use markers::Memory;
pub use runner::Output;
use runner::{Ended, Runner};
pub use signals::Pending;

/// The exit code after the kill signal.
pub const INTERRUPTED: u8 = 12;
/// The exit code after an error of the command line.
const BAD_FLAGS: u8 = 13;
/// The exit code after an error of a template, a command or a query.
const FAILED: u8 = 14;
/// The exit code after an error of the configuration.
const BAD_CONFIG: u8 = 15;

/// SIGINT, which ends the program before it has read its configuration.
const INTERRUPT: i32 = 2;
/// SIGTERM, by which service managers end a program.
const TERMINATE: i32 = 15;

/// What only the edge of the program knows.
pub struct Edge {
    /// The words of the command line after the program's name.
    pub words: Vec<OsString>,
    /// The variables of the process.
    pub environment: Rc<[(OsString, OsString)]>,
    /// The machine, for the clock and for names.
    pub host: Arc<dyn Host>,
    /// The standard output.
    pub stdout: Output,
    /// Makes another handle of the standard error.
    pub stderr: fn() -> Box<dyn Write + Send>,
    /// The numbers of the signals that the process receives.
    pub signals: mpsc::UnboundedReceiver<i32>,
    /// The same signals, noted before they are sent to `signals`: they stop executions.
    pub pending: Pending,
    /// Opens Consul. Nothing is connected to yet.
    pub consul: fn(client_consul::Options, queries::Settings) -> Box<dyn Queries>,
    /// The text of `-version`, without the program's name.
    pub version: String,
}

/// Runs the program and returns its exit code. It must be called on a Tokio runtime of one thread
/// with I/O and time enabled.
pub async fn run(mut edge: Edge) -> u8 {
    let log = Log::new(Arc::clone(&edge.host), (edge.stderr)());
    edge.pending.set(&[INTERRUPT, TERMINATE], None);
    let local = local_settings(&edge);
    let flags = match (local, flags::read(edge.words.clone())) {
        (Err(error), _) => {
            log.print(&format!("{error}\n"));
            return BAD_FLAGS;
        }
        (Ok(local), Ok(mut flags)) => {
            let own = std::mem::replace(&mut flags.settings, local);
            flags.settings.merge(own);
            flags
        }
        (_, Err(Stop::Help)) => {
            print(&edge.stdout, &usage::text());
            return 0;
        }
        (_, Err(Stop::Error(error))) => {
            log.print(&format!("{error}\n"));
            return BAD_FLAGS;
        }
    };
    let memory = Memory::default();
    loop {
        let config = match configure(&flags, &edge, &log) {
            Ok(config) => Rc::new(config),
            Err(error) => return fail(&log, &error, BAD_CONFIG),
        };
        log.info(format!("consul-template v{}", edge.version));
        if flags.version {
            print(&edge.stdout, &format!("consul-template v{}\n", edge.version));
            return 0;
        }
        match serve(&config, &flags, &mut edge, &memory, &log).await {
            Next::Exit(code) => return code,
            Next::Reload => log.print("Reloading configuration...\n"),
        }
    }
}

/// The settings of the variable `CT_LOCAL_CONFIG`.
fn local_settings(edge: &Edge) -> Result<Settings, String> {
    let variable = edge.environment.iter().find(|(name, _)| name == "CT_LOCAL_CONFIG");
    match variable.map(|(_, value)| value.to_string_lossy()) {
        Some(text) if !text.is_empty() => config::decode(&text).map(|(settings, _)| settings),
        _ => Ok(Settings::default()),
    }
}

/// Reads the configuration and prepares the log.
fn configure(flags: &Flags, edge: &Edge, log: &Log) -> Result<Config, String> {
    let (mut settings, warnings) = config::load(&flags.paths)?;
    settings.merge(flags.settings.clone());
    let config = Config::new(&settings, &edge.environment);
    for warning in warnings {
        log.warn(warning);
    }
    log.configure(&config.log_level, config.log_file.as_ref(), config.syslog.as_ref())?;
    for (old, new) in &flags.outdated {
        log.warn(match new {
            Some(new) => format!("(cli) the flag -{old} is now called -{new}"),
            None => format!("(cli) the flag -{old} has no effect"),
        });
    }
    if settings.block("deduplicate").flag("enabled").unwrap_or(false) && !config.once {
        log.info("(runner) de-duplication has no effect: every process follows its own queries");
    }
    Ok(config)
}

/// What follows a run.
enum Next {
    Exit(u8),
    Reload,
}

/// Runs with one configuration, until it ends or a signal ends it.
async fn serve(
    config: &Rc<Config>,
    flags: &Flags,
    edge: &mut Edge,
    memory: &Memory,
    log: &Log,
) -> Next {
    let ending: Vec<_> = config.kill_signal.into_iter().chain([TERMINATE]).collect();
    edge.pending.set(&ending, config.reload_signal);
    let mut runner = match Runner::new(Rc::clone(config), flags.dry, log, edge, memory) {
        Ok(runner) => runner,
        Err(error) => return Next::Exit(fail(log, &error, FAILED)),
    };
    let pid_file = config.pid_file.as_deref();
    if let Some(path) = pid_file
        && let Err(error) = write_pid(path, log)
    {
        return Next::Exit(fail(log, &error, FAILED));
    }
    let child = runner.child();
    let ended = {
        let running = runner.run();
        tokio::pin!(running);
        loop {
            let number = tokio::select! {
                ended = &mut running => break Ok(ended),
                Some(number) = edge.signals.recv() => number,
            };
            edge.pending.take(number);
            log.debug(format!("(cli) receiving signal {:?}", report::signal_text(number)));
            if Some(number) == config.reload_signal {
                break Err(Next::Reload);
            }
            let has_child = child.as_ref().is_some_and(child::Child::is_started);
            if Some(number) == config.kill_signal || number == TERMINATE && !has_child {
                break Err(Next::Exit(INTERRUPTED));
            }
            if let Some(child) = &child {
                child.receive(number).await;
            }
        }
    };
    let next = match ended {
        Err(Next::Reload) => {
            runner.stop(false).await;
            Next::Reload
        }
        Err(Next::Exit(code)) => {
            log.print("Cleaning up...\n");
            runner.stop(true).await;
            Next::Exit(code)
        }
        Ok(Ok(Ended::Done)) => {
            runner.stop(true).await;
            Next::Exit(0)
        }
        Ok(Ok(Ended::Child(0))) => {
            log.info("(cli) child process exited with code 0");
            Next::Exit(0)
        }
        Ok(Ok(Ended::Child(code))) => {
            let text = format!("child process exited with code {code}");
            // The system keeps the low eight bits of an exit code: -1 is 255.
            Next::Exit(fail(log, &text, code.to_le_bytes()[0]))
        }
        Ok(Err(error)) => {
            runner.stop(true).await;
            Next::Exit(fail(log, &error, FAILED))
        }
    };
    if let Some(path) = pid_file {
        log.debug(format!("removing pid file at {:?}", path.display()));
        if let Err(cause) = fs::remove_file(path) {
            let why = errno_text(&cause);
            log.warn(format!("(runner) could not remove pid at {:?}: {why}", path.display()));
        }
    }
    next
}

fn write_pid(path: &Path, log: &Log) -> Result<(), String> {
    log.info(format!("creating pid file at {:?}", path.display()));
    let opened = OpenOptions::new().create(true).write(true).truncate(true).open(path);
    let mut file = opened.map_err(|cause| {
        let why = errno_text(&cause);
        format!("runner: could not open pid file: open {}: {why}", path.display())
    })?;
    write!(file, "{}", std::process::id())
        .map_err(|cause| format!("runner: could not write to pid file: {}", errno_text(&cause)))
}

/// Logs the error that ends the process, and returns its exit code.
fn fail(log: &Log, error: &str, code: u8) -> u8 {
    log.error(format!("(cli) {error}"));
    code
}

/// Prints a text that the user asked for. A closed pipe is not an error.
fn print(stdout: &Output, text: &str) {
    let mut stdout = stdout.borrow_mut();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
