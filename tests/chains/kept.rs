//! A client that keeps its connection from one request to the next, as browsers do.

use std::{
    io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

/// A client, and its connection if it is open.
pub(super) struct Kept {
    address: String,
    connection: Option<BufReader<TcpStream>>,
    reused: usize,
}

impl Kept {
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned(), connection: None, reused: 0 }
    }

    /// The number of requests that were answered on a connection that had carried a request before.
    pub(super) fn reused(&self) -> usize {
        self.reused
    }

    /// The complete body of an answer with status 200. Everything else is an error.
    ///
    /// A server may close an idle connection at the moment when the client sends a request. No
    /// server has acted on that request, so the client sends it again on a new connection, once.
    pub(super) fn get(&mut self) -> Result<String, String> {
        if let Some(connection) = self.connection.take()
            && let Some(answer) = self.exchange(connection)?
        {
            self.reused += 1;
            return Ok(answer);
        }
        let connection = TcpStream::connect(&self.address).map_err(|error| error.to_string())?;
        connection.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let answer = self.exchange(BufReader::new(connection))?;
        answer.ok_or_else(|| "a new connection was closed without an answer".to_owned())
    }

    /// Sends a request on this connection. The result is `None` if the connection was closed before
    /// the first byte of an answer.
    fn exchange(&mut self, mut connection: BufReader<TcpStream>) -> Result<Option<String>, String> {
        let sent = connection.get_mut().write_all(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n");
        let mut status = String::new();
        match sent.and_then(|()| connection.read_line(&mut status)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error)
                if status.is_empty()
                    && matches!(
                        error.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    ) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(format!("{error} after {status:?}")),
        }
        let (mut length, mut closes) = (None, false);
        loop {
            let mut line = String::new();
            connection.read_line(&mut line).map_err(|error| error.to_string())?;
            let line = line.trim_end().to_lowercase();
            if line.is_empty() {
                break;
            }
            closes |= line == "connection: close";
            length = length.or(line.strip_prefix("content-length: ").map(str::to_owned));
        }
        let length = length.and_then(|length| length.parse().ok());
        let mut body = vec![0; length.ok_or_else(|| format!("no length: {status}"))?];
        connection.read_exact(&mut body).map_err(|error| format!("cut: {error}"))?;
        if !closes {
            self.connection = Some(connection);
        }
        let body = String::from_utf8_lossy(&body).trim_end().to_owned();
        match status.starts_with("HTTP/1.1 200 ") {
            true => Ok(Some(body)),
            false => Err(format!("{status}{body}")),
        }
    }
}
