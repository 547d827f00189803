//! The words for a failed system call, as Go programs print them.
//!
//! confd's messages end in these words (`open /x: permission denied`) and people's alerts look
//! for them. The C library's differ: in case, and between glibc and musl in the words themselves.
//!
//! This module knows numbers and names, nothing of files or commands.

use std::io;

use rustix::io::Errno;

/// The lower-case description of a system error, without its number: `no such file or directory`.
///
/// An error that is not the system's, or that no operation on files and processes should give, is
/// described in Rust's words.
pub fn errno_text(error: &io::Error) -> String {
    match Errno::from_io_error(error).and_then(known_text) {
        Some(text) => text.to_owned(),
        None => error.to_string(),
    }
}

/// Go's text for every error that a file or process operation can give on Linux.
fn known_text(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::PERM => "operation not permitted",
        Errno::NOENT => "no such file or directory",
        Errno::SRCH => "no such process",
        Errno::INTR => "interrupted system call",
        Errno::IO => "input/output error",
        Errno::NXIO => "no such device or address",
        Errno::TOOBIG => "argument list too long",
        Errno::NOEXEC => "exec format error",
        Errno::BADF => "bad file descriptor",
        Errno::CHILD => "no child processes",
        Errno::AGAIN => "resource temporarily unavailable",
        Errno::NOMEM => "cannot allocate memory",
        Errno::ACCESS => "permission denied",
        Errno::FAULT => "bad address",
        Errno::BUSY => "device or resource busy",
        Errno::EXIST => "file exists",
        Errno::XDEV => "invalid cross-device link",
        Errno::NODEV => "no such device",
        Errno::NOTDIR => "not a directory",
        Errno::ISDIR => "is a directory",
        Errno::INVAL => "invalid argument",
        Errno::NFILE => "too many open files in system",
        Errno::MFILE => "too many open files",
        Errno::NOTTY => "inappropriate ioctl for device",
        Errno::TXTBSY => "text file busy",
        Errno::FBIG => "file too large",
        Errno::NOSPC => "no space left on device",
        Errno::SPIPE => "illegal seek",
        Errno::ROFS => "read-only file system",
        Errno::MLINK => "too many links",
        Errno::PIPE => "broken pipe",
        Errno::NAMETOOLONG => "file name too long",
        Errno::NOLCK => "no locks available",
        Errno::NOSYS => "function not implemented",
        Errno::NOTEMPTY => "directory not empty",
        Errno::LOOP => "too many levels of symbolic links",
        Errno::OVERFLOW => "value too large for defined data type",
        Errno::OPNOTSUPP => "operation not supported",
        Errno::STALE => "stale file handle",
        Errno::UCLEAN => "structure needs cleaning",
        Errno::REMOTEIO => "remote I/O error",
        Errno::DQUOT => "disk quota exceeded",
        _ => return None,
    })
}

/// Go's name of a Linux signal: `killed` for 9, `signal 34` for one without a name.
pub(crate) fn signal_text(signal: i32) -> String {
    let name = match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        16 => "stack fault",
        17 => "child exited",
        18 => "continued",
        19 => "stopped (signal)",
        20 => "stopped",
        21 => "stopped (tty input)",
        22 => "stopped (tty output)",
        23 => "urgent I/O condition",
        24 => "CPU time limit exceeded",
        25 => "file size limit exceeded",
        26 => "virtual timer expired",
        27 => "profiling timer expired",
        28 => "window changed",
        29 => "I/O possible",
        30 => "power failure",
        31 => "bad system call",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_read_as_in_go() {
        for (code, text) in [
            (2, "no such file or directory"),
            (13, "permission denied"),
            (16, "device or resource busy"),
            (17, "file exists"),
            (18, "invalid cross-device link"),
            (28, "no space left on device"),
            (122, "disk quota exceeded"),
        ] {
            assert_eq!(errno_text(&io::Error::from_raw_os_error(code)), text);
        }
    }

    #[test]
    fn an_error_of_our_own_keeps_its_words() {
        assert_eq!(errno_text(&io::Error::other("bad day")), "bad day");
    }

    #[test]
    fn signals_read_as_in_go() {
        for (signal, text) in
            [(9, "killed"), (15, "terminated"), (31, "bad system call"), (34, "signal 34")]
        {
            assert_eq!(signal_text(signal), text);
        }
    }
}
