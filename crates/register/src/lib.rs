//! The program registrator: it announces the services of containers in a store.
//!
//! [`run`] is the whole interface. It takes what the edge of the program knows, an [`Edge`], works
//! until a signal ends it, and returns the exit code.
//!
//! ```text
//!  engine ──► follower ──► keeper ──────────────────────► registry
//!  events     reconnects   container ► ports ► services   consul, consulkv, etcd, skydns2
//!                             └── pending: changes that failed, tried again
//! ```
//!
//! - `container` reads the engine's document, `metadata` its variables and labels, `service` makes
//!   services of both, and `tags` executes the template of `-tags`.
//! - `follower` follows the engine's events, and outlives the engine.
//! - `keeper` decides what is registered; `pending` has what is to be tried again.
//! - `registry` is the store, one module for each kind.
//!
//! What a reader of the registry sees is the original's, quirks included: existing installations
//! must not notice.

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

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use client_docker::{Address, DEFAULT, Engine};
use options::Given;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use world::Host;

use flags::{Flags, Refusal, Request};
use keeper::{Fatal, Keeper};
use log::Log;
use registry::Registry;

/// The exit code after an error.
const FAILED: u8 = 1;
/// The exit code after an error of the command line.
const USAGE: u8 = 2;

/// The longest time that `-deregister-on-exit` takes.
const FAREWELL: Duration = Duration::from_secs(5);

/// The sockets of engines that are looked for where the default one is missing, the first one
/// first: Docker's, and Podman's.
const SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/podman/podman.sock"];

/// What only the edge of the program knows.
pub struct Edge {
    /// The words of the command line after the program's name.
    pub words: Vec<OsString>,
    /// The variables of the process.
    pub environment: BTreeMap<String, OsString>,
    /// The name of this host.
    pub host_name: String,
    /// The machine, for the clock.
    pub host: Arc<dyn Host>,
    /// The standard output.
    pub stdout: Box<dyn Write>,
    /// The standard error.
    pub stderr: Box<dyn Write>,
    /// Receives something when the process is to end.
    pub stop: mpsc::UnboundedReceiver<()>,
    /// The version.
    pub version: String,
}

/// Runs the program and returns its exit code. It must be called on a Tokio runtime of one thread
/// with I/O and time enabled, inside of a `LocalSet`.
pub async fn run(mut edge: Edge) -> u8 {
    let log = Log::new(Arc::clone(&edge.host), edge.stderr);
    let request = flags::read(edge.words);
    if request == Ok(Request::Version) {
        // Nothing can be done if standard output is closed.
        let _ = writeln!(edge.stdout, "{}", edge.version);
        return 0;
    }
    log.line(format_args!("Starting registrator {} ...", edge.version));
    let flags = match request {
        Ok(Request::Version) => return 0,
        Ok(Request::Run(flags)) => *flags,
        Err(Refusal::Help) => {
            log.print(flags::usage("registrator").as_bytes());
            return 0;
        }
        Err(Refusal::Usage(text)) => {
            log.print(format!("{text}\n{}", flags::usage("registrator")).as_bytes());
            return USAGE;
        }
        Err(Refusal::Value(text)) => {
            log.line(text);
            return FAILED;
        }
    };
    let opened = open(&flags, &edge.environment, &log);
    let (engine, registry) = match opened {
        Ok(opened) => opened,
        Err(text) => {
            log.line(text);
            return FAILED;
        }
    };
    tokio::select! {
        connected = connect(&flags, &*registry, &log) => {
            if let Err(text) = connected {
                log.line(text);
                return FAILED;
            }
        }
        _ = edge.stop.recv() => return 0,
    }
    let on_exit = flags.deregister_on_exit;
    let mut keeper = Keeper::new(flags, engine, registry, edge.host_name, log.clone());
    let (sender, reports) = mpsc::unbounded_channel();
    log.line("Listening for Docker events ...");
    let following = tokio::task::spawn_local(follower::follow(keeper.engine(), sender));
    let code = tokio::select! {
        Fatal(text) = keeper.run(reports) => {
            log.line(text);
            FAILED
        }
        _ = edge.stop.recv() => 0,
    };
    following.abort();
    if code == 0 && on_exit {
        tokio::select! {
            done = timeout(FAREWELL, keeper.remove_all()) => {
                if done.is_err() {
                    log.line("not everything was removed from the registry in time");
                }
            }
            _ = edge.stop.recv() => {}
        }
    }
    code
}

/// Opens the engine and the registry. Nothing is connected to yet.
fn open(
    flags: &Flags,
    environment: &BTreeMap<String, OsString>,
    log: &Log,
) -> Result<(Engine, Rc<dyn Registry>), String> {
    let variable = |name: &str| environment.get(name).cloned();
    if !flags.misplaced.is_empty() {
        let words = flags.misplaced.join(" ");
        log.line(format_args!("options belong before the registry URI: {words} (they count)"));
    }
    if !flags.rules.address.is_empty() {
        log.line(format_args!("Forcing host IP to {}", flags.rules.address));
    }
    let variables = registry::VARIABLES.iter().copied().flatten();
    let given = Given::default().with_variables(variables, variable);
    let engine = Engine::new(engine(&given, variable)?).map_err(|error| error.to_string())?;
    let registry = registry::open(&flags.uri, flags.ttl, flags.noop, &given, log);
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
