//! The signals that ask the process to stop, and those that must not end it.

use std::{
    fmt,
    future::Future,
    io,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use tokio::signal::unix::{SignalKind, signal};

/// A signal that was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(i32);

/// Resolves when the process is asked to stop. From now on the signals no longer end it.
///
/// # Errors
/// The handlers cannot be installed.
pub(crate) fn stop() -> io::Result<impl Future<Output = Signal>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => Signal(SIGTERM),
            _ = interrupt.recv() => Signal(SIGINT),
        }
    })
}

/// Lets nothing come of `SIGUSR1` and `SIGUSR2`, as in confd. They are caught, not set to be
/// ignored, since the commands that are run would inherit that.
///
/// # Errors
/// The handlers cannot be installed.
pub(crate) fn disregard() -> io::Result<()> {
    let unread = Arc::new(AtomicBool::new(false));
    for signal in [SIGUSR1, SIGUSR2] {
        signal_hook::flag::register(signal, Arc::clone(&unread))?;
    }
    Ok(())
}

impl Signal {
    /// Ends the process as the signal would have if it had not been caught, so that who waits
    /// for it sees `143` or `130`; the code returned counts only if that fails.
    pub(crate) fn end_process(self) -> ExitCode {
        let _ = signal_hook::low_level::emulate_default_handler(self.0);
        ExitCode::from(128 + u8::try_from(self.0).unwrap_or_default())
    }
}

/// Go's words for the signals.
impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0 == SIGINT { "interrupt" } else { "terminated" })
    }
}
