//! Opens only files that cannot block their reader.

use std::{
    fs::{File, FileType, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use rustix::{
    buffer::spare_capacity,
    fs::{OFlags, makedev},
    io::{Errno, read, retry_on_intr},
};

use crate::Fingerprint;

/// Opens the regular file at `path` for reading. Links are followed. `/dev/null` counts as an empty
/// file.
///
/// Opening or reading a named pipe, a socket or a device could wait for ever. The kind is examined
/// after opening, so that the file cannot be exchanged in between.
///
/// # Errors
/// The file cannot be opened. It is a folder ([`io::ErrorKind::IsADirectory`]), or not a regular
/// file, which the error says.
pub fn open_regular(path: &Path) -> io::Result<File> {
    open_examined(path).map(|(file, _)| file)
}

/// Reads the regular file at `path`.
///
/// # Errors
/// As for [`open_regular`]; or the file cannot be read.
pub fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    read_with_fingerprint(path).map(|(content, _)| content)
}

/// Reads the regular file at `path`. Gives its content, and its fingerprint from before it was
/// read.
///
/// # Errors
/// As for [`open_regular`]; or the file cannot be read.
pub fn read_with_fingerprint(path: &Path) -> io::Result<(Vec<u8>, Fingerprint)> {
    let (file, found) = open_examined(path)?;
    let mut content = Vec::new();
    // The buffer has room for more than the file.
    let room = usize::try_from(found.len()).unwrap_or_default().saturating_add(PROBE);
    content.try_reserve_exact(room)?;
    retry_on_intr(|| read(&file, spare_capacity(&mut content)))?;
    // If the read gave exactly the size of the file, although there was room for more, there is no
    // more. `Take` hides that it is a file, whose size and position would be asked for again.
    if content.len() as u64 != found.len() {
        file.take(u64::MAX).read_to_end(&mut content)?;
    }
    Ok((content, Fingerprint::of(&found)))
}

/// With less room than this, `read_to_end` makes a small read of its own first.
const PROBE: usize = 32;

/// Opens the regular file at `path`, and gives what the system says about it.
fn open_examined(path: &Path) -> io::Result<(File, Metadata)> {
    // Without waiting for a writer of a pipe, and without making a terminal ours.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        // A socket cannot be opened, and the system's error does not say that it is one.
        Err(error) => {
            let found = path.metadata().ok().filter(|found| found.file_type().is_socket());
            return Err(found.map_or(error, |found| irregular(found.file_type())));
        }
    };
    let found = file.metadata()?;
    if found.is_dir() {
        return Err(Errno::ISDIR.into());
    }
    if !found.is_file() && !is_null(&found) {
        return Err(irregular(found.file_type()));
    }
    Ok((file, found))
}

/// Whether the file is the device `/dev/null`, by whatever name.
fn is_null(found: &Metadata) -> bool {
    found.file_type().is_char_device() && found.rdev() == makedev(1, 3)
}

fn irregular(kind: FileType) -> io::Error {
    let kind = match kind {
        kind if kind.is_fifo() => "a named pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    io::Error::new(io::ErrorKind::InvalidInput, format!("not a regular file, but {kind}"))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::net::UnixListener, process::Command};

    use super::*;

    fn error(path: &Path) -> String {
        read_regular(path).unwrap_err().to_string()
    }

    #[test]
    fn only_regular_files_and_links_to_them_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "x").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        assert_eq!(read_regular(&path("file")).unwrap(), b"x");
        assert_eq!(read_regular(&path("link")).unwrap(), b"x");
        assert_eq!(read_regular(Path::new("/dev/null")).unwrap(), b"");
        // The system says that this file is empty.
        assert!(read_regular(Path::new("/proc/version")).unwrap().starts_with(b"Linux"));

        assert!(Command::new("mkfifo").arg(path("pipe")).status().unwrap().success());
        let _socket = UnixListener::bind(path("socket")).unwrap();
        assert_eq!(error(&path("pipe")), "not a regular file, but a named pipe");
        assert_eq!(error(&path("socket")), "not a regular file, but a socket");
        assert_eq!(error(Path::new("/dev/zero")), "not a regular file, but a device");
        let kind = |path: &Path| read_regular(path).unwrap_err().kind();
        assert_eq!(kind(folder.path()), io::ErrorKind::IsADirectory);
        assert_eq!(kind(&path("missing")), io::ErrorKind::NotFound);
    }
}
