//! A service behind the load balancer: a small HTTP server that registers itself.

use rustix::process::Signal;
use servers::free_ports;

use super::{script, store::Store};
use crate::support::{Daemon, Ended, Sandbox, eventually, search_path};

/// A service that answers every request with its name. Dropping it kills the service and its
/// registration script, so that its registration expires.
pub(super) struct Service {
    /// The address where it listens.
    pub(super) address: String,
    daemon: Daemon,
    _folder: Sandbox,
}

impl Service {
    /// Starts a service that registers itself for `ttl` seconds at a time.
    pub(super) fn start(store: &Store, name: &str, ttl: u32) -> Self {
        let (variable, url) = store.variable();
        Self::run(name, |arguments, folder| {
            let run = script(store.register(), folder.root()).env(variable, url);
            run.env("TTL", ttl.to_string()).env("DRAIN", "1").arguments(arguments)
        })
    }

    /// Starts a service that does not register itself.
    pub(super) fn unregistered(name: &str) -> Self {
        Self::run(name, |arguments, folder| {
            let path = search_path();
            let nginx = crate::support::Run::new("nginx", folder.root()).arguments(&arguments[3..]);
            nginx.env("PATH", format!("{path}:/usr/sbin:/sbin"))
        })
    }

    fn run(name: &str, of: impl FnOnce(&[&str], &Sandbox) -> crate::support::Run) -> Self {
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
        let command = [name, &address, "nginx", "-p", ".", "-c", "service.conf", "-e", "stderr"];
        let daemon = Daemon::start(of(&command, &folder), folder.path("log"));
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
