//! A run to its end, or one that does not end.

use std::{
    ffi::OsString,
    io::Read,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use regex::Regex;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use crate::{folder::Folder, world::World};

/// The longest time until a run ends or shows what is expected, on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The folders of programs.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// The time after which a run counts as one that does not end.
const ENDLESS: Duration = Duration::from_secs(1);
/// The time between two looks.
const POLL: Duration = Duration::from_millis(10);

/// A program that was started.
pub(crate) struct Program {
    child: Child,
    pub(crate) stdout: Stream,
    pub(crate) stderr: Stream,
}

/// What was printed so far.
#[derive(Clone, Default)]
pub(crate) struct Stream(Arc<Mutex<Vec<u8>>>);

impl Stream {
    fn of(mut pipe: impl Read + Send + 'static) -> Stream {
        let stream = Stream::default();
        let content = stream.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                content.0.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        stream
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl Program {
    /// Starts the program in the folder of a case.
    pub(crate) fn start(case: &Value, folder: &Folder) -> Program {
        let program = real_program().unwrap_or_else(|| env!("CARGO_BIN_EXE_confd").into());
        let mut command = Command::new(program);
        command.arg0("/usr/bin/consul-template").current_dir(folder.path()).env_clear();
        command.env("PATH", PATH).env("HOME", folder.path());
        command.env("TMPDIR", "/tmp").env("TZ", "UTC").env("LANG", "C");
        command.env("STATE_DIRECTORY", folder.state_folder());
        for (name, value) in case["env"].as_object().into_iter().flatten() {
            command.env(name, folder.fill(value.as_str().unwrap()));
        }
        for argument in case["args"].as_array().into_iter().flatten() {
            command.arg(folder.fill(argument.as_str().unwrap()));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.process_group(0);
        let mut child = command.spawn().unwrap();
        let stdout = Stream::of(child.stdout.take().unwrap());
        let stderr = Stream::of(child.stderr.take().unwrap());
        Program { child, stdout, stderr }
    }

    /// How the program ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The program may have ended, and its child with it.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}

/// The program that the variable `CONSUL_TEMPLATE` names, to be run in place of ours.
#[expect(clippy::disallowed_methods, reason = "the environment says which program is run")]
pub(crate) fn real_program() -> Option<OsString> {
    std::env::var_os("CONSUL_TEMPLATE").filter(|program| !program.is_empty())
}

/// Waits until `check` gives no reason to wait any more, and returns the last reason.
pub(crate) fn eventually(
    within: Duration,
    mut check: impl FnMut() -> Option<String>,
) -> Option<String> {
    let end = Instant::now() + within;
    loop {
        let reason = check()?;
        if Instant::now() > end {
            return Some(reason);
        }
        thread::park_timeout(POLL);
    }
}

/// Runs a case, beside the Consul of its world.
pub(crate) fn run(case: &Value, world: Option<&World>) -> Result<(), String> {
    let folder = Folder::new(case, world);
    let expect = &case["expect"];
    let before = folder.state();
    let mut program = Program::start(case, &folder);
    let files = expect["files"].as_object().cloned().unwrap_or_default();
    let difference = |program: &Program| {
        let texts = printed(expect, &folder, &program.stdout.text(), &program.stderr.text());
        texts.or_else(|| folder.difference(&before, &files, &case["ignore"]))
    };
    let wrong = if expect["finishes"] == false {
        // A run that ends too early must have the time to end.
        servers::pause(case["limit"].as_f64().map_or(ENDLESS, Duration::from_secs_f64));
        let wrong = eventually(PATIENCE, || match program.ended() {
            Some(status) => Some(format!("ended: {status}")),
            None => difference(&program),
        });
        wrong.or_else(|| program.ended().map(|status| format!("ended: {status}")))
    } else {
        let mut status = None;
        eventually(PATIENCE, || {
            status = program.ended();
            status.is_none().then(|| "still running".to_owned())
        })
        .or_else(|| wrong_code(&expect["exit"], status?))
        // The threads that read the pipes may be late.
        .or_else(|| eventually(Duration::from_secs(2), || difference(&program)))
    };
    match wrong {
        None => Ok(()),
        Some(wrong) => Err(format!(
            "{wrong}\n--- arguments: {}\n--- files: {}\n--- standard output:\n{}\n--- standard error:\n{}",
            case["args"],
            case["files"],
            program.stdout.text(),
            program.stderr.text()
        )),
    }
}

/// Why the code is not the one that is expected.
pub(crate) fn wrong_code(want: &Value, status: ExitStatus) -> Option<String> {
    let code = status.code().map_or(-i64::from(status.signal().unwrap_or(0)), i64::from);
    (want.as_i64() != Some(code)).then(|| format!("want exit code {want}, got {code}"))
}

/// Why the printed texts are not what is expected.
pub(crate) fn printed(
    expect: &Value,
    folder: &Folder,
    stdout: &str,
    stderr: &str,
) -> Option<String> {
    let texts = |key: &str| {
        let list = expect[key].as_array().cloned().unwrap_or_default();
        list.into_iter().map(|text| folder.fill(text.as_str().unwrap())).collect::<Vec<_>>()
    };
    if let Some(want) = expect["stdout"].as_str()
        && folder.fill(want) != stdout
    {
        return Some(format!("want standard output {want:?}, got {stdout:?}"));
    }
    if expect["stderr_empty"] == true && !stderr.is_empty() {
        return Some(format!("want no standard error, got {stderr:?}"));
    }
    for (key, printed) in [("stdout_has", stdout), ("stderr_has", stderr)] {
        for text in texts(key) {
            if !printed.contains(&text) {
                return Some(format!("{key}: {text:?} is missing in {printed:?}"));
            }
        }
    }
    for text in texts("stderr_hasnt") {
        if stderr.contains(&text) {
            return Some(format!("{text:?} is in standard error"));
        }
    }
    for (key, printed) in [("stdout_match", stdout), ("stderr_match", stderr)] {
        for text in texts(key) {
            let expression = Regex::new(&format!("(?m){text}")).unwrap();
            if !expression.is_match(printed) {
                return Some(format!("{key}: {text:?} does not match {printed:?}"));
            }
        }
    }
    None
}
