//! Namespaces for servers that would otherwise change the machine: its network, its mounts and its
//! processes.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::Path;
use std::thread;

use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::{Process, eventually};

/// A network, a mount and a process namespace. They begin with the loopback interface and the mounts
/// of the machine.
///
/// When this is dropped, or when the process of the tests ends in whatever way, the kernel kills
/// every process of the process namespace, and with these go the mounts and the interfaces.
#[derive(Debug)]
pub struct Namespaces {
    /// The process for which the namespaces were created. It ends with its only child.
    _holder: Process,
    /// The first process of the process namespace. The kernel kills the other processes when it ends.
    first: Pid,
    network: File,
}

impl Namespaces {
    /// Creates namespaces and runs the shell text `prepare` in them. `folder` is for two files:
    /// `namespaces.log` and `namespaces.ready`.
    #[track_caller]
    pub fn start(folder: &Path, prepare: &str) -> Self {
        let ready = folder.join("namespaces.ready");
        // The first process must collect the processes that lose their parents: the kernel does it
        // for a process that ignores SIGCHLD.
        let script = format!(
            "set -e; ip link set lo up; {prepare}\n: >'{}'; \
             exec env --ignore-signal=CHLD sleep infinity",
            ready.display()
        );
        let arguments = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let arguments = arguments.into_iter().chain(["sh", "-c", &script]).map(str::to_owned);
        let arguments: Vec<_> = arguments.collect();
        let holder =
            Process::start(Path::new("unshare"), &arguments, &folder.join("namespaces.log"));
        let mut holder = Some(holder);
        let is_ready = Process::becomes_ready(&mut holder, "unshare", || ready.exists());
        assert!(is_ready, "no namespaces (this needs root): see the output above");
        let holder = holder.unwrap();
        let first = holder.only_child();
        let network = File::open(format!("/proc/{first}/ns/net")).unwrap();
        Namespaces { _holder: holder, first, network }
    }

    /// Starts a program in all of the namespaces. Its output is appended to the file `log`. The
    /// process that this returns is the parent of the program and ends with it.
    pub fn spawn(&self, program: &str, arguments: &[String], log: &Path) -> Process {
        let first = self.first.to_string();
        let enter = ["--target", &first, "--mount", "--net", "--pid", "--"];
        let program = ["setpriv", "--pdeathsig", "KILL", "--", program];
        let words = enter.into_iter().chain(program).map(str::to_owned);
        let words: Vec<_> = words.chain(arguments.iter().cloned()).collect();
        Process::start(Path::new("nsenter"), &words, log)
    }

    /// Runs `work` in the network namespace, on a new thread. Sockets that it opens belong to that
    /// network, and so do the processes that it starts by [`Process::start`].
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let work = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.network.as_fd(), kind).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|why| resume_unwind(why))
    }
}

/// Waits until a program of [`Namespaces::spawn`] has ended after this signal.
#[track_caller]
pub(crate) fn end(process: &mut Process, signal: rustix::process::Signal) {
    rustix::process::kill_process(process.only_child(), signal).unwrap();
    eventually("the program has ended", || process.has_ended());
}
