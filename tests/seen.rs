//! What a running confd shows over HTTP: health, readiness, status, metrics; and the
//! control socket.

mod addresses;
mod control;
mod examples;
mod metrics;
mod readiness;

use std::{
    fs,
    io::{self, Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use servers::free_ports;

use crate::support::{Daemon, Sandbox, eventually};

/// The longest time for one answer.
const LIMIT: Duration = Duration::from_secs(20);

/// confd in watch mode on `data.yaml`.
fn watching(sandbox: &Sandbox, more: &[&str]) -> Daemon {
    let run = sandbox
        .confd(&["-watch", "-interval", "1", "-backend", "file", "-file", "data.yaml"])
        .arguments(more);
    Daemon::start(run, sandbox.path("log"))
}

/// confd in watch mode on `data.yaml`, which shows its state at the port.
fn shown(sandbox: &Sandbox, more: &[&str]) -> (Daemon, u16) {
    let [port] = free_ports();
    let address = format!("127.0.0.1:{port}");
    let daemon = watching(sandbox, &[&["-metrics-addr", &address], more].concat());
    eventually("it listens", || get(port, "/health").is_ok());
    (daemon, port)
}

/// Replaces the data in one step, as an editor does.
fn data(sandbox: &Sandbox, yaml: &str) {
    fs::rename(sandbox.write("data.new", yaml), sandbox.path("data.yaml")).unwrap();
}

/// An answer: the status code, the head and the body.
#[derive(Debug)]
struct Answer {
    code: u16,
    head: String,
    body: String,
}

/// Sends a request and reads the answer to its end.
fn ask(mut stream: impl Read + Write, method: &str, path: &str) -> io::Result<Answer> {
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: confd\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
    Ok(Answer { code, head: head.to_owned(), body: body.to_owned() })
}

fn connected(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    Ok(stream)
}

/// The answer at a port of this machine.
fn get(port: u16, path: &str) -> io::Result<Answer> {
    ask(connected(port)?, "GET", path)
}

/// The answer at a Unix socket.
fn get_at(socket: &Path, method: &str, path: &str) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(LIMIT))?;
    ask(stream, method, path)
}

/// A JSON document at a port of this machine.
fn json(port: u16, path: &str) -> serde_json::Value {
    serde_json::from_str(&get(port, path).unwrap().body).unwrap()
}

/// Waits until confd is ready.
#[track_caller]
fn becomes_ready(port: u16) {
    eventually("confd is ready", || get(port, "/ready").is_ok_and(|answer| answer.code == 200));
}
