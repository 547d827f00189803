//! The words for a failed system call, as Go programs print them.
//!
//! confd's messages end in these words (`open /x: permission denied`), and people's alerts search
//! for them. The words of the C library differ: in case, and between glibc and musl also in the
//! words themselves.
//!
//! This module knows error numbers and names. It does not know files or commands.

use std::io;

use rustix::io::Errno;

/// The description of a system error in lower case and without its number: `no such file or
/// directory`.
///
/// Errors that no operation on files, processes and connections should return are described in the
/// words of the C library. An error that is not a system error is described in its own words.
pub fn errno_text(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(errno) => known_text(errno)
            .map_or_else(|| own_words(&error.to_string()).to_lowercase(), str::to_owned),
        None => error.to_string(),
    }
}

/// Rust's text for a system error, without the number behind it.
fn own_words(text: &str) -> &str {
    text.split(" (os error ").next().unwrap_or_default()
}

/// `text` with the system error in it replaced by the words of [`errno_text`]. For messages of
/// libraries that contain the error only as text.
///
/// Rust writes a system error as `Connection refused (os error 111)`. Text before the error, such
/// as `tcp connect error: `, is kept; text behind it is removed.
pub fn errno_text_in(text: &str) -> String {
    let Some((words, number)) = text.split_once(" (os error ") else { return text.to_owned() };
    let number = number.split(')').next().and_then(|number| number.parse().ok());
    let error = number.map(io::Error::from_raw_os_error);
    let before = error.as_ref().and_then(|error| words.strip_suffix(own_words(&error.to_string())));
    match (before, &error) {
        (Some(before), Some(error)) => format!("{before}{}", errno_text(error)),
        _ => words.to_lowercase(),
    }
}

/// Go's text for every error that an operation on files, processes or connections can return on
/// Linux.
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
        Errno::PROTO => "protocol error",
        Errno::BADMSG => "bad message",
        Errno::NOTSOCK => "socket operation on non-socket",
        Errno::DESTADDRREQ => "destination address required",
        Errno::MSGSIZE => "message too long",
        Errno::PROTOTYPE => "protocol wrong type for socket",
        Errno::NOPROTOOPT => "protocol not available",
        Errno::PROTONOSUPPORT => "protocol not supported",
        Errno::AFNOSUPPORT => "address family not supported by protocol",
        Errno::ADDRINUSE => "address already in use",
        Errno::ADDRNOTAVAIL => "cannot assign requested address",
        Errno::NETDOWN => "network is down",
        Errno::NETUNREACH => "network is unreachable",
        Errno::NETRESET => "network dropped connection on reset",
        Errno::CONNABORTED => "software caused connection abort",
        Errno::CONNRESET => "connection reset by peer",
        Errno::NOBUFS => "no buffer space available",
        Errno::ISCONN => "transport endpoint is already connected",
        Errno::NOTCONN => "transport endpoint is not connected",
        Errno::SHUTDOWN => "cannot send after transport endpoint shutdown",
        Errno::TIMEDOUT => "connection timed out",
        Errno::CONNREFUSED => "connection refused",
        Errno::HOSTDOWN => "host is down",
        Errno::HOSTUNREACH => "no route to host",
        Errno::ALREADY => "operation already in progress",
        Errno::INPROGRESS => "operation now in progress",
        Errno::CANCELED => "operation canceled",
        Errno::REMOTEIO => "remote I/O error",
        Errno::DQUOT => "disk quota exceeded",
        _ => return None,
    })
}

/// Go's name of a Linux signal: `killed` for 9, `signal 34` for one without a name.
pub fn signal_text(signal: i32) -> String {
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
            (104, "connection reset by peer"),
            (111, "connection refused"),
            (113, "no route to host"),
            (122, "disk quota exceeded"),
        ] {
            assert_eq!(errno_text(&io::Error::from_raw_os_error(code)), text);
        }
    }

    #[test]
    fn an_error_without_words_in_go_has_no_number_and_no_capital() {
        // "Level 2 halted"
        let text = errno_text(&io::Error::from_raw_os_error(51));
        assert_eq!(text, "level 2 halted");
    }

    #[test]
    fn an_error_of_our_own_keeps_its_words() {
        assert_eq!(errno_text(&io::Error::other("bad day")), "bad day");
    }

    #[test]
    fn a_system_error_in_a_text_reads_as_in_go() {
        let refused = io::Error::from_raw_os_error(111);
        for (text, expected) in [
            (refused.to_string(), "connection refused"),
            (format!("tcp connect error: {refused}"), "tcp connect error: connection refused"),
            ("connection closed".to_owned(), "connection closed"),
            ("Words of Another System (os error 111)".to_owned(), "words of another system"),
            ("Words (os error ?)".to_owned(), "words"),
        ] {
            assert_eq!(errno_text_in(&text), expected);
        }
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
