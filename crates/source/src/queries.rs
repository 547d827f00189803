//! The contract of queries: questions that a template asks while it is rendered, and whose answers
//! are followed.

use std::time::Duration;

use async_trait::async_trait;
use catalog::{Data, Query};

use crate::Error;

/// A store that answers queries and reports when an answer changes.
///
/// Each query is asked once, however many templates ask it. The connections to the store are
/// bounded, whatever the number of queries.
#[async_trait]
pub trait Queries: Send {
    /// Follows exactly these queries from now on. A query that stays keeps its answer and its
    /// position: nothing of it is read again, and no change of it is lost. A query that was dropped
    /// is forgotten: if it is asked again, it is read again.
    ///
    /// This takes effect in the following call of [`next`](Queries::next).
    fn follow(&mut self, wanted: &[Query]);

    /// Waits for news, and returns everything that is new. Each query has one piece of news for its
    /// first answer, and one each time its answer has changed or an attempt to ask has failed. A
    /// query that fails keeps its last answer; when it is answered again, its answer is news, even
    /// if it has not changed.
    ///
    /// Dropping the future before it resolves loses nothing. The requests make progress only while
    /// the future is polled.
    async fn next(&mut self) -> Vec<News>;
}

/// Something new about a query.
#[derive(Debug)]
pub struct News {
    /// The query.
    pub query: Query,
    /// Its answer, or why it could not be asked.
    pub answer: Result<Data, Trouble>,
    /// What a person should know about the answer: that the store hides a part of it. It is given
    /// once, until an answer hides nothing. A new warning is news, even if the answer has not changed.
    pub warning: Option<String>,
}

/// Why a query has no new answer.
#[derive(Debug)]
pub struct Trouble {
    /// What happened.
    pub cause: QueryError,
    /// How many attempts have failed one after the other, this one included.
    pub attempt: u32,
    /// When the query is asked again; `None` if it is not asked again before it is dropped.
    pub again: Option<Duration>,
}

/// Why an attempt to ask a query failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The store answered with an error.
    #[error("Unexpected response code: {code} ({body})")]
    Status {
        /// The status of HTTP.
        code: u16,
        /// The store's explanation, without the white space around it.
        body: String,
    },
    /// No node answered.
    #[error(transparent)]
    Store(#[from] Error),
    /// The request failed whose error is reported for another query: both are asked together.
    #[error("{0}")]
    Repeated(String),
    /// There was no such key, and [`Settings::fail_on_absent`] was set.
    #[error("lookup error")]
    Absent,
}

impl QueryError {
    /// Whether the store does not accept that many connections.
    pub fn is_too_many_connections(&self) -> bool {
        match self {
            QueryError::Status { code, .. } => *code == 429,
            QueryError::Store(Error::Store(error)) => error.is_too_many_connections(),
            _ => false,
        }
    }
}

/// How queries are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// Whether each query is asked until its first answer only, and not followed.
    pub once: bool,
    /// Whether a key that must exist and is still absent when it is asked for the second time is an
    /// error that ends its query.
    pub fail_on_absent: bool,
    /// Whether an answer is a failure if it is empty and the store says that it hides something.
    /// Otherwise it is an empty answer with a warning.
    pub refuse_hidden: bool,
}

/// What happens after a failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How many attempts may follow a failed one; `None` if there is no limit.
    pub attempts: Option<u32>,
    /// The delay before the second attempt. It doubles with each further attempt.
    pub backoff: Duration,
    /// The longest delay; `None` if there is no limit.
    pub max_backoff: Option<Duration>,
}

impl Retry {
    /// The delay after this number of failed attempts in a row; `None` if there is no further
    /// attempt.
    pub fn after(&self, failed: u32) -> Option<Duration> {
        if self.attempts.is_some_and(|most| failed > most) {
            return None;
        }
        let factor = 1_u32.checked_shl(failed.saturating_sub(1)).unwrap_or(u32::MAX);
        let delay = self.backoff.saturating_mul(factor);
        Some(self.max_backoff.map_or(delay, |most| delay.min(most)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest_and_end_after_the_last_attempt() {
        let (backoff, most) = (Duration::from_millis(250), Duration::from_secs(60));
        let retry = Retry { attempts: Some(12), backoff, max_backoff: Some(most) };
        let delays: Vec<_> = (1..=13).map(|failed| retry.after(failed)).collect();
        let seconds = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0, 60.0];
        let mut expected: Vec<_> =
            seconds.iter().map(|seconds| Some(Duration::from_secs_f64(*seconds))).collect();
        expected.push(None);
        assert_eq!(delays, expected);
        let endless = Retry { attempts: None, backoff, max_backoff: None };
        assert!(endless.after(1000).is_some());
    }
}
