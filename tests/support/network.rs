//! A network namespace for a run, with an interface, a hosts file and a name server.

use std::{
    fs::File,
    io::Write,
    net::SocketAddr,
    os::fd::AsFd,
    panic::resume_unwind,
    process::{Child, Stdio},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use servers::NameServer;

use super::{Daemon, Ended, Run, Sandbox, eventually};

/// What can be looked up: host names in `hosts`, as lines of `/etc/hosts`, and names in `zone`, as
/// lines of a zone file: `NAME A ADDRESS`, `NAME AAAA ADDRESS` or
/// `NAME SRV PRIORITY WEIGHT PORT TARGET`, with a dot at the end of each name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network<'a> {
    pub hosts: &'a str,
    pub zone: &'a str,
    /// Whether `/etc` is empty: without hosts file and `resolv.conf`.
    pub is_bare: bool,
}

impl Run {
    /// Runs the command to its end in this network. The network has the loopback interface, an
    /// `eth0` that is connected to nothing, and a name server on 127.0.0.1.
    #[track_caller]
    pub fn run_in(self, sandbox: &Sandbox, network: Network) -> Ended {
        self.run_in_after(sandbox, network, |_| ()).0
    }

    /// Like [`run_in`](Self::run_in), after `prepare` has run in that network. What `prepare`
    /// returns lives as long as the command.
    #[track_caller]
    pub fn run_in_after<T: Send>(
        self,
        sandbox: &Sandbox,
        network: Network,
        prepare: impl FnOnce(&World) -> T + Send,
    ) -> (Ended, T) {
        let mut child = self.waiting_in(sandbox, network).spawn();
        let world = World::open(&child, sandbox, network);
        // Servers end with the thread that started them.
        world.within(|| {
            let prepared = prepare(&world);
            World::release(&mut child);
            (Ended::wait(child), prepared)
        })
    }

    /// The command in a new network namespace. It starts when it gets a line on its standard input.
    #[track_caller]
    fn waiting_in(self, sandbox: &Sandbox, network: Network) -> Self {
        sandbox.write("resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n");
        sandbox.write("hosts", network.hosts);
        let files = match network.is_bare {
            true => "mount -t tmpfs none /etc",
            false => "mount --bind resolv.conf /etc/resolv.conf; mount --bind hosts /etc/hosts",
        };
        let script = format!(
            "mount -t sysfs sysfs /sys; ip link set lo up
            ip link add eth0 type veth peer name eth0peer; ip link set eth0 up
            {files}; touch ready; read go; exec \"$@\""
        );
        self.unshared("-mn", &script).with(|command| _ = command.stdin(Stdio::piped()))
    }
}

impl Daemon {
    /// Starts `run` like [`start`](Self::start), in a network like that of [`Run::run_in`].
    #[track_caller]
    pub fn start_in(run: Run, sandbox: &Sandbox, network: Network) -> (Self, World) {
        let mut daemon = Self::start(run.waiting_in(sandbox, network), sandbox.path("log"));
        let world = World::open(daemon.child(), sandbox, network);
        World::release(daemon.child());
        (daemon, world)
    }
}

/// The network of a process, and its name server, which ends when this is dropped.
pub struct World {
    namespace: File,
    names: Option<NameServer>,
}

impl World {
    /// Starts the name server in the network where `child` waits.
    #[track_caller]
    fn open(child: &Child, sandbox: &Sandbox, network: Network) -> Self {
        eventually("the namespace is ready", || sandbox.path("ready").exists());
        let namespace = File::open(format!("/proc/{}/ns/net", child.id())).unwrap();
        let mut world = World { namespace, names: None };
        world.start_names(network.zone);
        world
    }

    /// Lets the command start.
    fn release(child: &mut Child) {
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
    }

    /// The name server.
    ///
    /// # Panics
    /// It was ended.
    #[track_caller]
    pub fn names(&self) -> &NameServer {
        self.names.as_ref().expect("the name server was ended")
    }

    /// Ends the name server: nothing listens at its address any more.
    pub fn end_names(&mut self) {
        self.names = None;
    }

    /// Starts a name server with this zone, after [`end_names`](Self::end_names).
    pub fn start_names(&mut self, zone: &str) {
        let address = SocketAddr::from(([127, 0, 0, 1], 53));
        self.names = Some(self.within(|| NameServer::start_at(address, zone)));
    }

    /// Runs `work` in this network, on a new thread. Sockets and processes that it creates stay in
    /// the network.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let work = || {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(self.namespace.as_fd(), kind).unwrap();
            work()
        };
        thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|why| resume_unwind(why))
    }
}
