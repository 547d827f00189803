//! The resources that a process uses, from `/proc`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

/// The figures of a process at one moment.
pub(crate) struct Usage {
    threads: BTreeMap<PathBuf, Thread>,
    /// Memory in use, in MiB.
    pub(crate) resident: f64,
    /// The peak of the memory, in MiB.
    pub(crate) peak: f64,
    /// Open descriptors.
    pub(crate) descriptors: usize,
}

#[derive(Clone, Copy, Default)]
struct Thread {
    cpu: Duration,
    wakeups: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Self {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let threads = list(&process.join("task"));
        let threads = threads.into_iter().filter_map(|path| Some((path.clone(), thread(&path)?)));
        let status = fs::read_to_string(process.join("status")).expect("a running process");
        let mebibytes = |name| number(&status, name) as f64 / 1024.0;
        Usage {
            threads: threads.collect(),
            resident: mebibytes("VmRSS:"),
            peak: mebibytes("VmHWM:"),
            descriptors: list(&process.join("fd")).len(),
        }
    }

    /// The CPU time since an earlier moment, without threads that have ended: the clock ticks in
    /// which the kernel gives the sum for the whole process are too coarse.
    pub(crate) fn cpu_since(&self, earlier: &Usage) -> Duration {
        let since = |(path, thread): (&PathBuf, &Thread)| {
            thread.cpu.saturating_sub(earlier.threads.get(path).map_or(Duration::ZERO, |t| t.cpu))
        };
        self.threads.iter().map(since).sum()
    }

    /// How many times a sleeping thread was woken since then.
    pub(crate) fn wakeups_since(&self, earlier: &Usage) -> u64 {
        let since = |(path, thread): (&PathBuf, &Thread)| {
            thread.wakeups.saturating_sub(earlier.threads.get(path).map_or(0, |t| t.wakeups))
        };
        self.threads.iter().map(since).sum()
    }

    /// The number of connections of a process to a port of this machine.
    pub(crate) fn connections(pid: u32, port: u16) -> usize {
        let sockets = list(Path::new(&format!("/proc/{pid}/fd")));
        let sockets: Vec<String> = sockets
            .iter()
            .filter_map(|path| Some(fs::read_link(path).ok()?.display().to_string()))
            .filter_map(|link| Some(link.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
            .collect();
        let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("a running process");
        let remote = format!(":{port:04X}");
        let is_ours = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            // The remote address, the state (established), and the number of the socket.
            matches!(fields[..], [_, _, to, "01", _, _, _, _, _, number, ..]
                if to.ends_with(&remote) && sockets.iter().any(|socket| socket == number))
        };
        table.lines().filter(is_ours).count()
    }

    /// Waits until the process is idle, or nearly so.
    pub(crate) fn settled(pid: u32) -> Self {
        let begun = Instant::now();
        let mut before = Usage::of(pid);
        loop {
            sleep(Duration::from_millis(200));
            let now = Usage::of(pid);
            let idle = now.cpu_since(&before) < Duration::from_millis(1);
            if idle || begun.elapsed() > Duration::from_secs(10) {
                return now;
            }
            before = now;
        }
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a running process");
    entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
}

/// `None` if the thread has ended in the meantime.
fn thread(path: &Path) -> Option<Thread> {
    let times = fs::read_to_string(path.join("schedstat")).ok()?;
    let status = fs::read_to_string(path.join("status")).ok()?;
    let nanoseconds = times.split(' ').next()?.parse().ok()?;
    let wakeups = number(&status, "voluntary_ctxt_switches:");
    Some(Thread { cpu: Duration::from_nanos(nanoseconds), wakeups })
}

fn number(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
