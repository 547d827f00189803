//! Programs that use the standard streams of this process, and have exactly the environment that
//! they are given.

use std::ffi::OsString;
use std::io;
use std::pin::pin;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, kill_process, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until};

use crate::Signal;
use crate::orphans::{self, Ours};
use crate::running::GROUP_POLL;

/// The process group of an attached program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The group of this process. Signals go to the program alone.
    Shared,
    /// A group of its own. Signals go to every process of the group.
    Own,
}

/// A program that was started with the standard streams of this process. Dropping it leaves the
/// program running.
#[derive(Debug)]
pub struct Attached {
    child: Child,
    leader: Option<Pid>,
    group: Group,
    /// `None` when the program has been waited for.
    ours: Option<Ours>,
}

impl Attached {
    /// Starts the program in the file `words[0]` with the other words as its arguments, and with no
    /// other environment than `environment`. It must be called on a Tokio runtime with I/O enabled.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn start(
        words: &[OsString],
        environment: &[(OsString, OsString)],
        group: Group,
    ) -> io::Result<Attached> {
        let (file, arguments) = words.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(file);
        command.args(arguments).env_clear().envs(environment.iter().cloned());
        if group == Group::Own {
            command.process_group(0);
        }
        let commands = orphans::commands();
        let child = command.spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let ours = leader.map(|leader| commands.add(leader));
        Ok(Attached { child, leader, group, ours })
    }

    /// Waits until the program ends. Dropping the future loses nothing: the next call continues.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await;
        self.ours = None;
        status
    }

    /// Sends a signal to the program alone. Does nothing if it has been waited for.
    pub fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader
            && self.ours.is_some()
        {
            // An error means that the program has ended by itself just now.
            let _ = kill_process(leader, signal);
        }
    }

    /// Sends a signal to the program, and to its group if it has one of its own. Does nothing if it
    /// has been waited for.
    fn signal_all(&self, signal: Signal) {
        if let Some(leader) = self.leader
            && self.ours.is_some()
        {
            self.send(leader, signal);
        }
    }

    fn send(&self, leader: Pid, signal: Signal) {
        // An error means that the program has ended by itself just now.
        let _ = match self.group {
            Group::Own => kill_process_group(leader, signal),
            Group::Shared => kill_process(leader, signal),
        };
    }

    /// Stops the program, and with it its group if it has one of its own: SIGTERM, and after `limit`
    /// SIGKILL for what is left. Returns how the program ended.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn stop(self, limit: Duration) -> io::Result<ExitStatus> {
        self.stop_until(sleep_until(Instant::now() + limit)).await
    }

    /// Like [`stop`](Self::stop), with SIGKILL when `end` is over.
    ///
    /// # Errors
    /// As for [`stop`](Self::stop).
    pub async fn stop_until(mut self, end: impl Future<Output = ()>) -> io::Result<ExitStatus> {
        let mut end = pin!(end);
        self.signal_all(Signal::TERM);
        let ended = tokio::select! {
            biased;
            status = self.wait() => Some(status),
            () = &mut end => None,
        };
        if let (Group::Own, Some(leader)) = (self.group, self.leader) {
            // The number of the group is not used again as long as a process is in it.
            let gone = async {
                while test_kill_process_group(leader).is_ok() {
                    sleep_until(Instant::now() + GROUP_POLL).await;
                }
            };
            if ended.is_some() {
                tokio::select! {
                    () = gone => {}
                    () = end => {}
                }
            }
            if test_kill_process_group(leader).is_ok() {
                self.send(leader, Signal::KILL);
            }
        }
        match ended {
            Some(status) => status,
            None => {
                self.signal_all(Signal::KILL);
                self.wait().await
            }
        }
    }
}
