//! Signals that ask the process to stop, and signals that must not end it.
//!
//! The initial thread of the process receives the signals and does nothing else, so that they have
//! an effect whatever the other threads wait for. All work is done on other threads: the kernel
//! gives a signal to the initial thread if it can, and if that thread waited for a dead network
//! mount, no other thread would see the signal.
//!
//! The initial thread passes each signal to the runtime. If the process has not ended
//! [`LAST_MOMENT`] after the moment when it must end, that thread ends it: after the signal that
//! ends it at once, or when the time for running passes is over.

use std::{
    fmt, fs,
    io::{self, Read as _},
    os::unix::net::UnixStream,
    panic::resume_unwind,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    thread,
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::{
        backend::{Handle, SignalDelivery},
        exfiltrator::SignalOnly,
    },
};
use tokio::sync::mpsc;
use tracing::warn;

use crate::{logging, setup::Mode};

/// The time that the process has to end by itself: to kill its commands and to remove its stage
/// files.
pub(crate) const LAST_MOMENT: Duration = Duration::from_millis(800);

/// The longest time that the initial thread waits until its last line is written.
const LAST_LINE: Duration = Duration::from_millis(100);

/// The stack of the thread that works, in bytes: as much as the initial thread usually has.
const STACK: usize = 8 << 20;

/// A signal that was caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signal(i32);

/// The signals that mean nothing to confd itself, and something to a program that it supervises.
const PASSED_ON: [i32; 4] = [SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH];

impl Signal {
    /// Whether the signal asks a daemon to stop.
    pub(crate) fn is_stop(self) -> bool {
        self != Signal::HANGUP && self.passed_on().is_none()
    }

    /// The number, if the signal is for the supervised program.
    pub(crate) fn passed_on(self) -> Option<i32> {
        PASSED_ON.contains(&self.0).then_some(self.0)
    }

    /// Makes a daemon read its configuration again. Ends a onetime run.
    pub(crate) const HANGUP: Signal = Signal(SIGHUP);
}

/// The stream of caught signals.
pub(crate) struct Signals {
    received: mpsc::UnboundedReceiver<Signal>,
    shutdown_timeout: Arc<Mutex<Duration>>,
}

/// Receives signals on the initial thread while another thread works.
pub(crate) struct Initial(SignalDelivery<UnixStream, SignalOnly>);

/// Receives confd's signals.
pub(crate) struct Receiver {
    initial: Initial,
    sender: mpsc::UnboundedSender<Signal>,
    shutdown_timeout: Arc<Mutex<Duration>>,
    countdown: Countdown,
}

/// Decides when the process must have ended.
#[derive(Clone, Copy)]
struct Countdown {
    is_onetime: bool,
    /// The number of stop signals so far.
    stops: u32,
    /// The signal that ends the process, and when. `None` for the moment means that the moment is
    /// too far away.
    end: Option<(Signal, Option<Instant>)>,
}

impl Countdown {
    fn new(mode: Mode) -> Self {
        Countdown { is_onetime: mode == Mode::Onetime, stops: 0, end: None }
    }

    /// Counts a signal that came at `now`. The first stop signal of a daemon leaves `limit` to the
    /// running passes.
    fn count(&mut self, signal: i32, now: Instant, limit: Duration) {
        if signal == SIGHUP && !self.is_onetime {
            return;
        }
        self.stops += 1;
        let is_last = self.is_onetime || self.stops > 1;
        let limit = if is_last { LAST_MOMENT } else { limit.saturating_add(LAST_MOMENT) };
        if self.stops <= 1 + u32::from(!self.is_onetime) {
            self.end = Some((Signal(signal), now.checked_add(limit)));
        }
    }

    /// The time until the end; `None` if the process need not end.
    fn rest(&self, now: Instant) -> Option<Duration> {
        let (_, moment) = self.end?;
        Some(moment?.saturating_duration_since(now))
    }

    /// Ends the process if it must have ended by now.
    fn end_if_due(&self, limit: Duration) {
        let is_due = self.rest(Instant::now()).is_some_and(|rest| rest.is_zero());
        if is_due && let Some((signal, _)) = self.end {
            if !self.is_onetime && self.stops == 1 {
                warn!("The process did not end within {limit:?} of the stop: ending it");
                logging::flush(LAST_LINE);
            }
            signal.end_process();
        }
    }
}

impl Signals {
    /// Catches the signals. From now on, none of them ends the process by itself. The receiver
    /// passes them on while it [runs](Receiver::run).
    ///
    /// The first stop signal must end a onetime run, and the second one a daemon. After the first
    /// one, a daemon must have ended within `shutdown_timeout`. With `passes_on`, signals that are for
    /// a program of this process are caught too.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub(crate) fn catch(
        mode: Mode,
        shutdown_timeout: Duration,
        passes_on: bool,
    ) -> io::Result<(Signals, Receiver)> {
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
        if passes_on {
            caught.extend(PASSED_ON);
        }
        let initial = Initial::catch(&caught)?;
        let (sender, received) = mpsc::unbounded_channel();
        let shutdown_timeout = Arc::new(Mutex::new(shutdown_timeout));
        let receiver = Receiver {
            initial,
            sender,
            shutdown_timeout: Arc::clone(&shutdown_timeout),
            countdown: Countdown::new(mode),
        };
        Ok((Self { received, shutdown_timeout }, receiver))
    }

    /// Changes the time that running passes have after the first stop signal that comes from now on.
    pub(crate) fn set_shutdown_timeout(&self, limit: Duration) {
        *self.shutdown_timeout.lock().unwrap_or_else(PoisonError::into_inner) = limit;
    }

    /// Waits for the next signal. Dropping the future loses no signal.
    pub(crate) async fn next(&mut self) -> Signal {
        match self.received.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

impl Initial {
    /// Catches these signals. From now on, none of them ends the process by itself.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub(crate) fn catch(numbers: &[i32]) -> io::Result<Initial> {
        let (woken, waker) = UnixStream::pair()?;
        SignalDelivery::with_pipe(woken, waker, SignalOnly, numbers).map(Initial)
    }

    /// Does `work` on another thread and returns its result. Meanwhile passes the signals that come
    /// to `receive`, and calls it without signals when the time that it has returned is over. A
    /// panic of the work is a panic of the caller.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn run<T: Send + 'static>(
        mut self,
        mut receive: impl FnMut(&mut dyn Iterator<Item = i32>) -> Option<Duration>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let handle = self.0.handle();
        let worker = thread::Builder::new().name("worker".into()).stack_size(STACK);
        let worker = worker.spawn(move || {
            // Dropped at the end of the work, also by a panic.
            let _end = Closing(handle);
            work()
        })?;
        let mut rest: Option<Duration> = None;
        while !self.0.handle().is_closed() {
            if rest.is_none_or(|rest| !rest.is_zero()) {
                let woken = self.0.get_read_mut();
                // An error shortens the wait: without a limit the wait begins again at once.
                let _ = woken.set_read_timeout(rest).and_then(|()| woken.read(&mut [0]));
            }
            rest = receive(&mut self.0.pending());
        }
        worker.join().or_else(|panic| resume_unwind(panic))
    }
}

impl Receiver {
    /// Does `work` on another thread and returns its result. Signals are received meanwhile. A
    /// panic of the work is a panic of the caller.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let Receiver { initial, sender, shutdown_timeout, mut countdown } = self;
        let receive = move |signals: &mut dyn Iterator<Item = i32>| {
            let limit = *shutdown_timeout.lock().unwrap_or_else(PoisonError::into_inner);
            for signal in signals {
                if signal == SIGCHLD {
                    command::reap_orphans();
                    continue;
                }
                // An error means that the runtime has ended, and the process ends soon.
                let _ = sender.send(Signal(signal));
                if PASSED_ON.contains(&signal) {
                    continue;
                }
                countdown.count(signal, Instant::now(), limit);
            }
            countdown.end_if_due(limit);
            countdown.rest(Instant::now())
        };
        initial.run(receive, work)
    }
}

/// Ends [`Initial::run`] when it is dropped.
struct Closing(Handle);

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.close();
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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// The time that the process has after these signals, which come a second apart.
    fn rest(mode: Mode, signals: &[i32]) -> Option<Duration> {
        let (mut countdown, mut now) = (Countdown::new(mode), Instant::now());
        for signal in signals {
            now += Duration::from_secs(1);
            countdown.count(*signal, now, LIMIT);
        }
        countdown.rest(now)
    }

    #[test]
    fn the_first_stop_signal_leaves_the_shutdown_timeout_to_a_daemon_and_the_second_one_a_moment() {
        for mode in [Mode::Watch, Mode::Interval] {
            assert_eq!(rest(mode, &[]), None);
            assert_eq!(rest(mode, &[SIGHUP, SIGHUP]), None);
            assert_eq!(
                rest(mode, &[SIGHUP, SIGTERM, SIGHUP]),
                Some(LIMIT + LAST_MOMENT - Duration::from_secs(1))
            );
            assert_eq!(rest(mode, &[SIGTERM, SIGINT]), Some(LAST_MOMENT));
            // More signals leave no more time.
            assert_eq!(rest(mode, &[SIGTERM, SIGINT, SIGTERM]), Some(Duration::ZERO));
        }
    }

    #[test]
    fn each_signal_ends_a_onetime_run() {
        for signal in [SIGTERM, SIGINT, SIGHUP] {
            assert_eq!(rest(Mode::Onetime, &[signal]), Some(LAST_MOMENT));
        }
    }

    #[test]
    fn a_shutdown_timeout_that_is_too_long_to_be_a_moment_is_no_limit() {
        let mut countdown = Countdown::new(Mode::Watch);
        countdown.count(SIGTERM, Instant::now(), Duration::MAX);
        assert_eq!(countdown.rest(Instant::now()), None);
    }
}
