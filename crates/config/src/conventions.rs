//! How the resource files of a run are understood: as of which confd, and below which prefix.

use bytes::Bytes;
use store::Prefix;

use crate::backends::Backends;

/// How the files of a run are understood.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conventions {
    /// The prefix of all keys. Empty means that there is none.
    pub prefix: Bytes,
    /// What that prefix does to the prefix of a resource.
    pub prefix_mode: PrefixMode,
    /// Whose keys the files have.
    pub dialect: Dialect,
    /// The backends that they can name or describe.
    pub backends: Backends,
}

/// What the prefix of the run does to the prefix that a resource names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PrefixMode {
    /// It replaces it, as in Go confd.
    #[default]
    Replace,
    /// It stands before it, as in the live fork: `/production` and `/app` make `/production/app`.
    Join,
}

/// The confd whose keys files have, where the meaning of a key differs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dialect {
    /// Go confd 0.16.
    #[default]
    Confd,
    /// Its live fork, whose command line begins with the name of a backend. There `group` is the
    /// group that owns the file, and `reload_cmd` is a template.
    Fork,
}

impl Conventions {
    /// The conventions of Go confd, with this prefix.
    pub fn with_prefix(prefix: impl Into<Bytes>) -> Self {
        Self { prefix: prefix.into(), ..Self::default() }
    }

    /// The prefix of a resource that names `own`, which may be empty.
    pub(crate) fn prefix_of(&self, own: &[u8]) -> Prefix {
        match (&*self.prefix, self.prefix_mode) {
            (b"", _) => Prefix::new(own),
            (prefix, PrefixMode::Replace) => Prefix::new(prefix),
            (prefix, PrefixMode::Join) => {
                let parts = [prefix, own].map(inner).into_iter().filter(|part| !part.is_empty());
                Prefix::new(&parts.collect::<Vec<_>>().join(&b'/'))
            }
        }
    }

    /// Whether the files are those of the live fork.
    pub(crate) fn are_of_fork(&self) -> bool {
        self.dialect == Dialect::Fork
    }
}

/// A prefix without its outer slashes.
fn inner(prefix: &[u8]) -> &[u8] {
    let is_name = |byte: &u8| *byte != b'/';
    let (begin, end) = (prefix.iter().position(is_name), prefix.iter().rposition(is_name));
    begin.zip(end).map_or(b"", |(begin, end)| &prefix[begin..=end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_the_run_replaces_that_of_the_resource_or_stands_before_it() {
        let of = |prefix: &'static str, prefix_mode, own: &str| {
            let conventions =
                Conventions { prefix_mode, ..Conventions::with_prefix(prefix.as_bytes()) };
            conventions.prefix_of(own.as_bytes()).to_string()
        };
        let (replace, join) = (PrefixMode::Replace, PrefixMode::Join);
        assert_eq!(of("production", replace, "myapp"), "/production");
        assert_eq!(of("production", join, "myapp"), "/production/myapp");
        assert_eq!(of("/production/", join, "/myapp/"), "/production/myapp");
        for mode in [replace, join] {
            assert_eq!(of("", mode, "/myapp"), "/myapp");
            assert_eq!(of("/production", mode, ""), "/production");
            assert_eq!(of("", mode, ""), "/");
        }
        assert_eq!(of("/", join, "m"), "/m");
    }
}
