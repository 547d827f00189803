//! An HTTP server with answers made by the test, for answers that no real server gives on demand.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Sends the answer to a request with this head (first line and headers). Then the connection is
/// closed.
type Answer = dyn Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync;

/// A server on its own port, which ends when this is dropped.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    heads: Mutex<Vec<String>>,
    ended: AtomicBool,
}

impl Stub {
    /// Starts a server that answers each request with this function. It runs on the connection's
    /// thread and can block. The body of a request is read and dropped. The bytes are sent and the
    /// connection is closed; an empty answer only closes it.
    pub fn answering(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::sending(move |head, client| client.write_all(&answer(head)))
    }

    /// Starts a server whose answers begin with `head` and go on with `part` for ever, with a pause
    /// before each part.
    pub fn without_end(head: &'static str, part: Vec<u8>, pause: Duration) -> Self {
        Self::sending(move |_, client| {
            client.write_all(head.as_bytes())?;
            loop {
                client.write_all(&part)?;
                if !pause.is_zero() {
                    crate::pause(pause);
                }
            }
        })
    }

    fn sending(
        answer: impl Fn(&str, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (shared, answer) = (Arc::new(Shared::default()), Arc::new(answer));
        let stub = Stub { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if shared.ended.load(Ordering::SeqCst) {
                    return;
                }
                let (shared, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                thread::spawn(move || shared.serve(client, &*answer));
            }
        });
        stub
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The heads of all requests so far.
    pub fn heads(&self) -> Vec<String> {
        self.shared.heads.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the accepting thread. If connecting fails, that thread has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn serve(&self, mut client: TcpStream, answer: &Answer) {
        let mut head = String::new();
        let mut reader = BufReader::new(client.try_clone().unwrap());
        while !head.ends_with("\r\n\r\n") {
            match reader.read_line(&mut head) {
                Ok(1..) => {}
                // The client connected but sent no request.
                _ => return,
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<u64>())
        });
        let length = length.and_then(Result::ok).unwrap_or_default();
        // If the client sends less than it says, it wants no answer.
        if io::copy(&mut reader.take(length), &mut io::sink()).is_err() {
            return;
        }
        self.heads.lock().unwrap().push(head.clone());
        // The client can have closed the connection.
        let _ = answer(&head, &mut client);
    }
}
