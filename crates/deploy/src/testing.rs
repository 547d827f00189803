//! What this crate's tests share: log capture, targets, and other worlds to run a test in.

use std::cell::RefCell;
use std::ffi::OsString;
use std::fmt::{self, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use crate::Target;

/// A target without any wishes.
pub(crate) fn target_in(folder: &Path, name: &str) -> Target {
    Target::new(folder.join(name))
}

thread_local! {
    /// Where this thread's log lines go, if anybody wants them.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// The log lines of this thread, `LEVEL message`, as long as this lives.
pub(crate) struct Logs;

impl Logs {
    /// Begins anew, also where earlier logs are still held.
    pub(crate) fn capture() -> Logs {
        record_logs();
        LINES.set(Some(Vec::new()));
        Logs
    }

    /// The lines so far, without those at DEBUG.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().into_iter().filter(|line| !line.starts_with("DEBUG ")).collect()
    }

    /// The lines so far.
    pub(crate) fn all(&self) -> Vec<String> {
        LINES.with_borrow(|lines| lines.clone().unwrap_or_default())
    }
}

/// Makes one recorder serve all threads, before any of them logs. One for each test would not do:
/// what `tracing` remembers about a log statement is shared, and tests would race for it.
pub(crate) fn record_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Recorder).expect("the only recorder");
    });
}

struct Recorder;

impl Subscriber for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("deploy")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = match *event.metadata().level() {
            tracing::Level::WARN => "WARNING ".to_owned(),
            level => format!("{level} "),
        };
        event.record(&mut Message(&mut line));
        LINES.with_borrow_mut(|lines| lines.iter_mut().for_each(|lines| lines.push(line.clone())));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

struct Message<'a>(&'a mut String);

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            write!(self.0, "{value:?}").expect("a string takes everything");
        }
    }
}

/// Runs a test's body on a runtime like the program's.
pub(crate) fn run<T>(body: impl Future<Output = T>) -> T {
    record_logs();
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(body)
}

/// Waits until a condition holds, and fails if it does not within ten seconds.
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// [`wait_until`] for a test on a runtime, which goes on meanwhile.
pub(crate) async fn wait_until_async(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Another world to run a test in.
pub(crate) enum World {
    /// A mount namespace of its own, where mounts hurt nobody. Needs root.
    Mounts,
    /// The same, for a root that may change the mode of its own files only. Needs root.
    MountsWithoutFowner,
    /// A user without rights. Needs root.
    Nobody,
    /// A process that makes its files for nobody: `umask 0777`.
    Umask,
}

/// Runs the rest of a test in another world, by starting this test program once more for this test
/// only. `test` is the test's full path as the test program lists it.
pub(crate) fn in_world(world: World, test: &str, body: impl FnOnce()) {
    const INSIDE: &str = "DEPLOY_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == *test) {
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
