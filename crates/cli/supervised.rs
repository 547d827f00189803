//! `confd … -- COMMAND`: a program that is started when everything is applied for the first time, and
//! then supervised: it is started again if it fails, learns of changed files, gets the signals of this
//! process, and its exit code becomes that of this process.

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::ExitStatus,
    sync::Arc,
    time::Duration,
};

use agent::{Backoff, Growth, Handle};
use command::{Attached, Group, Signal};
use options::{Given, Invalid};
use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tracing::{error, info, warn};

use crate::{general, progress::Progress, sources, systemd};

/// The exit code for a program that is not there, as in shells, or cannot be waited for.
const NOT_FOUND: u8 = 127;

/// The exit code for a program that is there and cannot be executed, as in shells.
const NOT_EXECUTED: u8 = 126;

/// A program that ran for this time has started well: its next failure begins with the first delay.
const WELL: Duration = Duration::from_secs(10);

/// The program, and how it is supervised.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    words: Vec<OsString>,
    /// What tells it that files have changed, if something does.
    reload_signal: Option<Signal>,
    restart: Restart,
    /// The delays before it is started again.
    growth: Growth,
}

/// When the program is started again after it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Restart {
    /// Never: its end is that of this process.
    Never,
    /// If its exit code is not 0.
    OnFailure,
    Always,
}

impl Plan {
    /// How the program in `words` is supervised; `None` if there is none.
    ///
    /// # Errors
    /// An option has no such value: a text for people.
    pub(crate) fn new(
        words: &[OsString],
        given: &Given,
        growth: Growth,
    ) -> Result<Option<Plan>, Invalid> {
        let restart = given.get_as(&general::RESTART, |word| match word.as_str() {
            "never" => Ok(Restart::Never),
            "on-failure" => Ok(Restart::OnFailure),
            "always" => Ok(Restart::Always),
            word => {
                let word = gotmpl::quote(word.as_bytes());
                Err(format!("restart is \"never\", \"on-failure\" or \"always\", not {word}"))
            }
        })?;
        let reload_signal = given.get_as(&general::RELOAD_SIGNAL, |name| match signal(&name) {
            None if !name.is_empty() => Err(format!(
                "reload-signal {}: confd sends no such signal; write a name such as SIGHUP",
                gotmpl::quote(name.as_bytes())
            )),
            signal => Ok(signal),
        })?;
        if words.is_empty() {
            return Ok(None);
        }
        Ok(Some(Plan { words: words.to_vec(), reload_signal, restart, growth }))
    }

    /// Replaces this process by the program. Returns only the exit code for a failure.
    pub(crate) fn become_it(&self) -> u8 {
        let mut command = std::process::Command::new(&self.words[0]);
        command.args(&self.words[1..]);
        systemd::VARIABLES.iter().for_each(|name| _ = command.env_remove(name));
        let error = command.exec();
        let (code, why) = self.not_started(&error);
        error!("{why}");
        code
    }

    /// The exit code for a program that cannot be started, and why it cannot.
    fn not_started(&self, error: &io::Error) -> (u8, String) {
        let code = match error.kind() {
            io::ErrorKind::NotFound => NOT_FOUND,
            _ => NOT_EXECUTED,
        };
        let why =
            format!("cannot start {}: {}", self.words[0].display(), report::errno_text(error));
        (code, why)
    }
}

/// The signal with this name, with or without `SIG` and in any case, or with this number.
fn signal(name: &str) -> Option<Signal> {
    let upper = name.to_uppercase();
    let upper = upper.strip_prefix("SIG").unwrap_or(&upper);
    Some(match upper {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "TERM" => Signal::TERM,
        "WINCH" => Signal::WINCH,
        "ALRM" => Signal::ALARM,
        number => Signal::from_named_raw(number.parse().ok()?)?,
    })
}

/// What the supervisor is asked to do.
enum Order {
    /// Pass this signal on.
    PassOn(Signal),
    /// End the program within this time.
    Stop(Duration),
}

/// The supervisor of the program.
pub(crate) struct Supervisor {
    orders: mpsc::UnboundedSender<Order>,
    task: JoinHandle<u8>,
}

impl Supervisor {
    /// Starts the program as soon as everything is applied.
    pub(crate) fn start(plan: Plan, progress: Arc<Progress>, handle: Handle) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let task = tokio::spawn(supervise(plan, progress, handle, received));
        Supervisor { orders, task }
    }

    /// Passes a signal on to the program, if it runs.
    pub(crate) fn pass_on(&self, number: i32) {
        if let Some(signal) = Signal::from_named_raw(number) {
            // An error means that the supervisor has ended.
            let _ = self.orders.send(Order::PassOn(signal));
        }
    }

    /// Begins to end the program, which has `limit` for that. A second call ends that time.
    pub(crate) fn stop(&self, limit: Duration) {
        let _ = self.orders.send(Order::Stop(limit));
    }

    /// Waits for the end of the supervision. Returns the exit code of the program. Dropping the future
    /// loses nothing.
    pub(crate) async fn ended(&mut self) -> u8 {
        (&mut self.task).await.unwrap_or(NOT_FOUND)
    }
}

async fn supervise(
    plan: Plan,
    progress: Arc<Progress>,
    handle: Handle,
    mut orders: mpsc::UnboundedReceiver<Order>,
) -> u8 {
    tokio::select! {
        () = progress.ready(&handle) => {}
        () = stop(&mut orders) => return 0,
    }
    let name = plan.words[0].display();
    let environment: Vec<_> = sources::environment()
        .into_iter()
        .filter(|(name, _)| !systemd::VARIABLES.iter().any(|known| name == known))
        .collect();
    let mut backoff = Backoff::new(plan.growth);
    loop {
        let begun = Instant::now();
        let mut changes = progress.changes();
        let (code, how) = match Attached::start(&plan.words, &environment, Group::Own) {
            Err(error) => plan.not_started(&error),
            Ok(mut child) => {
                info!("Started {name}");
                let status = loop {
                    tokio::select! {
                        status = child.wait() => break status,
                        Ok(()) = changes.changed() => {
                            if let Some(signal) = plan.reload_signal {
                                child.signal(signal);
                                info!("Sent {name} the reload signal");
                            }
                        }
                        order = orders.recv() => match order {
                            Some(Order::PassOn(signal)) => child.signal(signal),
                            Some(Order::Stop(limit)) => {
                                let limit = sleep_until(Instant::now() + limit);
                                let end = async {
                                    tokio::select! {
                                        () = limit => {}
                                        () = stop(&mut orders) => {}
                                    }
                                };
                                return child.stop_until(end).await.map_or(NOT_FOUND, code);
                            }
                            None => return 0,
                        },
                    }
                };
                let status = status.unwrap_or_default();
                (code(status), format!("{name} has ended: {status}"))
            }
        };
        if plan.restart == Restart::Never || (plan.restart == Restart::OnFailure && code == 0) {
            info!("{how}");
            return code;
        }
        if begun.elapsed() >= WELL {
            backoff.reset();
        }
        let delay = backoff.delay();
        warn!("{how}; it is started again in {:.1}s", delay.as_secs_f64());
        tokio::select! {
            () = sleep_until(Instant::now() + delay) => {}
            () = stop(&mut orders) => return code,
        }
    }
}

/// Waits for the order to stop; signals have no receiver meanwhile.
async fn stop(orders: &mut mpsc::UnboundedReceiver<Order>) {
    while let Some(Order::PassOn(_)) = orders.recv().await {}
}

/// The exit code of a program, as a shell reports it.
fn code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_in_each_form_or_a_number() {
        for name in ["SIGHUP", "hup", "Sighup", "1"] {
            assert_eq!(signal(name), Some(Signal::HUP), "{name}");
        }
        assert_eq!(signal(""), None);
        assert_eq!(signal("SIGNOPE"), None);
    }

    #[test]
    fn the_exit_code_is_that_of_a_shell() {
        assert_eq!(code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(code(ExitStatus::from_raw(15)), 143);
        assert_eq!(code(ExitStatus::from_raw(0)), 0);
    }
}
