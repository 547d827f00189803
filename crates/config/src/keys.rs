//! The keys of resource files: each is described once.
//!
//! A key is a static, such as `DEBOUNCE`, whose type says what its values are. Parsers ask a `ResourceTable`
//! for the value of a key and get a value of that type. So a key that is not described here cannot be read.
//! The hints for misspelt keys and for values of the wrong type are made of the same descriptions.
//!
//! A new table of resource files is a list of keys like [`TEMPLATE_KEYS`], and a line of [`TABLES`].

mod read;
mod template;

use std::{marker::PhantomData, ops::Deref, time::Duration};

pub use self::template::TEMPLATE_KEYS;
pub(crate) use self::{
    read::{Count, Id, NameOrNumber, Read, ResourceTable, Text, TextOrTexts, Texts, Word, wrong},
    template::*,
};

/// A table that a resource file can have.
#[derive(Debug)]
pub struct Table {
    /// The name.
    pub name: &'static str,
    /// The keys that it can have.
    pub keys: &'static [&'static Spec],
    /// Whether a file has at least one of them.
    pub is_required: bool,
    /// Whether a file can have several of them.
    pub can_be_several: bool,
    /// What it is for.
    pub help: &'static str,
    /// The keys that have no effect without others.
    pub needs: &'static [Need],
    /// Pairs of keys that cannot be set together.
    pub excludes: &'static [[&'static Spec; 2]],
}

/// A key that has no effect without one of several others.
#[derive(Debug)]
pub struct Need {
    /// The key.
    pub key: &'static Spec,
    /// The others. One of them is set, and a switch is on.
    pub of: &'static [&'static Spec],
}

/// The table of a resource.
pub static TEMPLATE: Table = Table {
    name: "template",
    keys: TEMPLATE_KEYS,
    is_required: true,
    can_be_several: true,
    help: "A template, the keys that it needs, and the file to write. Several tables [[template]] in one file \
           are a group: their files are put in place together.",
    needs: TEMPLATE_NEEDS,
    excludes: TEMPLATE_EXCLUDES,
};

/// The tables of a resource file.
pub static TABLES: &[&Table] = &[&TEMPLATE];

/// The description of a key.
#[derive(Debug)]
pub struct Spec {
    /// The name.
    pub name: &'static str,
    /// What its values are.
    pub kind: Kind,
    /// The value without it.
    pub otherwise: Otherwise,
    /// What it is for, in sentences.
    pub help: &'static str,
    /// What is different in files of the live fork.
    pub in_fork: Option<&'static str>,
    /// Whether a table without it is invalid.
    pub is_required: bool,
    /// Whether its value is used. Go confd accepts keys that nothing reads, and so they are accepted here.
    pub is_used: bool,
}

/// What the values of a key are.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Yes or no.
    Switch,
    /// An integer from the first to the last of these.
    Integer(i64, i64),
    /// A text.
    Text,
    /// A list of texts.
    Texts,
    /// A text, or a list of texts.
    TextOrTexts,
    /// A text for the shell, or a list of a program and its arguments.
    Command,
    /// A name, or a number.
    NameOrNumber,
    /// A duration, as [`options::duration`] reads it.
    Duration,
    /// The permissions of a file: a number as [`options::goint`] reads it, as text.
    Mode,
    /// A number from 0 to 100 with `%`, as text.
    Percentage,
    /// A factor, as [`options::factor`] reads it.
    Factor,
    /// A regular expression.
    Expression,
    /// One of the words that the function gives.
    Word(fn() -> Vec<&'static str>),
}

/// The value of a key that a table does not have.
#[derive(Debug, Clone, Copy)]
pub enum Otherwise {
    /// There is none.
    Nothing,
    /// This one.
    Switch(bool),
    /// This one.
    Number(u32),
    /// This one.
    Time(Duration),
    /// This text.
    Text(&'static str),
    /// These words say which value it is, for people.
    Said(&'static str),
}

/// A key whose values have the type `T`.
#[derive(Debug)]
pub(crate) struct Key<T> {
    spec: Spec,
    values: PhantomData<fn() -> T>,
}

/// A key is used wherever its description is.
impl<T> Deref for Key<T> {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

impl<T: Read> Key<T> {
    const fn new(name: &'static str, help: &'static str) -> Self {
        let spec = Spec {
            name,
            kind: T::KIND,
            otherwise: Otherwise::Nothing,
            help,
            in_fork: None,
            is_required: false,
            is_used: true,
        };
        Key { spec, values: PhantomData }
    }
}

impl<T> Key<T> {
    /// The same key, without which a table is invalid.
    const fn required(mut self) -> Self {
        self.spec.is_required = true;
        self
    }

    /// The same key, of which these words say the default.
    const fn otherwise(mut self, words: &'static str) -> Self {
        self.spec.otherwise = Otherwise::Said(words);
        self
    }

    /// The same key, whose default is written so.
    const fn or_text(mut self, text: &'static str) -> Self {
        self.spec.otherwise = Otherwise::Text(text);
        self
    }

    /// The same key, with what is different in files of the live fork.
    const fn in_fork(mut self, words: &'static str) -> Self {
        self.spec.in_fork = Some(words);
        self
    }

    /// The same key, whose value nothing reads.
    const fn unused(mut self) -> Self {
        self.spec.is_used = false;
        self
    }
}

impl Key<bool> {
    /// The same key, with this default.
    const fn or(mut self, default: bool) -> Self {
        self.spec.otherwise = Otherwise::Switch(default);
        self
    }

    /// The value of a table without the key.
    pub(crate) fn default(&self) -> bool {
        matches!(self.spec.otherwise, Otherwise::Switch(true))
    }
}

impl Key<Count> {
    /// The same key, with this default.
    const fn or(mut self, default: u32) -> Self {
        self.spec.otherwise = Otherwise::Number(default);
        self
    }
}

impl Key<Duration> {
    /// The same key, with this default.
    const fn or(mut self, default: Duration) -> Self {
        self.spec.otherwise = Otherwise::Time(default);
        self
    }

    /// The value of a table without the key.
    pub(crate) fn default(&self) -> Duration {
        match self.spec.otherwise {
            Otherwise::Time(default) => default,
            _ => Duration::ZERO,
        }
    }
}

/// The key of a resource that has this name.
pub(crate) fn find(name: &str) -> Option<&'static Spec> {
    TEMPLATE_KEYS.iter().copied().find(|key| key.name.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests;
