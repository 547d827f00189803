//! A name server: answers DNS queries over UDP and TCP from a small zone.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::free_ports;

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// How often the server looks for connections over TCP, and whether it has to end.
const TICK: Duration = Duration::from_millis(20);

/// How a name server treats queries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manner {
    /// It answers from its zone.
    #[default]
    Answers,
    /// It takes queries and gives no answer.
    Silent,
    /// It answers with an error: 2 is "server failure", 5 is "refused".
    Fails(u8),
    /// It answers with "server failure" for names that end so, and for others from its zone.
    FailsBelow(&'static str),
    /// Over UDP it answers that the answer is too long. Over TCP it answers from its zone.
    Truncates,
    /// Over UDP it sends messages that are no answer to the query, and then the answer.
    Disturbs,
}

/// A name server, which ends when this is dropped.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    zone: Vec<Record>,
    manner: Manner,
    /// The queries so far: `NAME TYPE`, and `tcp` if it came over TCP.
    queries: Vec<String>,
    /// How many queries got no answer.
    unanswered: usize,
    ended: bool,
}

impl NameServer {
    /// Starts a server on a free port of 127.0.0.1. See [`set_zone`](Self::set_zone) for `zone`.
    pub fn start(zone: &str) -> Self {
        let [port] = free_ports();
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], port)), zone)
    }

    /// Starts a server at `address`.
    ///
    /// # Panics
    /// The address is in use.
    pub fn start_at(address: SocketAddr, zone: &str) -> Self {
        let mut server = NameServer { address, shared: Arc::default(), thread: None };
        server.set_zone(zone);
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(TICK)).unwrap();
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let shared = Arc::clone(&server.shared);
        server.thread = Some(thread::spawn(move || serve(&socket, &listener, &shared)));
        server
    }

    /// The address for queries.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets what can be looked up from now on. `zone` has lines of a zone file: `NAME A ADDRESS`,
    /// `NAME AAAA ADDRESS` or `NAME SRV PRIORITY WEIGHT PORT TARGET`. Each name ends with a dot. A
    /// line that has only a name is a name without records.
    ///
    /// # Panics
    /// A line is no record.
    pub fn set_zone(&self, zone: &str) {
        let zone = zone.lines().map(Record::parse).collect();
        self.shared.lock().unwrap().zone = zone;
    }

    /// Sets how queries are treated from now on.
    pub fn set_manner(&self, manner: Manner) {
        self.shared.lock().unwrap().manner = manner;
    }

    /// The queries so far: `NAME TYPE`, with a dot at the end of the name. `tcp` follows if the
    /// query came over TCP.
    pub fn queries(&self) -> Vec<String> {
        self.shared.lock().unwrap().queries.clone()
    }

    /// How many queries got no answer.
    pub fn unanswered(&self) -> usize {
        self.shared.lock().unwrap().unanswered
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed already.
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, listener: &TcpListener, shared: &Mutex<Shared>) {
    let mut query = [0; 1500];
    while !shared.lock().unwrap().ended {
        // The programs that asked may have ended.
        if let Ok((length, from)) = socket.recv_from(&mut query) {
            for answer in shared.lock().unwrap().answers(&query[..length], false) {
                let _ = socket.send_to(&answer, from);
            }
        }
        if let Ok((client, _)) = listener.accept() {
            let _ = serve_connection(client, shared);
        }
    }
}

/// Answers the only query of a connection.
fn serve_connection(mut client: TcpStream, shared: &Mutex<Shared>) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(crate::PATIENCE))?;
    let mut length = [0; 2];
    client.read_exact(&mut length)?;
    let mut query = vec![0; u16::from_be_bytes(length).into()];
    client.read_exact(&mut query)?;
    for answer in shared.lock().unwrap().answers(&query, true) {
        client.write_all(&u16::try_from(answer.len()).unwrap().to_be_bytes())?;
        client.write_all(&answer)?;
    }
    Ok(())
}

impl Shared {
    /// The messages that answer a query.
    fn answers(&mut self, query: &[u8], over_tcp: bool) -> Vec<Vec<u8>> {
        let asked = Asked::parse(query);
        let transport = if over_tcp { " tcp" } else { "" };
        self.queries.push(format!("{}. {}{transport}", asked.name, asked.kind_name()));
        match self.manner {
            Manner::Silent => {
                self.unanswered += 1;
                Vec::new()
            }
            Manner::Fails(code) => vec![asked.reply(code, false, &[])],
            Manner::Truncates if !over_tcp => vec![asked.reply(0, true, &[])],
            Manner::Disturbs if !over_tcp => {
                let answer = asked.answer(&self.zone);
                let mut of_another_query = answer.clone();
                of_another_query[0] ^= 1;
                // The first letter of the name in the question.
                let mut of_another_name = answer.clone();
                of_another_name[13] ^= 1;
                let garbage = answer[..answer.len() - 1].to_vec();
                vec![b"x".to_vec(), of_another_query, of_another_name, garbage, answer]
            }
            Manner::FailsBelow(end) if asked.name.ends_with(end) => {
                vec![asked.reply(2, false, &[])]
            }
            Manner::Answers | Manner::FailsBelow(_) | Manner::Truncates | Manner::Disturbs => {
                vec![asked.answer(&self.zone)]
            }
        }
    }
}

/// A record of a zone, or a name without records.
#[derive(Debug)]
struct Record {
    /// Without the dot at its end.
    name: String,
    kind: u16,
    /// The data in the form of DNS messages.
    data: Vec<u8>,
}

impl Record {
    fn parse(line: &str) -> Self {
        let words: Vec<_> = line.split_whitespace().collect();
        let address = |text: &str| match text.parse().unwrap() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (kind, data) = match words[1..] {
            [] => (0, Vec::new()),
            ["A", text] => (A, address(text)),
            ["AAAA", text] => (AAAA, address(text)),
            ["SRV", ref numbers @ .., target] => {
                let numbers = numbers.iter().map(|number| number.parse::<u16>().unwrap());
                (SRV, numbers.flat_map(u16::to_be_bytes).chain(labels(target)).collect())
            }
            _ => panic!("{line:?} is no record"),
        };
        Self { name: words[0].trim_end_matches('.').to_owned(), kind, data }
    }
}

/// A name in the form of DNS messages.
fn labels(name: &str) -> Vec<u8> {
    let mut data = Vec::new();
    for label in name.split('.') {
        data.push(u8::try_from(label.len()).unwrap());
        data.extend(label.as_bytes());
    }
    data
}

/// What a query asks for.
struct Asked<'a> {
    id: &'a [u8],
    question: &'a [u8],
    /// In lower case, without the dot at its end.
    name: String,
    kind: u16,
}

impl<'a> Asked<'a> {
    fn parse(query: &'a [u8]) -> Self {
        let mut labels = Vec::new();
        let mut at = 12;
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            at = end;
        }
        let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
        Asked { id: &query[..2], question: &query[12..at + 5], name: labels.join("."), kind }
    }

    fn kind_name(&self) -> String {
        match self.kind {
            A => "A".to_owned(),
            AAAA => "AAAA".to_owned(),
            SRV => "SRV".to_owned(),
            other => other.to_string(),
        }
    }

    /// The answer from the zone: its records, or that the name does not exist.
    fn answer(&self, zone: &[Record]) -> Vec<u8> {
        let of_name: Vec<_> = zone.iter().filter(|record| record.name == self.name).collect();
        let records: Vec<_> =
            of_name.iter().copied().filter(|record| record.kind == self.kind).collect();
        self.reply(if of_name.is_empty() { 3 } else { 0 }, false, &records)
    }

    fn reply(&self, code: u8, is_truncated: bool, records: &[&Record]) -> Vec<u8> {
        let mut reply = self.id.to_vec();
        let flags = if is_truncated { 0x87 } else { 0x85 };
        let count = u8::try_from(records.len()).unwrap();
        reply.extend([flags, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
        reply.extend(self.question);
        for Record { kind, data, .. } in records {
            // A pointer to the name in the question.
            reply.extend([0xc0, 12]);
            reply.extend(kind.to_be_bytes());
            reply.extend([0, 1, 0, 0, 0, 60]);
            reply.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            reply.extend(data);
        }
        reply
    }
}
