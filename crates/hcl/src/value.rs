//! What a text says: entries with values, each with its place.

use crate::error::Place;

/// The entries of a file, a block or an object, in the order of their first occurrence. No two have
/// the same key.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Body(Vec<Entry>);

/// A key with its value. Two entries are equal if their keys and values are, wherever they stand.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key as it is written, without quotes.
    pub key: String,
    /// The place of the key, where it occurs first.
    pub place: Place,
    /// The value.
    pub value: Value,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key == other.key && self.value == other.value
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// JSON's `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without point and exponent.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string or a heredoc.
    String(String),
    /// A list. Its objects are blocks of one body each.
    List(Vec<Value>),
    /// The blocks of one key, or an object.
    Blocks(Vec<Body>),
}

impl Value {
    /// The bodies of blocks, or of a list that has only objects.
    pub fn as_blocks(&self) -> Option<&[Body]> {
        match self {
            Value::Blocks(bodies) => Some(bodies),
            _ => None,
        }
    }

    /// The value of a key that has the value `self`, and then occurs again with `later`.
    fn and(self, later: Value) -> Value {
        match (self, later) {
            (Value::Blocks(mut all), Value::Blocks(more)) => {
                all.extend(more);
                Value::Blocks(all)
            }
            (Value::List(mut all), Value::List(more)) => {
                all.extend(more);
                Value::List(all)
            }
            (_, later) => later,
        }
    }
}

impl Body {
    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The entry of `key`.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// Adds a value. If the key is there already, the values become one.
    pub(crate) fn add(&mut self, key: String, place: Place, value: Value) {
        match self.0.iter_mut().find(|entry| entry.key == key) {
            Some(entry) => {
                let earlier = std::mem::replace(&mut entry.value, Value::Null);
                entry.value = earlier.and(value);
            }
            None => self.0.push(Entry { key, place, value }),
        }
    }
}

impl IntoIterator for Body {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
