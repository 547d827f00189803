//! The settings as they were given: flags, environment and confd.toml, one behind the other.

use std::{
    collections::HashMap, ffi::OsString, os::unix::ffi::OsStringExt, path::PathBuf, time::Duration,
};

use anyhow::anyhow;
use config::duration;

use crate::settings::{self, Value};

/// The values of one layer, by flag name.
pub(crate) type Layer = HashMap<&'static str, Value>;

/// What the environment says to the stores' own clients, by name; empty variables are left out.
pub(crate) type Variables = HashMap<&'static str, String>;

/// The layers, first to last in precedence.
pub(crate) struct Merged {
    pub(crate) layers: [Layer; 3],
    /// confd 0.16: the environment counts where the other layers give nothing *or an empty text*.
    pub(crate) fill_empty: bool,
    /// What the environment says to the stores' own clients.
    pub(crate) variables: Variables,
}

impl Merged {
    fn value(&self, flag: &str) -> Value {
        let empty = Value::Text(OsString::new());
        let given = self.layers.iter().filter_map(|layer| layer.get(flag));
        let mut given = given.filter(|value| !self.fill_empty || **value != empty);
        let default = || settings::find(flag).map(|setting| setting.kind.default());
        given.next().cloned().or_else(default).unwrap_or(empty.clone())
    }

    /// Whether a switch is on.
    pub(crate) fn switch(&self, flag: &str) -> bool {
        self.value(flag) == Value::Switch(true)
    }

    /// A whole number.
    pub(crate) fn number(&self, flag: &str) -> i64 {
        if let Value::Number(number) = self.value(flag) { number } else { 0 }
    }

    /// A text, whatever its bytes.
    pub(crate) fn bytes(&self, flag: &str) -> Vec<u8> {
        if let Value::Text(text) = self.value(flag) { text.into_vec() } else { Vec::new() }
    }

    /// A text that counts as not given if it is empty.
    pub(crate) fn some_text(&self, flag: &str) -> anyhow::Result<Option<String>> {
        Ok(Some(self.text(flag)?).filter(|text| !text.is_empty()))
    }

    /// A text that has to be UTF-8: names and words, not paths and keys.
    pub(crate) fn text(&self, flag: &str) -> anyhow::Result<String> {
        String::from_utf8(self.bytes(flag)).map_err(|error| {
            anyhow!("-{flag} is not valid UTF-8: \"{}\"", error.as_bytes().escape_ascii())
        })
    }

    /// Everything that was given of a list.
    pub(crate) fn list(&self, flag: &str) -> Vec<OsString> {
        if let Value::List(list) = self.value(flag) { list } else { Vec::new() }
    }

    /// A path; empty if none is given.
    pub(crate) fn path(&self, flag: &str) -> PathBuf {
        PathBuf::from(OsString::from_vec(self.bytes(flag)))
    }

    /// A time with its unit.
    pub(crate) fn duration(&self, flag: &str) -> anyhow::Result<Duration> {
        let text = self.text(flag)?;
        duration::parse(&text).map_err(|why| anyhow!("invalid value {text:?} for -{flag}: {why}"))
    }
}
