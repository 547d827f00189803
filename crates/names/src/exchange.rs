//! Asks name servers one question.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use rustix::rand::{GetRandomFlags, getrandom};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use crate::error::Reason;
use crate::race::first_success;
use crate::settings::Settings;

/// The size of answers over UDP that are asked for. Networks seldom lose or split packets of this
/// size.
const PAYLOAD: u16 = 1232;

/// The size of answers over UDP that can be taken.
const LARGEST: usize = 4096;

/// How long a server is waited for before the next one is asked as well. Callers have a few seconds
/// for a whole connection, and one server that is gone must not use them up.
const HEAD_START: Duration = Duration::from_secs(1);

/// A question without an answer: the name server that was asked last, and what it said.
#[derive(Debug)]
pub(crate) struct Unanswered {
    pub(crate) server: Option<SocketAddr>,
    pub(crate) reason: Reason,
}

/// Returns the records of this kind that `domain`, which ends with a dot, has in the DNS. There is
/// at least one. The server with the number `first` is asked first.
///
/// A server that does not answer, or answers that it failed, is passed over. That a name does not
/// exist, or has no such records, is an answer.
pub(crate) async fn ask(
    settings: &Settings,
    first: usize,
    domain: &str,
    kind: RecordType,
) -> Result<Vec<RData>, Unanswered> {
    let unasked = |reason| Unanswered { server: None, reason };
    let name = Name::from_ascii(domain).map_err(|_| unasked(Reason::NotADomainName))?;
    let servers = &settings.servers;
    let head_start = HEAD_START.min(settings.timeout);
    let mut last = unasked(Reason::Misbehaving);
    for _ in 0..settings.attempts {
        let in_order = (0..servers.len()).map(|nth| servers[(first + nth) % servers.len()]);
        let asked = first_success(in_order, head_start, async |server| {
            let failed = |reason| Unanswered { server: Some(server), reason };
            let question = Question::new(&name, kind).map_err(failed)?;
            match question.put_to(server, settings).await.and_then(|answer| records(answer, kind)) {
                Ok(records) => Ok(Ok(records)),
                Err(Reason::NoSuchHost) => Ok(Err(failed(Reason::NoSuchHost))),
                Err(reason) => Err(failed(reason)),
            }
        });
        match asked.await {
            Ok(answer) => return answer,
            Err(failures) => last = failures.into_iter().next_back().unwrap_or(last),
        }
    }
    Err(last)
}

/// The records of this kind in a message, or what the message says instead.
fn records(message: Message, kind: RecordType) -> Result<Vec<RData>, Reason> {
    let about = &message.metadata;
    // The server knows nothing and is not willing to ask others.
    let is_lame = message.answers.is_empty()
        && message.additionals.is_empty()
        && !about.authoritative
        && !about.recursion_available;
    match about.response_code {
        ResponseCode::NoError if is_lame => return Err(Reason::Misbehaving),
        ResponseCode::NoError => {}
        ResponseCode::NXDomain => return Err(Reason::NoSuchHost),
        _ => return Err(Reason::Misbehaving),
    }
    let records = message.answers.into_iter().map(|record| record.data);
    let records: Vec<_> = records.filter(|record| record.record_type() == kind).collect();
    if records.is_empty() { Err(Reason::NoSuchHost) } else { Ok(records) }
}

/// A question for one server. Each has a random number, so that answers are hard to forge.
struct Question {
    message: Message,
}

impl Question {
    fn new(name: &Name, kind: RecordType) -> Result<Self, Reason> {
        // `Message::query` makes a number too, but in a static program the crate `rand` opens
        // `/dev/urandom` for it, which an empty root does not have.
        let mut number = [0; 2];
        getrandom(&mut number, GetRandomFlags::empty()).map_err(io::Error::from)?;
        let number = u16::from_ne_bytes(number);
        let mut message = Message::new(number, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), kind));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        message.set_edns(edns);
        Ok(Question { message })
    }

    /// Returns the server's answer. If it is too long for UDP, the server is asked over TCP.
    async fn put_to(&self, server: SocketAddr, settings: &Settings) -> Result<Message, Reason> {
        let bytes = self.message.to_vec().map_err(|_| Reason::NotADomainName)?;
        if !settings.use_tcp {
            let answer = timeout(settings.timeout, self.over_udp(server, &bytes)).await;
            let answer = answer.map_err(|_| Reason::Timeout)??;
            if !answer.metadata.truncation {
                return Ok(answer);
            }
        }
        let answer = timeout(settings.timeout, self.over_tcp(server, &bytes)).await;
        answer.map_err(|_| Reason::Timeout)?
    }

    async fn over_udp(&self, server: SocketAddr, question: &[u8]) -> Result<Message, Reason> {
        let here: SocketAddr = match server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(here).await?;
        socket.connect(server).await?;
        socket.send(question).await?;
        let mut buffer = vec![0; LARGEST];
        loop {
            let length = socket.recv(&mut buffer).await?;
            // Any other message is forged, damaged, or the late answer to another question.
            if let Some(answer) = self.answered_by(&buffer[..length]) {
                return Ok(answer);
            }
        }
    }

    async fn over_tcp(&self, server: SocketAddr, question: &[u8]) -> Result<Message, Reason> {
        let socket = match server {
            SocketAddr::V4(_) => TcpSocket::new_v4(),
            SocketAddr::V6(_) => TcpSocket::new_v6(),
        };
        let mut stream = socket?.connect(server).await?;
        let length = u16::try_from(question.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
        let mut answer = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut answer).await?;
        self.answered_by(&answer).ok_or(Reason::Misbehaving)
    }

    /// The message in `bytes`, if it is the answer to this question.
    fn answered_by(&self, bytes: &[u8]) -> Option<Message> {
        let answer = Message::from_vec(bytes).ok()?;
        let is_ours = answer.metadata.message_type == MessageType::Response
            && answer.metadata.id == self.message.metadata.id
            && answer.queries == self.message.queries;
        is_ours.then_some(answer)
    }
}
