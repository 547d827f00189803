//! Counts the memory that values take.
//!
//! The thread counts what values are made, because they stay on one thread; nothing is counted when
//! a value is dropped. So the count says how much can have come since the last measurement. Only if
//! that is too much, [`Held`] measures what is really held.

use std::cell::Cell;
use std::collections::HashSet;

use super::Value;

/// The bytes of one value in a list.
const VALUE: usize = size_of::<Value>();
/// About the bytes of a list or map without its elements.
const CONTAINER: usize = 128;
/// About the bytes of the key of an entry, without its text.
const KEY: usize = size_of::<bytes::Bytes>();

thread_local! {
    static MADE: Cell<usize> = const { Cell::new(0) };
    /// The bytes that the running executions hold, without what was made since they were measured.
    static HELD: Cell<Option<usize>> = const { Cell::new(None) };
}

/// An execution that runs, inside of those that wait for it on this thread.
///
/// A function of a template can execute a template. Both have one budget: what the outer execution holds
/// counts for the inner one.
pub(crate) struct Running {
    /// What the thread counted before the execution.
    made: usize,
    held: Option<usize>,
}

impl Running {
    /// Begins an execution, which counts from 0.
    pub(crate) fn begin() -> Running {
        Running { made: MADE.replace(0), held: HELD.replace(Some(0)) }
    }

    /// The bytes that the executions outside of this one hold.
    pub(crate) fn outside(&self) -> usize {
        self.held.map_or(0, |held| held.saturating_add(self.made))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // What the execution made is dropped with it, except for its output, which its caller counts.
        MADE.set(self.made);
        HELD.set(self.held);
    }
}

/// Says how many bytes the running executions hold, before a function is called that may execute a
/// template.
pub(crate) fn hold(bytes: usize) {
    HELD.set(Some(bytes));
}

/// The bytes of the values that this thread has made since the last [`forget_made`].
pub(crate) fn made() -> usize {
    MADE.get()
}

/// Starts to count from 0.
pub(crate) fn forget_made() {
    MADE.set(0);
}

/// Counts a text of this length.
pub(crate) fn make_text(len: usize) {
    MADE.set(MADE.get().saturating_add(len));
}

/// Counts a list of values, and the texts in it.
pub(super) fn make_list(values: &[Value]) {
    MADE.set(MADE.get().saturating_add(CONTAINER + values.len() * VALUE + texts(values.iter())));
}

/// Counts a struct, whose texts are parts of other values.
pub(super) fn make_struct(fields: usize) {
    MADE.set(MADE.get().saturating_add(fields * VALUE));
}

/// Counts the entries of a map.
pub(super) fn make_map(entries: &[(bytes::Bytes, Value)]) {
    let keys: usize = entries.iter().map(|(key, _)| key.len()).sum();
    let all = keys + texts(entries.iter().map(|(_, value)| value));
    MADE.set(MADE.get().saturating_add(CONTAINER + entries.len() * (KEY + VALUE) + all));
}

/// Counts one entry of a map.
pub(super) fn make_entry(key: &[u8], value: &Value) {
    let text = value.as_bytes().map_or(0, bytes::Bytes::len);
    MADE.set(MADE.get().saturating_add(KEY + VALUE + key.len() + text));
}

fn texts<'a>(values: impl Iterator<Item = &'a Value>) -> usize {
    values.filter_map(Value::as_bytes).map(bytes::Bytes::len).sum()
}

/// Measures the values that are held. What several values share counts once, except for texts.
#[derive(Default)]
pub(crate) struct Held {
    bytes: usize,
    seen: HashSet<usize>,
    pending: Vec<Value>,
}

impl Held {
    /// Adds a value, with everything that it contains.
    pub(crate) fn add(&mut self, value: &Value) {
        self.look(value);
        while let Some(value) = self.pending.pop() {
            match &value {
                Value::Slice(slice) => slice.show_all(|values| {
                    self.bytes += CONTAINER + values.len() * VALUE;
                    values.iter().for_each(|value| self.look(value));
                }),
                Value::Map(map) => {
                    self.bytes += CONTAINER + map.len() * (KEY + VALUE);
                    for (key, value) in map.entries().iter() {
                        self.bytes += key.len();
                        self.look(value);
                    }
                }
                Value::Struct(value) => {
                    self.bytes += value.fields().len() * VALUE;
                    value.fields().iter().for_each(|field| self.look(field));
                }
                _ => {}
            }
        }
    }

    /// Counts a value without elements, or plans to count one with elements, unless it was seen.
    fn look(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.bytes = self.bytes.saturating_add(text.len()),
            Value::Pointer(pointer) => {
                if let Some(target) = pointer.target() {
                    self.look(&Value::Struct(target.clone()));
                }
            }
            value => {
                if value.content_address().is_some_and(|place| self.seen.insert(place)) {
                    self.pending.push(value.clone());
                }
            }
        }
    }

    /// The bytes of all values that were added.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Map, Slice};

    fn held(values: &[Value]) -> usize {
        let mut held = Held::default();
        values.iter().for_each(|value| held.add(value));
        held.bytes()
    }

    #[test]
    fn what_values_share_counts_once() {
        let list = Value::Slice(Slice::ints(0..1000));
        let one = held(std::slice::from_ref(&list));
        assert_eq!(one, CONTAINER + 1000 * VALUE);
        let Value::Slice(slice) = &list else { unreachable!("a slice") };
        let window = Value::Slice(slice.window(1, 2, 3).unwrap());
        assert_eq!(held(&[list.clone(), list.clone(), window]), one);
        let outer = Value::Slice(Slice::of(&crate::types::VALUES, vec![list.clone(), list]));
        assert_eq!(held(&[outer]), one + CONTAINER + 2 * VALUE);
    }

    #[test]
    fn making_a_value_counts_at_least_what_is_held() {
        forget_made();
        let texts = Slice::strings((0..10).map(|nth| bytes::Bytes::from(vec![b'x'; nth])));
        let entries = vec![("k".into(), Value::Slice(texts)), ("l".into(), Value::from("text"))];
        let map = Value::Map(Map::values(entries));
        assert_eq!(made(), held(&[map]));
        forget_made();
        assert_eq!(made(), 0);
    }

    #[test]
    fn deep_values_are_measured_without_recursion() {
        let mut value = Value::Nil;
        for _ in 0..200_000 {
            value = Value::Slice(Slice::of(&crate::types::VALUES, vec![value]));
        }
        assert_eq!(held(&[value]), 200_000 * (CONTAINER + VALUE));
    }
}
