//! Reports to systemd that the program is ready.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The variable in which systemd names its socket, for a unit with `Type=notify`.
const SOCKET: &str = "NOTIFY_SOCKET";

/// Reports that every template is in place, if systemd waits for that.
///
/// # Errors
/// The socket does not take the message.
pub(crate) fn ready(environment: &[(OsString, OsString)]) -> io::Result<()> {
    let named = environment.iter().find(|(name, value)| name == SOCKET && !value.is_empty());
    let Some((_, socket)) = named else { return Ok(()) };
    UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address(socket)?)?;
    Ok(())
}

/// The address of a socket. A name that begins with `@` is in no file system.
fn address(socket: &OsStr) -> io::Result<SocketAddr> {
    match socket.as_bytes().split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(socket),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_that_systemd_names_gets_the_message() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let name = format!("@consul-template-{}", std::process::id());
        for socket in [path.into_os_string(), OsString::from(name)] {
            let receiver = UnixDatagram::bind_addr(&address(&socket).unwrap()).unwrap();
            receiver.set_nonblocking(true).unwrap();
            ready(&[(SOCKET.into(), socket)]).unwrap();
            let mut message = [0; 16];
            let length = receiver.recv(&mut message).unwrap();
            assert_eq!(&message[..length], b"READY=1");
        }
        assert!(ready(&[]).is_ok());
        assert!(ready(&[(SOCKET.into(), "/nope/socket".into())]).is_err());
    }
}
