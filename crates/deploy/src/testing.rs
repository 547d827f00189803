//! Helpers for this crate's tests: an observer, targets, and special surroundings for a test.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};

use crate::{Observer, Step, Target};

/// A target with default options.
pub(crate) fn target_in(folder: &Path, name: &str) -> Target {
    Target::new(folder.join(name))
}

/// An observer that keeps all steps as `LEVEL text`. A clone adds to the same list.
#[derive(Clone, Default)]
pub(crate) struct Steps(Arc<Mutex<Vec<String>>>);

impl Steps {
    /// The steps so far, without those at DEBUG.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().into_iter().filter(|line| !line.starts_with("DEBUG ")).collect()
    }

    /// The steps so far.
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while held").clone()
    }

    /// This observer, for a transaction.
    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.clone())
    }

    /// Removes the steps so far.
    pub(crate) fn clear(&self) {
        self.0.lock().expect("no panic while held").clear();
    }
}

impl Observer for Steps {
    fn observe(&self, step: &Step<'_>) {
        let level = format!("{:?}", step.level()).to_uppercase();
        self.0.lock().expect("no panic while held").push(format!("{level} {step}"));
    }
}

/// Runs a test's body on a runtime like the program's.
pub(crate) fn run<T>(body: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body)
}

/// Waits until a condition holds, and fails if it does not within ten seconds.
#[expect(clippy::disallowed_methods, reason = "looks at the condition again and again")]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// [`wait_until`] for a test on a runtime, which continues meanwhile.
#[expect(clippy::disallowed_methods, reason = "looks at the condition again and again")]
pub(crate) async fn wait_until_async(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A variable by which a test tells another process of the same test program what to do.
#[expect(clippy::disallowed_methods, reason = "the other process has no other input")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Ends this process, started by a test, when its standard input ends.
#[expect(clippy::disallowed_methods, reason = "the process exists for one test alone")]
pub(crate) fn end_with_the_input() {
    std::thread::spawn(|| {
        std::io::stdin().lines().for_each(drop);
        std::process::exit(1);
    });
}

/// Kills this process at its nth call; the variable [`DIE_AT`] gives the number.
pub(crate) fn failpoint() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let Some(nth) = variable(DIE_AT).and_then(|nth| nth.to_str()?.parse().ok()) else { return };
    if CALLS.fetch_add(1, Ordering::Relaxed) == nth {
        kill_process(getpid(), Signal::KILL).expect("killed");
        // The signal may take a moment to arrive.
        std::thread::park();
    }
}

/// The variable with the number of the call of [`failpoint`] at which to die, counted from 0.
pub(crate) const DIE_AT: &str = "DEPLOY_TEST_DIE_AT";

/// Special surroundings for a test.
pub(crate) enum World {
    /// A mount namespace, in which mounts affect no other process. Needs root.
    Mounts,
    /// The same, for a root that can change the mode only of its own files. Needs root.
    MountsWithoutFowner,
    /// A user without rights. Needs root.
    Nobody,
    /// A process whose files have no permissions: `umask 0777`.
    Umask,
    /// A process that may have 256 files open.
    FewOpenFiles,
}

/// Runs the rest of a test in these surroundings, by starting this test program again for this test
/// only. `test` is the full path of the test, as the test program lists it.
pub(crate) fn in_world(world: World, test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "DEPLOY_TEST_INSIDE";
    if variable(INSIDE).is_some_and(|inside| inside == *test) {
        return body();
    }
    let program = std::env::current_exe().expect("the test program");
    let mut command: Vec<OsString> = match world {
        World::Mounts => ["unshare", "-m", "--"].map(OsString::from).into(),
        World::MountsWithoutFowner => {
            ["unshare", "-m", "--", "setpriv", "--bounding-set", "-fowner", "--"]
                .map(OsString::from)
                .into()
        }
        World::Nobody => {
            ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
                .map(OsString::from)
                .into()
        }
        World::FewOpenFiles => {
            ["sh", "-c", "ulimit -n 256; exec \"$@\"", "sh"].map(OsString::from).into()
        }
        World::Umask => ["sh", "-c", "umask 0777; exec \"$@\"", "sh"].map(OsString::from).into(),
    };
    command.push(program.into());
    command.extend([test, "--exact", "--nocapture"].map(OsString::from));
    let output = Command::new(&command[0])
        .args(&command[1..])
        .env(INSIDE, test)
        .output()
        .expect("util-linux (unshare, setpriv) is installed");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "{test} in a world of its own (needs root): {stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
