//! Why a resource's pass failed, with its kind and its cause kept to the edge.

use std::{fmt, sync::Arc};

use config::Problem;
use report::Excerpt;
use source::Error as SourceError;

/// Why a resource has no pass, or its pass failed.
///
/// The text is complete and in Go confd's words where Go confd has them; no cause is repeated behind
/// it. Decisions are made by [`kind`](Failure::kind), never by the text.
#[derive(Clone, Debug)]
pub struct Failure(Arc<Cause>);

#[derive(Debug)]
enum Cause {
    Source(SourceError),
    Refused(String),
    Load(Problem),
    Template(Problem),
    Render(render::Error),
    Deploy(deploy::Error),
    Panic(String),
}

/// What a failure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The source does not answer, or not now.
    Source,
    /// The source answers, and refuses the keys of this resource.
    Refused,
    /// The resource's file cannot be used.
    Load,
    /// The template's file is missing, or is no template.
    Template,
    /// The template stopped: a key is missing, a function failed.
    Render,
    /// The file could not be staged or put in place.
    Write,
    /// The check command refused the staged file.
    Check,
    /// The file is in place, and its reload command failed.
    Reload,
    /// The file is as it should be, and a reload that an earlier run owes failed again.
    OwedReload,
    /// A thread of ours ended early, which is a fault of ours.
    Panic,
}

impl Failure {
    fn new(cause: Cause) -> Self {
        Failure(Arc::new(cause))
    }

    /// The keys of this resource may not be read.
    pub(crate) fn refused(text: String) -> Self {
        Failure::new(Cause::Refused(text))
    }

    /// A file in `conf.d` is no resource.
    pub(crate) fn load(problem: Problem) -> Self {
        Failure::new(Cause::Load(problem))
    }

    /// The template cannot be had.
    pub(crate) fn template(problem: Problem) -> Self {
        Failure::new(Cause::Template(problem))
    }

    /// Work that ran on a thread of its own ended early.
    pub(crate) fn panic(what: fmt::Arguments<'_>, panic: &tokio::task::JoinError) -> Self {
        Failure::new(Cause::Panic(format!("{what} ended early: {panic}")))
    }

    /// What it is about.
    pub fn kind(&self) -> Kind {
        match &*self.0 {
            Cause::Source(_) => Kind::Source,
            Cause::Refused(_) => Kind::Refused,
            Cause::Load(_) => Kind::Load,
            Cause::Template(_) => Kind::Template,
            Cause::Render(_) => Kind::Render,
            Cause::Deploy(error) => match error {
                deploy::Error::Check(_) => Kind::Check,
                deploy::Error::Reload { owed: false, .. } => Kind::Reload,
                deploy::Error::Reload { owed: true, .. } => Kind::OwedReload,
                _ => Kind::Write,
            },
            Cause::Panic(_) => Kind::Panic,
        }
    }

    /// The place in a template or a resource file that it is about; empty if there is none.
    pub fn excerpt(&self) -> Option<&Excerpt> {
        match &*self.0 {
            Cause::Load(problem) | Cause::Template(problem) => Some(&problem.excerpt),
            Cause::Render(error) => Some(error.excerpt()),
            Cause::Source(_) | Cause::Refused(_) | Cause::Deploy(_) | Cause::Panic(_) => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Cause::Source(error) => error.fmt(f),
            Cause::Refused(text) | Cause::Panic(text) => f.write_str(text),
            Cause::Load(problem) | Cause::Template(problem) => f.write_str(&problem.text),
            Cause::Render(error) => error.fmt(f),
            Cause::Deploy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Failure::new(Cause::Source(error))
    }
}

impl From<render::Error> for Failure {
    fn from(error: render::Error) -> Self {
        Failure::new(Cause::Render(error))
    }
}

impl From<deploy::Error> for Failure {
    fn from(error: deploy::Error) -> Self {
        Failure::new(Cause::Deploy(error))
    }
}
