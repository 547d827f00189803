//! Maps with string keys, in the order in which templates see them: sorted by the bytes of the
//! keys.

use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::memory::make_map;
use super::{Nested, Value, dismantle};
use crate::types::{MapType, STRING_MAP, VALUE_MAP};

/// A map from strings to values. It never changes.
#[derive(Clone)]
pub struct Map {
    ty: &'static MapType,
    content: Option<Rc<Content>>,
}

/// The entries in ascending order of their keys.
struct Content(Vec<(Bytes, Value)>);

impl Drop for Content {
    fn drop(&mut self) {
        dismantle(&mut self.0);
    }
}

impl Nested for (Bytes, Value) {
    fn value(&self) -> &Value {
        &self.1
    }

    fn into_value(self) -> Value {
        self.1
    }
}

impl Map {
    /// A map of type `ty`. If two entries have the same key, the later one counts.
    pub fn of(ty: &'static MapType, mut entries: Vec<(Bytes, Value)>) -> Map {
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            // The sort is stable, so of equal keys the later entry stays behind the earlier one.
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.reverse();
            entries.dedup_by(|(later, _), (earlier, _)| later == earlier);
            entries.reverse();
        }
        make_map(&entries);
        Map { ty, content: Some(Rc::new(Content(entries))) }
    }

    /// A `map[string]interface {}`.
    pub fn values(entries: Vec<(Bytes, Value)>) -> Map {
        Map::of(&VALUE_MAP, entries)
    }

    /// A `map[string]string`.
    pub fn strings(entries: impl IntoIterator<Item = (Bytes, Bytes)>) -> Map {
        let entries = entries.into_iter().map(|(key, value)| (key, Value::String(value)));
        Map::of(&STRING_MAP, entries.collect())
    }

    /// The nil map of type `ty`.
    pub fn nil(ty: &'static MapType) -> Map {
        Map { ty, content: None }
    }

    /// The type of the map.
    pub fn ty(&self) -> &'static MapType {
        self.ty
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is the nil map. An empty map is not nil.
    pub fn is_nil(&self) -> bool {
        self.content.is_none()
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&Value> {
        let entries = self.entries();
        let place = entries.binary_search_by(|(other, _)| other.as_ref().cmp(key)).ok()?;
        entries.get(place).map(|(_, value)| value)
    }

    /// The entry number `place`, in the order of the keys.
    pub fn entry(&self, place: usize) -> Option<(&Bytes, &Value)> {
        self.entries().get(place).map(|(key, value)| (key, value))
    }

    /// The entries in the order of the keys' bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Value)> {
        self.entries().iter().map(|(key, value)| (key, value))
    }

    fn entries(&self) -> &[(Bytes, Value)] {
        self.content.as_deref().map_or(&[], |content| &content.0)
    }

    /// An address that only clones of the map share.
    pub(super) fn address(&self) -> usize {
        self.content.as_ref().map_or(0, |content| Rc::as_ptr(content).addr())
    }

    /// Moves the values to `pending` if this is the only reference to them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Value>) {
        if let Some(mut content) = self.content.and_then(Rc::into_inner) {
            pending.extend(content.0.drain(..).map(|(_, value)| value));
        }
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(key: &'static str, value: i64) -> (Bytes, Value) {
        (Bytes::from_static(key.as_bytes()), Value::Int(value))
    }

    #[test]
    fn keys_are_sorted_and_the_last_of_equal_ones_wins() {
        let map = Map::values(vec![entry("b", 1), entry("a", 2), entry("b", 3), entry("a", 4)]);
        let found: Vec<_> = map.iter().map(|(key, value)| (key.clone(), value.as_i64())).collect();
        assert_eq!(found, [("a".into(), Some(4)), ("b".into(), Some(3))]);
        assert_eq!(map.get(b"b").and_then(Value::as_i64), Some(3));
        assert!(map.get(b"c").is_none());
    }
}
