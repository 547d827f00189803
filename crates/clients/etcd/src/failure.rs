//! Classifies a failed request by what its caller should do next.

use std::error::Error as _;

use etcd_client::Error as EtcdError;
use nodes::{Cause, CauseKind, Error};
use tonic::{Code, Status};

/// Why a request failed.
#[derive(Debug)]
pub enum Failure {
    /// The node was not reached, or cannot answer now. Another node may answer.
    Unreachable(Cause),
    /// The node does not accept the credentials. It may have forgotten the token, so signing in
    /// again can help.
    SignedOut(Cause),
    /// The node refused, and every other node would refuse too.
    Refused(Cause),
    /// The server has no users, so signing in is not possible.
    WithoutUsers(Cause),
    /// The revision that was asked for is compacted, or does not exist yet.
    OutOfHistory(Cause),
    /// The client's own files are not usable.
    Local(Error),
}

impl Failure {
    /// Decides by the code of a status. etcd has one code (`InvalidArgument`) for every problem
    /// with credentials: a wrong password, a forgotten token, users that have changed. Such a
    /// request is therefore repeated after signing in again.
    fn of_status(status: &Status) -> Self {
        let cause = Cause::chain(status.message(), status.source());
        let cause = if cause.is_empty() { Cause::new(status.code().to_string()) } else { cause };
        match status.code() {
            Code::Unauthenticated | Code::InvalidArgument => {
                Failure::SignedOut(cause.of_kind(CauseKind::Credentials))
            }
            Code::PermissionDenied => Failure::Refused(cause),
            // A full store answers reads. With other words, the node takes no requests at present.
            Code::ResourceExhausted if status.message().contains("database space") => {
                Failure::Refused(cause)
            }
            Code::FailedPrecondition => Failure::WithoutUsers(cause),
            // An answer may have any size, so the code can only mean a revision out of range.
            Code::OutOfRange => Failure::OutOfHistory(cause),
            _ => Failure::Unreachable(
                cause
                    .advised(tls::advice(status))
                    .closed(tls::hung_up(status) || is_no_http2(status)),
            ),
        }
    }
}

/// Whether what the node has sent is not HTTP/2. A node of another kind answers in its own protocol
/// and closes the connection; which of both is seen first is chance.
fn is_no_http2(status: &Status) -> bool {
    let causes = std::iter::successors(status.source(), |&cause| cause.source());
    causes.filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(h2::Error::is_library)
}

impl From<EtcdError> for Failure {
    fn from(error: EtcdError) -> Self {
        match error {
            EtcdError::GRpcStatus(status) => Failure::of_status(&status),
            error => Failure::Unreachable(Cause::new(error.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: Code, message: &str) -> Failure {
        Failure::from(EtcdError::GRpcStatus(Status::new(code, message)))
    }

    #[test]
    fn the_code_decides_and_not_the_words() {
        let words = "etcdserver: permission denied";
        assert!(matches!(of(Code::PermissionDenied, words), Failure::Refused(_)));
        assert!(matches!(of(Code::InvalidArgument, words), Failure::SignedOut(_)));
        assert!(matches!(of(Code::Unauthenticated, words), Failure::SignedOut(_)));
        assert!(matches!(of(Code::OutOfRange, words), Failure::OutOfHistory(_)));
        let full = "etcdserver: mvcc: database space exceeded";
        assert!(matches!(of(Code::ResourceExhausted, full), Failure::Refused(_)));
        let busy = "etcdserver: too many requests";
        assert!(matches!(of(Code::ResourceExhausted, busy), Failure::Unreachable(_)));
        for code in [Code::Unknown, Code::Unavailable, Code::Internal] {
            assert!(matches!(of(code, words), Failure::Unreachable(_)), "{code:?}");
        }
    }
}
