//! What is said in a session: requests, and what the server answers or reports.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::Login;
use crate::failure::Code;
use crate::jute::{Malformed, bytes, int, list, long, put_bytes, put_frame};

/// The numbers in front of messages that belong to no request of a number.
const EVENT: i32 = -1;
const PING: i32 = -2;
const AUTHENTICATION: i32 = -4;

/// A request about a node. Each sets a watch, which reports the next change of what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The names of its children.
    Children,
    /// Its data.
    Data,
    /// Whether it exists. Only this sets a watch on a node that does not exist.
    Exists,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The node at this path has changed, or its children.
    Changed(Bytes),
    /// The reply to the request of this number.
    Reply { number: i32, code: Code, body: Bytes },
    /// The reply to an authentication.
    Authenticated(Code),
    /// A sign of life, or news of the session.
    Other,
}

/// What the server grants when a connection is opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The time without a sign of the client after which the session ends, in milliseconds. Not above
    /// zero if there is no session.
    pub(crate) timeout: i32,
}

/// Asks for a new session with this timeout in milliseconds, on a server that is part of a majority.
pub(crate) fn put_connect(output: &mut BytesMut, timeout: i32) {
    put_frame(output, |output| {
        output.put_i32(0);
        // Nothing was seen before. That what is read is new enough is made sure of by `put_sync`.
        output.put_i64(0);
        output.put_i32(timeout);
        output.put_i64(0);
        put_bytes(output, &[0; 16]);
        output.put_u8(0);
    });
}

/// Reads the answer to [`put_connect`].
pub(crate) fn granted(mut frame: Bytes) -> Result<Granted, Malformed> {
    int(&mut frame)?;
    let timeout = int(&mut frame)?;
    long(&mut frame)?;
    bytes(&mut frame)?;
    Ok(Granted { timeout })
}

/// Logs in.
pub(crate) fn put_authentication(output: &mut BytesMut, login: &Login) {
    put_frame(output, |output| {
        output.put_i32(AUTHENTICATION);
        output.put_i32(100);
        output.put_i32(0);
        put_bytes(output, b"digest");
        put_bytes(output, format!("{}:{}", login.user, login.password).as_bytes());
    });
}

/// Sends a sign of life, which the server answers.
pub(crate) fn put_ping(output: &mut BytesMut) {
    put_frame(output, |output| {
        output.put_i32(PING);
        output.put_i32(11);
    });
}

/// Ends the session.
pub(crate) fn put_close(output: &mut BytesMut, number: i32) {
    put_frame(output, |output| {
        output.put_i32(number);
        output.put_i32(-11);
    });
}

/// Lets the server take over all changes that its leader knows, before it answers what follows.
pub(crate) fn put_sync(output: &mut BytesMut, number: i32, path: &[u8]) {
    put_frame(output, |output| {
        output.put_i32(number);
        output.put_i32(9);
        put_bytes(output, path);
    });
}

/// Asks about a node.
pub(crate) fn put_ask(output: &mut BytesMut, number: i32, ask: Ask, path: &[u8]) {
    put_frame(output, |output| {
        output.put_i32(number);
        output.put_i32(match ask {
            Ask::Exists => 3,
            Ask::Data => 4,
            Ask::Children => 8,
        });
        put_bytes(output, path);
        output.put_u8(1);
    });
}

/// Reads a message.
pub(crate) fn message(mut frame: Bytes) -> Result<Message, Malformed> {
    let number = int(&mut frame)?;
    long(&mut frame)?;
    let code = Code(int(&mut frame)?);
    Ok(match number {
        EVENT => {
            let kind = int(&mut frame)?;
            int(&mut frame)?;
            match kind {
                1..=4 => Message::Changed(bytes(&mut frame)?),
                _ => Message::Other,
            }
        }
        AUTHENTICATION => Message::Authenticated(code),
        PING => Message::Other,
        number => Message::Reply { number, code, body: frame },
    })
}

/// The names in the reply to [`Ask::Children`].
pub(crate) fn names(mut body: Bytes) -> Result<Vec<Bytes>, Malformed> {
    list(&mut body)
}

/// The data in the reply to [`Ask::Data`].
pub(crate) fn data(mut body: Bytes) -> Result<Bytes, Malformed> {
    // A copy, because what arrives together would stay in memory together.
    bytes(&mut body).map(|data| Bytes::copy_from_slice(&data))
}
