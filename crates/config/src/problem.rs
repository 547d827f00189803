//! A problem of a file that a person wrote: one line, and an excerpt of the file.

use report::Excerpt;

/// A mistake in a configuration, or something that is probably a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line that goes to the log and that people search for.
    pub text: String,
    /// The line of the file that `text` is about, with a caret. It is empty if `text` is about no
    /// single line.
    pub excerpt: Excerpt,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Problem {}

impl From<String> for Problem {
    fn from(text: String) -> Self {
        Self { text, excerpt: Excerpt::default() }
    }
}
