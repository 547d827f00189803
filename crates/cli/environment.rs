//! The environment of the process. It does not change while the process runs.

use std::ffi::{OsStr, OsString};

/// The variables of an environment.
#[derive(Debug, Default)]
pub(crate) struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// The environment of this process.
    #[expect(clippy::disallowed_methods, reason = "cli reads the environment")]
    pub(crate) fn of_process() -> Self {
        Environment(std::env::vars_os().collect())
    }

    /// The value of a variable.
    pub(crate) fn get(&self, name: &str) -> Option<OsString> {
        let found = self.0.iter().find(|(known, _)| known == OsStr::new(name));
        found.map(|(_, value)| value.clone())
    }

    /// All variables with their values, for a caller that keeps them.
    pub(crate) fn into_pairs(self) -> Vec<(OsString, OsString)> {
        self.0
    }

    /// All variables with their values.
    pub(crate) fn pairs(&self) -> &[(OsString, OsString)] {
        &self.0
    }
}

#[cfg(test)]
impl From<&[(&str, &str)]> for Environment {
    fn from(pairs: &[(&str, &str)]) -> Self {
        Environment(pairs.iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}
