//! Running a check or reload command: `/bin/sh -c`, in a process group of its own.
//!
//! What may be relied on:
//!
//! - A command is over when the shell has ended. What it left running in the background, with or
//!   without its output redirected, is neither waited for nor disturbed.
//! - A command that has a time limit and passes it is stopped with everything it started, first
//!   politely. So is, at once, a command whose future is dropped.
//! - However much a command prints, little of it is kept in memory, and it never waits for us.
//!
//! This module knows shells, not files.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use report::{errno_text, signal_text};
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};
use tokio::time::timeout;
use tracing::{debug, error};

use crate::output::Output;

/// The shell that runs every command.
const SHELL: &str = "/bin/sh";
/// How long a command that passed its limit has to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How often a stopped group that prints nothing is looked at.
const GROUP_POLL: Duration = Duration::from_millis(10);

/// Why a command did not succeed, in the words of Go's `os/exec`.
#[derive(Debug)]
#[non_exhaustive]
pub enum CommandError {
    /// It ended with this exit status, which is not 0: `exit status 3`.
    Exit(i32),
    /// It was ended by a signal: `signal: killed`.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
    /// It was stopped because it took longer than this.
    TimedOut(Duration),
    /// The shell could not be started.
    Start(io::Error),
    /// The command could not be watched.
    Wait(io::Error),
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CommandError::Exit(status) => write!(f, "exit status {status}"),
            CommandError::Signal { number, core_dumped } => {
                let dump = if *core_dumped { " (core dumped)" } else { "" };
                write!(f, "signal: {}{dump}", signal_text(*number))
            }
            CommandError::TimedOut(limit) => write!(f, "timed out after {limit:?}"),
            CommandError::Start(cause) => write!(f, "fork/exec {SHELL}: {}", errno_text(cause)),
            CommandError::Wait(cause) => write!(f, "wait: {}", errno_text(cause)),
        }
    }
}

impl std::error::Error for CommandError {}

/// Runs a command to its end, with confd's log lines: `Running CMD`, then what it printed, quoted,
/// at DEBUG if it succeeded and at ERROR if not. Success is exit status 0.
///
/// The command has this process's folder and environment, and no input.
pub(crate) async fn run(command: &OsStr, limit: Option<Duration>) -> Result<(), CommandError> {
    debug!("Running {}", command.display());
    let mut output = Output::default();
    let result = execute(SHELL, command, limit, GRACE, &mut output).await;
    match &result {
        Ok(()) => debug!("{output}"),
        Err(_) => error!("{output}"),
    }
    result
}

async fn execute(
    shell: &str,
    command: &OsStr,
    limit: Option<Duration>,
    grace: Duration,
    output: &mut Output,
) -> Result<(), CommandError> {
    let mut running = Running::start(shell, command).map_err(CommandError::Start)?;
    let ended = match limit {
        None => running.ended(output).await,
        Some(limit) => match timeout(limit, running.ended(output)).await {
            Ok(ended) => ended,
            Err(_) => {
                running.stop(grace, output).await;
                return Err(CommandError::TimedOut(limit));
            }
        },
    };
    let status = ended.map_err(CommandError::Wait)?;
    running.leave(output);
    outcome(status)
}

fn outcome(status: ExitStatus) -> Result<(), CommandError> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(CommandError::Exit(code)),
        (None, signal) => Err(CommandError::Signal {
            number: signal.unwrap_or_default(),
            core_dumped: status.core_dumped(),
        }),
    }
}

/// A command that was started. Dropping it before it ended kills its group.
struct Running {
    // Dropped in this order: the group is killed before the child is given up.
    group: Group,
    child: Child,
    /// What the command prints; `None` when everybody who could print has ended.
    printed: Option<Receiver>,
}

impl Running {
    fn start(shell: &str, command: &OsStr) -> io::Result<Running> {
        let (reader, writer) = io::pipe()?;
        let printed = Receiver::from_owned_fd(reader.into())?;
        let child = Command::new(shell)
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let group = Group { leader: child.id().and_then(|id| Pid::from_raw(id.cast_signed())) };
        Ok(Running { group, child, printed: Some(printed) })
    }

    /// Waits for the command to end, and takes what it prints meanwhile.
    async fn ended(&mut self, output: &mut Output) -> io::Result<ExitStatus> {
        loop {
            let Some(printed) = &self.printed else { return self.child.wait().await };
            tokio::select! {
                status = self.child.wait() => return status,
                ready = printed.readable() => {
                    if ready.is_err() || !take(printed, |bytes| output.push(bytes)) {
                        self.printed = None;
                    }
                }
            }
        }
    }

    /// Takes what is still in the pipe of an ended command, without waiting for more.
    ///
    /// If something that it left in the background can still print, that is read and forgotten
    /// from now on, for as long as this process lives: it would end by SIGPIPE if nobody did.
    fn leave(mut self, output: &mut Output) {
        self.group.leader = None;
        let Some(printed) = self.printed.take() else { return };
        // No more than there was when the command ended. A background process may print faster
        // than we read.
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

    /// Asks the whole group to end, and ends what is left of it when the command has ended or
    /// `grace` has passed.
    async fn stop(mut self, grace: Duration, output: &mut Output) {
        self.group.signal(Signal::TERM);
        // What cannot be waited for any more is killed.
        let _ = timeout(grace, async {
            self.ended(output).await?;
            self.silent(output).await
        })
        .await;
        self.group.signal(Signal::KILL);
        // So that it is gone, its stage file unused, when we say so. One that hangs in the kernel
        // does not end even now, and is not waited for.
        let _ = timeout(grace, self.ended(output)).await;
        self.leave(output);
    }

    /// Waits until nothing that the ended command started can print any more, or all of it has
    /// ended.
    ///
    /// Either alone would not do: a process may have closed its output, and one that has ended
    /// stays in the group until somebody reaps it, which in a container may be never.
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

/// Gives `sink` some of what is in the pipe. False at its end.
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

/// Reads a pipe to its end for nobody.
async fn forget(printed: Receiver) {
    while printed.readable().await.is_ok() && take(&printed, |_| ()) {}
}

/// The processes that a command started; killed on drop while there is a leader.
struct Group {
    leader: Option<Pid>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(leader) = self.leader {
            // The group may have ended by itself just now.
            let _ = kill_process_group(leader, signal);
        }
    }

    /// Whether any process of it is left, be it dead and not reaped.
    fn is_alive(&self) -> bool {
        self.leader.is_some_and(|leader| test_kill_process_group(leader).is_ok())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;
    use crate::testing::{self, Logs, wait_until, wait_until_async};

    /// Long enough that a test that waits for it has failed.
    const FOR_EVER: Duration = Duration::from_secs(60);

    fn run_now(command: &str) -> Result<(), CommandError> {
        testing::run(run(OsStr::new(command), None))
    }

    /// Runs with these limits; gives the result and what was printed.
    async fn run_within(
        command: &str,
        limit: Duration,
        grace: Duration,
    ) -> (Result<(), CommandError>, String) {
        let mut output = Output::default();
        let result = execute(SHELL, OsStr::new(command), Some(limit), grace, &mut output).await;
        (result, output.to_string())
    }

    /// Whether a living process of the group is left; dead ones may wait to be reaped.
    fn lives(group: &str) -> bool {
        let found = std::process::Command::new("pgrep")
            .args(["-r", "R,S,D,T", "-g", group.trim()])
            .output()
            .expect("procps (pgrep) is installed");
        !found.stdout.is_empty()
    }

    #[test]
    fn a_success_shows_its_output_at_debug_only() {
        let logs = Logs::capture();
        run_now("echo out; echo err >&2").expect("success");
        assert_eq!(logs.all(), ["DEBUG Running echo out; echo err >&2", "DEBUG \"out\\nerr\\n\""]);
    }

    #[test]
    fn a_failure_shows_its_output_and_says_how_it_ended() {
        for (command, text) in [
            ("echo out; exit 7", "exit status 7"),
            ("echo out; kill -9 $$", "signal: killed"),
            ("echo out; kill -TERM $$", "signal: terminated"),
            ("echo out; kill -34 $$", "signal: signal 34"),
            ("echo out; exec /nonexistent/x 2>/dev/null", "exit status 127"),
        ] {
            let logs = Logs::capture();
            assert_eq!(run_now(command).expect_err("failure").to_string(), text);
            assert_eq!(logs.lines(), ["ERROR \"out\\n\""], "{command}");
        }
    }

    #[test]
    fn a_missing_shell_reads_as_in_go() {
        let mut output = Output::default();
        let command = OsStr::new("true");
        let run = execute("/nonexistent/sh", command, None, GRACE, &mut output);
        let error = testing::run(run).expect_err("no shell");
        assert_eq!(error.to_string(), "fork/exec /bin/sh: no such file or directory");
    }

    #[test]
    fn a_core_dump_is_mentioned() {
        let error = CommandError::Signal { number: 6, core_dumped: true };
        assert_eq!(error.to_string(), "signal: aborted (core dumped)");
    }

    #[test]
    fn the_input_is_empty_and_the_group_is_its_own() {
        let logs = Logs::capture();
        run_now("cat; ps -o pgid= -p $$ | grep -qw $$ && readlink /proc/self/fd/0").expect("own");
        assert_eq!(logs.all()[1], "DEBUG \"/dev/null\\n\"");
    }

    #[test]
    fn a_background_child_is_not_waited_for() {
        for redirected in ["", ">/dev/null 2>&1"] {
            let started = Instant::now();
            let logs = Logs::capture();
            run_now(&format!("sleep 60 {redirected} & echo $!")).expect("success");
            assert!(started.elapsed() < FOR_EVER);
            let child = logs.all()[1].replace(|c: char| !c.is_ascii_digit(), "");
            let child = child.strip_suffix('n').unwrap_or(&child).to_owned();
            let alive = std::process::Command::new("kill").args(["-TERM", &child]).status();
            assert!(alive.expect("kill").success(), "the child lives on");
        }
    }

    #[test]
    fn a_background_child_may_go_on_printing() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().display();
        // Waits for the command's end, prints more than a pipe holds, and says that it survived.
        let command = format!(
            "(until test -e {dir}/go; do sleep 0.01; done; \
              head -c 300000 /dev/zero && touch {dir}/survived) & echo started"
        );
        testing::run(async {
            let logs = Logs::capture();
            run(OsStr::new(&command), None).await.expect("success");
            assert_eq!(logs.all()[1], "DEBUG \"started\\n\"");
            fs::write(folder.path().join("go"), "").expect("write");
            let survived = folder.path().join("survived");
            wait_until_async("the child has printed", || survived.exists()).await;
        });
    }

    #[test]
    fn a_background_child_that_never_stops_printing_does_not_hold_us() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        run_now(&format!("yes & echo $! > {}", pid.display())).expect("success");
        let pid = fs::read_to_string(pid).expect("read").trim().to_owned();
        // By SIGPIPE, as the runtime that read its output has gone.
        wait_until("it is gone", || {
            !std::path::Path::new(&format!("/proc/{pid}")).exists()
                || fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        });
    }

    #[test]
    fn much_output_neither_blocks_nor_fills_the_memory() {
        let logs = Logs::capture();
        run_now("echo begin; head -c 3000000 /dev/zero; echo end; exit 1").expect_err("failure");
        let line = logs.lines().remove(0);
        assert!(line.starts_with("ERROR \"begin\\n\\x00"), "{}", &line[..30]);
        assert!(line.ends_with("\\x00end\\n\""));
        assert!(line.contains(&format!("{} bytes left out", 3_000_010 - 64 * 1024)));
    }

    #[test]
    fn a_command_within_its_limit_is_left_alone() {
        let (result, printed) = testing::run(run_within("echo fine", FOR_EVER, FOR_EVER));
        result.expect("success");
        assert_eq!(printed, "\"fine\\n\"");
    }

    #[test]
    fn a_command_past_its_limit_is_asked_to_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let up = folder.path().join("up").display().to_string();
        let command =
            format!("trap 'echo asked; exit 0' TERM; touch {up}; while :; do sleep 0.01; done");
        let limit = Duration::from_millis(300);
        let (result, printed) = testing::run(run_within(&command, limit, FOR_EVER));
        assert_eq!(result.expect_err("stopped").to_string(), "timed out after 300ms");
        assert!(std::path::Path::new(&up).exists());
        assert!(printed.ends_with("asked\\n\""), "{printed}");
    }

    #[test]
    fn a_command_that_does_not_end_when_asked_is_killed_with_all_it_started() {
        let command = "trap '' TERM; echo $$; sleep 1000 & sleep 1000";
        let limit = Duration::from_millis(300);
        let grace = Duration::from_millis(50);
        let (result, printed) = testing::run(run_within(command, limit, grace));
        assert!(matches!(result, Err(CommandError::TimedOut(_))));
        let group = printed.trim_matches('"').trim_end_matches("\\n").to_owned();
        assert!(!group.is_empty());
        wait_until("the group is gone", || !lives(&group));
    }

    #[test]
    fn what_ignores_the_request_is_killed_although_the_shell_has_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let up = folder.path().join("up").display().to_string();
        let command =
            format!("echo $$; (trap '' TERM; touch {up}; while :; do sleep 0.01; done) & wait");
        let limit = Duration::from_millis(300);
        let grace = Duration::from_millis(100);
        let (result, printed) = testing::run(run_within(&command, limit, grace));
        assert!(matches!(result, Err(CommandError::TimedOut(_))));
        assert!(std::path::Path::new(&up).exists());
        let group = printed.trim_matches('"').trim_end_matches("\\n").to_owned();
        wait_until("the group is gone", || !lives(&group));
    }

    #[test]
    fn what_has_left_the_group_is_not_waited_for_when_it_is_stopped() {
        let started = Instant::now();
        let limit = Duration::from_millis(300);
        let command = "setsid sleep 60 & echo $!; exec sleep 1000";
        let (result, printed) = testing::run(run_within(command, limit, FOR_EVER));
        assert!(matches!(result, Err(CommandError::TimedOut(_))));
        assert!(started.elapsed() < FOR_EVER);
        let session = printed.trim_matches('"').trim_end_matches("\\n").to_owned();
        let alive = std::process::Command::new("kill").arg(session).status();
        assert!(alive.expect("kill").success(), "it lives on");
    }

    #[test]
    fn a_dropped_command_is_killed_with_all_it_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let pid = folder.path().join("pid");
        let command = format!("echo $$ > {}; sleep 1000 & sleep 1000", pid.display());
        testing::run(async {
            let written = || fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n'));
            tokio::select! {
                _ = run(OsStr::new(&command), None) => panic!("it does not end"),
                () = wait_until_async("it runs", written) => {}
            }
        });
        let group = fs::read_to_string(&pid).expect("read");
        wait_until("the group is gone", || !lives(&group));
    }
}
