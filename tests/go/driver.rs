//! Builds the Go program of this folder and talks to it.
//!
//! Included by path where it is needed: a test of the template crate and a benchmark.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

/// A template and what it can see.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// What errors call it.
    pub(crate) name: String,
    /// The template.
    pub(crate) template: Vec<u8>,
    /// The keys and values of the store.
    pub(crate) store: BTreeMap<String, Vec<u8>>,
    /// The environment.
    pub(crate) env: BTreeMap<String, String>,
    /// The root object. Where there is one, confd's functions are not known.
    pub(crate) data: Option<BTreeMap<String, String>>,
}

impl Request {
    /// The request as the Go program reads it.
    pub(crate) fn to_json(&self) -> Json {
        let store: BTreeMap<_, _> =
            self.store.iter().map(|(key, value)| (key, STANDARD.encode(value))).collect();
        json!({
            "name": self.name,
            "template": STANDARD.encode(&self.template),
            "store": store,
            "env": self.env,
            "data": self.data,
        })
    }
}

/// Builds the program into `folder` and gives its path. Go's own cache makes this quick when
/// nothing has changed.
///
/// # Panics
/// If there is no Go, or none that can build it; the text says how to get one.
pub(crate) fn build(folder: &str) -> PathBuf {
    try_build(folder).unwrap_or_else(|problem| {
        panic!("{problem}\n`tests/install-servers` installs what is needed")
    })
}

/// As [`build`], for those who can do without.
///
/// # Errors
/// Why there is no program.
pub(crate) fn try_build(folder: &str) -> Result<PathBuf, String> {
    let source = source();
    let program = Path::new(folder).join("go-templates");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source)
        // Whatever the machine's settings say, and however new its Go is: this very release.
        .env("GOTOOLCHAIN", toolchain(&source))
        .output()
        .map_err(|error| format!("cannot run `go`: {error}"))?;
    if output.status.success() {
        return Ok(program);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("cannot build the Go program in {}: {said}", source.display()))
}

/// The folder of this file.
fn source() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut ancestors = folder.ancestors().map(|folder| folder.join("tests/go"));
    ancestors.find(|folder| folder.join("go.mod").exists()).expect("tests/go is in the repository")
}

/// The release of Go that go.mod names.
fn toolchain(source: &Path) -> String {
    let module = std::fs::read_to_string(source.join("go.mod")).expect("go.mod can be read");
    let line = module.lines().find_map(|line| line.strip_prefix("toolchain "));
    line.expect("go.mod names a toolchain").to_owned()
}

/// What the Go program says of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `ok`, `parse` or `exec`; `limit` if the template asked for more than can be given.
    pub(crate) stage: String,
    /// What was written, also before an error.
    pub(crate) output: Vec<u8>,
    /// The text of the error, or nothing.
    pub(crate) error: Vec<u8>,
}

/// The Go program, running.
pub(crate) struct Go {
    program: PathBuf,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Go {
    /// Starts the program, which was built before.
    pub(crate) fn start(program: PathBuf) -> Self {
        let mut child = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the Go program can be started");
        let requests = child.stdin.take().expect("stdin is a pipe");
        let answers = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        Self { program, child, requests, answers }
    }

    /// Asks all of `requests` and gives as many answers.
    pub(crate) fn ask(&mut self, requests: &[Request]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(requests.len());
        while answers.len() < requests.len() {
            let rest = &requests[answers.len()..];
            let asked = self.exchange(rest, &mut answers);
            // A template that takes too long costs the process, and has the last answer of it.
            let ended = asked.is_err() || answers.last().is_some_and(|last| last.stage == "limit");
            if ended && !self.is_running() {
                *self = Self::start(self.program.clone());
            } else {
                asked.expect("a running program answers");
            }
        }
        answers
    }

    fn exchange(&mut self, requests: &[Request], answers: &mut Vec<Answer>) -> io::Result<()> {
        let lines: String = requests
            .iter()
            .flat_map(|request| [request.to_json().to_string(), "\n".into()])
            .collect();
        std::thread::scope(|scope| {
            // Not from here: it could be that both sides only write.
            let (stdin, stdout) = (&mut self.requests, &mut self.answers);
            let writer = scope.spawn(move || stdin.write_all(lines.as_bytes()));
            for _ in requests {
                let mut line = String::new();
                if stdout.read_line(&mut line)? == 0 {
                    break;
                }
                answers.push(answer(&line));
            }
            writer.join().expect("writing does not panic")
        })
    }

    fn is_running(&mut self) -> bool {
        // It ends right after its last answer.
        std::thread::sleep(std::time::Duration::from_millis(50));
        self.child.try_wait().expect("the program can be waited for").is_none()
    }
}

impl Drop for Go {
    fn drop(&mut self) {
        // Nothing is lost with it, and it may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answer(line: &str) -> Answer {
    let json: Json = serde_json::from_str(line).expect("an answer is JSON");
    let bytes = |field: &str| match json[field].as_str() {
        Some(text) => STANDARD.decode(text).expect("an answer's bytes are base64"),
        None => Vec::new(),
    };
    Answer {
        stage: json["stage"].as_str().expect("an answer has a stage").to_owned(),
        output: bytes("output"),
        error: bytes("error"),
    }
}
