//! The connection by which a server reports which keys have changed.

use std::collections::VecDeque;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use crate::connection::{Connection, no_reply};
use crate::failure::Failure;
use crate::resp::{Reply, Request};

/// A subscription to the events of keys.
///
/// Dropping a future of it loses nothing.
pub(crate) struct Subscription {
    connection: Connection,
    /// What every channel begins with.
    head: String,
    /// What the server has not answered yet, the oldest first.
    expected: VecDeque<Expected>,
    /// The server's words, if it refused a subscription.
    refused: Option<String>,
    changed: Vec<Changed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    Subscribed,
    Other,
}

/// A key that was written or deleted.
#[derive(Debug)]
pub(crate) struct Changed {
    /// The pattern of keys that the key matches.
    pub(crate) pattern: Bytes,
    pub(crate) key: Bytes,
}

impl Subscription {
    /// A subscription to keys of `database`, with no keys yet.
    pub(crate) fn new(connection: Connection, database: u32) -> Self {
        let head = format!("__keyspace@{database}__:");
        let (expected, changed) = (VecDeque::new(), Vec::new());
        Subscription { connection, head, expected, refused: None, changed }
    }

    /// Asks for the events of the keys that match `pattern`.
    pub(crate) fn add(&mut self, pattern: &[u8]) {
        self.send(
            &[b"PSUBSCRIBE", &[self.head.as_bytes(), pattern].concat()],
            Expected::Subscribed,
        );
    }

    /// Asks for no more events of the keys that match `pattern`.
    pub(crate) fn remove(&mut self, pattern: &[u8]) {
        self.send(&[b"PUNSUBSCRIBE", &[self.head.as_bytes(), pattern].concat()], Expected::Other);
    }

    /// Asks for an answer. Events of everything that was changed before arrive before it.
    pub(crate) fn ping(&mut self) {
        self.send(&[b"PING"], Expected::Other);
    }

    fn send(&mut self, words: &[&[u8]], expected: Expected) {
        self.connection.send(&Request::of(words));
        self.expected.push_back(expected);
    }

    /// Whether the server has answered everything.
    pub(crate) fn is_settled(&self) -> bool {
        self.expected.is_empty()
    }

    /// Waits until the server has answered everything.
    pub(crate) async fn settle(&mut self) -> Result<(), Failure> {
        while !self.expected.is_empty() {
            let limit = self.connection.reading();
            let Ok(reply) = timeout_at(Instant::now() + limit, self.connection.next()).await else {
                return Err(Connection::silent(limit));
            };
            self.note(reply?)?;
        }
        Ok(())
    }

    /// Waits until something arrives, and notes it.
    pub(crate) async fn wait(&mut self) -> Result<(), Failure> {
        let reply = self.connection.next().await?;
        self.note(reply)
    }

    /// Takes the keys that were changed, as far as that has arrived.
    pub(crate) fn take(&mut self) -> Result<Vec<Changed>, Failure> {
        while let Some(reply) = self.connection.arrived()? {
            self.note(reply)?;
        }
        Ok(std::mem::take(&mut self.changed))
    }

    /// The server's words, if it refused a subscription.
    pub(crate) fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    fn note(&mut self, reply: Reply) -> Result<(), Failure> {
        let parts = match reply {
            Reply::List(parts) => parts,
            Reply::Error(text) => {
                // A user who may not send PING gets an error, which is an answer too.
                if self.expected.pop_front().ok_or_else(no_reply)? == Expected::Subscribed {
                    self.refused = Some(text);
                }
                return Ok(());
            }
            _ => return self.answered(),
        };
        match parts.as_slice() {
            [kind, Reply::Text(Some(pattern)), Reply::Text(Some(channel)), _]
                if kind.text().is_some_and(|kind| kind == "pmessage") =>
            {
                let head = self.head.len();
                if pattern.len() >= head && channel.len() >= head {
                    let (pattern, key) = (pattern.slice(head..), channel.slice(head..));
                    self.changed.push(Changed { pattern, key });
                }
                Ok(())
            }
            _ => self.answered(),
        }
    }

    fn answered(&mut self) -> Result<(), Failure> {
        self.expected.pop_front().map(|_| ()).ok_or_else(no_reply)
    }
}
