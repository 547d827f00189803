//! A network between client and server that tests can disturb.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The time between two looks of a connection at the proxy's state.
const GLANCE: Duration = Duration::from_millis(10);

/// What happens to bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic {
    /// They are passed on.
    Flows,
    /// They are passed on after this delay, in one direction, and in small pieces.
    Slow(Duration),
    /// They are passed on in pieces of this many bytes, each after this delay, in one direction.
    Pieces(usize, Duration),
    /// They wait. Connections are accepted and stay open, but carry nothing. Waiting bytes are
    /// passed on when traffic flows again.
    Held,
    /// They are lost. Connections are accepted and stay open. A connection that has lost bytes
    /// carries nothing ever again, as if a firewall had forgotten it.
    Lost,
    /// Connections are reset as soon as they are accepted.
    Refused,
}

/// A proxy for TCP connections, on its own port.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    upstream: Mutex<SocketAddr>,
    traffic: Mutex<Traffic>,
    /// Connections that were accepted in an earlier era are reset.
    era: AtomicU64,
    /// The number of accepted connections.
    connections: AtomicU64,
    /// The number of open connections, and the greatest number that were open at the same time.
    open: AtomicU64,
    most: AtomicU64,
    /// The number of bytes from servers to clients.
    answered: AtomicU64,
    /// The first lines of the HTTP requests that were passed on.
    requests: Mutex<Vec<String>>,
    ended: AtomicU64,
}

impl Proxy {
    /// Starts a proxy in front of the server at `upstream` (`127.0.0.1:PORT`).
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

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Sets what happens to bytes from now on.
    pub fn set(&self, traffic: Traffic) {
        *self.state.traffic.lock().unwrap() = traffic;
    }

    /// Connects new connections to another server.
    pub fn lead_to(&self, upstream: &str) {
        *self.state.upstream.lock().unwrap() = upstream.parse().unwrap();
    }

    /// Resets every open connection.
    pub fn cut(&self) {
        self.state.era.fetch_add(1, Ordering::SeqCst);
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// The greatest number of connections that were open at the same time.
    pub fn most_connections(&self) -> u64 {
        self.state.most.load(Ordering::SeqCst)
    }

    /// The number of bytes that servers have sent to clients so far.
    pub fn bytes(&self) -> u64 {
        self.state.answered.load(Ordering::SeqCst)
    }

    /// The first lines of all HTTP/1.1 requests that clients have sent so far, such as `GET
    /// /v1/kv/a`. The lines of one connection are in their order.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.ended.store(1, Ordering::SeqCst);
        self.cut();
        // Wakes the accepting thread. If connecting fails, that thread has ended already.
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

    /// Copies bytes in one direction until a side closes or the connection is reset.
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
                crate::pause(GLANCE);
            }
            if let Traffic::Slow(delay) = self.traffic() {
                crate::pause(delay);
            }
            let pieces = match self.traffic() {
                Traffic::Pieces(size, delay) => Some((size, delay)),
                _ => None,
            };
            let (size, delay) = pieces.unwrap_or((length, Duration::ZERO));
            let passed_on = buffer[..length].chunks(size).all(|piece| {
                crate::pause(delay);
                to.write_all(piece).is_ok()
            });
            if !passed_on {
                break;
            }
        }
        // Both connections can be closed already.
        let _ = to.shutdown(std::net::Shutdown::Both);
        let _ = from.shutdown(std::net::Shutdown::Both);
    }
}

/// Counts an open connection until this is dropped.
struct Open {
    state: Arc<State>,
    /// Whether the connection has lost bytes.
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

/// The beginning of the line that a client is sending, if it can be a line of HTTP.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    /// The longest line that is examined.
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

/// Makes the connection end with a reset when it is dropped.
fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}
