//! A connection to one server.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use nodes::Cause;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::Options;
use crate::address::{Login, Node, Place};
use crate::failure::{Failure, Meaning};
use crate::resp::{Malformed, Parser, Reply, Request};

/// A connection that bytes go through.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// The longest times of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// From the beginning until the connection is open, with its TLS.
    pub(crate) connecting: Duration,
    /// Between two parts of a reply.
    pub(crate) reading: Duration,
    /// Between two parts of a request.
    pub(crate) writing: Duration,
}

/// A connection that is open and logged in.
///
/// Dropping a future of it loses nothing: a request that was begun is finished by the next call, and
/// its replies are skipped.
pub(crate) struct Connection {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    parser: Parser,
    /// The number of replies that nothing waits for any more, or that are waited for now.
    unread: usize,
    /// Whether it was understood at least once.
    has_answered: bool,
    is_tls: bool,
    limits: Limits,
}

impl Connection {
    /// Opens a connection, logs in and selects the database.
    pub(crate) async fn open(
        node: &Node,
        login: Option<&Login>,
        options: &Options,
    ) -> Result<Self, Failure> {
        let limits = options.limits;
        let dialled = within(limits.connecting, "connection", dial(node, &options.tls)).await;
        let stream = dialled.map_err(|failure| match failure {
            Failure::Unreachable(cause) if node.tls => {
                Failure::Unreachable(cause.advised_if_closed(tls::CLOSED))
            }
            failure => failure,
        })?;
        let mut connection = Connection {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            parser: Parser::default(),
            unread: 0,
            has_answered: false,
            is_tls: node.tls,
            limits,
        };
        let mut greeting = Request::default();
        match login {
            Some(Login { user: Some(user), password }) => {
                greeting.add(&["AUTH", user, &password.0]);
            }
            Some(Login { user: None, password }) => greeting.add(&["AUTH", &password.0]),
            None => {}
        }
        if let Some(database) = node.database.filter(|database| *database != 0) {
            greeting.add(&["SELECT", &database.to_string()]);
        }
        for reply in connection.ask(&greeting).await? {
            ok(reply)?;
        }
        Ok(connection)
    }

    /// Sends the commands, and returns the reply to each.
    pub(crate) async fn ask(&mut self, request: &Request) -> Result<Vec<Reply>, Failure> {
        let old = self.unread;
        self.send(request);
        self.flush().await?;
        for _ in 0..old {
            self.reply().await?;
        }
        let mut replies = Vec::with_capacity(request.commands().min(1 << 16));
        for _ in 0..request.commands() {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    /// Sends one command, given as its words, and returns its reply.
    ///
    /// # Errors
    ///
    /// An error reply is one too.
    pub(crate) async fn ask_one<W: AsRef<[u8]>>(&mut self, words: &[W]) -> Result<Reply, Failure> {
        let replies = self.ask(&Request::of(words)).await?;
        replies.into_iter().next().map_or_else(|| Err(no_reply()), ok)
    }

    /// Notes a request that the next call sends.
    pub(crate) fn send(&mut self, request: &Request) {
        self.output.extend_from_slice(request.bytes());
        self.unread += request.commands();
    }

    /// The next reply or message that has arrived already, if there is one.
    pub(crate) fn arrived(&mut self) -> Result<Option<Reply>, Failure> {
        let reply = self.parser.next(&mut self.input).map_err(|Malformed| {
            let text = "it does not answer as Redis does";
            let advice = (!self.has_answered).then_some("perhaps it is not Redis");
            Failure::Unreachable(Cause::new(text).advised(advice))
        })?;
        if reply.is_some() {
            self.unread = self.unread.saturating_sub(1);
            self.has_answered = true;
        }
        Ok(reply)
    }

    /// Waits for the next reply or message, however long that takes.
    pub(crate) async fn next(&mut self) -> Result<Reply, Failure> {
        self.flush().await?;
        loop {
            if let Some(reply) = self.arrived()? {
                return Ok(reply);
            }
            self.read().await?;
        }
    }

    /// The longest silence of a server that has to answer.
    pub(crate) fn reading(&self) -> Duration {
        self.limits.reading
    }

    /// The failure of a server that was silent for `limit`.
    pub(crate) fn silent(limit: Duration) -> Failure {
        late("answer", limit)
    }

    /// Waits for the next reply.
    async fn reply(&mut self) -> Result<Reply, Failure> {
        let limit = self.limits.reading;
        loop {
            if let Some(reply) = self.arrived()? {
                return Ok(reply);
            }
            within(limit, "answer", async { Ok(self.read().await) }).await??;
        }
    }

    /// Writes what is noted.
    pub(crate) async fn flush(&mut self) -> Result<(), Failure> {
        while self.output.has_remaining() {
            let write = self.stream.write_buf(&mut self.output);
            match within(self.limits.writing, "progress of a request", write).await {
                Ok(0) => return Err(self.lost(closed())),
                written => _ = written.map_err(|failure| self.lost(failure))?,
            }
        }
        // A stream of TLS keeps bytes back until it is flushed.
        let flushed = within(self.limits.writing, "progress of a request", self.stream.flush());
        flushed.await.map_err(|failure| self.lost(failure))
    }

    /// Reads what has arrived, or waits until something does.
    async fn read(&mut self) -> Result<(), Failure> {
        match self.stream.read_buf(&mut self.input).await {
            Ok(0) => Err(self.lost(closed())),
            Ok(_) => Ok(()),
            Err(error) => Err(self.lost(Failure::Unreachable(cause(&error)))),
        }
    }

    /// The failure of this connection, with advice if it was never understood.
    fn lost(&self, failure: Failure) -> Failure {
        match failure {
            Failure::Unreachable(cause) if !self.has_answered => {
                let plain = "perhaps it wants TLS, or is not Redis";
                let advice = if self.is_tls { tls::CLOSED } else { plain };
                Failure::Unreachable(cause.advised_if_closed(advice))
            }
            failure => failure,
        }
    }
}

/// The reply, if it is no error.
pub(crate) fn ok(reply: Reply) -> Result<Reply, Failure> {
    match reply {
        Reply::Error(text) => Err(Failure::of_reply(&text)),
        reply => Ok(reply),
    }
}

/// The reply; `None` if it is an error that the user may not do this, or that the server does not
/// know the command.
pub(crate) fn unless_forbidden(reply: Reply) -> Result<Option<Reply>, Failure> {
    match reply {
        Reply::Error(text)
            if Meaning::of(&text) == Meaning::Forbidden || text.starts_with("ERR ") =>
        {
            Ok(None)
        }
        reply => ok(reply).map(Some),
    }
}

/// What arrived is no reply that fits.
pub(crate) fn no_reply() -> Failure {
    Failure::Unreachable(Cause::new("its answer does not fit the question"))
}

fn closed() -> Failure {
    Failure::Unreachable(Cause::new("it closed the connection").closed(true))
}

/// The cause of a failed connection, with advice.
fn cause(error: &io::Error) -> Cause {
    let closed = tls::hung_up(error);
    Cause::chain("", Some(error)).advised(tls::advice(error)).closed(closed)
}

async fn within<T>(
    limit: Duration,
    what: &str,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(match error.downcast::<nodes::Error>() {
            Ok(local) => Failure::Local(local),
            Err(error) => Failure::Unreachable(cause(&error)),
        }),
        Err(_) => Err(late(what, limit)),
    }
}

fn late(what: &str, limit: Duration) -> Failure {
    Failure::Unreachable(Cause::new(format!("no {what} within {limit:?}")))
}

async fn dial(node: &Node, tls: &tls::Options) -> io::Result<Box<dyn Stream>> {
    let (host, port) = match &node.place {
        Place::Socket(path) => return Ok(Box::new(UnixStream::connect(path).await?)),
        Place::Host(host, port) => (host, *port),
    };
    // Problems with the certificate files are reported without asking a server. The files are read
    // for each connection, so that replaced ones count.
    let config = node.tls.then(|| tls.client_config(b"")).transpose().map_err(io::Error::other)?;
    let stream = names::connect(host, port).await?;
    stream.set_nodelay(true)?;
    let Some(config) = config else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}
