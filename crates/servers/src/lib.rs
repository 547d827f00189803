//! Real servers for tests: started on free loopback ports, broken on purpose, and ended with the
//! test.
//!
//! Each server has its own folder, in memory if possible, and is ready when the function that
//! starts it returns. [`Process`] can be killed and frozen, a [`Proxy`] disturbs the network in
//! front of a server, and [`Certificates`] let it speak TLS. This crate does not know confd. Every
//! error is a panic: a server that is not installed makes the test fail with a text that says how
//! to install it.

#![expect(clippy::unwrap_used, reason = "only tests use this, and a test fails by panicking")]

pub mod certificates;
pub mod consul;
mod control_groups;
pub mod docker;
pub mod etcd;
pub mod forward;
pub mod http;
pub mod moto;
pub mod names;
pub mod namespaces;
pub mod openssl;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod stub;
pub mod vault;
pub mod zookeeper;

pub use certificates::Certificates;
pub use consul::{Consul, Token};
pub use docker::Engine;
pub use etcd::{Etcd, Release};
pub use forward::ForwardProxy;
pub use moto::Moto;
pub use names::NameServer;
pub use namespaces::Namespaces;
pub use openssl::OpenSsl;
pub use process::Process;
pub use proxy::{Proxy, Traffic};
pub use redis::Redis;
pub use stub::Stub;
pub use vault::Vault;
pub use zookeeper::ZooKeeper;

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The time after which a test gives up waiting for anything.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Free ports of the loopback interface.
///
/// They are below the range that the kernel uses for outgoing connections. A port of that range
/// could be taken before the server listens on it.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries run side by side and therefore begin at different ports.
    let start = (std::process::id() % 120) as u16 * 100;
    [(); N].map(|()| {
        loop {
            let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                break port;
            }
        }
    })
}

/// Makes two tests of each of these async functions, which take a [`Release`] of etcd: one for
/// Debian's, one for the newest.
#[macro_export]
macro_rules! with_both_releases {
    ($($test:ident),* $(,)?) => {
        mod debian {
            $(#[tokio::test] async fn $test() { super::$test($crate::Release::Debian).await; })*
        }
        mod newest {
            $(#[tokio::test] async fn $test() { super::$test($crate::Release::Newest).await; })*
        }
    };
}

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "still not after {PATIENCE:?}: {what}");
        pause(Duration::from_millis(5));
    }
}

/// Lets time pass where the length of the pause is a part of what is tested: how long a fault
/// lasts, or how far apart changes are. A test that waits for something uses [`eventually`].
#[expect(clippy::disallowed_methods, reason = "the one place of the tests where a thread sleeps")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// A folder for a server's data, in memory if the system has a file system for that.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("confd-server-").tempdir_in(parent).unwrap()
}

/// The path of a server's program that `tests/install-servers` built.
#[track_caller]
pub fn installed(name: &str) -> PathBuf {
    present(built(name))
}

/// The path of a server's program in the folder of the servers that `tests/install-servers` builds. It
/// may not exist.
fn built(name: &str) -> PathBuf {
    cached("bin").join(name)
}

/// A path in the folder of the servers that `tests/install-servers` installs. It may not exist.
fn cached(name: &str) -> PathBuf {
    #[expect(clippy::disallowed_methods, reason = "the environment says where the programs are")]
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = given("CONFD_TEST_SERVERS").unwrap_or_else(|| {
        let cache = given("XDG_CACHE_HOME");
        let cache = cache.unwrap_or_else(|| given("HOME").unwrap_or_default().join(".cache"));
        cache.join("confd-test-servers")
    });
    folder.join(name)
}

/// The program. Panics with an instruction if it does not exist.
#[track_caller]
pub fn present(program: PathBuf) -> PathBuf {
    let path = program.display();
    assert!(program.exists(), "there is no {path}: tests/install-servers installs it");
    program
}
