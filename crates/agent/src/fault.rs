//! What is told of something that is wrong: one line, and below it what helps a person.

use report::Excerpt;
use tracing::{error, warn};

/// Something that is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line that goes to the log and that people search for.
    pub(crate) text: String,
    /// The place in a template or resource file that it is about, if it is about one.
    pub(crate) excerpt: Excerpt,
}

impl Fault {
    /// Logs it as an error. The excerpt is a field of the event, so that whoever shows events
    /// keeps both together.
    pub(crate) fn log(&self) {
        error!(excerpt = %self.excerpt, "{}", self.text);
    }

    /// Logs it as a warning, in the same form.
    pub(crate) fn warn(&self) {
        warn!(excerpt = %self.excerpt, "{}", self.text);
    }
}

impl From<String> for Fault {
    fn from(text: String) -> Self {
        Self { text, excerpt: Excerpt::default() }
    }
}

impl From<config::Problem> for Fault {
    fn from(config::Problem { text, excerpt }: config::Problem) -> Self {
        Self { text, excerpt }
    }
}

/// A pass in which something failed. Everything was logged when it happened; this is the last.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub String);
