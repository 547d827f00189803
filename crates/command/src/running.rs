//! A running command: its first process, its group, and the pipe with its output.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, kill_process_group, test_kill_process_group};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::orphans::{self, Ours};
use crate::{Output, Program};

pub use rustix::process::Signal;

/// The interval at which a stopped group without output is checked.
pub(crate) const GROUP_POLL: Duration = Duration::from_millis(10);

/// A command that was started. Dropping it kills the command and everything it started, unless
/// [`leave`](Running::leave) was called.
#[derive(Debug)]
pub struct Running {
    // The fields are dropped in this order: the group is killed before the child is reaped.
    group: Group,
    child: Child,
    /// `None` when the command has been waited for.
    ours: Option<Ours>,
    /// The pipe that the command writes to. `None` when all writers have closed it.
    printed: Option<Receiver>,
}

impl Running {
    pub(crate) fn start(
        program: &Program,
        environment: &[(OsString, OsString)],
    ) -> io::Result<Running> {
        let (reader, writer) = io::pipe()?;
        let printed = Receiver::from_owned_fd(reader.into())?;
        let mut command = Command::new(program.file());
        match program {
            Program::Shell(text) => command.arg("-c").arg(text),
            Program::Argv(words) => command.args(words.iter().skip(1)),
        };
        let commands = orphans::commands();
        let child = command
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let leader = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let ours = leader.map(|leader| commands.add(leader));
        Ok(Running { group: Group { leader }, child, ours, printed: Some(printed) })
    }

    /// Waits until the command's first process ends, and adds everything that the command prints to
    /// `output`. Dropping the future loses nothing: the next call continues.
    ///
    /// # Errors
    ///
    /// The process cannot be waited for.
    pub async fn wait(&mut self, output: &mut Output) -> io::Result<ExitStatus> {
        let status = loop {
            let Some(printed) = &self.printed else { break self.child.wait().await };
            tokio::select! {
                status = self.child.wait() => break status,
                ready = printed.readable() => {
                    if ready.is_err() || !take(printed, |bytes| output.push(bytes)) {
                        self.printed = None;
                    }
                }
            }
        };
        self.ours = None;
        status
    }

    /// Sends a signal to every process of the command's group.
    pub fn signal(&self, signal: Signal) {
        self.group.signal(signal);
    }

    /// Ends the supervision of a command that has ended: adds the rest of its output to `output`,
    /// without waiting for more.
    ///
    /// Background processes of the command continue. Their output is read and dropped as long as
    /// this process lives: without a reader they would die of SIGPIPE.
    pub fn leave(mut self, output: &mut Output) {
        self.group.leader = None;
        let Some(printed) = self.printed.take() else { return };
        // Reads no more than there was when the command ended: a background process may print
        // faster than this loop reads.
        let mut rest = rustix::io::ioctl_fionread(&printed).unwrap_or(0);
        let mut buffer = vec![0; BUFFER];
        while rest > 0 {
            let Ok(count @ 1..) = printed.try_read(&mut buffer) else { break };
            output.push(&buffer[..count]);
            rest = rest.saturating_sub(count as u64);
        }
        if !matches!(printed.try_read(&mut buffer), Ok(0)) {
            tokio::spawn(forget(printed));
        }
    }

    /// Stops the command and everything it started: SIGTERM to the group, then SIGKILL to the rest
    /// when the group has ended or `grace` has passed.
    pub async fn stop(mut self, grace: Duration, output: &mut Output) {
        self.group.signal(Signal::TERM);
        // An error here means that the command cannot be waited for. It is killed below.
        let _ = timeout(grace, async {
            self.wait(output).await?;
            self.silent(output).await
        })
        .await;
        self.group.signal(Signal::KILL);
        // The command must be gone when this returns. A process that hangs in the kernel does not
        // even end by SIGKILL, so the wait has a limit.
        let _ = timeout(grace, self.wait(output)).await;
        self.leave(output);
    }

    /// Waits until no process that the ended command started can write any more, or until the group
    /// is empty.
    ///
    /// Each condition alone is not enough: a process may have closed its output, and a process that
    /// has ended stays in the group until its parent reaps it, which in a container may never
    /// happen.
    async fn silent(&mut self, output: &mut Output) -> io::Result<()> {
        while let Some(printed) = &self.printed
            && self.group.is_alive()
        {
            if let Ok(ready) = timeout(GROUP_POLL, printed.readable()).await {
                ready?;
                if !take(printed, |bytes| output.push(bytes)) {
                    self.printed = None;
                }
            }
        }
        Ok(())
    }
}

/// The size of the pieces in which output is read.
const BUFFER: usize = 8 * 1024;

/// Passes some of the pipe's content to `sink`. Returns false at the end of the pipe.
fn take(printed: &Receiver, sink: impl FnOnce(&[u8])) -> bool {
    let mut buffer = [0; BUFFER];
    match printed.try_read(&mut buffer) {
        Ok(0) => false,
        Ok(count) => {
            sink(&buffer[..count]);
            true
        }
        Err(cause) => cause.kind() == io::ErrorKind::WouldBlock,
    }
}

/// Reads a pipe to its end and drops the content.
async fn forget(printed: Receiver) {
    while printed.readable().await.is_ok() && take(&printed, |_| ()) {}
}

/// The process group of a command; killed on drop while `leader` is set.
#[derive(Debug)]
struct Group {
    leader: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // An error means that the group has ended by itself just now.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Whether any process of the group is left, zombies included.
    fn is_alive(&self) -> bool {
        self.leader.is_some_and(|leader| test_kill_process_group(leader).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}
