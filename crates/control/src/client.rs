//! A client of the control socket. It blocks: a program that asks does nothing else.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// The longest answer that is read, in bytes.
const LONGEST: u64 = 64 << 20;

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub code: u16,
    /// The body.
    pub body: String,
}

/// Sends a request to the socket at `path` and waits for its answer, without a limit if there is none.
///
/// # Errors
/// The socket cannot be reached, does not answer in time, or answers with something else than HTTP.
pub fn ask(path: &Path, method: &str, target: &str, limit: Option<Duration>) -> io::Result<Reply> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(limit)?;
    let head = format!("{method} {target} HTTP/1.1\r\nHost: confd\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    // The server closes each connection after its answer.
    stream.take(LONGEST).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let read = || {
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let code = head.strip_prefix("HTTP/1.1 ")?.split(' ').next()?.parse().ok()?;
        Some(Reply { code, body: body.to_owned() })
    };
    let error = "the answer is not that of a confd";
    read().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// The path of a request about the resource `name`, whose name can have any characters.
pub fn run_path(name: &str) -> String {
    let mut path = "/resources/".to_owned();
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                path.push(byte.into());
            }
            // Writing to a string cannot fail.
            other => _ = write!(path, "%{other:02X}"),
        }
    }
    path + "/run"
}

/// The name in such a path; `None` if the path is none.
pub(crate) fn name_in(path: &str) -> Option<String> {
    let encoded = path.strip_prefix("/resources/")?.strip_suffix("/run")?.as_bytes();
    let (mut name, mut rest) = (Vec::new(), encoded);
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        name.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_resource_survives_its_path() {
        for name in ["nginx", "web/site", "a b%41?#", "größe", "x/run"] {
            assert_eq!(name_in(&run_path(name)).as_deref(), Some(name));
        }
        for path in ["/resources/a", "/reload", "/resources/run"] {
            assert_eq!(name_in(path), None, "{path}");
        }
    }
}
