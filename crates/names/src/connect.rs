//! Opens TCP connections to hosts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::Resolver;

/// How long an address is tried before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens a connection to a host, which is a name or an address. If it has several addresses, they
/// are tried one after the other. An address that does not answer within a quarter of a second is
/// not given up, but the next one is tried beside it.
///
/// There is no timeout; drop the future to end the attempts.
///
/// # Errors
/// The host has no addresses (an [`Error`](crate::Error) is inside), or the first address cannot be
/// connected to and neither can the others.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut remaining = Resolver::system().sockets(host, port).await?.into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut first_error = None;
    loop {
        attempts.extend(remaining.next().map(open));
        let ended = match remaining.len() {
            0 => Some(attempts.next().await),
            _ => timeout(HEAD_START, attempts.next()).await.ok(),
        };
        match ended {
            Some(Some(Ok(stream))) => return Ok(stream),
            Some(Some(Err(error))) => first_error = first_error.or(Some(error)),
            Some(None) => {
                let none = || io::Error::new(io::ErrorKind::NotFound, "no address");
                return Err(first_error.unwrap_or_else(none));
            }
            // The head start is over.
            None => {}
        }
    }
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    socket?.connect(address).await
}
