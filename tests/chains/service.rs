//! A service behind the load balancer: a small HTTP server that registers itself.

use rustix::process::Signal;
use servers::free_ports;

use super::store::Store;
use crate::support::{Daemon, Ended, Run, Sandbox, eventually, search_path};

/// A service that answers every request with its name. Dropping it kills the service and its
/// `confd register`, so that its registration expires.
pub(super) struct Service {
    /// The address where it listens.
    pub(super) address: String,
    daemon: Daemon,
    _folder: Sandbox,
}

impl Service {
    /// Starts a service that registers itself for `ttl` seconds at a time.
    pub(super) fn start(store: &Store, name: &str, ttl: u32) -> Self {
        let (registry, ttl) = (store.registry(), ttl.to_string());
        Self::run(name, |[host, port], command, folder| {
            let path = search_path();
            let run = Run::new(env!("CARGO_BIN_EXE_confd"), folder.root())
                .env("PATH", format!("{path}:/usr/sbin:/sbin"));
            run.arguments(&["register", "-name", "app", "-id", name, "-address", host])
                .arguments(&["-port", port, "-ttl", &ttl, "-drain", "1s", &registry, "--"])
                .arguments(command)
        })
    }

    /// Starts a service that does not register itself.
    pub(super) fn unregistered(name: &str) -> Self {
        Self::run(name, |_, command, folder| {
            let path = search_path();
            let nginx = Run::new(command[0], folder.root()).arguments(&command[1..]);
            nginx.env("PATH", format!("{path}:/usr/sbin:/sbin"))
        })
    }

    fn run(name: &str, of: impl FnOnce([&str; 2], &[&str], &Sandbox) -> Run) -> Self {
        let folder = Sandbox::new();
        let [port] = free_ports();
        let address = format!("127.0.0.1:{port}");
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|kind| format!("{kind}_temp_path temp;")).concat();
        let page = format!("server {{ listen {address}; return 200 '{name}\\n'; }}");
        folder.write(
            "service.conf",
            format!(
                "daemon off; master_process off; pid service.pid; error_log stderr;\nevents {{}}\n\
                 http {{ access_log off; {temporary} {page} }}\n"
            ),
        );
        let command = ["nginx", "-p", ".", "-c", "service.conf", "-e", "stderr"];
        let place = ["127.0.0.1", &port.to_string()];
        let daemon = Daemon::start(of(place, &command, &folder), folder.path("log"));
        let service = Self { address, daemon, _folder: folder };
        eventually(&format!("{name} answers"), || super::load::get(&service.address).is_ok());
        service
    }

    /// Stops the service properly: it deregisters first.
    #[track_caller]
    pub(super) fn stop(self) -> Ended {
        let ended = self.daemon.stop(Signal::TERM);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }
}
