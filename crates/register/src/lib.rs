//! The program registrator, and `confd register`: the services of containers and of processes are
//! announced in a store.
//!
//! [`run`] is the whole interface. It takes what the edge of the program knows, an [`Edge`], works
//! until a signal ends it, and returns the exit code.
//!
//! ```text
//!  engine ──► follower ──► keeper ──────────────────────► registry
//!  events     reconnects   container ► ports ► services   consul, consulkv, etcd, etcd2, skydns2
//!                             └── pending: changes that failed, tried again
//! ```
//!
//! - `container` reads the engine's document, `metadata` its variables and labels, `service` makes
//!   services of both, and `tags` executes the template of `-tags`.
//! - `follower` follows the engine's events, and outlives the engine.
//! - `keeper` decides what is registered; `pending` has what is to be tried again.
//! - `announce` is for processes: it runs a command, checks its services, and keeps their entries alive.
//! - `registry` is the store, one module for each kind.
//!
//! What a reader of the registry sees is the original's, quirks included: existing installations
//! must not notice.

mod announce;
mod container;
mod flags;
mod follower;
mod keeper;
mod log;
mod metadata;
mod pending;
mod registry;
mod service;
mod tags;
mod uri;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use client_docker::{Address, DEFAULT, Engine};
use options::Given;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use world::Host;

use flags::{Flags, Processes, Refusal, Request};
use keeper::{Fatal, Keeper, address_of};
use log::Log;
use registry::{Manner, Registry};

/// The exit code after an error.
const FAILED: u8 = 1;
/// The exit code after an error of the command line.
const USAGE: u8 = 2;

/// The longest time that removing services takes at the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// The sockets of engines that are looked for where the default one is missing, the first one
/// first: Docker's, and Podman's.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// The program that runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// registrator, with all its surprises.
    Registrator,
    /// `confd register`, for containers and for processes.
    Register,
}

/// What only the edge of the program knows.
pub struct Edge {
    /// The program that runs.
    pub program: Program,
    /// The words of the command line after the program's name.
    pub words: Vec<OsString>,
    /// The variables of the process.
    pub environment: Vec<(OsString, OsString)>,
    /// The name of this host.
    pub host_name: String,
    /// The machine, for the clock.
    pub host: Arc<dyn Host>,
    /// The standard output.
    pub stdout: Box<dyn Write>,
    /// The standard error.
    pub stderr: Box<dyn Write>,
    /// Receives the numbers of signals.
    pub signals: mpsc::UnboundedReceiver<i32>,
    /// How long the process may need after a signal to end.
    pub grace: Grace,
    /// The version.
    pub version: String,
}

/// How long the process may need after a signal to end by itself. Clones are the same time.
#[derive(Debug, Clone, Default)]
pub struct Grace(Arc<AtomicU64>);

impl Grace {
    /// The time.
    pub fn get(&self) -> Duration {
        FAREWELL + Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// Adds what a command needs to end.
    fn extend(&self, more: Duration) {
        let milliseconds = u64::try_from(more.as_millis()).unwrap_or(u64::MAX / 2);
        self.0.store(milliseconds, Ordering::Relaxed);
    }
}

/// Runs the program and returns its exit code. It must be called on a Tokio runtime of one thread
/// with I/O and time enabled, inside of a `LocalSet`.
pub async fn run(edge: Edge) -> u8 {
    let Edge { mut stdout, stderr, mut signals, version, .. } = edge;
    let log = Log::new(Arc::clone(&edge.host), stderr);
    let program = match edge.program {
        Program::Registrator => flags::Program::Original,
        Program::Register => flags::Program::Own,
    };
    let request = flags::read(edge.words, program);
    if request == Ok(Request::Version) {
        // Nothing can be done if standard output is closed.
        let _ = writeln!(stdout, "{version}");
        return 0;
    }
    if program == flags::Program::Original {
        log.line(format_args!("Starting registrator {version} ..."));
    }
    let mut flags = match request {
        Ok(Request::Version) => return 0,
        Ok(Request::Run(flags)) => *flags,
        Err(Refusal::Help) => {
            log.print(flags::usage(program).as_bytes());
            return 0;
        }
        Err(Refusal::Usage(text)) => {
            log.print(format!("{text}\n{}", flags::usage(program)).as_bytes());
            return USAGE;
        }
        Err(Refusal::Value(text)) => {
            log.line(text);
            return FAILED;
        }
    };
    let done = match flags.processes.take() {
        Some(processes) => {
            edge.grace.extend(processes.times.drain + processes.times.kill);
            let machine = Machine { host: edge.host_name, environment: edge.environment };
            of_processes(&flags, processes, machine, &mut signals, &log).await
        }
        None => of_containers(flags, edge.host_name, &edge.environment, &mut signals, &log).await,
    };
    done.unwrap_or_else(|text| {
        log.line(text);
        FAILED
    })
}

/// What is known of the machine.
struct Machine {
    host: String,
    environment: Vec<(OsString, OsString)>,
}

/// Registers services of processes until a signal, or the end of the command. Returns the exit code.
async fn of_processes(
    flags: &Flags,
    processes: Processes,
    machine: Machine,
    signals: &mut mpsc::UnboundedReceiver<i32>,
    log: &Log,
) -> Result<u8, String> {
    let given = given(&machine.environment);
    let registry = registry::open(&flags.uri, Manner::Living, flags.ttl, flags.noop, &given, log);
    let registry = registry.map_err(|registry::Unusable(text)| text)?;
    let mut described: Vec<_> = processes.described.into_iter().collect();
    if let Some(path) = &processes.file {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| format!("open {}: {}", path.display(), report::errno_text(&cause)))?;
        described.extend(announce::file::read(&path.to_string_lossy(), &text)?);
    }
    let address = match &flags.rules.address[..] {
        "" => address_of(&machine.host).await.unwrap_or_else(|| "127.0.0.1".to_owned()),
        given => given.to_owned(),
    };
    let announced = described.into_iter().map(|one| one.announced(&machine.host, &address));
    let announced = announced.collect::<Result<Vec<_>, _>>()?;
    let mut ids = BTreeSet::new();
    for announced in &announced {
        let service = &announced.service;
        if !ids.insert(registry.key(service)) {
            let (name, id) = (&service.name, &service.id);
            return Err(format!("two services {name} have the id {id}: give one of them an id"));
        }
        if let Some(why) = registry.refuses(service) {
            return Err(format!("service {}: {why}", service.name));
        }
    }
    let (command, environment) = (&processes.command, &machine.environment);
    let times = processes.times;
    Ok(announce::announce(announced, command, environment, registry, times, signals, log).await)
}

/// Registers services of containers until a signal. Returns the exit code.
async fn of_containers(
    flags: Flags,
    host: String,
    environment: &[(OsString, OsString)],
    signals: &mut mpsc::UnboundedReceiver<i32>,
    log: &Log,
) -> Result<u8, String> {
    let (engine, registry) = open(&flags, environment, log)?;
    tokio::select! {
        connected = connect(&flags, &*registry, log) => connected?,
        _ = signals.recv() => return Ok(0),
    }
    let on_exit = flags.deregister_on_exit;
    let mut keeper = Keeper::new(flags, engine, registry, host, log.clone());
    let (sender, reports) = mpsc::unbounded_channel();
    log.line("Listening for Docker events ...");
    let following = tokio::task::spawn_local(follower::follow(keeper.engine(), sender));
    let ended = tokio::select! {
        Fatal(text) = keeper.run(reports) => Err(text),
        _ = signals.recv() => Ok(0),
    };
    following.abort();
    if ended.is_ok() && on_exit {
        tokio::select! {
            done = timeout(FAREWELL, keeper.remove_all()) => {
                if done.is_err() {
                    log.line("not everything was removed from the registry in time");
                }
            }
            _ = signals.recv() => {}
        }
    }
    ended
}

/// What the variables say about registries.
fn given(environment: &[(OsString, OsString)]) -> Given {
    let variables = registry::VARIABLES.iter().copied().flatten();
    Given::default().with_variables(variables, |name| variable(environment, name))
}

fn variable(environment: &[(OsString, OsString)], name: &str) -> Option<OsString> {
    environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
}

/// Opens the engine and the registry. Nothing is connected to yet.
fn open(
    flags: &Flags,
    environment: &[(OsString, OsString)],
    log: &Log,
) -> Result<(Engine, Rc<dyn Registry>), String> {
    if !flags.misplaced.is_empty() {
        let words = flags.misplaced.join(" ");
        log.line(format_args!("options belong before the registry URI: {words} (they count)"));
    }
    if !flags.rules.address.is_empty() {
        log.line(format_args!("Forcing host IP to {}", flags.rules.address));
    }
    let given = given(environment);
    let engine = engine(&given, |name| variable(environment, name))?;
    let engine = Engine::new(engine).map_err(|error| error.to_string())?;
    let manner = if flags.rules.is_plain { Manner::Plain } else { Manner::Original };
    let registry = registry::open(&flags.uri, manner, flags.ttl, flags.noop, &given, log);
    Ok((engine, registry.map_err(|registry::Unusable(text)| text)?))
}

/// Where the engine is, by Docker's own variables.
fn engine(
    given: &Given,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Result<client_docker::Options, String> {
    let text = |name: &str| {
        let value = variable(name)?.to_string_lossy().into_owned();
        (!value.is_empty()).then_some(value)
    };
    let address = match text("DOCKER_HOST") {
        Some(address) if !address.contains([':', '/']) => {
            let form = "unix:///PATH or tcp://HOST:PORT";
            return Err(format!("DOCKER_HOST: {address} is not an address of the form {form}"));
        }
        Some(address) => Address::parse(&address),
        None => Address::parse(&default_socket()),
    };
    let address = address.map_err(|error| format!("DOCKER_HOST: {error}"))?;
    let tls = text("DOCKER_TLS_VERIFY").map(|_| {
        let folder = text("DOCKER_CERT_PATH").map(PathBuf::from);
        let folder = folder.or_else(|| Some(PathBuf::from(text("HOME")?).join(".docker")));
        let file = |name: &str| folder.as_ref().map(|folder| folder.join(name));
        tls::Options {
            ca: file("ca.pem"),
            certificate: file("cert.pem"),
            key: file("key.pem"),
            ..tls::Options::of(given, tls::Options::default(), &mut Vec::new()).unwrap_or_default()
        }
    });
    Ok(client_docker::Options { address, tls })
}

/// The socket of the engine where nothing says which it is.
fn default_socket() -> String {
    let is_there = |path: &str| std::path::Path::new(path).exists();
    let path = DEFAULT.trim_start_matches("unix://");
    let other = SOCKETS.iter().find(|path| is_there(path)).filter(|_| !is_there(path));
    other.map_or_else(|| DEFAULT.to_owned(), |path| format!("unix://{path}"))
}

/// Waits until the registry answers, as long as the flags say.
async fn connect(flags: &Flags, registry: &dyn Registry, log: &Log) -> Result<(), String> {
    let (mut attempt, mut told) = (0, String::new());
    loop {
        if attempt == 0 || flags.retry_attempts.is_some() {
            let most = flags.shown_attempts;
            log.line(format_args!("Connecting to backend ({attempt}/{most})"));
        }
        match registry.ping().await {
            Ok(line) => {
                line.iter().for_each(|line| log.line(line));
                return Ok(());
            }
            Err(error) if flags.retry_attempts.is_some_and(|most| attempt >= most) => {
                return Err(error.to_string());
            }
            Err(error) => {
                let text = error.to_string();
                if text != told {
                    log.line(format_args!("{text}; trying again"));
                    told = text;
                }
            }
        }
        attempt += 1;
        sleep_until(Instant::now() + flags.retry_interval).await;
    }
}
