//! A session on one server, for as long as its connection lasts.
//!
//! A new connection is a new session, in which everything is read again. Taking the old session to the
//! next server would keep its watches, but only as good as the old server had them: rights that were
//! taken away and stores that were restored from a backup would not be noticed. Ten thousand nodes are
//! read in a fraction of a second, and the old session holds nothing of value.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use nodes::Cause;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsConnector;

use crate::Options;
use crate::failure::{Code, Failure};
use crate::jute::{Malformed, frame};
use crate::message::{self, Ask, Message};

/// A connection that bytes go through.
trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for T {}

/// The longest message: the data of a node, or the names of its children. Servers bound only what they
/// take, by `jute.maxbuffer`.
const LONGEST: usize = 256 << 20;

/// The longest answer to the question for a session.
const LONGEST_GRANT: usize = 1 << 10;

/// A session that is open and logged in.
///
/// Dropping a future of it loses nothing.
pub(crate) struct Connection {
    reader: ReadHalf<Box<dyn Stream>>,
    writer: WriteHalf<Box<dyn Stream>>,
    input: BytesMut,
    output: BytesMut,
    /// Whether what was written has left the stream: one of TLS keeps bytes back.
    is_flushed: bool,
    /// The number of the last request.
    number: i32,
    /// The number of requests and signs of life without an answer.
    unanswered: usize,
    /// When the oldest of them was sent, or the last bytes arrived since then.
    waiting: Option<Instant>,
    /// When the server must see the next sign of life.
    ping: Instant,
    /// The time without a sign of life after which the server ends the session.
    session: Duration,
}

impl Connection {
    /// Opens a session and logs in.
    pub(crate) async fn open(
        host: &str,
        port: u16,
        is_tls: bool,
        options: &Options,
    ) -> Result<Self, Failure> {
        // The rest of the time is for the next server.
        let limit = options.session / 3;
        let stream = within(limit, "connection", dial(host, port, is_tls, &options.tls)).await;
        let advice = if is_tls { tls::CLOSED } else { "perhaps it wants TLS, or is not ZooKeeper" };
        let stream = stream.map_err(|failure| failure.advised_if_closed(advice))?;
        let (reader, writer) = tokio::io::split(stream);
        let now = Instant::now();
        let mut connection = Connection {
            reader,
            writer,
            input: BytesMut::new(),
            output: BytesMut::new(),
            is_flushed: true,
            number: 0,
            unanswered: 1,
            waiting: Some(now),
            ping: now + options.session,
            session: options.session,
        };
        let asked = i32::try_from(options.session.as_millis()).unwrap_or(i32::MAX);
        message::put_connect(&mut connection.output, asked);
        let greeting = connection.greet(options);
        match timeout(limit, greeting).await {
            Ok(Ok(())) => Ok(connection),
            // A server that has lost its leader, or has just been started, closes connections too.
            Ok(Err(failure)) => Err(failure.advised_if_closed(match is_tls {
                true => tls::CLOSED,
                false => {
                    "it has no leader or starts just now; or it wants TLS, or is not ZooKeeper"
                }
            })),
            Err(_) => Err(late("session", limit)),
        }
    }

    /// Takes what the server grants, and logs in.
    async fn greet(&mut self, options: &Options) -> Result<(), Failure> {
        let granted = loop {
            match frame(&mut self.input, LONGEST_GRANT) {
                Ok(Some(frame)) => break message::granted(frame),
                Ok(None) => self.exchange().await?,
                Err(Malformed) => return Err(Failure::malformed()),
            }
        };
        let granted = granted.map_err(|Malformed| Failure::malformed())?;
        self.answered();
        match u64::try_from(granted.timeout) {
            Ok(milliseconds @ 1..) => self.session = Duration::from_millis(milliseconds),
            _ => return Err(Failure::Unreachable(Cause::new("it gives no session"))),
        }
        self.ping = Instant::now() + self.session / 3;
        let Some(login) = &options.login else { return Ok(()) };
        message::put_authentication(&mut self.output, login);
        self.sent();
        loop {
            match self.next().await? {
                Message::Authenticated(Code::OK) => return Ok(()),
                Message::Authenticated(code) => return Err(Failure::of_code(code)),
                _ => {}
            }
        }
    }

    /// Notes a request about a node, which the next call sends. Returns its number.
    pub(crate) fn ask(&mut self, ask: Ask, path: &[u8]) -> i32 {
        let number = self.next_number();
        message::put_ask(&mut self.output, number, ask, path);
        number
    }

    /// Lets the server take over all changes that its leader knows, before it answers what is asked from
    /// now on. Returns the number of this request.
    pub(crate) fn sync(&mut self, path: &[u8]) -> i32 {
        let number = self.next_number();
        message::put_sync(&mut self.output, number, path);
        number
    }

    /// Ends the session, as far as that is possible within a short time.
    pub(crate) async fn close(mut self) {
        let number = self.next_number();
        message::put_close(&mut self.output, number);
        let closing = async {
            // The server closes the connection.
            while self.exchange().await.is_ok() {
                self.input.clear();
            }
        };
        // A session that stays open ends by itself.
        let _ = timeout(Duration::from_secs(1), closing).await;
    }

    /// Waits for the next message, however long that takes. A server that does not answer is a failure.
    pub(crate) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            let frame = frame(&mut self.input, LONGEST);
            if let Some(frame) = frame.map_err(|Malformed| Failure::malformed())? {
                let message = message::message(frame).map_err(|Malformed| Failure::malformed())?;
                if !matches!(message, Message::Changed(_)) {
                    self.answered();
                }
                return Ok(message);
            }
            self.exchange().await?;
        }
    }

    /// Reads and writes until something has arrived, or been written, or time has passed.
    async fn exchange(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        if self.ping <= now {
            message::put_ping(&mut self.output);
            self.sent();
        }
        let silent = self.waiting.map(|since| since + self.session * 2 / 3);
        let alarm = silent.map_or(self.ping, |silent| silent.min(self.ping));
        let is_writing = self.output.has_remaining() || !self.is_flushed;
        let (reader, input) = (&mut self.reader, &mut self.input);
        let (writer, output, is_flushed) =
            (&mut self.writer, &mut self.output, &mut self.is_flushed);
        tokio::select! {
            // What has arrived counts before the time that has passed: the caller may have been busy for
            // longer than a server may be silent.
            biased;
            read = reader.read_buf(input) => {
                if read.map_err(Failure::of_connection)? == 0 {
                    return Err(Failure::closed());
                }
                self.waiting = self.waiting.map(|_| Instant::now());
            }
            written = write(writer, output, is_flushed), if is_writing => {
                written.map_err(Failure::of_connection)?;
            }
            () = sleep_until(alarm) => {
                if silent.is_some_and(|silent| silent <= Instant::now()) {
                    return Err(late("answer", self.session * 2 / 3));
                }
            }
        }
        Ok(())
    }

    fn next_number(&mut self) -> i32 {
        self.number = self.number.wrapping_add(1).max(1);
        self.sent();
        self.number
    }

    /// Something was sent that the server answers.
    fn sent(&mut self) {
        let now = Instant::now();
        self.unanswered += 1;
        self.waiting = self.waiting.or(Some(now));
        self.ping = now + self.session / 3;
    }

    /// The server has answered something.
    fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered == 0 {
            self.waiting = None;
        }
    }
}

/// Writes some of what is noted.
async fn write(
    writer: &mut WriteHalf<Box<dyn Stream>>,
    output: &mut BytesMut,
    is_flushed: &mut bool,
) -> io::Result<()> {
    if output.has_remaining() {
        *is_flushed = false;
        writer.write_buf(output).await?;
    } else {
        writer.flush().await?;
        *is_flushed = true;
    }
    Ok(())
}

async fn within<T>(
    limit: Duration,
    what: &str,
    doing: impl Future<Output = io::Result<T>>,
) -> Result<T, Failure> {
    match timeout(limit, doing).await {
        Ok(done) => done.map_err(Failure::of_connection),
        Err(_) => Err(late(what, limit)),
    }
}

fn late(what: &str, limit: Duration) -> Failure {
    Failure::Unreachable(Cause::new(format!("no {what} within {limit:.1?}")))
}

async fn dial(
    host: &str,
    port: u16,
    is_tls: bool,
    tls: &tls::Options,
) -> io::Result<Box<dyn Stream>> {
    // Problems with the certificate files are reported without asking a server. The files are read
    // for each connection, so that replaced ones count.
    let config = is_tls.then(|| tls.client_config(b"")).transpose().map_err(io::Error::other)?;
    let stream = names::connect(host, port).await?;
    stream.set_nodelay(true)?;
    let Some(config) = config else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}
