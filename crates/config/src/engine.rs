//! The language that a template is written in.

use std::{ffi::OsStr, path::Path};

use crate::keys::Word;

/// The language that a template is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Go's text/template, as in confd.
    Go,
    /// Tera 2.
    Tera,
}

impl Engine {
    /// The language of the template file `src` if the resource names none: Tera if the file's name
    /// ends in `.tera`, otherwise Go.
    pub fn of_file(src: &Path) -> Self {
        if src.extension() == Some(OsStr::new("tera")) { Engine::Tera } else { Engine::Go }
    }
}

impl Word for Engine {
    const ALL: &'static [(&'static str, Self)] = &[("go", Self::Go), ("tera", Self::Tera)];
}
