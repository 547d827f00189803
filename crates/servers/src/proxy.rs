//! A network between client and server that can be spoiled.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How often a connection looks whether something has changed for it.
const GLANCE: Duration = Duration::from_millis(10);

/// What happens to the bytes that pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// They pass.
    Flows,
    /// They pass later, one way, and in pieces.
    Slow(Duration),
    /// They wait: connections are taken and stay open, and nothing is heard on them. What waits
    /// passes when traffic flows again.
    Held,
    /// They are lost: connections are taken and stay open, and one that has lost something is never
    /// heard of again, as if a firewall had forgotten it.
    Lost,
    /// Connections are reset as soon as they are made.
    Refused,
}

/// A forwarder of TCP connections, on a port of its own.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    upstream: Mutex<SocketAddr>,
    traffic: Mutex<Traffic>,
    /// Connections made before this number was reached are reset.
    era: AtomicU64,
    /// How many connections were made.
    connections: AtomicU64,
    /// How many are open, and how many were at most.
    open: AtomicU64,
    most: AtomicU64,
    /// How many bytes came back to clients.
    answered: AtomicU64,
    /// The first lines of the HTTP requests that passed.
    requests: Mutex<Vec<String>>,
    ended: AtomicU64,
}

impl Proxy {
    /// A proxy before the server at `upstream` (`127.0.0.1:PORT`).
    pub fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            upstream: Mutex::new(upstream.parse().unwrap()),
            traffic: Mutex::new(Traffic::Flows),
            era: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            open: AtomicU64::new(0),
            most: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            requests: Mutex::default(),
            ended: AtomicU64::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || shared.accept(&listener));
        Proxy { address, state }
    }

    /// Where clients connect, as `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What happens to bytes from now on.
    pub fn set(&self, traffic: Traffic) {
        *self.state.traffic.lock().unwrap() = traffic;
    }

    /// Has new connections lead to another server.
    pub fn lead_to(&self, upstream: &str) {
        *self.state.upstream.lock().unwrap() = upstream.parse().unwrap();
    }

    /// Resets every open connection.
    pub fn cut(&self) {
        self.state.era.fetch_add(1, Ordering::SeqCst);
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many connections were open at once, at most.
    pub fn most_connections(&self) -> u64 {
        self.state.most.load(Ordering::SeqCst)
    }

    /// How many bytes servers have sent to clients so far.
    pub fn bytes(&self) -> u64 {
        self.state.answered.load(Ordering::SeqCst)
    }

    /// The first lines of all requests in HTTP/1.1 that clients have sent so far, such as `GET /v1/kv/a`;
    /// those of one connection in their order.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(1, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts; if that fails, it has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

impl State {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.ended.load(Ordering::SeqCst) != 0 {
                return;
            }
            self.connections.fetch_add(1, Ordering::SeqCst);
            let server = match self.traffic() {
                Traffic::Refused => None,
                _ => TcpStream::connect(*self.upstream.lock().unwrap()).ok(),
            };
            let Some(server) = server else {
                reset(&client);
                continue;
            };
            let era = self.era.load(Ordering::SeqCst);
            let open = Arc::new(Open::new(&self));
            let back = (server.try_clone().unwrap(), client.try_clone().unwrap(), open.clone());
            let shared = Arc::clone(&self);
            thread::spawn(move || {
                let mut lines = Lines::default();
                shared.copy(era, &open, client, server, |bytes| lines.hear(bytes, &open));
            });
            let shared = Arc::clone(&self);
            thread::spawn(move || {
                let (from, to, open) = back;
                let count = |bytes: &[u8]| {
                    shared.answered.fetch_add(bytes.len() as u64, Ordering::SeqCst);
                };
                shared.copy(era, &open, from, to, count);
            });
        }
    }

    fn traffic(&self) -> Traffic {
        *self.traffic.lock().unwrap()
    }

    /// Carries bytes one way until either side ends or the connection is cut.
    fn copy(
        &self,
        era: u64,
        connection: &Open,
        mut from: TcpStream,
        mut to: TcpStream,
        mut overhear: impl FnMut(&[u8]),
    ) {
        from.set_read_timeout(Some(GLANCE)).unwrap();
        let _ = to.set_nodelay(true);
        let mut buffer = [0; 16 * 1024];
        loop {
            let read = from.read(&mut buffer);
            if self.era.load(Ordering::SeqCst) != era {
                reset(&from);
                reset(&to);
                return;
            }
            let length = match read {
                Ok(0) => break,
                Ok(length) => length,
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    continue;
                }
                Err(_) => break,
            };
            if self.traffic() == Traffic::Lost {
                connection.is_deaf.store(true, Ordering::SeqCst);
            }
            if connection.is_deaf.load(Ordering::SeqCst) {
                continue;
            }
            overhear(&buffer[..length]);
            while self.traffic() == Traffic::Held && self.era.load(Ordering::SeqCst) == era {
                thread::sleep(GLANCE);
            }
            if let Traffic::Slow(delay) = self.traffic() {
                thread::sleep(delay);
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        // Either may be closed already.
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    }
}

/// A connection that is open, for as long as this is there.
struct Open {
    state: Arc<State>,
    /// Whether it has lost something.
    is_deaf: AtomicBool,
}

impl Open {
    fn new(state: &Arc<State>) -> Self {
        let open = state.open.fetch_add(1, Ordering::SeqCst) + 1;
        state.most.fetch_max(open, Ordering::SeqCst);
        Open { state: Arc::clone(state), is_deaf: AtomicBool::new(false) }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What one client sent of the line it is at, if that can be one of HTTP.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The longest line that is looked at.
    const LONGEST: usize = 8 * 1024;

    fn hear(&mut self, bytes: &[u8], connection: &Open) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.0.len() < Lines::LONGEST {
                self.0.extend(part);
            }
            if part.ends_with(b"\n") {
                if let Some(request) = self.0.strip_suffix(b" HTTP/1.1\r\n") {
                    let request = String::from_utf8_lossy(request).into_owned();
                    connection.state.requests.lock().unwrap().push(request);
                }
                self.0.clear();
            }
        }
    }
}

/// Has the connection end by a reset when it is dropped.
fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}
