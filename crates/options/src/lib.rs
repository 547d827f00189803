//! Options as data: the name, type and default of each option, and how its value is read.
//!
//! An option is a constant, such as `INTERVAL: Opt<i64>`, and is described once.
//! [`options!`](crate::options!) makes the constants and, from the same lines, the table of their
//! descriptions ([`Spec`]). Flags, the usage text, the readers of `confd.toml` and of the
//! environment, and the hints for misspelt keys are all made from such tables. Code reads a value
//! with [`Given::get`] and the constant, and gets the constant's type. So neither a misspelt option
//! nor a wrong type compiles.
//!
//! A source of keys can keep the table of its own options in its own crate. The program that makes
//! the flags puts the tables together.
//!
//! [`duration`], [`goint`] and [`mod@gobool`] read durations, integers and booleans by confd's rules.
//! [`flags`] reads a command line by such a table.
//!
//! Nothing here reads arguments, files or the environment: the caller puts what it read into a
//! [`Layer`].

pub mod duration;
pub mod factor;
pub mod flags;
pub mod gobool;
pub mod goint;
pub mod size;

mod given;
mod types;

use std::{ffi::OsString, marker::PhantomData};

pub use given::{Given, Layer, Variable, of_secret_file};
pub use types::{Invalid, Read};

/// What the environment variable of each option begins with.
pub const VARIABLES: &str = "CONFD_";

/// Describes an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spec {
    /// The name: the flag without its dash. No two options have the same.
    pub name: &'static str,
    /// The key in `confd.toml`, or `None` where the file cannot set the option.
    pub key: Option<&'static str>,
    /// The key in a `confd.toml` of the live fork, if it is not [`key`](Self::key).
    pub fork_key: Option<&'static str>,
    /// A second environment variable that can set the option, beside [`variable`](Self::variable).
    pub other_variable: Option<&'static str>,
    /// The form of a value, with the default.
    pub kind: Kind,
    /// The form of a value that is a text.
    pub form: Form,
    /// One line that says what the option is for.
    pub help: &'static str,
    /// Whether the value must not be shown to people, such as a password.
    pub secret: bool,
    /// Whether only a flag gives the option, because it asks for something once, such as `-version`.
    pub flag_only: bool,
    /// What a shell can propose for the value.
    pub proposed: Proposed,
}

impl Spec {
    /// The key of a file that has the value, if the option is a secret.
    pub fn file_key(&self) -> Option<String> {
        self.key.filter(|_| self.secret).map(|key| format!("{key}_file"))
    }

    /// The environment variable that can set the option: `CONFD_` and the flag in upper case, with `_`
    /// for `-`.
    pub fn variable(&self) -> String {
        let of_flag = |letter: char| if letter == '-' { '_' } else { letter.to_ascii_uppercase() };
        VARIABLES.chars().chain(self.name.chars().map(of_flag)).collect()
    }
}

/// The form in which an option's value is written, with the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no. The default is no.
    Switch,
    /// An integer.
    Number(i64),
    /// A text.
    Text(&'static str),
    /// A text that can be given any number of times. The default is no text.
    List,
}

/// The form of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// None: it can be any text.
    Any,
    /// A duration, as [`duration`] reads it.
    Duration,
    /// A factor, as [`factor`] reads it.
    Factor,
    /// A number of bytes, as [`size`] reads it.
    Size,
    /// The option is accepted, and changes nothing. Its value is not looked at.
    Unused,
}

/// What a shell can propose for a value. Other values can be valid too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proposed {
    /// Nothing.
    Nothing,
    /// The path of a file.
    File,
    /// The path of a folder.
    Folder,
    /// These words.
    Words(&'static [&'static str]),
}

/// A value that was given for an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of a [`Kind::Switch`].
    Switch(bool),
    /// Of a [`Kind::Number`].
    Number(i64),
    /// Of a [`Kind::Text`].
    Text(OsString),
    /// Of a [`Kind::List`].
    List(Vec<OsString>),
}

impl Kind {
    /// The default value.
    pub fn default(self) -> Value {
        match self {
            Kind::Switch => Value::Switch(false),
            Kind::Number(number) => Value::Number(number),
            Kind::Text(text) => Value::Text(text.into()),
            Kind::List => Value::List(Vec::new()),
        }
    }
}

/// An option whose values have the type `T`.
#[derive(Debug)]
pub struct Opt<T> {
    spec: Spec,
    values: PhantomData<fn() -> T>,
}

impl<T> Opt<T> {
    const fn new(name: &'static str, kind: Kind, help: &'static str) -> Self {
        let (key, fork_key, other_variable) = (None, None, None);
        let (secret, flag_only, proposed) = (false, false, Proposed::Nothing);
        let form = Form::Any;
        let spec = Spec {
            name,
            key,
            fork_key,
            other_variable,
            kind,
            form,
            help,
            secret,
            flag_only,
            proposed,
        };
        Self { spec, values: PhantomData }
    }

    /// The same option, which `confd.toml` can set by `key`.
    #[must_use]
    pub const fn key(mut self, key: &'static str) -> Self {
        self.spec.key = Some(key);
        self
    }

    /// The same option, which a `confd.toml` of the live fork can also set by `key`.
    #[must_use]
    pub const fn fork_key(mut self, key: &'static str) -> Self {
        self.spec.fork_key = Some(key);
        self
    }

    /// The same option, which the environment can also set by `variable`.
    #[must_use]
    pub const fn variable(mut self, variable: &'static str) -> Self {
        self.spec.other_variable = Some(variable);
        self
    }

    /// The same option, which only a flag gives.
    #[must_use]
    pub const fn flag_only(mut self) -> Self {
        self.spec.flag_only = true;
        self
    }

    /// The same option, whose value is the path of a file.
    #[must_use]
    pub const fn path(mut self) -> Self {
        self.spec.proposed = Proposed::File;
        self
    }

    /// The same option, whose value is the path of a folder.
    #[must_use]
    pub const fn folder(mut self) -> Self {
        self.spec.proposed = Proposed::Folder;
        self
    }

    /// The same option, whose value is one of these words.
    #[must_use]
    pub const fn words(mut self, words: &'static [&'static str]) -> Self {
        self.spec.proposed = Proposed::Words(words);
        self
    }

    /// The same option, which is only accepted: its value changes nothing.
    #[must_use]
    pub const fn unused(mut self) -> Self {
        self.spec.form = Form::Unused;
        self
    }

    /// The same option, whose value must not be shown to people.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.spec.secret = true;
        self
    }

    /// The description.
    pub const fn spec(&self) -> Spec {
        self.spec
    }
}

impl Opt<bool> {
    /// A switch, which is off where nothing is given.
    pub const fn switch(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::Switch, help)
    }
}

impl Opt<i64> {
    /// An integer.
    pub const fn number(name: &'static str, default: i64, help: &'static str) -> Self {
        Self::new(name, Kind::Number(default), help)
    }
}

impl Opt<Vec<OsString>> {
    /// A list of texts, which is empty where nothing is given.
    pub const fn list(name: &'static str, help: &'static str) -> Self {
        Self::new(name, Kind::List, help)
    }
}

/// Types whose values are written as one text.
pub trait Text: Read {
    /// The form of that text.
    const FORM: Form = Form::Any;
}

impl<T: Text> Opt<T> {
    /// A value that is written as one text.
    pub const fn text(name: &'static str, default: &'static str, help: &'static str) -> Self {
        let mut option = Self::new(name, Kind::Text(default), help);
        option.spec.form = T::FORM;
        option
    }
}

/// Declares options, each a constant, and the table of their descriptions.
///
/// ```
/// options::options! {
///     /// The options of the example.
///     pub const OPTIONS;
///     /// Seconds between two passes.
///     pub const INTERVAL: Opt<i64> = number("interval", 600, "seconds between two passes");
/// }
/// assert_eq!(OPTIONS[0].name, "interval");
/// ```
#[macro_export]
macro_rules! options {
    (
        $(#[$table_meta:meta])* $table_vis:vis const $table:ident;
        $( $(#[$meta:meta])* $vis:vis const $name:ident: Opt<$type:ty> = $make:ident($($given:expr),* $(,)?)
            $(.$more:ident($($argument:expr)?))*; )*
    ) => {
        $(
            $(#[$meta])*
            $vis const $name: $crate::Opt<$type> =
                $crate::Opt::<$type>::$make($($given),*)$(.$more($($argument)?))*;
        )*
        $(#[$table_meta])*
        $table_vis const $table: &[$crate::Spec] = &[$($name.spec()),*];
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::options! {
        /// The options of the tests.
        const OPTIONS;
        const NOOP: Opt<bool> = switch("noop", "change nothing").key("noop");
        const INTERVAL: Opt<i64> = number("interval", 600, "seconds").key("interval");
        const PASSWORD: Opt<String> = text("password", "", "password").key("password").secret();
        const CERTIFICATE: Opt<std::path::PathBuf> =
            text("client-cert", "", "certificate").variable("CERTIFICATE");
        const NODE: Opt<Vec<OsString>> = list("node", "node").key("nodes");
    }

    #[test]
    fn the_table_describes_the_constants_in_their_order() {
        let names = OPTIONS.iter().map(|option| option.name);
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["noop", "interval", "password", "client-cert", "node"]
        );
        assert_eq!(OPTIONS[1].kind, Kind::Number(600));
        assert!(OPTIONS[2].secret && !OPTIONS[1].secret);
        assert_eq!(OPTIONS[3].variable(), "CONFD_CLIENT_CERT");
        assert_eq!(OPTIONS[3].other_variable, Some("CERTIFICATE"));
        assert_eq!((OPTIONS[3].key, OPTIONS[4].key), (None, Some("nodes")));
    }

    #[test]
    fn a_value_has_the_type_of_its_option() {
        let given = Given::default();
        let interval: i64 = given.get(&INTERVAL).unwrap();
        let noop: bool = given.get(&NOOP).unwrap();
        let nodes: Vec<OsString> = given.get(&NODE).unwrap();
        assert_eq!((interval, noop, nodes), (600, false, Vec::new()));
        assert_eq!(given.some(&PASSWORD), Ok(None));
        assert_eq!(given.some(&CERTIFICATE), Ok(None));
    }
}
