//! The contenders: our confd, other programs with the same flags, and the bare watcher.

use std::{
    env,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    PATIENCE,
    bare::Watcher,
    renames::Renames,
    site::Site,
    store::{Store, Target, consul},
    usage::Usage,
};

/// A confd program.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    path: PathBuf,
    more: Vec<&'static str>,
}

impl Program {
    /// Our confd.
    pub(crate) fn own() -> Self {
        Program { name: "confd", path: env!("CARGO_BIN_EXE_confd").into(), more: Vec::new() }
    }

    /// Our confd with additional arguments, which other programs do not know.
    pub(crate) fn own_with(name: &'static str, more: &[&'static str]) -> Self {
        Program { name, more: more.to_vec(), ..Self::own() }
    }

    /// Our confd, and the other programs that the environment names.
    pub(crate) fn all() -> Vec<Self> {
        let others = [("Go confd", "CONFD_GO"), ("Go confd's fork", "CONFD_FORK")];
        let others = others.into_iter().filter_map(|(name, variable)| {
            Some(Program { name, path: env::var_os(variable)?.into(), more: Vec::new() })
        });
        std::iter::once(Self::own()).chain(others).collect()
    }

    pub(crate) fn is_own(&self) -> bool {
        self.path == Self::own().path
    }

    /// The command for this site and server. `mode` is `-watch` or `-onetime`.
    pub(crate) fn command(&self, mode: &str, site: &Site, target: &Target) -> Command {
        let mut command = Command::new(&self.path);
        command.args([mode, "-backend", target.backend, "-node", &target.url]);
        command.args(["-log-level", "error", "-confdir"]).arg(site.root()).args(&self.more);
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Starts watching. Returns when all files of the site exist and the process is idle. The
    /// process ends when the result is dropped.
    pub(crate) fn watch(&self, site: &Site, files: usize, target: &Target) -> Daemon {
        let daemon = Daemon::start(&mut self.command("-watch", site, target));
        let begun = Instant::now();
        while !(0..files).all(|nth| site.dest(nth).exists()) {
            assert!(begun.elapsed() < 10 * PATIENCE, "{} writes no files", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
        Usage::settled(daemon.pid());
        daemon
    }
}

/// A process that is killed when this is dropped.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Starts a program. It is killed when the result is dropped.
    pub(crate) fn start(command: &mut Command) -> Self {
        Daemon(command.spawn().expect("the program starts"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // The process can have ended by itself; the measurement has noticed that.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that follows a store and keeps one file true.
pub(crate) struct Follower {
    pub(crate) name: String,
    pub(crate) daemon: Daemon,
    pub(crate) renames: Renames,
    /// Dropped after the process has ended.
    pub(crate) site: Site,
}

impl Follower {
    /// A confd with a site of one resource. Returns when its file exists.
    pub(crate) fn confd(program: &Program, site: Site, store: &dyn Store) -> Self {
        let renames = Renames::of(&site.dest(0));
        let daemon = program.watch(&site, 1, &store.target());
        Follower { name: program.name.to_owned(), daemon, renames, site }
    }

    /// A bare watcher of `key`.
    pub(crate) fn bare(key: &str, sync: bool, store: &dyn Store) -> Self {
        let site = Site::new();
        let dest = site.dest(0);
        let renames = Renames::of(&dest);
        let watcher = Watcher { target: store.target(), key: key.to_owned(), dest, sync };
        let daemon = Daemon::start(&mut watcher.command());
        Usage::settled(daemon.pid());
        let name = if sync { "bare watcher, syncing" } else { "bare watcher" };
        Follower { name: name.to_owned(), daemon, renames, site }
    }

    /// The consul-template that the variable `CONSUL_TEMPLATE` names, with a file that holds the
    /// value of a key.
    pub(crate) fn consul_template(key: &str, store: &dyn Store) -> Option<Self> {
        let target = store.target();
        let program =
            env::var_os("CONSUL_TEMPLATE").filter(|_| target.backend == consul::BACKEND)?;
        let site = Site::new();
        let (source, dest) = (site.path("templates").join("source"), site.dest(0));
        let key = key.trim_start_matches('/');
        std::fs::write(&source, format!("{{{{key {key:?}}}}}")).expect("a template");
        let renames = Renames::of(&dest);
        let mut command = Command::new(program);
        command.args(["-consul-addr", &target.url, "-log-level", "err", "-template"]);
        command.arg(format!("{}:{}", source.display(), dest.display()));
        let daemon = Daemon::start(&mut command);
        Usage::settled(daemon.pid());
        Some(Follower { name: "consul-template".to_owned(), daemon, renames, site })
    }

    /// Sets a key. Returns the time until the file has this content, or `None` if the change is
    /// lost.
    pub(crate) fn change(
        &self,
        store: &mut dyn Store,
        key: &str,
        value: &str,
        content: &str,
    ) -> Option<Duration> {
        self.renames.forget();
        let (begun, _) = store.put(key, value);
        Some(self.renames.until(content, PATIENCE)? - begun)
    }
}
