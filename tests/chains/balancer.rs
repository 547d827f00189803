//! The container of a load balancer: the entrypoint of an example, without a container around it.

use rustix::process::Signal;
use servers::free_ports;

use super::{Chain, script, store::Store};
use crate::support::{Daemon, Ended, Sandbox, eventually};

pub(super) struct Balancer {
    /// The address where it listens.
    pub(super) address: String,
    chain: Chain,
    daemon: Daemon,
    folder: Sandbox,
}

impl Balancer {
    /// Starts the entrypoint. Does not wait until it is ready.
    pub(super) fn start(chain: Chain, store: &Store) -> Self {
        Self::start_with(chain, store, "-watch")
    }

    /// Starts the entrypoint with other flags for the confd that keeps running.
    pub(super) fn start_with(chain: Chain, store: &Store, follow: &str) -> Self {
        let folder = Sandbox::new();
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        let (variable, url) = store.variable();
        let run = script(&format!("{}/entrypoint.sh", chain.example), folder.root())
            .env(variable, url)
            .env("LISTEN", &address)
            .env("RUN_DIR", folder.path("run"))
            .env("FOLLOW", follow);
        let daemon = Daemon::start(run, folder.path("log"));
        Self { address, chain, daemon, folder }
    }

    /// The output of the entrypoint, confd and the load balancer.
    pub(super) fn log(&self) -> String {
        self.daemon.stderr()
    }

    /// Waits until the output contains this text.
    #[track_caller]
    pub(super) fn wait_for(&self, text: &str) {
        self.daemon.wait_for(text);
    }

    /// The number of configurations that were put in place and, if necessary, reloaded.
    pub(super) fn updates(&self) -> usize {
        self.log().matches("has been updated").count()
    }

    /// Waits until the configuration has exactly these servers.
    #[track_caller]
    pub(super) fn wait_for_servers(&self, expected: &[&str]) {
        eventually(&format!("the servers are {expected:?}"), || self.servers() == expected);
    }

    /// The names of the services in the configuration, which are the names of their keys.
    fn servers(&self) -> Vec<String> {
        let made =
            ["nginx.conf", "haproxy.cfg"].map(|name| self.folder.read(&format!("run/{name}")));
        let names = made.iter().flat_map(|text| text.lines()).filter_map(|line| {
            // `server ADDRESS …; # NAME` or `server NAME ADDRESS …`
            let rest = line.trim_start().strip_prefix("server ").filter(|rest| *rest != "{")?;
            let name = rest.split_once("; # ").map(|(_, name)| name);
            name.or_else(|| rest.split(' ').next()).map(str::to_owned)
        });
        names.collect()
    }

    /// The processes of the container with this name, each with its parent.
    fn processes(&self, name: &str) -> Vec<(i32, i32)> {
        let group = self.daemon.pid();
        let entries = std::fs::read_dir("/proc").unwrap();
        let numbers = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let of_group = numbers.filter_map(|number: i32| {
            // `PID (NAME) STATE PARENT GROUP …`
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat")).ok()?;
            let (before, after) = stat.rsplit_once(") ")?;
            let in_group = after.split(' ').nth(2) == Some(&group.to_string());
            let is_it =
                in_group && !after.starts_with('Z') && before.ends_with(&format!("({name}"));
            let parent = after.split(' ').nth(1)?.parse().ok()?;
            is_it.then_some((number, parent))
        });
        of_group.collect()
    }

    /// Waits until the reload of the first configuration has succeeded and only the newest workers
    /// of the load balancer are left. Older workers accept connections a moment longer.
    #[track_caller]
    pub(super) fn settles(&self) {
        let (name, workers) = match self.chain.balancer() {
            "nginx" => ("nginx", 2),
            name => (name, 1),
        };
        eventually("the load balancer has only its newest workers", || {
            self.processes(name).len() == 1 + workers && self.pending().is_none()
        });
    }

    /// Sends a signal to one process: of those with this name, the one that has started the others.
    /// It need not have the smallest number, because the system begins again with small numbers.
    #[track_caller]
    pub(super) fn signal_one(&self, name: &str, signal: Signal) {
        let all = self.processes(name);
        let is_child = |parent: i32| all.iter().any(|(number, _)| *number == parent);
        let first = all.iter().find(|(_, parent)| !is_child(*parent));
        let first = first.and_then(|(number, _)| rustix::process::Pid::from_raw(*number));
        let first = first.unwrap_or_else(|| panic!("no {name} runs:\n{}", self.log()));
        rustix::process::kill_process(first, signal).unwrap();
    }

    /// Sends a signal to the entrypoint only, as the end of a container does.
    pub(super) fn signal(&self, signal: Signal) {
        self.daemon.signal(signal);
    }

    /// Waits until the container has ended. Then no process of confd or the load balancer may be
    /// left, and no reload may be pending.
    #[track_caller]
    pub(super) fn wait(self) -> Ended {
        eventually("the entrypoint ends", || self.daemon.has_ended());
        eventually("confd and the load balancer have ended", || {
            ["confd", "nginx", "haproxy"].iter().all(|name| self.processes(name).is_empty())
        });
        assert_eq!(self.pending(), None);
        self.daemon.wait()
    }

    /// The name of the marker of a pending reload.
    fn pending(&self) -> Option<String> {
        self.folder.list("run").into_iter().find(|name| name.contains("pending"))
    }
}
