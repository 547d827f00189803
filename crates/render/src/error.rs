//! Why there is no rendered file: one line for the log and, for people, the place in the source.

use std::fmt;

use report::{Excerpt, Place};

/// When a template failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It could not be read; no data can change that.
    Compile,
    /// It could be read, but not rendered with the data there is.
    Render,
}

/// Why there is no rendered file. The display is the line that confd prints.
#[derive(Clone, Debug)]
pub struct Error(Box<Report>);

#[derive(Clone, Debug)]
struct Report {
    stage: Stage,
    text: String,
    excerpt: Excerpt,
}

impl Error {
    /// `text` is the whole message, on one line unless it quotes several from the template.
    pub(crate) fn new(stage: Stage, text: impl Into<String>) -> Self {
        Self(Box::new(Report { stage, text: text.into(), excerpt: Excerpt::default() }))
    }

    /// The error of what is at `place`.
    #[must_use]
    pub(crate) fn at(mut self, place: Place<'_>) -> Self {
        self.0.excerpt = self.0.excerpt.at(place);
        self
    }

    /// The error with what was probably meant, if anything comes near.
    #[must_use]
    pub(crate) fn hinting(mut self, hint: Option<String>) -> Self {
        self.0.excerpt = self.0.excerpt.hinting(hint);
        self
    }

    /// When the template failed.
    pub fn stage(&self) -> Stage {
        self.0.stage
    }

    /// The line of the template that is at fault, and what was probably meant where a name is
    /// unknown and others come near. For people, to be shown below the error.
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
