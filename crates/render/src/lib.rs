//! Renders the bytes of a file from a template and the pairs that its resource sees.
//!
//! [`Template`] is the whole interface: compile it once, and render it whenever the store has
//! changed. It is an enum over the template languages; each has its own constructor.
//!
//! What callers may rely on:
//!
//! - A template sees the [`View`] that is passed, and what its functions ask of the [`Host`];
//!   nothing else.
//! - The text of an [`Error`] is confd's own. If a name was probably mistyped, [`Error::excerpt`]
//!   has the nearest names.
//! - The texts of errors and warnings show no value of the store, unless the value stands in the
//!   template. [`Error::exact`] and [`Warning::exact`] are the texts of confd, with all values.
//! - Rendering needs no async runtime. It can block: on the disk for `fileExists`, on the network
//!   for `lookupIP` and its relatives, and on nothing else.
//! - A rendering can have a time limit, and a limit of its memory.
//!
//! This crate does not know sources, destinations or schedules.

mod calls;
mod clock;
mod error;
mod folder;
pub mod formats;
pub mod funcs;
mod go;
mod hint;
pub mod json;
pub mod library;
mod missing;
pub mod queries;
mod secret;
mod tera;
#[cfg(test)]
mod testing;
mod warnings;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use store::View;
use world::Host;

pub use calls::ConstantCall;
use clock::Clock;
pub use error::{Error, Stage};
use go::GoTemplate;
pub use go::{GoTime, WRITTEN_IN_TERA, is_probably_tera, json_value};
pub use missing::{Missed, MissingKey, MissingKeys};
use queries::Session;
use tera::TeraTemplate;
pub use warnings::{Warning, Warnings};

/// The names of all functions that templates can call, without those of the languages, in no
/// particular order.
pub fn functions() -> impl Iterator<Item = &'static str> {
    go::names()
}

/// The functions that can block: they ask the [`Host`] for files or names.
const WAITING: [&str; 5] = ["fileExists", "lookupIP", "lookupIPV4", "lookupIPV6", "lookupSRV"];

/// The limits of one rendering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest time; `None` means without a limit.
    pub time: Option<Duration>,
    /// The most bytes that the output and the values of the template can take together. For a Tera
    /// template, whose variables this crate does not see, the values are all results of its
    /// functions and filters, except for those of Tera itself.
    pub memory: usize,
}

impl Default for Limits {
    /// No limit of the time, and 1 GiB.
    fn default() -> Self {
        Limits { time: None, memory: 1 << 30 }
    }
}

/// The hint below an error about the limit of the memory.
const MEMORY_HINT: &str = "-max-memory sets this limit";

/// A compiled template, which can be rendered any number of times and from any thread.
#[derive(Debug)]
pub struct Template(Compiled);

#[derive(Debug)]
enum Compiled {
    Go(GoTemplate),
    Tera(Box<TeraTemplate>),
}

impl Template {
    /// Compiles the Go template in the file `src`, whose content is `source`. It can include no other
    /// files. Error texts call it by the base name of the file.
    ///
    /// # Errors
    /// `source` is faulty: [`Stage::Compile`].
    pub fn compile(src: &Path, source: &[u8]) -> Result<Self, Error> {
        GoTemplate::compile(src, source, None).map(Compiled::Go).map(Self)
    }

    /// Like [`compile`](Self::compile), for a template that can include files of the folder
    /// `templates`. They are read when the template includes them, and belong to it from then on.
    ///
    /// # Errors
    /// As for `compile`. A file that is faulty fails the rendering that includes it.
    pub fn compile_with(src: &Path, source: &[u8], templates: &Path) -> Result<Self, Error> {
        GoTemplate::compile(src, source, Some(templates)).map(Compiled::Go).map(Self)
    }

    /// Compiles the Tera template in the file `src`, whose content is `source`, with the files that
    /// it needs from the folder `templates`. Error texts call each file by its path in the folder.
    ///
    /// # Errors
    /// `source`, or a file that it needs, is faulty: [`Stage::Compile`].
    pub fn compile_tera(src: &Path, source: &[u8], templates: &Path) -> Result<Self, Error> {
        let template = TeraTemplate::compile(src, source, templates)?;
        Ok(Self(Compiled::Tera(Box::new(template))))
    }

    /// Whether the template can call the function `name`: it, or a file that it has included so far,
    /// calls the function, or it executes texts. For a Tera template this is also true if the name is
    /// only mentioned.
    pub fn uses(&self, name: &str) -> bool {
        match &self.0 {
            Compiled::Go(template) => template.uses(name),
            Compiled::Tera(template) => template.uses(name),
        }
    }

    /// Whether rendering can block on the disk or the network, because the template calls a
    /// function that does, or files of which it is not yet known.
    pub fn may_wait(&self) -> bool {
        let includes = matches!(&self.0, Compiled::Go(template) if template.uses("include"));
        includes || WAITING.iter().any(|name| self.uses(name))
    }

    /// Whether the template calls a function that asks Consul, anywhere. For a Tera template this is
    /// also true if the name of such a function is only mentioned.
    pub fn asks(&self) -> bool {
        queries::ASKING.iter().any(|name| self.uses(name))
    }

    /// Whether everything that the template took from the templates folder is unchanged. The caller
    /// has to compare the template's own file.
    pub fn is_current(&self) -> bool {
        match &self.0 {
            Compiled::Go(template) => template.is_current(),
            Compiled::Tera(template) => template.is_current(),
        }
    }

    /// Renders the template with `view`, and drops its warnings.
    ///
    /// # Errors
    /// The reason why rendering stopped: [`Stage::Render`].
    pub fn render(&self, view: &View, host: &Arc<dyn Host>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.render_to(view, host, &Warnings::default(), &mut out)?;
        Ok(out)
    }

    /// Like [`render`](Self::render), but appends the output to `out`, and adds to
    /// `warnings` what functions warn about. After an error, `out` has
    /// the output up to that point.
    ///
    /// # Errors
    /// As for [`render`](Self::render).
    pub fn render_to(
        &self,
        view: &View,
        host: &Arc<dyn Host>,
        warnings: &Warnings,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (session, missing) = (Session::default(), MissingKeys::default());
        let inputs =
            Inputs { view, host, warnings, session: &session, missing: &missing, data: None };
        self.render_within(Limits::default(), &inputs, out)
    }

    /// Like [`render_to`](Self::render_to), but with these limits and with `inputs`, whose session
    /// notes what the template asks.
    ///
    /// If a query is missing, the output and also an error can come from that: the caller renders
    /// again when there is an answer.
    ///
    /// The time is checked in loops and when functions are called. A single call can take longer.
    ///
    /// # Errors
    /// As for [`render`](Self::render); also when a limit is exceeded
    /// ([`Error::is_out_of_time`]).
    pub fn render_within(
        &self,
        limits: Limits,
        inputs: &Inputs<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let (clock, memory) = (Clock::start(limits.time), limits.memory);
        match &self.0 {
            Compiled::Go(template) => template.render(clock, memory, inputs, out),
            Compiled::Tera(template) => template.render(clock, memory, inputs, out),
        }
    }
}

/// What one rendering can use, and what it notes.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The keys.
    pub view: &'a View,
    /// The machine.
    pub host: &'a Arc<dyn Host>,
    /// Gets what functions warn about.
    pub warnings: &'a Warnings,
    /// The answers to queries. It notes what the template asks.
    pub session: &'a Session,
    /// What a key that does not exist reads as.
    pub missing: &'a MissingKeys,
    /// A JSON document that is the data (`.`) of a Go template, except for the template of an item. The
    /// caller has read it before by [`json_value`].
    pub data: Option<&'a Bytes>,
}
