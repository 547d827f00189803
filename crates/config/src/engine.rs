//! The language that a template is written in.

use std::{ffi::OsStr, path::Path};

/// The language that a template is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    /// Go's text/template, as in confd.
    Go,
    /// Tera 2.
    Tera,
}

impl Engine {
    /// Every language, in the order in which error messages list them.
    pub const ALL: [Engine; 2] = [Engine::Go, Engine::Tera];

    /// The name that a resource file uses for the language.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Go => "go",
            Engine::Tera => "tera",
        }
    }

    /// The language with this [`name`](Self::name).
    pub fn from_name(name: &str) -> Option<Self> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// The language of the template file `src` if the resource names none: Tera if the file's name
    /// ends in `.tera`, otherwise Go.
    pub fn of_file(src: &Path) -> Self {
        if src.extension() == Some(OsStr::new("tera")) { Engine::Tera } else { Engine::Go }
    }
}
