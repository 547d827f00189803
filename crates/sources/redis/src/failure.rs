//! Why a server did not do what was asked.

use nodes::{Cause, CauseKind, Error};

/// The kind of store, for errors.
pub(crate) const NAME: &str = "redis";

/// Why a server gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, or it was lost, or the server cannot answer now. Another try may succeed.
    Unreachable(Cause),
    /// The server refuses, and will refuse again.
    Refused(Cause),
    /// A slot of the cluster has another server than this one.
    Moved(Cause),
    /// Every server would fail in the same way.
    Local(Error),
}

impl Failure {
    /// The failure that the text of an error reply stands for.
    pub(crate) fn of_reply(text: &str) -> Self {
        let cause = cause(text);
        match Meaning::of(text) {
            Meaning::Later => Failure::Unreachable(cause),
            Meaning::Moved | Meaning::Moving => Failure::Moved(cause),
            Meaning::Forbidden | Meaning::Credentials | Meaning::WrongType | Meaning::Other => {
                Failure::Refused(cause)
            }
        }
    }

    /// The error for users, about one server.
    pub(crate) fn at(self, node: &str) -> Error {
        let node = node.to_owned();
        match self {
            Failure::Local(error) => error,
            Failure::Refused(reason) => Error::Refused { store: NAME, node, reason },
            Failure::Unreachable(cause) | Failure::Moved(cause) => {
                Error::Unreachable { store: NAME, attempts: vec![nodes::Attempt { node, cause }] }
            }
        }
    }
}

/// What an error reply means for the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The server cannot answer now: it loads its data, or has lost its master.
    Later,
    /// Another server of the cluster has the key.
    Moved,
    /// The slot of the key is moving to another server of the cluster, and the key is there already.
    Moving,
    /// The user may not do this.
    Forbidden,
    /// The password is missing or wrong.
    Credentials,
    /// The key holds a value of another type.
    WrongType,
    /// Any other error.
    Other,
}

impl Meaning {
    /// The meaning of an error by its first word, which Redis keeps stable for that.
    pub(crate) fn of(text: &str) -> Self {
        match text.split(' ').next().unwrap_or_default() {
            "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" | "NOREPLICAS" => Meaning::Later,
            "MOVED" => Meaning::Moved,
            "ASK" | "TRYAGAIN" => Meaning::Moving,
            "NOPERM" => Meaning::Forbidden,
            "NOAUTH" | "WRONGPASS" => Meaning::Credentials,
            "WRONGTYPE" => Meaning::WrongType,
            // Redis before version 6.
            _ if text.starts_with("ERR invalid password") => Meaning::Credentials,
            _ if text.starts_with("ERR max number of clients") => Meaning::Later,
            _ => Meaning::Other,
        }
    }
}

/// The text of an error reply as a cause, with advice.
fn cause(text: &str) -> Cause {
    // Redis repeats the words of a command that it does not know, which may hold a password.
    let shown = text.split(", with args beginning with").next().unwrap_or_default();
    // The explanation of protected mode is a page.
    let shown = shown.split(". In this mode").next().unwrap_or_default();
    let cause = Cause::new(shown.trim_end());
    let advice = match text {
        _ if text.starts_with("NOAUTH") => Some(
            "it wants a password: give -password, and -username for one that is not the default user",
        ),
        _ if text.starts_with("ERR unknown command") => {
            Some("perhaps this is a Sentinel: name its master with -sentinel-master")
        }
        _ if text.starts_with("ERR SELECT is not allowed in cluster mode") => {
            Some("a cluster has only database 0: leave out /DATABASE in the address")
        }
        _ if text.contains("without any password configured") => {
            Some("the server has no password: leave out -password and -client-key")
        }
        _ if text.starts_with("DENIED") => Some(
            "the server listens to other machines only if it has a password: see protected-mode",
        ),
        _ => None,
    };
    match Meaning::of(text) {
        Meaning::Credentials => cause.of_kind(CauseKind::Credentials),
        _ if text.starts_with("ERR max number of clients") => {
            cause.of_kind(CauseKind::TooManyConnections)
        }
        _ => cause,
    }
    .advised(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_command_that_is_not_known_are_not_repeated() {
        let text = "ERR unknown command 'AUTH', with args beginning with: 'hunter2' ";
        let Failure::Refused(cause) = Failure::of_reply(text) else { panic!() };
        let shown = cause.to_string();
        assert!(shown.starts_with("ERR unknown command 'AUTH' (perhaps"), "{shown}");
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn a_server_that_cannot_answer_now_does_not_refuse() {
        for (text, later) in [
            ("DENIED Redis is running in protected mode", false),
            ("LOADING Redis is loading the dataset in memory", true),
            ("CLUSTERDOWN The cluster is down", true),
            ("ERR max number of clients reached", true),
            ("NOAUTH Authentication required.", false),
            ("ERR DB index is out of range", false),
        ] {
            let is_later = matches!(Failure::of_reply(text), Failure::Unreachable(_));
            assert_eq!(is_later, later, "{text}");
        }
    }
}
