//! A server's process.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::eventually;

/// A running server, killed when this is dropped, and by the kernel when the thread that started
/// it ends without having done so.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output is added to the file `log`.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        // setpriv replaces itself by the program, so the number of the process is the server's.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Process { child, log: log.to_owned() }
    }

    /// Waits until a server is ready; false if it has ended instead, and then its output is shown.
    #[track_caller]
    pub(crate) fn becomes_ready(
        process: &mut Option<Self>,
        name: &str,
        is_ready: impl Fn() -> bool,
    ) -> bool {
        let mut ended = false;
        eventually(&format!("{name} is ready"), || {
            ended = process.as_mut().is_none_or(Process::has_ended);
            ended || is_ready()
        });
        if ended && let Some(process) = process {
            // Shown only if the test fails.
            std::io::stderr().write_all(process.output().as_bytes()).unwrap();
        }
        !ended
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it wrote last.
    pub fn output(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Stops it where it is: its connections stay open and nothing answers.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        eventually("every thread has stopped", || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            threads.into_iter().all(|thread| {
                let state = fs::read_to_string(thread.unwrap().path().join("stat"));
                // Behind the name, which is in brackets. A thread that is gone has stopped too.
                state.map_or(true, |state| state.contains(") T "))
            })
        });
    }

    /// Lets it go on after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
