//! Asks name servers one question.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::{Edns, Message, MessageType, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::timeout;

use crate::error::Reason;
use crate::settings::Settings;

/// The size of answers over UDP that are asked for. Networks seldom lose or split packets of this
/// size.
const PAYLOAD: u16 = 1232;

/// The size of answers over UDP that can be taken.
const LARGEST: usize = 4096;

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
    let mut last = unasked(Reason::Misbehaving);
    let servers = &settings.servers;
    for nth in (0..servers.len()).cycle().take(settings.attempts * servers.len()) {
        let server = servers[(first + nth) % servers.len()];
        let failed = |reason| Unanswered { server: Some(server), reason };
        let question = Question::new(&name, kind);
        match question.put_to(server, settings).await.and_then(judged) {
            Ok(message) => {
                let answers = message.answers.into_iter().map(|record| record.data);
                let records: Vec<_> =
                    answers.filter(|record| record.record_type() == kind).collect();
                return match records.is_empty() {
                    true => Err(failed(Reason::NoSuchHost)),
                    false => Ok(records),
                };
            }
            Err(Reason::NoSuchHost) => return Err(failed(Reason::NoSuchHost)),
            Err(reason) => last = failed(reason),
        }
    }
    Err(last)
}

/// The message, if it is an answer, or what it says instead.
fn judged(message: Message) -> Result<Message, Reason> {
    let about = &message.metadata;
    // The server knows nothing and is not willing to ask others.
    let is_lame = message.answers.is_empty()
        && message.additionals.is_empty()
        && !about.authoritative
        && !about.recursion_available;
    match about.response_code {
        ResponseCode::NoError if is_lame => Err(Reason::Misbehaving),
        ResponseCode::NoError => Ok(message),
        ResponseCode::NXDomain => Err(Reason::NoSuchHost),
        _ => Err(Reason::Misbehaving),
    }
}

/// A question for one server. Each has a random number, so that answers are hard to forge.
struct Question {
    message: Message,
}

impl Question {
    fn new(name: &Name, kind: RecordType) -> Self {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), kind));
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD);
        message.set_edns(edns);
        Question { message }
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
