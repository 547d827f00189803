//! How users choose this source.

use std::ffi::OsString;

use options::Invalid;
use source::{Changes, Configured, Description, Setup, Source};

use crate::Env;

/// The environment, as users see it.
pub static DESCRIPTION: Description = Description {
    names: &["env"],
    summary: "the environment variables of confd's process",
    options: &[],
    variables: &[],
    changes: Changes::Polled,
    configure,
};

/// The environment of the process, which is read when the source is opened.
#[derive(Debug)]
struct Environment(fn() -> Vec<(OsString, OsString)>);

impl PartialEq for Environment {
    /// A process has one environment.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

fn configure(setup: Setup<'_>) -> Result<Box<dyn Configured>, Invalid> {
    Ok(Box::new(Environment(setup.environment)))
}

impl Configured for Environment {
    fn name(&self) -> &'static str {
        "env"
    }

    fn open(&self) -> Box<dyn Source> {
        Box::new(Env::new((self.0)()))
    }
}
