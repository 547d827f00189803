//! Namespaces for servers that would otherwise change the machine: its network, its mounts and its
//! processes.

use std::fs::File;
use std::os::fd::AsFd;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use rustix::process::Pid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::control_groups::ControlGroups;
use crate::{Process, eventually, present};

/// The targets that usual units name. They are empty for a systemd in namespaces, so that nothing of
/// the machine starts.
const TARGETS: [&str; 7] =
    ["basic", "multi-user", "network", "network-online", "shutdown", "sysinit", "umount"];

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
    /// Dropped last: the processes in the groups have ended then.
    _groups: Option<ControlGroups>,
}

impl Namespaces {
    /// Creates namespaces and runs the shell text `prepare` in them. `folder` is for two files:
    /// `namespaces.log` and `namespaces.ready`.
    #[track_caller]
    pub fn start(folder: &Path, prepare: &str) -> Self {
        // The first process must collect the processes that lose their parents: the kernel does it
        // for a process that ignores SIGCHLD.
        Self::with_first(folder, prepare, "env --ignore-signal=CHLD sleep infinity", None)
    }

    /// Like [`start`](Self::start), with a systemd as the first process. It knows only the units in
    /// `/etc/systemd/system`, which begins with empty targets and these units of the machine. So
    /// `prepare` must give `/etc` and `/run` to the namespaces.
    #[track_caller]
    pub fn with_systemd(folder: &Path, prepare: &str, units: &[&str]) -> Self {
        let program = present(PathBuf::from("/lib/systemd/systemd"));
        let groups = ControlGroups { parent: folder.file_name().unwrap().into() };
        // It makes its control groups below its own, which is the root of the namespace.
        let group = folder.join("groups").join(&groups.parent);
        let prepare = format!(
            "{prepare}
             rm -rf /etc/systemd/system; mkdir /etc/systemd/system
             for name in {targets}; do echo '[Unit]' >/etc/systemd/system/$name.target; done
             for name in {units}; do cp /lib/systemd/system/$name /etc/systemd/system; done
             mkdir '{mount}'; mount -t cgroup2 none '{mount}'
             mkdir '{group}'; echo $$ >'{group}/cgroup.procs'",
            targets = TARGETS.join(" "),
            units = units.join(" "),
            mount = folder.join("groups").display(),
            group = group.display(),
        );
        let first = format!(
            "unshare --cgroup -- sh -ec 'mount -t cgroup2 none /sys/fs/cgroup; \
             exec env -i PATH=\"$PATH\" container=test SYSTEMD_UNIT_PATH=/etc/systemd/system \
             {} --system --unit=multi-user.target'",
            program.display(),
        );
        let namespaces = Self::with_first(folder, &prepare, &first, Some(groups));
        eventually("systemd is ready", || {
            let arguments = ["is-system-running".to_owned()];
            let log = folder.join("systemctl.log");
            let mut asking = namespaces.spawn("systemctl", &arguments, &log);
            eventually("systemctl ends", || asking.has_ended());
            asking.ended().is_some_and(|status| status.success())
        });
        namespaces
    }

    /// Creates namespaces, runs the shell text `prepare` in them, and then the command `first` as the
    /// first process.
    #[track_caller]
    fn with_first(
        folder: &Path,
        prepare: &str,
        first: &str,
        groups: Option<ControlGroups>,
    ) -> Self {
        let ready = folder.join("namespaces.ready");
        let script =
            format!("set -e; ip link set lo up; {prepare}\n: >'{}'; exec {first}", ready.display());
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
        Namespaces { _holder: holder, first, network, _groups: groups }
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
