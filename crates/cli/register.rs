//! The edge of the programs registrator and `confd register`: their names, streams, signals and exit
//! codes.
//!
//! Nothing here is done unless the process is called by one of these names.

use std::{
    ffi::OsString,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use register::{Edge, Grace, Program};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};
use tokio::{sync::mpsc, task::LocalSet};

use crate::{
    Exit,
    environment::Environment,
    setup::Mode,
    signals::{Initial, LAST_MOMENT},
};

/// The name of the program registrator.
pub(crate) const NAME: &str = "registrator";

/// The word for services with the defaults that a user expects.
pub(crate) const WORD: &str = "register";

/// The signals that end registrator. A command gets the other ones too.
const STOPPING: [i32; 2] = [SIGINT, SIGTERM];
const OF_COMMAND: [i32; 7] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH];

/// Runs a program with the words of its command line. The initial thread receives the signals.
pub(crate) fn run(program: Program, words: Vec<OsString>) -> Exit {
    let received = match program {
        Program::Registrator => &STOPPING[..],
        Program::Register => &OF_COMMAND,
    };
    let started = Initial::catch(received).and_then(|initial| {
        let runtime = crate::runtime(Mode::Watch).map_err(io::Error::other)?;
        let (sender, signals) = mpsc::unbounded_channel();
        let grace = Grace::default();
        initial.run(receiver(sender, grace.clone()), move || {
            let edge = Edge {
                program,
                words,
                environment: Environment::of_process().into_pairs(),
                host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
                host: Arc::new(world::System::new()),
                stdout: Box::new(io::stdout()),
                stderr: Box::new(io::stderr()),
                signals,
                grace,
                version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            let code = LocalSet::new().block_on(&runtime, register::run(edge));
            runtime.shutdown_background();
            code
        })
    });
    match started {
        Ok(code) => Exit::Code(code),
        Err(error) => {
            crate::print(&mut io::stderr(), &format!("cannot start: {error}\n"));
            Exit::Failure
        }
    }
}

/// Passes signals on. Ends the process if it has not ended in time after a signal that ends it.
fn receiver(
    sender: mpsc::UnboundedSender<i32>,
    grace: Grace,
) -> impl FnMut(&mut dyn Iterator<Item = i32>) -> Option<Duration> {
    let mut end: Option<Instant> = None;
    move |numbers| {
        for number in numbers {
            // An error means that the runtime has ended, and the process ends soon.
            let _ = sender.send(number);
            if STOPPING.contains(&number) {
                end = end.or_else(|| Instant::now().checked_add(grace.get() + LAST_MOMENT));
            }
        }
        let rest = end?.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            signal_hook::low_level::exit(0);
        }
        Some(rest)
    }
}
