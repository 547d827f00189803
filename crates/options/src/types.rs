//! The types that options can have, and how the value of each is read from what was given.

use std::{ffi::OsString, os::unix::ffi::OsStringExt as _, path::PathBuf, time::Duration};

use crate::{
    Form, Spec, Text, Value, duration,
    factor::{self, Factor},
    size::{self, Size},
};

/// Why options cannot be used: the value of one is wrong, or one is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid(String);

impl Invalid {
    /// The reason `text`, which is complete: it names the option.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

impl Invalid {
    /// The same reason, for a value that `place` gives.
    pub(crate) fn given_by(self, place: &str) -> Self {
        Self(format!("{} ({place})", self.0))
    }
}

/// A type that an option can have.
pub trait Read: Sized {
    /// Reads the value `given` of `option`.
    ///
    /// # Errors
    /// `given` is not a value of this type.
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid>;

    /// Whether the value counts as not given, for an option without a default.
    fn is_nothing(&self) -> bool {
        false
    }
}

/// The error of a value that has the form of another kind than its option. The readers of flags,
/// files and the environment never make such a value.
fn other_kind(option: &Spec) -> Invalid {
    Invalid(format!("-{} has a value of another type", option.name))
}

impl Read for bool {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        if let Value::Switch(on) = given { Ok(on) } else { Err(other_kind(option)) }
    }
}

impl Read for i64 {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        if let Value::Number(number) = given { Ok(number) } else { Err(other_kind(option)) }
    }
}

impl Read for Vec<OsString> {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        if let Value::List(list) = given { Ok(list) } else { Err(other_kind(option)) }
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl Text for OsString {}

/// Any text.
impl Read for OsString {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        if let Value::Text(text) = given { Ok(text) } else { Err(other_kind(option)) }
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl Text for Vec<u8> {}

/// The bytes of any text: keys and patterns over names.
impl Read for Vec<u8> {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        OsString::read(option, given).map(OsString::into_vec)
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl Text for PathBuf {}

impl Read for PathBuf {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        OsString::read(option, given).map(PathBuf::from)
    }

    fn is_nothing(&self) -> bool {
        self.as_os_str().is_empty()
    }
}

impl Text for String {}

/// A text that has to be UTF-8: names and words.
impl Read for String {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        String::from_utf8(Vec::read(option, given)?).map_err(|error| {
            let bytes = gotmpl::quote(error.as_bytes());
            Invalid(format!("-{} is not valid UTF-8: {bytes}", option.name))
        })
    }

    fn is_nothing(&self) -> bool {
        self.is_empty()
    }
}

impl Text for Duration {
    const FORM: Form = Form::Duration;
}

/// A time with its unit, as [`duration::parse`] reads it.
impl Read for Duration {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        let text = String::read(option, given)?;
        duration::parse(&text).map_err(|why| {
            let text = gotmpl::quote(text.as_bytes());
            Invalid(format!("invalid value {text} for -{}: {why}", option.name))
        })
    }
}

impl Text for Factor {
    const FORM: Form = Form::Factor;
}

/// A factor, as [`factor::parse`] reads it.
impl Read for Factor {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        let text = String::read(option, given)?;
        factor::parse(&text).map_err(|why| {
            let text = gotmpl::quote(text.as_bytes());
            Invalid(format!("invalid value {text} for -{}: {why}", option.name))
        })
    }
}

impl Text for Option<Duration> {
    const FORM: Form = Form::Duration;
}

/// A time with its unit; `None` if the text is empty.
impl Read for Option<Duration> {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        match given {
            Value::Text(text) if text.is_empty() => Ok(None),
            given => Duration::read(option, given).map(Some),
        }
    }

    fn is_nothing(&self) -> bool {
        self.is_none()
    }
}

impl Text for Size {
    const FORM: Form = Form::Size;
}

/// A number of bytes, as [`size::parse`] reads it.
impl Read for Size {
    fn read(option: &Spec, given: Value) -> Result<Self, Invalid> {
        let text = String::read(option, given)?;
        size::parse(&text).map_err(|why| {
            let text = gotmpl::quote(text.as_bytes());
            Invalid(format!("invalid value {text} for -{}: {why}", option.name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn read<T: Read>(text: &[u8]) -> Result<T, String> {
        let kind = Kind::Text("");
        let option = Spec { kind, ..crate::Opt::<String>::text("x", "", "").spec() };
        let given = Value::Text(OsString::from_vec(text.to_vec()));
        T::read(&option, given).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn paths_and_bytes_may_be_anything_and_names_are_utf_8() {
        assert_eq!(read::<Vec<u8>>(b"\xff"), Ok(b"\xff".to_vec()));
        assert!(read::<PathBuf>(b"\xff").is_ok());
        let error = "-x is not valid UTF-8: \"a\\xff\"".to_owned();
        assert_eq!(read::<String>(b"a\xff"), Err(error));
    }

    #[test]
    fn a_malformed_duration_is_reported_with_its_option() {
        assert_eq!(read(b"1m30s"), Ok(Duration::from_secs(90)));
        let error = read::<Duration>(b"soon").unwrap_err();
        assert!(error.starts_with("invalid value \"soon\" for -x: not a duration"), "{error}");
        assert_eq!(read::<Option<Duration>>(b""), Ok(None));
        assert_eq!(read(b"0"), Ok(Some(Duration::ZERO)));
    }

    #[test]
    fn a_value_of_another_kind_is_refused() {
        assert_eq!(read::<bool>(b"true"), Err("-x has a value of another type".to_owned()));
    }
}
