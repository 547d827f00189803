//! Opens TCP connections to hosts.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::Resolver;
use crate::race::first_success;

/// How long an address is tried before the next one is tried as well.
const HEAD_START: Duration = Duration::from_millis(250);

/// Opens a connection to a host, which is a name or an address. If it has several addresses, they
/// are tried one after the other. An address that does not answer within a quarter of a second is
/// not given up, but the next one is tried beside it.
///
/// There is no timeout; drop the future to end the attempts.
///
/// # Errors
/// The host has no addresses (an [`Error`](crate::Error) is inside), or none of them can be connected
/// to. The error is that of the attempt that ended first.
pub async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = Resolver::system().sockets(host, port).await?;
    first_success(addresses.into_iter(), HEAD_START, open).await.map_err(|errors| {
        let none = || io::Error::new(io::ErrorKind::NotFound, "no address");
        errors.into_iter().next().unwrap_or_else(none)
    })
}

async fn open(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    };
    socket?.connect(address).await
}
