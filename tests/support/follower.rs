//! The programs that follow services: confd, and the program consul-template. Both take the same
//! template.

use std::{ffi::OsString, os::unix::process::CommandExt as _};

use rustix::process::Signal;

use super::{Daemon, Ended, Run, Sandbox, search_path};

/// A program that renders services of Consul, and renders them again when they change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follower {
    /// confd in watch mode, with a backend that has nothing to do with Consul.
    Confd,
    /// The binary called `consul-template`. If the variable `CONSUL_TEMPLATE` names a program, it
    /// runs in place of the binary: the real consul-template shows what a test expects of it.
    ConsulTemplate,
}

/// A file, and what is done after it was replaced. Its path is relative to the sandbox.
#[derive(Clone, Copy, Debug)]
pub struct Rendered<'a> {
    pub template: &'a str,
    pub dest: &'a str,
    /// A command of the shell, which runs in the sandbox.
    pub reload: &'a str,
}

impl Follower {
    /// Starts the program in the sandbox. It asks the Consul at these addresses.
    #[track_caller]
    pub fn start(self, sandbox: &Sandbox, nodes: &[String], rendered: Rendered) -> Daemon {
        let Rendered { template, dest, reload } = rendered;
        sandbox.write("templates/followed.tmpl", template);
        let run = match self {
            Self::Confd => {
                let dest = sandbox.path(dest);
                let dest = dest.display();
                let resource = format!(
                    "[template]\nsrc = 'followed.tmpl'\ndest = '{dest}'\nreload_cmd = '{reload}'\n"
                );
                sandbox.write("conf.d/followed.toml", resource);
                sandbox.write("confd.toml", format!("[consul]\nnodes = {nodes:?}\n"));
                sandbox.confd(&["-watch", "-backend", "env"])
            }
            Self::ConsulTemplate => {
                let template = format!("templates/followed.tmpl:{dest}:{reload}");
                let run = Run::new(consul_template(), sandbox.root());
                let run = run.env("STATE_DIRECTORY", sandbox.path("state"));
                let run = run.with(|command| _ = command.arg0("consul-template"));
                run.arguments(&["-consul-addr", &nodes.join(","), "-template", &template])
            }
        };
        // The folders of nginx.
        let run = run.env("PATH", format!("{}:/usr/sbin:/sbin", search_path()));
        Daemon::start(run, sandbox.path("log"))
    }

    /// Stops the program as its users do, and expects its exit code.
    #[track_caller]
    pub fn stop(self, daemon: Daemon) -> Ended {
        let (signal, code) = match self {
            Self::Confd => (Signal::TERM, 0),
            Self::ConsulTemplate => (Signal::INT, 12),
        };
        let ended = daemon.stop(signal);
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        ended
    }
}

/// The program consul-template.
#[expect(clippy::disallowed_methods, reason = "the environment says which program is run")]
fn consul_template() -> OsString {
    let given = std::env::var_os("CONSUL_TEMPLATE").filter(|program| !program.is_empty());
    given.unwrap_or_else(|| env!("CARGO_BIN_EXE_confd").into())
}
