//! What a failed request means for the next.

use std::error::Error as _;

use etcd_client::Error as Cause;
use tonic::{Code, Status};

use crate::Error;
use crate::error::causes;

/// Why a node gave no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be asked, or could not answer now: another node may.
    Unreachable(String),
    /// It no longer knows who asks: sign in again.
    SignedOut(String),
    /// The answer is no, and every node would say so.
    Refused(String),
    /// The part of the history that was asked for is not there: no longer, or not yet.
    OutOfHistory(String),
    /// What is needed to ask is not in order here.
    Local(Error),
}

/// What etcd says when it has forgotten a token, or the users have changed since it gave it.
const SIGNED_OUT: [&str; 3] =
    ["invalid auth token", "revision of auth store is old", "user name is empty"];

impl Failure {
    /// The meaning of a reason that came as text, in a message of a watch.
    pub(super) fn of_reason(reason: &str) -> Self {
        let says = |words: &str| reason.contains(words);
        let text = reason.to_owned();
        if SIGNED_OUT.into_iter().any(says) {
            Failure::SignedOut(text)
        } else if says("PermissionDenied") || says("permission denied") {
            Failure::Refused(text)
        } else if says("required revision") {
            Failure::OutOfHistory(text)
        } else {
            Failure::Unreachable(text)
        }
    }

    fn of_status(status: &Status) -> Self {
        let text = chain(status);
        match status.code() {
            Code::Unauthenticated => Failure::SignedOut(text),
            Code::InvalidArgument if SIGNED_OUT.iter().any(|words| text.contains(words)) => {
                Failure::SignedOut(text)
            }
            Code::InvalidArgument | Code::PermissionDenied | Code::FailedPrecondition => {
                Failure::Refused(text)
            }
            Code::OutOfRange if text.contains("required revision") => Failure::OutOfHistory(text),
            _ => Failure::Unreachable(text),
        }
    }

    /// Whether the server has no users at all, so that nobody can sign in.
    pub(super) fn is_without_users(&self) -> bool {
        matches!(self, Failure::Refused(reason) if reason.contains("authentication is not enabled"))
    }
}

impl From<Cause> for Failure {
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::GRpcStatus(status) => Failure::of_status(&status),
            cause => Failure::Unreachable(cause.to_string()),
        }
    }
}

/// What the server says, or what happened on the way to it.
fn chain(status: &Status) -> String {
    let words = causes(status.message(), status.source());
    if words.is_empty() { status.code().to_string() } else { words }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code, message: &str) -> Failure {
        Failure::from(Cause::GRpcStatus(Status::new(code, message)))
    }

    #[test]
    fn only_a_refusal_by_the_server_is_final() {
        for (code, message) in [
            (Code::PermissionDenied, "etcdserver: permission denied"),
            (
                Code::InvalidArgument,
                "etcdserver: authentication failed, invalid user ID or password",
            ),
        ] {
            assert!(matches!(of(code, message), Failure::Refused(_)), "{message}");
        }
        for (code, message) in [
            (Code::Unknown, "h2 protocol error: error reading a body from connection"),
            (Code::Unavailable, "etcdserver: no leader"),
            (Code::Unavailable, "tcp connect error"),
            (Code::ResourceExhausted, "etcdserver: too many requests"),
        ] {
            assert!(matches!(of(code, message), Failure::Unreachable(_)), "{message}");
        }
    }

    #[test]
    fn a_forgotten_token_asks_for_a_new_one_wherever_it_is_told() {
        for (code, message) in [
            (Code::Unauthenticated, "etcdserver: invalid auth token"),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old"),
        ] {
            assert!(matches!(of(code, message), Failure::SignedOut(_)), "{message}");
            let told = format!("rpc error: code = {code:?} desc = {message}");
            assert!(matches!(Failure::of_reason(&told), Failure::SignedOut(_)), "{told}");
        }
        let denied = "rpc error: code = PermissionDenied desc = etcdserver: permission denied";
        assert!(matches!(Failure::of_reason(denied), Failure::Refused(_)));
    }

    #[test]
    fn history_that_is_gone_or_to_come_is_told_from_other_ranges() {
        for message in [
            "etcdserver: mvcc: required revision has been compacted",
            "etcdserver: mvcc: required revision is a future revision",
        ] {
            assert!(matches!(of(Code::OutOfRange, message), Failure::OutOfHistory(_)));
        }
        let large = "decoded message length too large";
        assert!(matches!(of(Code::OutOfRange, large), Failure::Unreachable(_)));
    }
}
