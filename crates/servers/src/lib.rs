//! Real servers for tests: started on free loopback ports, broken on purpose, gone at the end.
//!
//! Each server has a folder of its own, on memory where that is possible, and is ready when what
//! starts it returns. [`Process`] can be killed and frozen, a [`Proxy`] spoils the network before
//! a server, [`Certificates`] make it speak TLS. Nothing here knows confd, and everything fails by
//! panicking: a server that is not installed is a failure that says how to install it.

#![expect(clippy::unwrap_used, reason = "only tests use this, and a test fails by panicking")]

pub mod certificates;
pub mod etcd;
pub mod process;
pub mod proxy;

pub use certificates::Certificates;
pub use etcd::{Etcd, Release};
pub use process::Process;
pub use proxy::{Proxy, Traffic};

use std::net::TcpListener;
use std::path::Path;
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
