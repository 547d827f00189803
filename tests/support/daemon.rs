//! A process that runs until it is stopped.

use std::{
    fs::File, io::Write as _, os::unix::process::CommandExt as _, path::PathBuf, process::Child,
};

use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use super::{Ended, Run, eventually};

/// A running process. Its log goes to a file, which can be read while the process runs. At the end
/// of the test the process is killed with all its children.
pub struct Daemon {
    child: Option<Child>,
    pid: Pid,
    log: PathBuf,
}

impl Daemon {
    /// Starts `run`, which logs to the new file `log`.
    pub fn start(run: Run, log: PathBuf) -> Self {
        let file = File::create(&log).unwrap();
        let child = run.with(|command| _ = command.process_group(0).stderr(file)).spawn();
        let pid = Pid::from_child(&child);
        Self { child: Some(child), pid, log }
    }

    /// Its log so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log contains this text.
    #[track_caller]
    pub fn wait_for(&self, text: &str) {
        eventually(&format!("{text:?} is in the log"), || self.stderr().contains(text));
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap();
    }

    /// Its process number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Its process.
    pub(super) fn child(&mut self) -> &mut Child {
        self.child.as_mut().unwrap()
    }

    /// Whether it has ended by itself or by a signal.
    pub fn has_ended(&self) -> bool {
        let state = std::fs::read_to_string(format!("/proc/{}/stat", self.pid.as_raw_nonzero()));
        state.is_ok_and(|state| state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')))
    }

    /// Sends it a signal and waits for its end. What a killed process has started lives on.
    pub fn stop(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.wait()
    }

    /// Kills it together with the commands that it runs, as the end of a container does.
    pub fn kill_with_commands(self) -> Ended {
        // Stopped, so that it starts no command between the search for its commands and its end.
        self.signal(Signal::STOP);
        eventually("every thread has stopped", || {
            let is_stopped = |task: std::fs::DirEntry| {
                let state = std::fs::read_to_string(task.path().join("stat"));
                state.map_or(true, |state| state.contains(") T ") || state.contains(") Z "))
            };
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
            tasks.flatten().all(is_stopped)
        });
        let groups = self.groups_of_children();
        kill_group(self.pid);
        groups.into_iter().for_each(kill_group);
        self.wait()
    }

    /// The process groups that its children lead, such as that of the command of `confd register`.
    fn groups_of_children(&self) -> Vec<Pid> {
        let children = |task: std::fs::DirEntry| {
            std::fs::read_to_string(task.path().join("children")).unwrap_or_default()
        };
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten();
        let children: Vec<String> = tasks.flatten().map(children).collect();
        let numbers = children.iter().flat_map(|numbers| numbers.split_whitespace());
        let children = numbers.filter_map(|number| Pid::from_raw(number.parse().ok()?));
        children.filter(|child| getpgid(Some(*child)).is_ok_and(|group| group == *child)).collect()
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let mut ended = Ended::wait(self.child.take().unwrap());
        ended.stderr = self.stderr();
        ended
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let groups = self.child.as_ref().map(|_| self.groups_of_children()).unwrap_or_default();
        if let Some(child) = &mut self.child {
            if std::thread::panicking() {
                // The log helps to understand a failure.
                let _ = std::io::stderr().write_all(&log);
            }
            kill_group(self.pid);
            let _ = child.wait();
            groups.into_iter().for_each(kill_group);
        }
    }
}

/// Kills a process group. An error means that it has ended by itself just now.
fn kill_group(group: Pid) {
    let _ = kill_process_group(group, Signal::KILL);
}
