//! How a source introduces itself to the program that offers it to users.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;

use nodes::access::Discovery;
use nodes::address;
use options::{Given, Invalid, Spec, Variable};

use crate::Source;
use crate::queries::{self, Queries};

/// A kind of source as its users see it: how they choose it, which options it has, and what these
/// mean.
///
/// Each source has one static of this type, and everything that a program offers for the source is
/// made from it: flags, keys of `confd.toml`, the usage text. The program needs nothing else of the
/// source.
#[derive(Debug)]
pub struct Description {
    /// The names by which users choose the source, the usual name first. No two sources have the
    /// same name.
    pub names: &'static [&'static str],
    /// One line that says what the source reads.
    pub summary: &'static str,
    /// The options that the source reads, in groups. A group that several sources have is the same
    /// constant in each of them, such as [`nodes::access::USER`].
    pub options: &'static [&'static [Spec]],
    /// The environment variables of the store's own client, in groups. They count where the user
    /// gives nothing else.
    pub variables: &'static [&'static [Variable]],
    /// How the source finds out about changes.
    pub changes: Changes,
    /// Reads the options. Connects to no node and reads no file.
    ///
    /// The error says which option cannot be used.
    pub configure: fn(Setup<'_>) -> Result<Box<dyn Configured>, Invalid>,
}

/// How a source finds out about changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changes {
    /// The store reports them: [`Source::watch`] returns a watch.
    Reported,
    /// The source is read again and again: [`Source::watch`] returns `None`.
    Polled,
    /// Like [`Polled`](Self::Polled), and a run whose main source it is has no watch mode: Go confd and
    /// its fork refuse that, and programs rely on the refusal.
    OnlyPolled,
}

/// What a source is configured from.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The name by which the user chose the source: one of [`Description::names`].
    pub name: &'static str,
    /// The values of the options, and of the variables in [`Description::variables`].
    pub given: &'a Given,
    /// Reads all variables of the environment.
    pub environment: fn() -> Vec<(OsString, OsString)>,
    /// Takes probable mistakes of the user, each in one line for the log.
    pub warnings: &'a mut Vec<String>,
}

/// A configured source, which is not open yet.
///
/// Two of them are equal if they would open the same source. So a program that reads its
/// configuration again knows whether the source has changed.
pub trait Configured: Comparable + fmt::Debug + Send + Sync {
    /// The name in the log.
    fn name(&self) -> &'static str;

    /// The files or nodes that are read, for the log. Passwords in addresses are hidden.
    fn places(&self) -> Vec<String> {
        self.nodes().iter().map(|node| address::shown(node)).collect()
    }

    /// The addresses of the nodes. A source without nodes has none.
    fn nodes(&self) -> &[String] {
        &[]
    }

    /// The SRV record that names the nodes, if there is one, and the list of nodes. The program
    /// looks the record up and fills the list before it opens the source.
    fn discovery(&mut self) -> Option<(&Discovery, &mut Vec<String>)> {
        None
    }

    /// Opens the source. Connects to no node and reads no file yet.
    fn open(&self) -> Box<dyn Source>;

    /// Opens the store for queries; `None` if it answers none. Connects to no node and reads no file
    /// yet.
    fn queries(&self, settings: queries::Settings) -> Option<Box<dyn Queries>> {
        let _ = settings;
        None
    }
}

/// A type whose values can be compared with those of any type. Every type with an equality has
/// this.
pub trait Comparable: Any {
    /// Whether `other` has the same type and is equal.
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: Any + PartialEq> Comparable for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

impl PartialEq for dyn Configured {
    fn eq(&self, other: &Self) -> bool {
        self.equals(other as &dyn Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct One(u8);

    #[derive(Debug, PartialEq)]
    struct Other(u8);

    macro_rules! configured {
        ($type:ty) => {
            impl Configured for $type {
                fn name(&self) -> &'static str {
                    "test"
                }
                fn open(&self) -> Box<dyn Source> {
                    unreachable!("the test opens nothing")
                }
            }
        };
    }
    configured!(One);
    configured!(Other);

    #[test]
    fn sources_are_equal_if_kind_and_settings_are() {
        let same = |one: &dyn Configured, other: &dyn Configured| one == other;
        assert!(same(&One(1), &One(1)));
        assert!(!same(&One(1), &One(2)));
        assert!(!same(&One(1), &Other(1)));
    }
}
