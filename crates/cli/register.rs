//! The edge of the program registrator: its name, its streams, its signals and its exit code.
//!
//! Nothing here is done unless the program is called by that name.

use std::{
    ffi::OsString,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use register::Edge;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::{sync::mpsc, task::LocalSet};

use crate::{
    Exit,
    setup::Mode,
    signals::{Initial, LAST_MOMENT},
};

/// The name of the program.
pub(crate) const NAME: &str = "registrator";

/// The time that the process has to end by itself after the first signal: what it registered may
/// have to be removed.
const GRACE: Duration = Duration::from_secs(6);

/// Runs registrator with the words of its command line. The initial thread receives the signals.
pub(crate) fn run(words: Vec<OsString>) -> Exit {
    let started = Initial::catch(&[SIGINT, SIGTERM]).and_then(|initial| {
        let runtime = crate::runtime(Mode::Watch).map_err(io::Error::other)?;
        let (sender, stop) = mpsc::unbounded_channel();
        initial.run(receiver(sender), move || {
            let edge = Edge {
                words,
                environment: environment(),
                host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
                host: Arc::new(world::System::new()),
                stdout: Box::new(io::stdout()),
                stderr: Box::new(io::stderr()),
                stop,
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

/// Passes signals on. Ends the process if it has not ended in time: a second signal leaves less.
fn receiver(
    sender: mpsc::UnboundedSender<()>,
) -> impl FnMut(&mut dyn Iterator<Item = i32>) -> Option<Duration> {
    let mut end: Option<Instant> = None;
    move |numbers| {
        for _ in numbers {
            // An error means that the runtime has ended, and the process ends soon.
            let _ = sender.send(());
            let grace = if end.is_some() { LAST_MOMENT } else { GRACE };
            end = Some(Instant::now() + grace);
        }
        let rest = end?.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            signal_hook::low_level::exit(0);
        }
        Some(rest)
    }
}

/// The variables of the process. One whose name is no text has no meaning here.
#[expect(clippy::disallowed_methods, reason = "cli reads the environment")]
fn environment() -> std::collections::BTreeMap<String, OsString> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .collect()
}
