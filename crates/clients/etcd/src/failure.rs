//! What a failed request means for the next.

use std::error::Error as _;

use etcd_client::Error as EtcdError;
use nodes::{Cause, CauseKind, Error};
use tonic::{Code, Status};

/// Why a node gave no answer.
#[derive(Debug)]
pub enum Failure {
    /// It could not be asked, or could not answer now: another node may.
    Unreachable(Cause),
    /// It does not accept who asks, perhaps because it has forgotten the token: sign in again.
    SignedOut(Cause),
    /// The answer is no, and every node would say so.
    Refused(Cause),
    /// The server has no users, so that nobody can sign in.
    WithoutUsers(Cause),
    /// The part of the history that was asked for is not there: no longer, or not yet.
    OutOfHistory(Cause),
    /// What is needed to ask is not in order here.
    Local(Error),
}

impl Failure {
    /// Decides by the code of a status. etcd has one code for all that is wrong with who asks
    /// (`InvalidArgument`: a wrong password, a forgotten token, users that have changed), so such a
    /// request is repeated after signing in again.
    fn of_status(status: &Status) -> Self {
        let cause = Cause::chain(status.message(), status.source());
        let cause = if cause.is_empty() { Cause::new(status.code().to_string()) } else { cause };
        match status.code() {
            Code::Unauthenticated | Code::InvalidArgument => {
                Failure::SignedOut(cause.of_kind(CauseKind::Credentials))
            }
            Code::PermissionDenied => Failure::Refused(cause),
            Code::FailedPrecondition => Failure::WithoutUsers(cause),
            // Answers may be of any size, so it is a revision that is out of range.
            Code::OutOfRange => Failure::OutOfHistory(cause),
            _ => Failure::Unreachable(
                cause.advised(tls::advice(status)).advised_over_tls(tls::hung_up(status)),
            ),
        }
    }
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
        for code in [Code::Unknown, Code::Unavailable, Code::ResourceExhausted, Code::Internal] {
            assert!(matches!(of(code, words), Failure::Unreachable(_)), "{code:?}");
        }
    }
}
