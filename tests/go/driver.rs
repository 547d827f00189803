//! Builds the Go program of this folder and exchanges requests with it.
//!
//! A test of the template crate and a benchmark include this file by its path.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

/// A template and its data.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The name of the template in error texts.
    pub(crate) name: String,
    /// The template.
    pub(crate) template: Vec<u8>,
    /// The keys and values of the store.
    pub(crate) store: BTreeMap<String, Vec<u8>>,
    /// The environment.
    pub(crate) env: BTreeMap<String, String>,
    /// The root object. With a root object, confd's functions do not exist.
    pub(crate) data: Option<BTreeMap<String, String>>,
}

impl Request {
    /// The request in the form that the Go program reads.
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

/// Builds the program into `folder` and returns its path. Go's cache makes this fast if nothing has
/// changed.
///
/// # Panics
/// If Go is missing or cannot build the program. The text says how to install Go.
pub(crate) fn build(folder: &str) -> PathBuf {
    try_build(folder).unwrap_or_else(|problem| {
        panic!("{problem}\n`tests/install-servers` installs what is needed")
    })
}

/// Like [`build`], for callers that can go on without the program.
///
/// # Errors
/// Why the program cannot be built.
pub(crate) fn try_build(folder: &str) -> Result<PathBuf, String> {
    let source = source();
    let program = Path::new(folder).join("go-templates");
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(&source)
        // Exactly this release, whatever the machine's settings and its own release of Go are.
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

/// The release of Go in go.mod.
fn toolchain(source: &Path) -> String {
    let module = std::fs::read_to_string(source.join("go.mod")).expect("go.mod can be read");
    let line = module.lines().find_map(|line| line.strip_prefix("toolchain "));
    line.expect("go.mod names a toolchain").to_owned()
}

/// The Go program's answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// `ok`, `parse` or `exec`; or `limit` if the template exceeded the time or size limit.
    pub(crate) stage: String,
    /// The output, also that before an error.
    pub(crate) output: Vec<u8>,
    /// The text of the error, or nothing.
    pub(crate) error: Vec<u8>,
}

/// The running Go program.
pub(crate) struct Go {
    program: PathBuf,
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Go {
    /// Starts the program, which must have been built.
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

    /// Sends all `requests` and returns as many answers.
    pub(crate) fn ask(&mut self, requests: &[Request]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(requests.len());
        while answers.len() < requests.len() {
            let rest = &requests[answers.len()..];
            let before = answers.len();
            let asked = self.exchange(rest, &mut answers);
            // A template that exceeds a limit can end the process; its answer is the last one.
            let ended = asked.is_err() || answers.last().is_some_and(|last| last.stage == "limit");
            if ended {
                assert!(answers.len() > before, "the Go program gives no answer: {asked:?}");
                // Dropping the old process kills it, if it has not ended yet.
                *self = Self::start(self.program.clone());
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
            // On another thread: if both sides only wrote, they would wait for each other.
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
}

impl Drop for Go {
    fn drop(&mut self) {
        // The process can have ended already, and it has no data to lose.
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
