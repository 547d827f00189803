//! What the log says about questions that were not answered.

use std::time::Duration;

use source::queries::{QueryError, Trouble};

use super::Runner;
use crate::config::duration;
use crate::session::Query;

impl Runner {
    /// Logs a failed attempt to ask Consul.
    ///
    /// # Errors
    /// It was the last one.
    pub(super) fn fail(&self, query: &Query, trouble: Trouble) -> Result<(), String> {
        let Trouble { cause, attempt, again } = trouble;
        if matches!(cause, QueryError::Absent) {
            return Err(self.report(cause.to_string()));
        }
        let is_unknown = matches!(cause, QueryError::Status { code: 404, .. });
        let words = match query {
            Query::Consul(asked) if is_unknown && **asked == catalog::Query::Partitions => {
                "Partitions are an enterprise feature: "
            }
            _ => "",
        };
        self.fail_with(format!("{query}: {words}{cause}"), attempt, again)
    }

    /// Logs a failed attempt to ask, with what was asked.
    ///
    /// # Errors
    /// It was the last one.
    pub(super) fn fail_with(
        &self,
        error: String,
        attempt: u32,
        again: Option<Duration>,
    ) -> Result<(), String> {
        match again {
            Some(delay) => {
                let delay = duration::shown(delay);
                let next = format!("retry attempt {attempt} after {delay:?}");
                self.log.warn(format!("(view) {error} ({next})"));
            }
            None => self.log.error(format!("(view) {error} (exceeded maximum retries)")),
        }
        self.log.error("(runner) sending server error back to caller");
        if again.is_some() { Ok(()) } else { Err(self.report(error)) }
    }

    /// Logs the error of a query that is not asked again, and returns it.
    pub(super) fn report(&self, error: String) -> String {
        self.log.error(format!("(runner) watcher reported error: {error}"));
        error
    }
}
