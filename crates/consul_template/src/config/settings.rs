//! What was set: by one file, by the flags, or by all of them together.

use std::collections::BTreeMap;

use super::signal::Signal;

/// The values of the keys of a block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Settings(BTreeMap<&'static str, Setting>);

/// The value of a key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Setting {
    Text(String),
    Bool(bool),
    Int(i64),
    Float(f64),
    /// In nanoseconds.
    Duration(i64),
    Mode(u32),
    Signal(Signal),
    Command(Vec<String>),
    List(Vec<String>),
    Wait(Wait),
    Block(Settings),
    Blocks(Vec<Settings>),
}

/// A time of quiescence, in nanoseconds: a change is rendered when there was none for the time
/// `min`, and at the latest after the time `max`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wait {
    /// Whether the block switches the waiting on or off; `None` if it only has times.
    pub(crate) enabled: Option<bool>,
    pub(crate) min: Option<i64>,
    pub(crate) max: Option<i64>,
}

impl Settings {
    /// Sets the value at the end of `path`, whose earlier keys are blocks. Lists grow.
    pub(crate) fn set(&mut self, path: &[&'static str], value: Setting) {
        let Some((first, rest)) = path.split_first() else { return };
        let value = match rest {
            [] => value,
            _ => {
                let mut block = Settings::default();
                block.set(rest, value);
                Setting::Block(block)
            }
        };
        self.add(first, value);
    }

    /// Adds what `later` sets to these settings.
    pub(crate) fn merge(&mut self, later: Settings) {
        for (key, value) in later.0 {
            self.add(key, value);
        }
    }

    fn add(&mut self, key: &'static str, value: Setting) {
        match (self.0.get_mut(key), value) {
            (Some(Setting::Block(earlier)), Setting::Block(later)) => earlier.merge(later),
            (Some(Setting::Blocks(earlier)), Setting::Blocks(later)) => earlier.extend(later),
            (Some(Setting::List(earlier)), Setting::List(later)) => earlier.extend(later),
            (Some(Setting::Wait(earlier)), Setting::Wait(later)) => {
                earlier.enabled = later.enabled.or(earlier.enabled);
                earlier.min = later.min.or(earlier.min);
                earlier.max = later.max.or(earlier.max);
            }
            (_, value) => {
                self.0.insert(key, value);
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of the keys that are set.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    /// Whether a key has a text that is not empty.
    pub(crate) fn has_text(&self) -> bool {
        let text = |value: &Setting| matches!(value, Setting::Text(text) if !text.is_empty());
        self.0.values().any(text)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Setting::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Setting::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn int(&self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Setting::Int(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn float(&self, key: &str) -> Option<f64> {
        match self.0.get(key)? {
            Setting::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// A duration in nanoseconds.
    pub(crate) fn duration(&self, key: &str) -> Option<i64> {
        match self.0.get(key)? {
            Setting::Duration(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn mode(&self, key: &str) -> Option<u32> {
        match self.0.get(key)? {
            Setting::Mode(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn signal(&self, key: &str) -> Option<Signal> {
        match self.0.get(key)? {
            Setting::Signal(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn list(&self, key: &str) -> Option<&[String]> {
        match self.0.get(key)? {
            Setting::List(words) | Setting::Command(words) => Some(words),
            _ => None,
        }
    }

    pub(crate) fn wait(&self, key: &str) -> Option<Wait> {
        match self.0.get(key)? {
            Setting::Wait(value) => Some(*value),
            _ => None,
        }
    }

    /// The settings of a block; without the block there are none.
    pub(crate) fn block(&self, key: &str) -> &Settings {
        const NONE: &Settings = &Settings(BTreeMap::new());
        match self.0.get(key) {
            Some(Setting::Block(block)) => block,
            _ => NONE,
        }
    }

    pub(crate) fn blocks(&self, key: &str) -> &[Settings] {
        match self.0.get(key) {
            Some(Setting::Blocks(blocks)) => blocks,
            _ => &[],
        }
    }
}

impl Wait {
    /// The times of `text`: `5s`, or `5s:10s`.
    ///
    /// # Errors
    /// One of them is no duration, is negative, or the second is smaller than the first.
    pub(crate) fn parse(text: &str) -> Result<Wait, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("wait: cannot be empty".to_owned());
        }
        let mut parts = text.split(':');
        let (min, max) = (parts.next().unwrap_or_default(), parts.next());
        if parts.next().is_some() {
            return Err("wait: invalid format".to_owned());
        }
        let positive = |text: &str| match super::duration::parse(text.trim()) {
            Ok(nanos) if nanos < 0 => Err("wait: cannot be negative".to_owned()),
            parsed => parsed,
        };
        let min = positive(min)?;
        let max = max.map(positive).transpose()?.unwrap_or(min.saturating_mul(4));
        if max < min {
            return Err("wait: min must be less than max".to_owned());
        }
        Ok(Wait { enabled: Some(true), min: Some(min), max: Some(max) })
    }
}
