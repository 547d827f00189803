//! Why a server did not do what was asked.

use std::io;

use nodes::{Cause, CauseKind, Error};

/// The kind of store, for errors.
pub(crate) const NAME: &str = "zookeeper";

/// Why a server gave no answer.
#[derive(Debug)]
pub(crate) enum Failure {
    /// No connection, or it was lost, or the server cannot answer now. Another try may succeed.
    Unreachable(Cause),
    /// The server refuses, and will refuse again.
    Refused(Cause),
    /// Every server would fail in the same way.
    Local(Error),
}

impl Failure {
    /// The failure of a connection.
    pub(crate) fn of_connection(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(local) => Failure::Local(local),
            Err(error) => {
                let closed = tls::hung_up(&error);
                let cause = Cause::chain("", Some(&error)).advised(tls::advice(&error));
                Failure::Unreachable(cause.closed(closed))
            }
        }
    }

    /// The server has closed the connection.
    pub(crate) fn closed() -> Self {
        Failure::Unreachable(Cause::new("it closed the connection").closed(true))
    }

    /// What arrived cannot be understood.
    pub(crate) fn malformed() -> Self {
        let cause = Cause::new("it does not answer as ZooKeeper does");
        Failure::Unreachable(cause.advised(Some("perhaps it is not ZooKeeper")))
    }

    /// The failure that a code stands for that is not about a single node.
    pub(crate) fn of_code(code: Code) -> Self {
        match code {
            Code::AUTH_FAILED => {
                let cause = Cause::new("it does not accept the user and password (AuthFailed)");
                Failure::Refused(cause.of_kind(CauseKind::Credentials))
            }
            Code(number) => {
                let name = match code {
                    Code::SESSION_EXPIRED => "the session has expired".to_owned(),
                    Code::SESSION_MOVED => "the session has moved to another server".to_owned(),
                    Code::THROTTLED => "it has too much to do (ThrottledOp)".to_owned(),
                    _ => format!("it answers with error {number}"),
                };
                Failure::Unreachable(Cause::new(name))
            }
        }
    }

    /// The error for users, about one server.
    pub(crate) fn at(self, node: &str) -> Error {
        let node = node.to_owned();
        match self {
            Failure::Local(error) => error,
            Failure::Refused(reason) => Error::Refused { store: NAME, node, reason },
            Failure::Unreachable(cause) => {
                Error::Unreachable { store: NAME, attempts: vec![nodes::Attempt { node, cause }] }
            }
        }
    }

    /// The same failure; if the server closed the connection, with this advice.
    pub(crate) fn advised_if_closed(self, advice: &'static str) -> Self {
        match self {
            Failure::Unreachable(cause) => Failure::Unreachable(cause.advised_if_closed(advice)),
            failure => failure,
        }
    }
}

/// The error code of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) i32);

impl Code {
    /// No error.
    pub(crate) const OK: Self = Code(0);
    /// There is no such node.
    pub(crate) const NO_NODE: Self = Code(-101);
    /// The user may not read the node.
    pub(crate) const NO_AUTH: Self = Code(-102);
    /// The server has ended the session.
    const SESSION_EXPIRED: Self = Code(-112);
    /// The user is not accepted.
    const AUTH_FAILED: Self = Code(-115);
    /// The session is with another server.
    const SESSION_MOVED: Self = Code(-118);
    /// The server has too much to do.
    const THROTTLED: Self = Code(-127);
}

/// The refusal of one node.
pub(crate) fn not_allowed(path: &[u8], has_login: bool, server: &str) -> Error {
    let path = String::from_utf8_lossy(path);
    let advice = match has_login {
        true => "the user of -username may not read it: see its ACL",
        false => "it has an ACL: give -username and -password",
    };
    let cause = Cause::new(format!("NoAuth for the node {path}")).advised(Some(advice));
    Failure::Refused(cause).at(server)
}
