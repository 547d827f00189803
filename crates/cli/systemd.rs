//! What a daemon reports to systemd: `READY=1` when everything is applied for the first time, the reading
//! of the configuration, the stop, and that there is progress.

use std::{
    ffi::OsString,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            ffi::OsStrExt as _,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use agent::Handle;
use rustix::time::{ClockId, clock_gettime};
use tokio::{
    task::spawn_blocking,
    time::{Instant, sleep_until},
};
use tracing::{info, warn};

use crate::progress::Progress;

/// The variables of the protocol. A program that confd starts must not speak for confd.
pub(crate) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// The service manager, if this process is one of its services.
#[derive(Debug)]
pub(crate) struct Manager {
    socket: UnixDatagram,
    /// How often it wants to hear that there is progress.
    period: Option<Duration>,
    /// Whether it knows that the process is ready. Before, a reload must not look like readiness.
    is_ready: AtomicBool,
}

impl Manager {
    /// The manager that the environment names; `None` if there is none. `interval` is the time between
    /// two signs of progress, if the user sets it.
    pub(crate) fn of_environment(
        env: impl Fn(&str) -> Option<OsString>,
        interval: Duration,
    ) -> Option<Manager> {
        let path = env("NOTIFY_SOCKET").filter(|path| !path.is_empty())?;
        let address = match path.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&path),
        };
        let connected = address.and_then(|address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A manager that does not read must not stop this process.
            socket.set_nonblocking(true)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => {
                let (period, is_ready) = (period(&env, interval), AtomicBool::new(false));
                Some(Manager { socket, period, is_ready })
            }
            Err(error) => {
                let (path, why) = (path.display(), report::errno_text(&error));
                warn!("NOTIFY_SOCKET {path}: {why}: systemd gets no messages");
                None
            }
        }
    }

    fn tell(&self, text: &str) {
        if let Err(error) = self.socket.send(text.as_bytes()) {
            let (text, why) = (text.lines().next().unwrap_or_default(), report::errno_text(&error));
            warn!("cannot tell systemd {text}: {why}");
        }
    }

    /// Tells that the process stops.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    /// Tells that the configuration is read again, if the process was ready before.
    /// [`reloaded`](Self::reloaded) ends that.
    pub(crate) fn reloading(&self) {
        if !self.is_ready.load(Ordering::Relaxed) {
            return;
        }
        let now = clock_gettime(ClockId::Monotonic);
        let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
    }

    /// Tells that the configuration was read again, if the process was ready before.
    pub(crate) fn reloaded(&self) {
        if self.is_ready.load(Ordering::Relaxed) {
            self.tell("READY=1");
        }
    }

    /// Tells that the process is ready as soon as it is, and that there is progress as long as there is.
    /// Never ends.
    pub(crate) async fn attend(&self, progress: &Progress, handle: &Handle) {
        let first = async {
            self.tell("STATUS=waiting until all resources are applied");
            progress.ready(handle).await;
            self.is_ready.store(true, Ordering::Relaxed);
            self.tell(&format!("READY=1\nSTATUS={}", handle.overview().summary()));
            info!("Notified systemd: READY=1");
        };
        tokio::join!(first, self.watchdog());
    }

    /// A sign of progress is sent only if this thread and one for blocking work are there for it: a
    /// process whose threads all hang is restarted.
    async fn watchdog(&self) {
        let Some(period) = self.period else { return std::future::pending().await };
        info!("Starting systemd watchdog (interval: {period:?})");
        let mut next = Instant::now();
        loop {
            if spawn_blocking(|| ()).await.is_ok() {
                self.tell("WATCHDOG=1");
            }
            next += period;
            sleep_until(next.max(Instant::now())).await;
        }
    }
}

/// The time between two signs of progress: `interval`, or half of the time after which the manager
/// restarts this process.
fn period(env: &impl Fn(&str) -> Option<OsString>, interval: Duration) -> Option<Duration> {
    if !interval.is_zero() {
        return Some(interval);
    }
    let number = |name: &str| env(name)?.to_str()?.parse::<u64>().ok();
    let is_another = number("WATCHDOG_PID").is_some_and(|pid| pid != u64::from(std::process::id()));
    let limit = number("WATCHDOG_USEC").filter(|limit| *limit > 1 && !is_another)?;
    Some(Duration::from_micros(limit / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_of_this_process_is_fed_in_half_of_its_time() {
        let of = |pid: &str, interval: u64| {
            let pid = pid.to_owned();
            let env = move |name: &str| match name {
                "WATCHDOG_USEC" => Some("3000000".into()),
                "WATCHDOG_PID" if !pid.is_empty() => Some(pid.clone().into()),
                _ => None,
            };
            period(&env, Duration::from_millis(interval)).map(|period| period.as_millis())
        };
        assert_eq!(of("", 0), Some(1500));
        assert_eq!(of(&std::process::id().to_string(), 0), Some(1500));
        assert_eq!(of("1", 0), None);
        assert_eq!(of("1", 20), Some(20));
        assert_eq!(period(&|_: &str| None, Duration::ZERO), None);
    }
}
