//! Makes the sockets of an [`Address`].
//!
//! A Unix socket is made in a folder that only this user can enter, gets its mode there, and is then
//! renamed. So no other program can open it while its mode is that of the umask, which belongs to the whole
//! process and is left alone. A socket that a dead process has left is replaced in one step.

use std::{
    fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::unix::{
        fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net as unix,
    },
    path::{Path, PathBuf},
};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::Address;

/// A socket that accepts connections.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// A connection.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The file of a Unix socket, which is removed at the end if it is still the same.
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The device and the number of the file.
    file: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.file;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours) {
            // A socket that stays is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Listener {
    /// Waits for the next connection. Dropping the future loses none.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Listener::Tcp(listener) => listener.accept().await.map(|(one, _)| Stream::Tcp(one)),
            Listener::Unix { listener, .. } => {
                listener.accept().await.map(|(one, _)| Stream::Unix(one))
            }
        }
    }
}

/// The sockets of `address`: one, or for all addresses of a machine one or two.
///
/// # Errors
/// The operation that failed, in Go's words for TCP: `listen tcp 127.0.0.1:9100: bind: address already in
/// use`.
pub(crate) fn bind(address: &Address) -> Result<Vec<Listener>, String> {
    match address {
        Address::Port(port) => all_addresses(*port),
        Address::Tcp(address) => Ok(vec![tcp(*address)?]),
        Address::Unix(path) => Ok(vec![unix_socket(path)?]),
    }
}

fn tcp(address: SocketAddr) -> Result<Listener, String> {
    listen(address).map_err(|error| refused(&address.to_string(), &error))
}

/// The error of a TCP socket, in Go's words.
fn refused(address: &str, error: &io::Error) -> String {
    format!("listen tcp {address}: bind: {}", report::errno_text(error))
}

fn listen(address: SocketAddr) -> io::Result<Listener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener).map(Listener::Tcp)
}

/// Sockets for IPv6 and IPv4. Usually the one for IPv6 takes both, and the second is refused because its
/// address is in use. A machine may also have only one of the protocols.
fn all_addresses(port: u16) -> Result<Vec<Listener>, String> {
    let six = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
    if let Err(error) = &six
        && error.kind() == io::ErrorKind::AddrInUse
    {
        return Err(refused(&format!(":{port}"), error));
    }
    match (six, listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))) {
        (Ok(six), Ok(four)) => Ok(vec![six, four]),
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(vec![one]),
        (Err(_), Err(error)) => Err(refused(&format!(":{port}"), &error)),
    }
}

fn unix_socket(path: &Path) -> Result<Listener, String> {
    let shown = path.display();
    let failed = |what: &str, error: &io::Error| {
        format!("listen unix {shown}: {what}: {}", report::errno_text(error))
    };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(format!(
                "listen unix {shown}: the file there is no socket, and is left alone"
            ));
        }
        Ok(_) if unix::UnixStream::connect(path).is_ok() => {
            return Err(format!("listen unix {shown}: another process listens there"));
        }
        _ => {}
    }
    let private = private_folder(path);
    let own = private.join("s");
    let remove = || {
        // What cannot be removed is removed by the next process with this number.
        let _ = fs::remove_file(&own);
        let _ = fs::remove_dir(&private);
    };
    remove();
    let made = || -> Result<Listener, String> {
        let folder = fs::DirBuilder::new().mode(0o700).create(&private);
        folder.map_err(|error| failed("mkdir", &error))?;
        let listener = unix::UnixListener::bind(&own).map_err(|error| failed("bind", &error))?;
        let allow = fs::set_permissions(&own, fs::Permissions::from_mode(0o600));
        allow.map_err(|error| failed("chmod", &error))?;
        let found = fs::symlink_metadata(&own).map_err(|error| failed("stat", &error))?;
        let file = (found.dev(), found.ino());
        fs::rename(&own, path).map_err(|error| failed("rename", &error))?;
        let _file = SocketFile { path: path.to_owned(), file };
        let listener =
            listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
        let listener = listener.map_err(|error| failed("listen", &error))?;
        Ok(Listener::Unix { listener, _file })
    };
    let made = made();
    remove();
    made
}

/// The folder in which this process makes the socket `path`: a hidden one beside it.
fn private_folder(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_its_user_can_open_a_socket_and_nothing_else_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confd.sock");
        let listener = unix_socket(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        drop(listener);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn the_socket_of_a_dead_process_is_replaced_and_that_of_a_living_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confd.sock");
        drop(unix::UnixListener::bind(&path).unwrap());
        let listener = unix_socket(&path).unwrap();
        let error = unix_socket(&path).err().unwrap();
        assert!(error.contains("another process listens there"), "{error}");
        drop(listener);
        unix_socket(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, "data").unwrap();
        assert!(unix_socket(&path).err().unwrap().contains("is no socket"));
        assert_eq!(fs::read(&path).unwrap(), b"data");
        let path = folder.path().join("missing/confd.sock");
        let error = unix_socket(&path).err().unwrap();
        assert!(error.ends_with("mkdir: no such file or directory"), "{error}");
    }
}
