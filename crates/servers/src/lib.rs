//! Real servers for tests: started on free loopback ports, broken on purpose, gone at the end.
//!
//! Each server has a folder of its own, on memory where that is possible, and is ready when what
//! starts it returns. [`Process`] can be killed and frozen, a [`Proxy`] spoils the network before
//! a server, [`Certificates`] make it speak TLS. Nothing here knows confd, and everything fails by
//! panicking: a server that is not installed is a failure that says how to install it.

#![expect(clippy::unwrap_used, reason = "only tests use this, and a test fails by panicking")]

pub mod certificates;
pub mod consul;
pub mod etcd;
pub mod http;
pub mod process;
pub mod proxy;
pub mod stub;

pub use certificates::Certificates;
pub use consul::Consul;
pub use etcd::{Etcd, Release};
pub use process::Process;
pub use proxy::{Proxy, Traffic};
pub use stub::Stub;

use std::env;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Ports of the loopback interface that nobody listens on.
///
/// They are below those that the kernel gives to outgoing connections, one of which could take a
/// port between the look and the server's start.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test binaries run side by side and begin at different places.
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

/// Waits until `condition` holds.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "still not after {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A folder for a server's data, in memory where the system has a place for that.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("confd-server-").tempdir_in(parent).unwrap()
}

/// A server's program that `tests/install-servers` built.
#[track_caller]
pub fn installed(name: &str) -> PathBuf {
    let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = given("CONFD_TEST_SERVERS").unwrap_or_else(|| {
        let cache = given("XDG_CACHE_HOME");
        let cache = cache.unwrap_or_else(|| given("HOME").unwrap_or_default().join(".cache"));
        cache.join("confd-test-servers")
    });
    present(folder.join("bin").join(name))
}

/// The program itself, which has to be there.
#[track_caller]
fn present(program: PathBuf) -> PathBuf {
    let path = program.display();
    assert!(program.exists(), "there is no {path}: tests/install-servers installs it");
    program
}
