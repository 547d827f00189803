//! Errors of templates: one line for the log and, for people, the place in the source.

use std::fmt;

use report::{Excerpt, Place};

use crate::missing::Missed;

/// Which step of a template failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Compiling: the source is faulty. New data cannot change that.
    Compile,
    /// Rendering: the source is good, but it cannot be rendered with the present data.
    Render,
}

/// Why no file was rendered. `Display` gives the line that confd prints, without the values of keys
/// unless [`with_values`](Error::with_values) was called.
#[derive(Clone, Debug)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug)]
struct Report {
    stage: Stage,
    text: String,
    /// The text with all values, if it differs.
    exact: Option<String>,
    excerpt: Excerpt,
    out_of_time: bool,
    missing_key: bool,
    /// All keys that the template misses, if they were searched for.
    missed: Missed,
}

impl Error {
    /// An error with the message `text`. It has one line, unless it quotes several lines of the
    /// template.
    pub(crate) fn new(stage: Stage, text: impl Into<String>) -> Self {
        let (text, excerpt) = (text.into(), Excerpt::default());
        Self(Box::new(Report {
            stage,
            text,
            exact: None,
            excerpt,
            out_of_time: false,
            missing_key: false,
            missed: Missed::default(),
        }))
    }

    /// The same error, whose text with all values is `exact`.
    #[must_use]
    pub(crate) fn hiding(mut self, exact: String) -> Self {
        self.0.exact = (exact != self.0.text).then_some(exact);
        self
    }

    /// The line that confd prints, with all values. They may be secrets.
    pub fn exact(&self) -> &str {
        self.0.exact.as_deref().unwrap_or(&self.0.text)
    }

    /// The same error, whose text shows all values.
    #[must_use]
    pub fn with_values(mut self) -> Self {
        if let Some(exact) = self.0.exact.take() {
            self.0.text = exact;
        }
        self
    }

    /// The same error, with its place in the template.
    #[must_use]
    pub(crate) fn at(mut self, place: Place<'_>) -> Self {
        self.0.excerpt = self.0.excerpt.at(place);
        self
    }

    /// The same error, with a hint at what was probably meant, if there is one.
    #[must_use]
    pub(crate) fn hinting(mut self, hint: Option<String>) -> Self {
        self.0.excerpt = self.0.excerpt.hinting(hint);
        self
    }

    /// The same error, if `is_out_of_time` as the error that the time limit has caused.
    #[must_use]
    pub(crate) fn out_of_time(mut self, is_out_of_time: bool) -> Self {
        self.0.out_of_time = is_out_of_time;
        self
    }

    /// Whether the rendering was stopped because its time was over.
    pub fn is_out_of_time(&self) -> bool {
        self.0.out_of_time
    }

    /// The same error, if `is_missing_key` as one of a key that does not exist.
    #[must_use]
    pub(crate) fn missing_key(mut self, is_missing_key: bool) -> Self {
        self.0.missing_key = is_missing_key;
        self
    }

    /// Whether the template asks for a key that does not exist.
    pub fn is_missing_key(&self) -> bool {
        self.0.missing_key
    }

    /// The same error, of a template that misses these keys. If there are several, the excerpt lists
    /// them. Keys that can contain values are shown only if `show_values`.
    #[must_use]
    pub fn listing(mut self, missed: Missed, show_values: bool) -> Self {
        if let [first, _, ..] = &missed.keys[..] {
            // The list has the hint of the first key too.
            let hint = self.0.excerpt.hint().map(str::to_owned);
            let hint = hint.filter(|hint| first.hint.as_ref() != Some(hint));
            let excerpt = self.0.excerpt.hinting(hint);
            self.0.excerpt = excerpt.listing(missed.lines(show_values));
        }
        self.0.missed = missed;
        self
    }

    /// The keys that the template misses; none if [`listing`](Self::listing) was not called.
    pub fn missed(&self) -> &Missed {
        &self.0.missed
    }

    /// Which step failed.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The faulty line of the template and, for an unknown name, the names that come near to it.
    /// For people: shown below the error.
    pub fn excerpt(&self) -> &Excerpt {
        &self.0.excerpt
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl std::error::Error for Error {}
