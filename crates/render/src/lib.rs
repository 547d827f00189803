//! Makes the bytes of a file out of a template and what the store holds.
//!
//! [`Template`] is the whole interface: compile once, render as often as the store changes. It is
//! an enum over the languages a template can be written in; each has its own constructor.
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
pub mod funcs;
mod go;
mod hint;
pub mod host;
pub mod json;
mod tera;
pub mod time;
#[cfg(test)]
mod world;

use std::path::Path;
use std::sync::Arc;

use store::View;

pub use error::{Error, Stage};
use go::GoTemplate;
pub use host::{Host, Service, System};
use tera::TeraTemplate;

/// The names of all functions that a template may call, in no particular order; those that a
/// language itself brings are not among them.
pub fn functions() -> impl Iterator<Item = &'static str> {
    go::names()
}

/// The functions that ask [`Host`] for what may take its time.
const WAITING: [&str; 5] = ["fileExists", "lookupIP", "lookupIPV4", "lookupIPV6", "lookupSRV"];

/// A template, ready to be rendered any number of times, from any thread.
#[derive(Debug)]
pub struct Template(Compiled);

#[derive(Debug)]
enum Compiled {
    Go(GoTemplate),
    Tera(TeraTemplate),
}

impl Template {
    /// Reads the Go template in the file `src`, which holds `source`. Error texts call it by the
    /// base name of the file.
    ///
    /// # Errors
    /// What is wrong with `source`: [`Stage::Compile`].
    pub fn compile(src: &Path, source: &[u8]) -> Result<Self, Error> {
        GoTemplate::compile(src, source).map(Compiled::Go).map(Self)
    }

    /// Reads the Tera template in the file `src`, which holds `source`, and those that it needs,
    /// which are in the folder `templates`. Error texts call each by its path in the folder.
    ///
    /// # Errors
    /// What is wrong with `source`, or with a template that it needs: [`Stage::Compile`].
    pub fn compile_tera(src: &Path, source: &[u8], templates: &Path) -> Result<Self, Error> {
        TeraTemplate::compile(src, source, templates).map(Compiled::Tera).map(Self)
    }

    /// Whether the template calls the function `name` anywhere. Of a Tera template this is also
    /// true if the name is only mentioned.
    pub fn uses(&self, name: &str) -> bool {
        match &self.0 {
            Compiled::Go(template) => template.uses(name),
            Compiled::Tera(template) => template.uses(name),
        }
    }

    /// Whether rendering may wait for the disk or the network: whether a function that does is called
    /// anywhere.
    pub fn may_wait(&self) -> bool {
        WAITING.iter().any(|name| self.uses(name))
    }

    /// Whether all that the template took from the templates folder is still the same. Its own file
    /// is the caller's to compare.
    pub fn is_current(&self) -> bool {
        match &self.0 {
            Compiled::Go(_) => true,
            Compiled::Tera(template) => template.is_current(),
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
            Compiled::Tera(template) => template.render(view, host, out),
        }
    }
}
