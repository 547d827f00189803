//! Slices: windows on shared storage, with Go's length, capacity and aliasing.

use std::cell::{Ref, RefCell};
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::{Value, dismantle};
use crate::types::{INTS, STRINGS, SliceType};

/// A Go slice: a window on storage that other slices may share.
///
/// Cloning gives another name for the same window, and [`modify`](Slice::modify) is seen
/// through every slice of the same storage, as in Go.
#[derive(Clone)]
pub struct Slice(Rc<Window>);

struct Window {
    ty: &'static SliceType,
    storage: Rc<Storage>,
    start: usize,
    len: usize,
    capacity: usize,
    nil: bool,
}

/// The elements that have been written or looked at. A window's capacity may reach further:
/// slots there are zero, and come into being when a window is moved over them.
#[derive(Default)]
struct Storage(RefCell<Vec<Value>>);

impl Drop for Storage {
    fn drop(&mut self) {
        dismantle(self.0.get_mut());
    }
}

impl Slice {
    /// A slice of type `ty` that holds `elements`, its capacity the same as its length.
    pub fn of(ty: &'static SliceType, elements: Vec<Value>) -> Slice {
        let len = elements.len();
        let storage = Rc::new(Storage(RefCell::new(elements)));
        Slice(Rc::new(Window { ty, storage, start: 0, len, capacity: len, nil: false }))
    }

    /// A `[]string`.
    pub fn strings(texts: impl IntoIterator<Item = Bytes>) -> Slice {
        Slice::of(&STRINGS, texts.into_iter().map(Value::String).collect())
    }

    /// A `[]int`.
    pub fn ints(numbers: impl IntoIterator<Item = i64>) -> Slice {
        Slice::of(&INTS, numbers.into_iter().map(Value::Int).collect())
    }

    /// The nil slice of type `ty`.
    pub fn nil(ty: &'static SliceType) -> Slice {
        let storage = Rc::new(Storage::default());
        Slice(Rc::new(Window { ty, storage, start: 0, len: 0, capacity: 0, nil: true }))
    }

    /// The same elements with room for `capacity` in all; the spare slots are zero values.
    /// A capacity below the length is raised to it.
    ///
    /// For functions that build their result as Go code would, by `append`: templates see the
    /// capacity through `slice`.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Slice {
        let window = &*self.0;
        Slice(Rc::new(Window {
            capacity: capacity.max(window.len),
            storage: Rc::clone(&window.storage),
            ..*window
        }))
    }

    /// The same window under another type of the same shape.
    #[must_use]
    pub fn with_type(&self, ty: &'static SliceType) -> Slice {
        let window = &*self.0;
        Slice(Rc::new(Window { ty, storage: Rc::clone(&window.storage), ..*window }))
    }

    /// The window from `low` to `high` of this one, with room up to `max`: Go's `s[low:high:max]`.
    /// `None` unless `low <= high <= max <= capacity`.
    pub fn window(&self, low: usize, high: usize, max: usize) -> Option<Slice> {
        let window = &*self.0;
        if low > high || high > max || max > window.capacity {
            return None;
        }
        let end = window.start + high;
        let mut elements = window.storage.0.borrow_mut();
        if elements.len() < end {
            elements.resize_with(end, || Value::zero(window.ty.elem));
        }
        drop(elements);
        Some(Slice(Rc::new(Window {
            storage: Rc::clone(&window.storage),
            start: window.start + low,
            len: high - low,
            capacity: max - low,
            ..*window
        })))
    }

    /// The type of the slice.
    pub fn ty(&self) -> &'static SliceType {
        self.0.ty
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }

    /// The number of elements there is room for.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Whether this is the nil slice, which is not the same as an empty one.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// The element at `index`, as it is now.
    pub fn get(&self, index: usize) -> Option<Value> {
        self.elements().get(index).cloned()
    }

    /// The elements as they are now. [`modify`](Slice::modify) must not be called while the
    /// result is held.
    pub fn elements(&self) -> Ref<'_, [Value]> {
        let window = &*self.0;
        Ref::map(window.storage.0.borrow(), |elements| {
            elements.get(window.start..window.start + window.len).unwrap_or_default()
        })
    }

    /// Changes the elements in place, for every slice that shares them.
    pub fn modify<R>(&self, change: impl FnOnce(&mut [Value]) -> R) -> R {
        let window = &*self.0;
        let mut elements = window.storage.0.borrow_mut();
        change(elements.get_mut(window.start..window.start + window.len).unwrap_or_default())
    }

    /// Moves the elements to `pending` if nobody else has them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Value>) {
        if let Some(window) = Rc::into_inner(self.0)
            && let Some(storage) = Rc::into_inner(window.storage)
        {
            pending.append(&mut storage.0.borrow_mut());
        }
    }
}

impl fmt::Debug for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.elements().iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(slice: &Slice) -> Vec<i64> {
        slice.elements().iter().filter_map(Value::as_i64).collect()
    }

    #[test]
    fn a_change_is_seen_through_every_window() {
        let whole = Slice::ints([1, 2, 3, 4]);
        let tail = whole.window(2, 4, 4).unwrap();
        whole.modify(|elements| elements.reverse());
        assert_eq!(numbers(&tail), [2, 1]);
    }

    #[test]
    fn a_window_reaches_into_spare_capacity() {
        let slice = Slice::ints([1]).with_capacity(4);
        let wide = slice.window(0, 3, 4).unwrap();
        assert_eq!(numbers(&wide), [1, 0, 0]);
        assert!(slice.window(0, 5, 5).is_none());
    }

    #[test]
    fn a_three_index_window_limits_the_capacity() {
        let slice = Slice::ints([1, 2, 3]);
        let one = slice.window(0, 1, 2).unwrap();
        assert_eq!(one.capacity(), 2);
        assert!(one.window(0, 3, 3).is_none());
    }
}
