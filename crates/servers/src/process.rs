//! The process of a server.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{LazyLock, Mutex};
use std::{io, thread};

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::eventually;

/// A running server. It is killed when this is dropped; the kernel kills it if the process of the
/// tests ends first.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program. Its output is appended to the file `log`.
    pub fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let output = File::options().create(true).append(true).open(log).unwrap();
        // setpriv replaces itself by the program, so the process number is that of the server.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = spawn(command);
        let child =
            child.unwrap_or_else(|error| panic!("cannot start {}: {error}", program.display()));
        Process { child, log: log.to_owned() }
    }

    /// Waits until a server is ready. If the server ends instead, prints its output and returns
    /// false.
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
            // Test output is shown only if the test fails.
            std::io::stderr().write_all(process.output().as_bytes()).unwrap();
        }
        !ended
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    /// How the process has ended; `None` while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// The only child of the process.
    #[track_caller]
    pub(crate) fn only_child(&self) -> Pid {
        let id = self.child.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        let child = children.trim().parse().ok().and_then(Pid::from_raw);
        child.unwrap_or_else(|| panic!("the children of process {id} are {children:?}"))
    }

    /// The last part of the process's output.
    pub fn output(&self) -> String {
        let text = String::from_utf8_lossy(&fs::read(&self.log).unwrap()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Stops the process: its connections stay open, and it does not answer.
    #[track_caller]
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        eventually("every thread has stopped", || {
            let threads = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
            threads.into_iter().all(|thread| {
                let state = fs::read_to_string(thread.unwrap().path().join("stat"));
                // The state stands behind the name, which is in brackets. A thread that has ended
                // counts as stopped.
                state.map_or(true, |state| state.contains(") T "))
            })
        });
    }

    /// Continues the process after [`freeze`](Self::freeze).
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Asks the process to end, and waits until it has.
    #[track_caller]
    pub fn terminate(&mut self) {
        self.signal(Signal::TERM);
        eventually("the process has ended", || self.has_ended());
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process can have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The network namespace of this thread.
fn own_network() -> File {
    File::open("/proc/thread-self/ns/net").unwrap()
}

/// Starts a process on a thread that never ends.
///
/// The kernel kills the server of `setpriv --pdeathsig` when the thread that started it ends. That
/// thread must not be the one of a test, because servers can outlive the test that started them. The
/// process gets the network namespace of the thread that calls this.
fn spawn(command: Command) -> io::Result<Child> {
    type Request = (Command, File, Sender<io::Result<Child>>);
    static STARTER: LazyLock<Mutex<Sender<Request>>> = LazyLock::new(|| {
        let (sender, requests) = mpsc::channel::<Request>();
        thread::spawn(move || {
            for (mut command, network, answer) in requests {
                if network.metadata().unwrap().ino() != own_network().metadata().unwrap().ino() {
                    let kind = Some(LinkNameSpaceType::Network);
                    move_into_link_name_space(network.as_fd(), kind).unwrap();
                }
                // The answer is lost only if the thread that waits for it has panicked.
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(sender)
    });
    let (answer, child) = mpsc::channel();
    STARTER.lock().unwrap().send((command, own_network(), answer)).unwrap();
    child.recv().unwrap()
}
