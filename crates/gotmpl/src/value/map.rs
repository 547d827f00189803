//! Maps, in the order in which templates see them: sorted by the bytes of the keys, or by number.
//!
//! A map with integers as keys stores each key as bytes, whose order is that of the numbers; see
//! [`KeyType`].
//!
//! A map can be changed in place, and all clones of it see the change, as in Go. A reader never
//! holds a borrow: it takes the [`Entries`] as they are at that moment, which costs one reference.
//! Only a change that comes while such entries are held copies them. So a map can be changed while a
//! template ranges over it, and the loop goes on with the entries that it began with, as in Go.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use bytes::Bytes;

use super::memory::{make_entry, make_map};
use super::{Nested, Value, dismantle};
use crate::func::Failure;
use crate::types::{KeyType, MapType, STRING_MAP, VALUE_MAP};

/// A map from strings or integers to values. A clone is the same map.
#[derive(Clone)]
pub struct Map {
    ty: &'static MapType,
    content: Option<Rc<Content>>,
}

struct Content(RefCell<Rc<Sorted>>);

/// The entries in ascending order of their keys.
#[derive(Clone, Default)]
struct Sorted(Vec<(Bytes, Value)>);

impl Drop for Sorted {
    fn drop(&mut self) {
        dismantle(&mut self.0);
    }
}

/// The entries of a map at one moment, in the order of the keys' bytes. [`KeyType::value`] is what a
/// key stands for. Later changes of the map do
/// not change them.
#[derive(Clone, Default)]
pub struct Entries(Option<Rc<Sorted>>);

impl Deref for Entries {
    type Target = [(Bytes, Value)];

    fn deref(&self) -> &[(Bytes, Value)] {
        self.0.as_deref().map_or(&[], |sorted| &sorted.0)
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
        Map::holding(ty, Rc::new(Sorted(entries)))
    }

    /// A map of type `ty`, whose keys are integers. If two entries have the same key, the later one
    /// counts.
    pub fn of_integers(ty: &'static MapType, entries: Vec<(i64, Value)>) -> Map {
        debug_assert_eq!(ty.key, KeyType::Int);
        Map::of(ty, entries.into_iter().map(|(key, value)| (KeyType::stored(key), value)).collect())
    }

    fn holding(ty: &'static MapType, sorted: Rc<Sorted>) -> Map {
        Map { ty, content: Some(Rc::new(Content(RefCell::new(sorted)))) }
    }

    /// A map of type `ty` with entries of another map, which it shares until one of the two changes.
    pub fn sharing(ty: &'static MapType, entries: &Entries) -> Map {
        Map::holding(ty, entries.0.clone().unwrap_or_default())
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
        self.content.as_ref().map_or(0, |content| content.0.borrow().0.len())
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this is the nil map. An empty map is not nil.
    pub fn is_nil(&self) -> bool {
        self.content.is_none()
    }

    /// Whether both are the same map. Two maps with equal entries are not the same.
    pub fn is_same(&self, other: &Map) -> bool {
        match (&self.content, &other.content) {
            (Some(a), Some(b)) => Rc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    /// The value of `key` in a map of integers, as it is at this moment.
    pub fn get_integer(&self, key: i64) -> Option<Value> {
        self.get(&KeyType::stored(key))
    }

    /// The value of `key` in a map of strings, as it is at this moment.
    pub fn get(&self, key: &[u8]) -> Option<Value> {
        let sorted = self.content.as_ref()?.0.borrow();
        let place = sorted.find(key).ok()?;
        sorted.0.get(place).map(|(_, value)| value.clone())
    }

    /// The entries, as they are at this moment.
    pub fn entries(&self) -> Entries {
        Entries(self.content.as_ref().map(|content| Rc::clone(&content.0.borrow())))
    }

    /// Sets the value of `key`. All clones of the map see it.
    ///
    /// # Errors
    /// The map is nil; or it is a part of `value`: such a map would never be freed, and has no text.
    pub fn insert(&self, key: Bytes, value: Value) -> Result<(), Failure> {
        let Some(content) = &self.content else {
            return Err(Failure::new("assignment to entry in nil map"));
        };
        if value.is_container() && self.is_part_of(&value) {
            return Err(Failure::new("a map cannot be an entry of itself"));
        }
        make_entry(&key, &value);
        let mut shared = content.0.borrow_mut();
        if Rc::strong_count(&shared) > 1 {
            make_map(&shared.0);
        }
        let sorted = Rc::make_mut(&mut shared);
        let former = match sorted.find(&key) {
            Ok(place) => Some(std::mem::replace(&mut sorted.0[place].1, value)),
            Err(place) => {
                sorted.0.insert(place, (key, value));
                None
            }
        };
        drop(shared);
        drop(former);
        Ok(())
    }

    /// Removes the entry of `key`. All clones of the map see it.
    pub fn remove(&self, key: &[u8]) {
        let Some(content) = &self.content else { return };
        let mut shared = content.0.borrow_mut();
        let Ok(place) = shared.find(key) else { return };
        if Rc::strong_count(&shared) > 1 {
            make_map(&shared.0);
        }
        let former = Rc::make_mut(&mut shared).0.remove(place);
        drop(shared);
        drop(former);
    }

    /// Whether `value` is this map or contains it, however deeply.
    fn is_part_of(&self, value: &Value) -> bool {
        let mut seen = HashSet::new();
        let mut pending = vec![value.clone()];
        while let Some(value) = pending.pop() {
            let mut add = |value: &Value| {
                let is_self = matches!(value, Value::Map(map) if self.is_same(map));
                let is_new = value.content_address().is_some_and(|place| seen.insert(place));
                if is_self || is_new {
                    pending.push(value.clone());
                }
            };
            match &value {
                Value::Map(map) if self.is_same(map) => return true,
                Value::Map(map) => map.entries().iter().for_each(|(_, value)| add(value)),
                Value::Slice(slice) => slice.show_all(|values| values.iter().for_each(&mut add)),
                Value::Struct(value) => value.fields().iter().for_each(&mut add),
                Value::Pointer(pointer) => {
                    let fields = pointer.target().map_or(&[][..], |target| target.fields());
                    fields.iter().for_each(&mut add);
                }
                _ => {}
            }
        }
        false
    }

    /// An address that only maps with the same entries share.
    pub(super) fn address(&self) -> usize {
        self.content.as_ref().map_or(0, |content| Rc::as_ptr(&content.0.borrow()).addr())
    }

    /// Moves the values to `pending` if this is the only reference to them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Value>) {
        let content = self.content.and_then(Rc::into_inner);
        if let Some(mut sorted) = content.and_then(|content| Rc::into_inner(content.0.into_inner()))
        {
            pending.extend(sorted.0.drain(..).map(|(_, value)| value));
        }
    }
}

impl Sorted {
    /// The place of `key`, or the place where it belongs.
    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| other.as_ref().cmp(key))
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries().iter().map(|(key, value)| (key, value))).finish()
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
        let entries = map.entries();
        let found: Vec<_> =
            entries.iter().map(|(key, value)| (key.clone(), value.as_i64())).collect();
        assert_eq!(found, [("a".into(), Some(4)), ("b".into(), Some(3))]);
        assert_eq!(map.get(b"b").as_ref().and_then(Value::as_i64), Some(3));
        assert!(map.get(b"c").is_none());
    }

    #[test]
    fn a_change_is_seen_by_every_clone_and_by_no_entries_that_were_taken_before() {
        let map = Map::values(vec![entry("a", 1), entry("b", 2)]);
        let (clone, before) = (map.clone(), map.entries());
        map.insert("b".into(), Value::Int(3)).unwrap();
        map.insert("aa".into(), Value::Int(4)).unwrap();
        map.remove(b"a");
        map.remove(b"no such key");
        assert_eq!(format!("{clone:?}"), r#"{b"aa": 4, b"b": 3}"#);
        assert_eq!(format!("{:?}", &*before), r#"[(b"a", 1), (b"b", 2)]"#);
    }

    #[test]
    fn integers_as_keys_are_sorted_by_number() {
        static MAP: MapType = MapType { key: KeyType::Int, elem: crate::types::Type::Int };
        let numbers = [443, -1, 80, i64::MIN, i64::MAX];
        let entries = numbers.map(|number| (number, Value::Int(number))).to_vec();
        let map = Map::of_integers(&MAP, entries);
        let text = String::from_utf8_lossy(&Value::Map(map.clone()).text()).into_owned();
        let (least, most) = (i64::MIN, i64::MAX);
        assert_eq!(text, format!("map[{least}:{least} -1:-1 80:80 443:443 {most}:{most}]"));
        assert_eq!(map.get_integer(443).as_ref().and_then(Value::as_i64), Some(443));
        assert!(map.get_integer(81).is_none());
        let keys: Vec<_> = map.entries().iter().map(|(key, _)| KeyType::Int.text(key)).collect();
        assert_eq!(keys[1..4], ["-1", "80", "443"]);
    }

    #[test]
    fn maps_that_share_entries_change_apart() {
        let map = Map::values(vec![entry("a", 1)]);
        let copy = Map::sharing(map.ty(), &map.entries());
        copy.insert("a".into(), Value::Int(2)).unwrap();
        assert_eq!((map.get(b"a").unwrap().as_i64(), copy.len()), (Some(1), 1));
    }

    #[test]
    fn a_map_cannot_become_a_part_of_itself() {
        let map = Map::values(vec![entry("a", 1)]);
        let inner = Map::values(vec![("map".into(), Value::Map(map.clone()))]);
        let list = crate::value::Slice::of(&crate::types::VALUES, vec![Value::Map(inner.clone())]);
        for value in [Value::Map(map.clone()), Value::Map(inner), Value::Slice(list)] {
            map.insert("x".into(), value).unwrap_err();
        }
        let other = Map::values(vec![entry("a", 1)]);
        map.insert("x".into(), Value::Map(other)).unwrap();
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn the_nil_map_cannot_be_changed() {
        let map = Map::nil(&VALUE_MAP);
        map.remove(b"a");
        let failure = map.insert("a".into(), Value::Nil).unwrap_err();
        assert_eq!(failure.text(), b"assignment to entry in nil map");
    }
}
