//! Makes the bytes of a file out of a template and what the store holds.
//!
//! [`Template`] is the whole interface: compile once, render as often as the store changes. It is
//! an enum over the languages a template can be written in; Go's is the only one so far.
//!
//! What callers may rely on:
//!
//! - a template sees the [`View`] it is given and, through its functions, what [`Host`] tells;
//! - the text of an [`Error`] is the one confd's users know, and where a name was probably
//!   mistyped, [`Error::excerpt`] says which one comes near;
//! - rendering needs no runtime and may block: on the disk for `fileExists`, on the network for
//!   `lookupIP` and the like, on nothing else.
//!
//! Nothing here knows backends, destinations or schedules.

mod error;
mod excerpt;
pub mod funcs;
mod go;
mod hint;
pub mod host;
pub mod json;
pub mod time;

use std::path::Path;
use std::sync::Arc;

use store::View;

pub use error::{Error, Stage};
pub use excerpt::{Excerpt, Place};
use go::GoTemplate;
pub use host::{Host, System};

/// The names of all functions that a template may call, in no particular order; those that a
/// language itself brings are not among them.
pub fn functions() -> impl Iterator<Item = &'static str> {
    go::names()
}

/// A template, ready to be rendered any number of times, from any thread.
#[derive(Debug)]
pub struct Template(Compiled);

#[derive(Debug)]
enum Compiled {
    Go(GoTemplate),
}

impl Template {
    /// Reads the template in the file `src`, which holds `source`. Error texts call it by the
    /// base name of the file.
    ///
    /// # Errors
    /// What is wrong with `source`: [`Stage::Compile`].
    pub fn compile(src: &Path, source: &[u8]) -> Result<Self, Error> {
        GoTemplate::compile(src, source).map(Compiled::Go).map(Self)
    }

    /// Whether the template calls the function `name` anywhere.
    pub fn uses(&self, name: &str) -> bool {
        match &self.0 {
            Compiled::Go(template) => template.uses(name),
        }
    }

    /// The bytes the template makes of what `view` shows.
    ///
    /// # Errors
    /// What stopped it: [`Stage::Render`].
    pub fn render(&self, view: &View, host: &Arc<dyn Host>) -> Result<Vec<u8>, Error> {
        let mut out = Vec::new();
        self.render_to(view, host, &mut out)?;
        Ok(out)
    }

    /// Appends to `out` what [`render`](Self::render) gives; on an error, what was written
    /// before it.
    ///
    /// # Errors
    /// As of [`render`](Self::render).
    pub fn render_to(
        &self,
        view: &View,
        host: &Arc<dyn Host>,
        out: &mut Vec<u8>,
    ) -> Result<(), Error> {
        match &self.0 {
            Compiled::Go(template) => template.render(view, host, out),
        }
    }
}
