//! The edge of the program consul-template: its name, its streams, its signals and its exit code.
//!
//! Nothing here is done unless the program is called by that name, so that confd starts as fast as
//! without it.

use std::{
    cell::RefCell,
    ffi::OsString,
    io::{self, Write},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use consul_template::{Edge, INTERRUPTED, Pending};
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGBUS, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};
use tokio::sync::mpsc;

use crate::{
    Exit,
    environment::Environment,
    setup::Mode,
    signals::{Initial, LAST_MOMENT},
};

/// The name of the program.
pub(crate) const NAME: &str = "consul-template";

/// The exit code if the program cannot start.
const CANNOT_START: u8 = 14;

/// The signals that the program receives: those that it acts on, and those that it passes on to its
/// child. Signals of the terminal's job control keep their effect.
const RECEIVED: [i32; 17] = [
    SIGABRT, SIGALRM, SIGBUS, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGSYS, SIGTERM, SIGTRAP,
    SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
];

/// Runs consul-template with the words of its command line. The initial thread receives the signals.
pub(crate) fn run(words: Vec<OsString>) -> Exit {
    let started = Initial::catch(&RECEIVED).and_then(|initial| {
        let runtime = crate::runtime(Mode::Watch).map_err(io::Error::other)?;
        let (watch, relay) = Watch::new();
        initial.run(watch.receiver(), move || {
            let code = runtime.block_on(work(words, relay));
            runtime.shutdown_background();
            code
        })
    });
    match started {
        Ok(code) => Exit::Code(code),
        Err(error) => {
            crate::print(&mut io::stderr(), &format!("cannot start: {error}\n"));
            Exit::Code(CANNOT_START)
        }
    }
}

async fn work(words: Vec<OsString>, relay: Relay) -> u8 {
    let pending = relay.pending.clone();
    consul_template::run(Edge {
        words,
        environment: Environment::of_process().into_pairs().into(),
        host: Arc::new(world::System::new()),
        stdout: Rc::new(RefCell::new(Box::new(io::stdout()))),
        stderr: || Box::new(io::stderr()) as Box<dyn Write + Send>,
        signals: relay.start(),
        pending,
        consul: crate::sources::queries_of_consul,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    })
    .await
}

/// What the initial thread knows: the signals that it has sent, and how many of them the runtime has
/// seen. A runtime that does not see a signal waits for something else: a template that writes to a
/// dead network mount, for example.
struct Watch {
    sender: mpsc::UnboundedSender<i32>,
    seen: Arc<AtomicU64>,
    pending: Pending,
}

/// Passes signals on, on the runtime.
struct Relay {
    received: mpsc::UnboundedReceiver<i32>,
    seen: Arc<AtomicU64>,
    pending: Pending,
}

impl Watch {
    fn new() -> (Watch, Relay) {
        let (sender, received) = mpsc::unbounded_channel();
        let (seen, pending) = (Arc::new(AtomicU64::new(0)), Pending::default());
        let relay = Relay { received, seen: Arc::clone(&seen), pending: pending.clone() };
        (Watch { sender, seen, pending }, relay)
    }

    /// Receives signals. Ends the process if the runtime does not see a signal that ends the program
    /// within [`LAST_MOMENT`].
    fn receiver(self) -> impl FnMut(&mut dyn Iterator<Item = i32>) -> Option<Duration> {
        let mut sent = 0;
        let mut end: Option<(u64, Instant)> = None;
        move |numbers| {
            for number in numbers {
                self.pending.note(number);
                sent += 1;
                // An error means that the runtime has ended, and the process ends soon.
                let _ = self.sender.send(number);
                if self.pending.ends(number) {
                    end = end.or(Some((sent, Instant::now() + LAST_MOMENT)));
                }
            }
            let (place, moment) = end?;
            if self.seen.load(Ordering::Relaxed) >= place {
                end = None;
                return None;
            }
            let rest = moment.saturating_duration_since(Instant::now());
            if rest.is_zero() {
                signal_hook::low_level::exit(INTERRUPTED.into());
            }
            Some(rest)
        }
    }
}

impl Relay {
    /// Passes signals to the returned receiver from now on.
    fn start(mut self) -> mpsc::UnboundedReceiver<i32> {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(number) = self.received.recv().await {
                self.seen.fetch_add(1, Ordering::Relaxed);
                // An error means that the program has ended.
                let _ = sender.send(number);
            }
        });
        receiver
    }
}
