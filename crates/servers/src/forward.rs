//! A forward proxy, as a company has one at the edge of its network.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A forward proxy on its own port, which speaks HTTP and SOCKS 5. Whatever host a client asks for, it connects the client to one
/// server. So tests can use names that no name server knows.
#[derive(Debug)]
pub struct ForwardProxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl ForwardProxy {
    /// Starts a proxy in front of `server`, an address such as `127.0.0.1:2379`. It runs until the
    /// test program ends.
    pub fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let (shared, server) = (Arc::clone(&heads), server.to_owned());
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                let (shared, server) = (Arc::clone(&shared), server.clone());
                // A client or server that closes its connection ends the thread.
                thread::spawn(move || serve(client, &server, &shared));
            }
        });
        ForwardProxy { address, heads }
    }

    /// The address for clients: `127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// The heads of all requests so far: `CONNECT HOST:PORT HTTP/1.1` with the headers behind it,
    /// a request with a whole URL, or `SOCKS5 HOST:PORT`.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn serve(client: TcpStream, server: &str, heads: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    if reader.fill_buf()?.first() == Some(&5) {
        let name = socks(&mut reader, &client)?;
        heads.lock().unwrap().push(format!("SOCKS5 {name}"));
        return join(reader, client, TcpStream::connect(server)?);
    }
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    heads.lock().unwrap().push(head.clone());
    let mut server = TcpStream::connect(server)?;
    match head.starts_with("CONNECT ") {
        true => (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n")?,
        // A server of HTTP 1.1 understands a whole URL too.
        false => server.write_all(head.as_bytes())?,
    }
    join(reader, client, server)
}

/// The greeting and the request of SOCKS 5, without a password and with the name of a host. Returns
/// `HOST:PORT`.
fn socks(reader: &mut BufReader<TcpStream>, mut client: &TcpStream) -> io::Result<String> {
    let mut greeting = [0; 2];
    reader.read_exact(&mut greeting)?;
    reader.read_exact(&mut vec![0; greeting[1].into()])?;
    client.write_all(&[5, 0])?;
    let mut request = [0; 5];
    reader.read_exact(&mut request)?;
    assert_eq!(request[..4], [5, 1, 0, 3], "a connection to the name of a host");
    let mut name = vec![0; request[4].into()];
    reader.read_exact(&mut name)?;
    let mut port = [0; 2];
    reader.read_exact(&mut port)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(format!("{}:{}", String::from_utf8_lossy(&name), u16::from_be_bytes(port)))
}

/// Copies bytes in both directions until the client ends.
fn join(
    mut reader: BufReader<TcpStream>,
    client: TcpStream,
    mut server: TcpStream,
) -> io::Result<()> {
    let (mut back, mut to_client) = (server.try_clone()?, client);
    thread::spawn(move || {
        let copied = io::copy(&mut back, &mut to_client);
        // The client may have closed its side already.
        let _ = to_client.shutdown(Shutdown::Write);
        copied
    });
    io::copy(&mut reader, &mut server)?;
    server.shutdown(Shutdown::Write)
}
