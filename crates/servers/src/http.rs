//! One HTTP exchange on its own connection. Tests use it to talk to a server independently of the
//! code under test.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::PATIENCE;

/// The answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The status line and the headers.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The value of a header; its name can be in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut of_name = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
        of_name.next().map(|(_, value)| value.trim())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn parse(answer: &[u8]) -> Option<Self> {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer { status, head, body: answer[end + 4..].to_owned() })
    }
}

/// Sends a request (`GET /path`) to `127.0.0.1:PORT` and returns the whole answer. `Content-Length`
/// is the length of the body. Version 1.0 makes the server close the connection after the answer.
///
/// # Errors
///
/// No connection, no byte within [`PATIENCE`], or an answer that is not HTTP.
pub fn exchange(
    address: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    converse(stream, address, request, headers, body)
}

/// Like [`exchange`], with the server that listens at a Unix socket.
///
/// # Errors
///
/// Those of [`exchange`].
pub fn exchange_at(
    socket: &Path,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    converse(stream, "localhost", request, headers, body)
}

/// Sends a request to `host` through a connection, and reads the whole answer.
fn converse(
    mut stream: impl Read + Write,
    host: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> io::Result<Answer> {
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    let head =
        format!("{request} HTTP/1.0\r\nHost: {host}\r\n{headers}Content-Length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Answer::parse(&answer).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Escapes a text as a part of a path. `/` is not escaped.
pub fn escape(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    let escaped = text.bytes().map(|byte| match plain(&byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// Escapes bytes as a value of a form.
pub fn form(value: &[u8]) -> String {
    value.iter().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_its_parts() {
        let answer =
            Answer::parse(b"HTTP/1.0 404 Not Found\r\nX-Consul-Index: 7\r\n\r\na\r\n\r\nb");
        let answer = answer.unwrap();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("x-consul-index"), Some("7"));
        assert_eq!(answer.header("x-other"), None);
        assert_eq!(answer.text(), "a\r\n\r\nb");
        assert_eq!(Answer::parse(b"HTTP/1.0 200"), None);
    }

    #[test]
    fn what_has_a_meaning_in_a_path_is_escaped() {
        assert_eq!(escape("a/b c?d#e%\u{e9}"), "a/b%20c%3Fd%23e%25%C3%A9");
    }
}
