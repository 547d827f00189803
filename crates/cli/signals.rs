//! The signals that ask the process to stop, and those that must not end it.

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
    /// Asks a process that goes on to look at its configuration again; ends any other.
    pub(crate) const HANGUP: Signal = Signal(SIGHUP);
}

/// The signals that the process is sent.
pub(crate) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

impl Signals {
    /// Catches signals: from now on none of them ends the process by itself.
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

    /// The next signal. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal(SIGTERM),
            _ = self.interrupt.recv() => Signal(SIGINT),
            _ = self.hangup.recv() => Signal::HANGUP,
        }
    }
}

/// Lets nothing come of `SIGUSR1` and `SIGUSR2`, as in confd. They are caught, not set to be
/// ignored, since the commands that are run would inherit that.
fn disregard() -> io::Result<()> {
    let unread = Arc::new(AtomicBool::new(false));
    for signal in [SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::clone(&unread))?;
    }
    Ok(())
}

impl Signal {
    /// Ends the process as the signal would have if it had not been caught, so that who waits
    /// for it sees `143`, `130` or `129`; the code returned counts only if that fails.
    pub(crate) fn end_process(self) -> ExitCode {
        let _ = signal_hook::low_level::emulate_default_handler(self.0);
        ExitCode::from(128 + u8::try_from(self.0).unwrap_or_default())
    }
}

/// Go's words for the signals.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            SIGHUP => "hangup",
            SIGINT => "interrupt",
            _ => "terminated",
        })
    }
}
