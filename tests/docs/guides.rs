//! The guides that are followed step by step, on a machine of their own: each file is written, each
//! command is run, and what a guide shows below a command is what the command prints.
//!
//! A fenced block is
//!
//! - `sh`: commands. They run as root, in order, in one folder; what they start with `&` stays.
//! - `KIND PATH`: a file, which the text above it names.
//! - any other, behind commands: what they print, in which `…` stands for any text. The commands are
//!   repeated until they do, unless they give orders to systemd, which waits itself.

use std::{
    fs,
    net::TcpStream,
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

use servers::docker::busybox;
use servers::http::exchange;
use servers::{Engine, Namespaces, PATIENCE, Process, eventually, installed, pause};

use super::document;
use crate::support::{Sandbox, needs_root};

/// A fenced block of a guide.
struct Block<'a> {
    /// The text between it and the block before.
    above: &'a str,
    kind: &'a str,
    text: &'a str,
}

/// The blocks below these headings of the second level, or all of them.
fn blocks<'a>(guide: &'a str, headings: &[&str]) -> Vec<Block<'a>> {
    let is_followed = |section: &&str| {
        headings.is_empty() || headings.iter().any(|heading| section.starts_with(heading))
    };
    let mut blocks = Vec::new();
    for section in guide.split("\n## ").filter(is_followed) {
        let mut parts = section.split("\n```");
        let mut above = parts.next().unwrap();
        while let Some(fenced) = parts.next() {
            let (kind, text) = fenced.split_once('\n').unwrap();
            blocks.push(Block { above, kind, text });
            above = parts.next().expect("the end of a block");
        }
    }
    blocks
}

/// A machine with a copy of `/etc`, empty folders for what programs write, the loopback interface, and
/// confd in `/usr/local/bin`.
struct Machine {
    /// Dropped first: they end with the namespaces.
    servers: Vec<Process>,
    namespaces: Namespaces,
    sandbox: Sandbox,
    commands: usize,
}

impl Machine {
    #[track_caller]
    fn start_with(namespaces: impl FnOnce(&Path, &str) -> Namespaces) -> Self {
        needs_root();
        let sandbox = Sandbox::new();
        for folder in ["etc", "bin", "home"] {
            fs::create_dir(sandbox.path(folder)).unwrap();
        }
        // A service with a private /tmp follows no link into a checkout that is there.
        let (program, place) = (env!("CARGO_BIN_EXE_confd"), sandbox.path("bin/confd"));
        let linked = fs::hard_link(program, &place);
        linked.or_else(|_| fs::copy(program, &place).map(drop)).unwrap();
        let root = sandbox.root().display();
        let prepare = format!(
            "cp -a /etc/. '{root}/etc'; mount --bind '{root}/etc' /etc; mount -t tmpfs none /run
             mount --bind '{root}/bin' /usr/local/bin; mount -t tmpfs none /var/lib
             mount -t tmpfs none /var/log; mkdir /var/lib/nginx /var/log/nginx"
        );
        let namespaces = namespaces(sandbox.root(), &prepare);
        Self { servers: Vec::new(), namespaces, sandbox, commands: 0 }
    }

    /// A machine on which an etcd runs.
    #[track_caller]
    fn with_etcd() -> Self {
        let mut machine = Self::start_with(Namespaces::start);
        machine.serve_etcd();
        machine
    }

    /// Starts an etcd, and waits until it listens at its usual port.
    #[track_caller]
    fn serve_etcd(&mut self) {
        let data = self.sandbox.path("etcd").display().to_string();
        self.serve("etcd", &["--data-dir", &data]);
        self.listens("127.0.0.1:2379");
    }

    /// Starts a Consul, and waits until it writes. `consul` is in `PATH`.
    #[track_caller]
    fn serve_consul(&mut self) {
        symlink(installed("consul"), self.sandbox.path("bin/consul")).unwrap();
        self.serve("consul", &["agent", "-dev"]);
        // Without a leader it refuses to write.
        eventually("Consul writes", || {
            let write = || exchange("127.0.0.1:8500", "PUT /v1/kv/ready", &[], b"");
            self.namespaces.within(write).is_ok_and(|answer| answer.status == 200)
        });
    }

    /// Starts a server, which listens at its usual port.
    #[track_caller]
    fn serve(&mut self, program: &str, arguments: &[&str]) {
        let arguments: Vec<_> = arguments.iter().map(|word| (*word).to_owned()).collect();
        let log = self.sandbox.path("server.log");
        let program = installed(program).display().to_string();
        self.servers.push(self.namespaces.spawn(&program, &arguments, &log));
    }

    /// Waits until a server listens at this address.
    #[track_caller]
    fn listens(&self, address: &str) {
        eventually(&format!("{address} is open"), || {
            self.namespaces.within(|| TcpStream::connect(address)).is_ok()
        });
    }

    /// Writes a file.
    fn write(&self, path: &str, text: &str) {
        let path = match path.strip_prefix("/etc/") {
            Some(below) => format!("etc/{below}"),
            None => format!("home/{path}"),
        };
        self.sandbox.write(&path, text);
    }

    /// Runs commands. Returns whether they succeeded, and what they printed.
    #[track_caller]
    fn run(&mut self, commands: &str) -> (bool, String) {
        self.commands += 1;
        let log = self.sandbox.path(&format!("{}.log", self.commands));
        let script = format!("cd '{}'\n{commands}", self.sandbox.path("home").display());
        let arguments = ["-ec".to_owned(), script];
        let mut process = self.namespaces.spawn("bash", &arguments, &log);
        let end = Instant::now() + PATIENCE;
        while !process.has_ended() {
            assert!(Instant::now() < end, "{commands} does not end: {}", process.output());
            pause(Duration::from_millis(10));
        }
        let succeeded = process.ended().is_some_and(|status| status.success());
        (succeeded, fs::read_to_string(log).unwrap())
    }
}

/// Whether a text is the one that is shown, in which `…` stands for any text of a line.
fn is_shown(text: &str, shown: &str) -> bool {
    let shown = regex::escape(shown.trim_end()).replace('…', ".*");
    regex::Regex::new(&format!("^{shown}$")).unwrap().is_match(text.trim_end())
}

/// Follows a guide, or only its sections with these headings, to its end.
#[track_caller]
fn follow(machine: &mut Machine, name: &str, headings: &[&str]) {
    let guide = document(name);
    let blocks = blocks(&guide, headings);
    assert!(!blocks.is_empty(), "{name} has no blocks");
    let mut blocks = blocks.into_iter().peekable();
    while let Some(block) = blocks.next() {
        if let Some((_, path)) = block.kind.split_once(' ') {
            assert!(block.above.contains(&format!("`{path}`")), "{name} does not say {path}");
            machine.write(path, &format!("{}\n", block.text));
            continue;
        }
        assert_eq!(block.kind, "sh", "{name}: no command prints this: {}", block.text);
        let is_output = |next: &Block| next.kind != "sh" && !next.kind.contains(' ');
        let shown = blocks.next_if(is_output).map(|next| next.text);
        let end = Instant::now() + PATIENCE;
        loop {
            let (succeeded, printed) = machine.run(block.text);
            let is_right = shown.is_none_or(|shown| is_shown(&printed, shown));
            if succeeded && is_right {
                break;
            }
            let may_repeat = shown.is_some() && !block.text.contains("systemctl");
            let log = || machine.sandbox.read("home/confd.log");
            assert!(
                may_repeat && Instant::now() < end,
                "{name}: {}prints:\n{printed}\n{}",
                block.text,
                log()
            );
            pause(Duration::from_millis(50));
        }
    }
}

#[test]
fn the_first_five_minutes_go_as_they_say() {
    let mut machine = Machine::with_etcd();
    follow(&mut machine, "docs/start.md", &["A file of your own", "Follow a store"]);
}

#[test]
fn nginx_is_kept_equal_to_etcd_as_its_guide_says() {
    let mut machine = Machine::with_etcd();
    follow(&mut machine, "docs/nginx.md", &[]);
}

#[test]
fn haproxy_is_kept_equal_to_etcd_as_its_guide_says() {
    let mut machine = Machine::with_etcd();
    follow(&mut machine, "docs/haproxy.md", &[]);
}

#[test]
fn systemd_knows_when_everything_is_applied_as_its_guide_says() {
    let mut machine = Machine::start_with(|root, prepare| {
        Namespaces::with_systemd(root, prepare, &["nginx.service"])
    });
    machine.serve_etcd();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    symlink(repository.join("packaging"), machine.sandbox.path("home/packaging")).unwrap();
    follow(&mut machine, "docs/systemd.md", &[]);
    let (are_right, said) = machine
        .run("systemd-analyze verify --man=no confd.service registrator.service web.service");
    assert!(are_right && said.is_empty(), "{said}");
}

#[test]
fn an_installation_of_the_fork_moves_as_its_guide_says() {
    let mut machine = Machine::with_etcd();
    follow(&mut machine, "docs/move-from-fork.md", &[]);
}

#[test]
fn an_installation_of_consul_template_moves_as_its_guide_says() {
    let mut machine = Machine::start_with(Namespaces::start);
    machine.serve_consul();
    follow(&mut machine, "docs/move-from-consul-template.md", &[]);
}

#[test]
fn an_installation_of_registrator_moves_as_its_guide_says() {
    let mut machine = Machine::start_with(Namespaces::start);
    machine.serve_consul();
    let engine = Engine::start("10.0.0.5");
    let image = engine.folder().join("image");
    busybox(&image);
    let changes = ["EXPOSE 80/tcp", r#"CMD ["httpd","-f","-h","/"]"#].map(str::to_owned);
    engine.import("httpd:2.4", &image, &changes);
    let link = format!("ln -s '{}' /run/docker.sock", engine.socket().display());
    assert!(machine.run(&link).0);
    follow(&mut machine, "docs/move-from-registrator.md", &[]);
}

#[test]
fn an_output_is_compared_as_a_whole() {
    assert!(is_shown("a (b) 12 ms\nc\n", "a (b) … ms\nc\n"));
    assert!(!is_shown("a\nb\n", "a\n"));
    assert!(!is_shown("a\n", "b\n"));
}
