//! Signals by the names that consul-template knows.

/// A signal; `None` for the empty name and `SIGNULL`, which mean that there is none.
pub(crate) type Signal = Option<i32>;

/// The names, and their numbers on Linux. `SIGCHLD` and `SIGURG` are not among
/// consul-template's names.
const NAMES: &[(&str, i32)] = &[
    ("SIGABRT", 6),
    ("SIGALRM", 14),
    ("SIGBUS", 7),
    ("SIGCONT", 18),
    ("SIGFPE", 8),
    ("SIGHUP", 1),
    ("SIGILL", 4),
    ("SIGINT", 2),
    ("SIGIO", 29),
    ("SIGIOT", 6),
    ("SIGKILL", 9),
    ("SIGPIPE", 13),
    ("SIGPROF", 27),
    ("SIGQUIT", 3),
    ("SIGSEGV", 11),
    ("SIGSTOP", 19),
    ("SIGSYS", 31),
    ("SIGTERM", 15),
    ("SIGTRAP", 5),
    ("SIGTSTP", 20),
    ("SIGTTIN", 21),
    ("SIGTTOU", 22),
    ("SIGUSR1", 10),
    ("SIGUSR2", 12),
    ("SIGWINCH", 28),
    ("SIGXCPU", 24),
    ("SIGXFSZ", 25),
];

/// SIGHUP.
pub(crate) const HANGUP: i32 = 1;
/// SIGINT.
pub(crate) const INTERRUPT: i32 = 2;

/// The signal called `name`, in any case.
///
/// # Errors
/// There is no such signal. The empty name has no signal; the caller decides where that is allowed.
pub(crate) fn parse(name: &str) -> Result<Signal, String> {
    let upper = name.to_uppercase();
    if upper == "SIGNULL" {
        return Ok(None);
    }
    match NAMES.iter().find(|(known, _)| *known == upper) {
        Some((_, number)) => Ok(Some(*number)),
        None => {
            let names = NAMES.iter().map(|(name, _)| *name).chain(["SIGNULL"]);
            let mut valid: Vec<_> = names.map(|name| format!("{name:?}")).collect();
            valid.sort_unstable();
            let valid = valid.join(" ");
            Err(format!("invalid signal {name:?} - valid signals are [{valid}]"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case() {
        assert_eq!(parse("sigTerm"), Ok(Some(15)));
        assert_eq!(parse("SIGNULL"), Ok(None));
        assert!(
            parse("SIGURG")
                .unwrap_err()
                .starts_with("invalid signal \"SIGURG\" - valid signals are [\"SIGABRT\" ")
        );
        assert!(parse("TERM").is_err());
        assert!(parse("").is_err());
    }
}
