//! The edge of the program: command line, configuration, log, signals and exit code.
//!
//! Only here the program reads its arguments and environment, prints, and ends the process.
//! Everything decided here is passed down; the other crates do not ask for it.

mod accepted;
mod asked;

mod checks;
mod commands;
#[cfg(feature = "consul-template")]
mod consul_template;
mod daemon;
mod differences;
mod discovered;
mod environment;
mod flags;
mod fork;
mod general;
mod logging;
mod outside;
mod progress;
mod prove;
#[cfg(test)]
mod reference;
#[cfg(feature = "registrator")]
mod register;
mod remote;
mod schema;
mod setup;
mod several;
mod signals;
mod sources;
mod srv;
mod supervised;
mod systemd;
mod table;
mod versions;

use std::{
    ffi::{OsStr, OsString},
    os::fd::AsFd as _,
    process::{ExitCode, Termination},
    sync::Arc,
    thread,
    time::Duration,
};
#[cfg(any(feature = "consul-template", feature = "registrator"))]
use std::{iter::Peekable, path::Path};

#[cfg(feature = "registrator")]
use ::register::Program;
use agent::{Agent, Finished, Need};
use anyhow::{Context as _, anyhow};
use config::Dialect;
use source::Configured as _;
use tokio::runtime::Runtime;
use tracing::info;
use world::Host;

use crate::{
    environment::Environment,
    flags::{CommandLine, Request},
    logging::{Format, Level, Notice},
    setup::{Config, Mode},
    signals::Signals,
};

/// The longest time that the end of the process waits until the log is written.
const LAST_LINES: Duration = Duration::from_millis(500);

/// The exit code of a run with `-detailed-exitcode`, or of `confd plan`, if a file would change.
const DIFFERS: u8 = 2;

/// How the process ends, as scripts see it.
enum Exit {
    /// Everything succeeded, or a stop signal ended a daemon.
    Success,
    /// Something failed; the log says what.
    Failure,
    /// The command line has an error.
    Usage,
    /// The exit code of another program of this binary, or of a run with `-exit-codes`.
    Code(u8),
    /// Everything is applied, and the process becomes this program.
    Become(Box<supervised::Plan>),
    /// A signal ended a onetime run. The exit status is the same as without a handler.
    Signal(signals::Signal),
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self {
            Exit::Success => ExitCode::SUCCESS,
            Exit::Failure => ExitCode::from(1),
            Exit::Usage => ExitCode::from(2),
            Exit::Code(code) => ExitCode::from(code),
            Exit::Become(program) => ExitCode::from(program.become_it()),
            Exit::Signal(signal) => signal.end_process(),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "cli reads the arguments")]
fn main() -> Exit {
    let mut words = std::env::args_os();
    let program = words.next().unwrap_or_else(|| "confd".into());
    let mut words = words.peekable();
    #[cfg(feature = "registrator")]
    for (name, program_of_name) in
        [(register::NAME, Program::Registrator), (register::WORD, Program::Register)]
    {
        if let Some(words) = named(name, &program, &mut words) {
            return register::run(program_of_name, words);
        }
    }
    if let Some(command) = words.peek().and_then(|first| commands::find(first)) {
        return command.run(words.skip(1));
    }
    #[cfg(feature = "consul-template")]
    if let Some(words) = named(consul_template::NAME, &program, &mut words) {
        return consul_template::run(words);
    }
    match flags::read(words) {
        Ok(Request::Run(line, ignored)) => run(line, ignored, &program),
        Ok(Request::Version) => {
            print(&mut std::io::stdout(), &version());
            Exit::Success
        }
        Ok(Request::Help(Dialect::Confd)) => {
            print(&mut std::io::stderr(), &flags::usage(&program));
            Exit::Success
        }
        Ok(Request::Help(Dialect::Fork)) => {
            print(&mut std::io::stdout(), &flags::usage(&program));
            Exit::Success
        }
        Err(mistake) => mistaken(&mistake, mistake.dialect, &program),
    }
}

/// Reports a mistake on the command line.
fn mistaken(mistake: &dyn std::fmt::Display, dialect: Dialect, program: &OsStr) -> Exit {
    let usage = flags::usage(program);
    match dialect {
        Dialect::Confd => {
            print(&mut std::io::stderr(), &format!("{mistake}\n{usage}"));
            Exit::Usage
        }
        // Where the fork's users look for it.
        Dialect::Fork => {
            print(&mut std::io::stdout(), &usage);
            print(&mut std::io::stderr(), &format!("confd: error: {mistake}\n"));
            Exit::Code(fork::USAGE)
        }
    }
}

/// The words of the command line of another program of this binary, if the process was started as
/// that program: by the name of its file, or as `confd NAME`.
#[cfg(any(feature = "consul-template", feature = "registrator"))]
fn named(
    name: &str,
    program: &OsStr,
    words: &mut Peekable<impl Iterator<Item = OsString>>,
) -> Option<Vec<OsString>> {
    let by_file = Path::new(program).file_name() == Some(OsStr::new(name));
    if !by_file && words.peek().is_none_or(|word| word != name) {
        return None;
    }
    Some(words.by_ref().skip(usize::from(!by_file)).collect())
}

/// Writes what a command was asked for to standard output. A closed pipe is not an error.
///
/// # Errors
/// It cannot be written, so that the result is not whole.
fn show(bytes: &[u8]) -> anyhow::Result<()> {
    use std::io::Write as _;

    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(anyhow::Error::from(error).context("cannot write to standard output"))
        }
        _ => Ok(()),
    }
}

/// Prints a text that the user asked for. A closed pipe is not an error.
fn print(stream: &mut dyn std::io::Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

fn version() -> String {
    let commit = option_env!("CONFD_GIT_SHA").filter(|commit| !commit.is_empty());
    let commit = commit.unwrap_or("unknown");
    format!(
        "confd {} (Git SHA: {commit}, Rust Version: {})\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_RUST_VERSION")
    )
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "cli reads the environment")]
fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

fn run(line: CommandLine, ignored: Option<OsString>, program: &OsString) -> Exit {
    let mut notices = Vec::new();
    notices.extend(ignored.map(|word| {
        let text = "and what follows it on the command line are ignored";
        Notice::Warning(format!("{} {text}", gotmpl::quote(word.as_encoded_bytes())))
    }));
    let config = setup::load(&line, &Environment::of_process(), &mut notices);
    if let Err(error) = &config
        && let Some(mistake) = error.downcast_ref::<setup::Usage>()
    {
        return mistaken(mistake, line.dialect, program);
    }
    let dialect = line.dialect;
    let level = config.as_ref().map_or(Level::Info, |config| config.level);
    let host: Arc<dyn Host> = Arc::new(world::System::new());
    logging::write_as(config.as_ref().map_or(Format::Text, |config| config.format));
    logging::init(level, &program.to_string_lossy(), Arc::clone(&host));
    let ended = config.and_then(|config| {
        let runtime = runtime(config.mode)?;
        // Before the first line of the log, so that a reader of that line can send signals.
        let (signals, receiver) = {
            let (limit, passes_on) = (config.schedule.shutdown_timeout, config.program.is_some());
            Signals::catch(config.mode, limit, passes_on).context("cannot listen for signals")?
        };
        if config.mode != Mode::Onetime {
            logging::write_in_background();
        }
        notices.drain(..).for_each(|notice| notice.log());
        let work = move || {
            let exit = runtime.block_on(start(config, line, host, signals));
            // A thread that still waits, for a name server for example, does not delay the exit.
            runtime.shutdown_background();
            exit
        };
        receiver.run(work).context("cannot start a thread")?
    });
    notices.iter().for_each(Notice::log);
    let exit = ended.unwrap_or_else(|error| {
        match dialect {
            Dialect::Confd => logging::fatal_error(&error),
            Dialect::Fork => checks::print_errors(&[format!("{error:#}")]),
        }
        Exit::Failure
    });
    logging::flush(LAST_LINES);
    exit
}

/// The descriptors that the runtime needs. Without them, building it panics.
const DESCRIPTORS: usize = 8;

/// The time for which an idle thread is kept: for ever.
const KEEP: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// One thread for everything. Staging adds threads where work can overlap.
///
/// If no further thread can be started, the runtime uses those that there are, and panics if there
/// is none. So a daemon keeps its threads.
///
/// # Errors
/// The process cannot have enough open files.
fn runtime(mode: Mode) -> anyhow::Result<Runtime> {
    let stderr = std::io::stderr();
    let probes = std::iter::repeat_with(|| stderr.as_fd().try_clone_to_owned());
    let probes: std::io::Result<Vec<_>> = probes.take(DESCRIPTORS).collect();
    let cannot_start = |error| anyhow!("cannot start: {}", report::errno_text(&error));
    drop(probes.map_err(cannot_start)?);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().max_blocking_threads(agent::overlap());
    if mode != Mode::Onetime {
        builder.thread_keep_alive(KEEP);
    }
    builder.build().map_err(cannot_start)
}

/// Starts a first thread for blocking work, which a daemon keeps.
///
/// # Errors
/// No thread can be started.
async fn keep_a_thread() -> anyhow::Result<()> {
    // The runtime would panic.
    let probe = thread::Builder::new().spawn(|| ()).context("cannot start a thread")?;
    // A thread without work cannot panic.
    let _ = probe.join();
    tokio::task::spawn_blocking(|| ()).await.context("cannot start a thread")
}

/// The exit code of a onetime run with `-exit-codes` that needs this.
fn code(need: Need) -> u8 {
    match need {
        Need::Repair => 1,
        Need::Data => 3,
        Need::Check => 4,
        Need::Reload => 5,
    }
}

async fn start(
    mut config: Config,
    line: CommandLine,
    host: Arc<dyn Host>,
    mut signals: Signals,
) -> anyhow::Result<Exit> {
    if config.checks.is_some() {
        return tokio::select! {
            exit = checks::run(&mut config, &host) => Ok(exit),
            signal = signals.next() => Ok(Exit::Signal(signal)),
        };
    }
    let wait = tokio::select! {
        left = srv::discover_within(&mut config.source, &host, config.wait) => match left {
            Ok(left) => left,
            Err(error) if config.mode == Mode::Onetime && config.exit_codes => {
                logging::fatal_error(&error);
                return Ok(Exit::Code(code(Need::Data)));
            }
            Err(error) => return Err(error),
        },
        signal = signals.next() => return Ok(Exit::Signal(signal)),
    };
    config.source.announce(|| info!("Starting confd"));
    if config.mode != Mode::Onetime {
        keep_a_thread().await?;
        return Ok(daemon::run(config, line, host, signals).await);
    }
    let agent = Agent::new(config.settings.clone(), config.source.open(), host);
    let found = Arc::new(config.differences.reader());
    let mut agent = agent.with_queries(config.queries()).with_reader(Arc::clone(&found) as _);
    let exit = tokio::select! {
        done = agent.onetime_within(wait) => {
            if let Err(failed) = &done {
                match config.dialect {
                    Dialect::Confd => logging::fatal(failed),
                    Dialect::Fork => checks::print_errors(&[failed.to_string()]),
                }
            }
            match (done, config.exit_codes) {
                (Ok(_), _) if config.differences.is_exit_code && found.any() => Exit::Code(DIFFERS),
                (Ok(Finished::ReloadPending), true) => Exit::Code(code(Need::Reload)),
                (Ok(Finished::ReloadPending), false) if config.dialect == Dialect::Fork => {
                    Exit::Failure
                }
                (Ok(_), _) => match config.program.take() {
                    Some(program) => Exit::Become(Box::new(program)),
                    None => Exit::Success,
                },
                (Err(failed), false) if config.dialect == Dialect::Fork => {
                    failed.status.map_or(Exit::Failure, Exit::Code)
                }
                (Err(_), false) => Exit::Failure,
                (Err(failed), true) => Exit::Code(code(failed.need)),
            }
        },
        signal = signals.next() => Exit::Signal(signal),
    };
    // The process ends now. Freeing the memory of a thousand resources would take a millisecond.
    std::mem::forget(agent);
    Ok(exit)
}
