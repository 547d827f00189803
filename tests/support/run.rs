//! A process under test: how it is started, and its results.

use std::{
    ffi::OsStr,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
};

use servers::PATIENCE;

/// The `PATH` of the tests.
#[expect(
    clippy::disallowed_methods,
    reason = "a program under test finds other programs where the tests do"
)]
pub fn search_path() -> String {
    std::env::var("PATH").unwrap_or_default()
}

/// A command that can still be changed before it is started.
pub struct Run {
    pub(super) command: Command,
}

impl Run {
    /// `program` in `folder`. Its environment contains only `PATH`.
    pub fn new(program: impl AsRef<OsStr>, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command.current_dir(folder).env_clear().env("PATH", search_path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    /// Adds arguments.
    pub fn arguments<A: AsRef<OsStr>>(mut self, arguments: &[A]) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Changes the command directly.
    pub fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Starts the process and does not wait for it.
    pub fn spawn(mut self) -> Child {
        self.command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {:?}: {error}", self.command))
    }

    /// Runs the process to its end, which must come within the deadline.
    pub fn run(self) -> Ended {
        Ended::wait(self.spawn())
    }

    /// Runs it and expects exit code 0.
    #[track_caller]
    pub fn ok(self) -> Ended {
        let ended = self.run();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        ended
    }

    /// Runs it and expects exit code 1.
    #[track_caller]
    pub fn fails(self) -> Ended {
        let ended = self.run();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        ended
    }
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ended {
    /// Waits for a started process.
    pub fn wait(child: Child) -> Self {
        let pid = child.id();
        let (tell, told) = std::sync::mpsc::channel();
        let waiter = thread::spawn(move || tell.send(child.wait_with_output()));
        let Ok(output) = told.recv_timeout(PATIENCE) else {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).status();
            panic!("process {pid} did not end within {PATIENCE:?}");
        };
        waiter.join().unwrap().unwrap();
        Self::of(&output.unwrap())
    }

    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// The messages in the log without headers and excerpts: `LEVEL message`, one in each line.
    pub fn log(&self) -> Vec<String> {
        let events = self.stderr.lines().filter(|line| !is_excerpt(line));
        events.map(|line| message(line).unwrap_or(line).to_owned()).collect()
    }

    /// The lines of excerpts in the log.
    pub fn excerpts(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| is_excerpt(line)).collect()
    }

    /// Whether the log contains exactly this line (`LEVEL message`).
    pub fn logged(&self, line: &str) -> bool {
        self.log().iter().any(|logged| logged == line)
    }

    /// Expects that the log contains exactly this line (`LEVEL message`).
    #[track_caller]
    pub fn expect(&self, line: &str) -> &Self {
        assert!(self.logged(line), "no line {line:?} in:\n{}", self.stderr);
        self
    }

    /// Expects that the log does not contain this text.
    #[track_caller]
    pub fn expect_no(&self, text: &str) -> &Self {
        assert!(!self.stderr.contains(text), "{text:?} is in:\n{}", self.stderr);
        self
    }
}

/// Whether a log line is part of the message above it.
pub fn is_excerpt(line: &str) -> bool {
    line.starts_with("  ")
}

/// The part of a log line behind its header, `<time> <host> <program>[<pid>]: `.
fn message(line: &str) -> Option<&str> {
    let (header, message) = line.split_once("]: ")?;
    (header.split(' ').count() == 3).then_some(message)
}
