//! Signals that ask the process to stop, and signals that must not end it.
//!
//! A thread of its own receives the signals, so that they have an effect whatever the other threads
//! wait for. It passes each signal to the runtime. If the process has not ended [`LAST_MOMENT`]
//! after a signal that must end it, the thread ends it.

use std::{
    fmt, fs, io,
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2},
    iterator,
};
use tokio::sync::mpsc;

use crate::setup::Mode;

/// The time that the process has to end by itself: to kill its commands and to remove its stage
/// files.
const LAST_MOMENT: Duration = Duration::from_millis(800);

/// The stack of the thread, in bytes.
const STACK: usize = 256 * 1024;

/// A signal that was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(i32);

impl Signal {
    /// Makes a daemon read its configuration again. Ends a onetime run.
    pub(crate) const HANGUP: Signal = Signal(SIGHUP);
}

/// The stream of caught signals.
pub(crate) struct Signals {
    received: mpsc::UnboundedReceiver<Signal>,
}

impl Signals {
    /// Catches the signals. From now on, none of them ends the process by itself.
    ///
    /// The first stop signal must end a onetime run, and the second one a daemon.
    ///
    /// # Errors
    /// The handlers cannot be installed, or the thread cannot be started.
    pub(crate) fn catch(mode: Mode) -> io::Result<Self> {
        disregard()?;
        let is_onetime = mode == Mode::Onetime;
        let mut caught = vec![SIGTERM, SIGINT];
        // `nohup` starts programs with SIGHUP ignored. A daemon reads its configuration again.
        if !is_onetime || !is_ignored(SIGHUP) {
            caught.push(SIGHUP);
        }
        if is_first_process() {
            caught.push(SIGCHLD);
        }
        let mut signals = iterator::Signals::new(caught)?;
        let (sender, received) = mpsc::unbounded_channel();
        let thread = thread::Builder::new().name("signals".into()).stack_size(STACK);
        thread.spawn(move || {
            let mut stops = 0;
            for signal in signals.forever() {
                if signal == SIGCHLD {
                    command::reap_orphans();
                    continue;
                }
                // An error means that the runtime has ended, and the process ends soon.
                let _ = sender.send(Signal(signal));
                stops += u32::from(is_onetime || signal != SIGHUP);
                if stops > u32::from(!is_onetime) {
                    Signal(signal).end_process_after(LAST_MOMENT);
                }
            }
        })?;
        Ok(Self { received })
    }

    /// Waits for the next signal. Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.received.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

/// Whether this process is the first one of its process namespace, as in a container. The kernel
/// gives it the orphans of all other processes, and it cannot be ended by a signal that it does not
/// handle.
fn is_first_process() -> bool {
    std::process::id() == 1
}

/// Whether the process was started with this signal ignored. If this cannot be found out, the
/// signal counts as not ignored.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask & (1 << (signal - 1)) != 0)
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
        let code = 128 + u8::try_from(self.0).unwrap_or_default();
        if is_first_process() {
            signal_hook::low_level::exit(code.into());
        }
        let _ = signal_hook::low_level::emulate_default_handler(self.0);
        ExitCode::from(code)
    }

    /// Waits for the process to end by itself, and ends it after `limit`.
    fn end_process_after(self, limit: Duration) {
        let end = Instant::now() + limit;
        while let Some(rest) = end.checked_duration_since(Instant::now()) {
            thread::park_timeout(rest);
        }
        self.end_process();
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
