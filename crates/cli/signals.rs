//! Signals that ask the process to stop, and signals that must not end it.

use std::{
    fmt, io,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use tokio::signal::unix::{self, SignalKind};

/// A signal that was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(i32);

impl Signal {
    /// Makes a daemon read its configuration again. Ends a onetime run.
    pub(crate) const HANGUP: Signal = Signal(SIGHUP);
}

/// The stream of caught signals.
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Catches the signals. From now on, none of them ends the process by itself.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub(crate) fn catch() -> io::Result<Self> {
        disregard()?;
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal. Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal(SIGTERM),
            _ = self.interrupt.recv() => Signal(SIGINT),
            _ = self.hangup.recv() => Signal::HANGUP,
        }
    }
}

/// Makes `SIGUSR1` and `SIGUSR2` have no effect, as in confd. They are caught and not ignored,
/// because the commands would inherit that they are ignored.
fn disregard() -> io::Result<()> {
    let unread = Arc::new(AtomicBool::new(false));
    for signal in [SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::clone(&unread))?;
    }
    Ok(())
}

impl Signal {
    /// Ends the process as the signal would have without a handler, so that its parent sees `143`,
    /// `130` or `129`. The returned code is only used if that fails.
    pub(crate) fn end_process(self) -> ExitCode {
        let _ = signal_hook::low_level::emulate_default_handler(self.0);
        ExitCode::from(128 + u8::try_from(self.0).unwrap_or_default())
    }
}

/// Go's names of the signals.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            SIGHUP => "hangup",
            SIGINT => "interrupt",
            _ => "terminated",
        })
    }
}
