//! Slices: windows on shared storage, with Go's length, capacity and aliasing.

use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::mem;
use std::rc::Rc;

use bytes::Bytes;

use super::memory::{make_list, make_struct};
use super::{Struct, Value, dismantle};
use crate::types::{INTS, STRINGS, SliceType, StructType, Type};

/// A Go slice: a window on storage that other slices can share.
///
/// A clone is the same window. A change by [`modify`](Slice::modify) is seen through every slice of
/// the same storage, as in Go.
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

/// The elements, up to the last one that was ever needed. The capacity of a window can reach
/// further: elements there are zero values, and are added when a window is moved over them.
#[derive(Default)]
struct Storage(RefCell<Elements>);

/// The elements of a storage, in one of two forms.
enum Elements {
    Values(Vec<Value>),
    /// Structs of one type, with the fields of all structs in one list. Most templates read one
    /// field at a time; this form has no allocation for each struct.
    Fields {
        ty: &'static StructType,
        fields: Vec<Value>,
    },
}

impl Default for Elements {
    fn default() -> Elements {
        Elements::Values(Vec::new())
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        dismantle(self.0.get_mut().content_mut());
    }
}

impl Storage {
    /// The elements in the form [`Elements::Values`], into which they are converted.
    fn values(&self) -> RefMut<'_, Vec<Value>> {
        RefMut::map(self.0.borrow_mut(), Elements::values)
    }
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Elements::Values(values) => values.len(),
            Elements::Fields { ty, fields } => {
                fields.len().checked_div(ty.fields.len()).unwrap_or_default()
            }
        }
    }

    fn values(&mut self) -> &mut Vec<Value> {
        if let Elements::Fields { ty, fields } = self {
            let mut fields = mem::take(fields).into_iter();
            let structs = std::iter::from_fn(|| {
                let fields: Rc<[Value]> = fields.by_ref().take(ty.fields.len()).collect();
                (!fields.is_empty()).then(|| Value::Struct(Struct::new(ty, fields)))
            });
            *self = Elements::Values(structs.collect());
        }
        self.content_mut()
    }

    /// All values of the list: elements, or fields.
    fn content_mut(&mut self) -> &mut Vec<Value> {
        match self {
            Elements::Values(content) | Elements::Fields { fields: content, .. } => content,
        }
    }

    /// Passes the element at `index`, or one of its fields, to `look`.
    fn show<R>(&self, index: usize, field: Option<usize>, look: impl FnOnce(&Value) -> R) -> R {
        match (self, field) {
            (Elements::Values(values), None) => look(values.get(index).unwrap_or(&Value::Nil)),
            (Elements::Values(values), Some(field)) => look(match values.get(index) {
                Some(Value::Struct(value)) => value.fields().get(field).unwrap_or(&Value::Nil),
                _ => &Value::Nil,
            }),
            (Elements::Fields { ty, fields }, Some(field)) => {
                look(fields.get(index * ty.fields.len() + field).unwrap_or(&Value::Nil))
            }
            (Elements::Fields { ty, fields }, None) => {
                let first = index * ty.fields.len();
                look(&match fields.get(first..first + ty.fields.len()) {
                    Some(fields) => Value::Struct(Struct::new(ty, fields)),
                    None => Value::Nil,
                })
            }
        }
    }
}

impl Slice {
    /// A slice of type `ty` with these elements. Its capacity is its length.
    pub fn of(ty: &'static SliceType, elements: Vec<Value>) -> Slice {
        Slice::holding(ty, Elements::Values(elements))
    }

    /// A slice of structs of type `ty`, which must have at least one field. `fields` holds the
    /// fields of the first struct, then those of the second, and so on.
    pub fn of_structs(
        slice: &'static SliceType,
        ty: &'static StructType,
        fields: Vec<Value>,
    ) -> Slice {
        debug_assert_eq!(slice.elem, Type::Struct(ty));
        debug_assert!(fields.len().is_multiple_of(ty.fields.len()), "{} has other fields", ty.name);
        Slice::holding(slice, Elements::Fields { ty, fields })
    }

    fn holding(ty: &'static SliceType, elements: Elements) -> Slice {
        let len = elements.len();
        match &elements {
            Elements::Values(values) => make_list(values),
            Elements::Fields { fields, .. } => make_struct(fields.len()),
        }
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

    /// The same elements with this capacity; the additional elements are zero values. A capacity
    /// below the length counts as the length.
    ///
    /// For functions whose Go original builds its result with `append`: templates can see the
    /// capacity through the builtin `slice`.
    #[must_use]
    pub fn with_capacity(self, capacity: usize) -> Slice {
        let window = &*self.0;
        Slice(Rc::new(Window {
            capacity: capacity.max(window.len),
            storage: Rc::clone(&window.storage),
            ..*window
        }))
    }

    /// The same window as another slice type with the same element type.
    #[must_use]
    pub fn with_type(&self, ty: &'static SliceType) -> Slice {
        let window = &*self.0;
        Slice(Rc::new(Window { ty, storage: Rc::clone(&window.storage), ..*window }))
    }

    /// The part from `low` to `high` of this window, with capacity up to `max`: Go's
    /// `s[low:high:max]`. `None` unless `low <= high <= max <= capacity`.
    pub fn window(&self, low: usize, high: usize, max: usize) -> Option<Slice> {
        let window = &*self.0;
        if low > high || high > max || max > window.capacity {
            return None;
        }
        let end = window.start + high;
        let before = window.storage.0.borrow().len();
        if before < end {
            make_struct(end - before);
            window.storage.values().resize_with(end, || Value::zero(window.ty.elem));
        }
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

    /// The capacity: the number of elements that the window can be extended to.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Whether this is the nil slice. An empty slice is not nil.
    pub fn is_nil(&self) -> bool {
        self.0.nil
    }

    /// Whether both are the same window. Two windows on the same elements are not the same.
    pub(crate) fn is_same(&self, other: &Slice) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    /// The element at `index`, as it is at this moment.
    pub fn get(&self, index: usize) -> Option<Value> {
        (index < self.len()).then(|| self.show(index, None, Value::clone))
    }

    /// Passes the element at `index`, as it is at this moment, or its field of that number, to
    /// `look`. Passes nil if there is no such element. `look` must not read other elements of the
    /// slice.
    pub(crate) fn show<R>(
        &self,
        index: usize,
        field: Option<usize>,
        look: impl FnOnce(&Value) -> R,
    ) -> R {
        let window = &*self.0;
        if index >= window.len {
            return look(&Value::Nil);
        }
        window.storage.0.borrow().show(window.start + index, field, look)
    }

    /// The elements, as they are at this moment. [`modify`](Slice::modify) must not be called while
    /// the result is held.
    pub fn elements(&self) -> Ref<'_, [Value]> {
        let window = &*self.0;
        if matches!(&*window.storage.0.borrow(), Elements::Fields { .. }) {
            window.storage.values();
        }
        Ref::map(window.storage.0.borrow(), |elements| match elements {
            Elements::Values(values) => {
                values.get(window.start..window.start + window.len).unwrap_or_default()
            }
            Elements::Fields { .. } => &[],
        })
    }

    /// Changes the elements in place. All slices that share them see the change.
    pub fn modify<R>(&self, change: impl FnOnce(&mut [Value]) -> R) -> R {
        let window = &*self.0;
        let mut elements = window.storage.values();
        change(elements.get_mut(window.start..window.start + window.len).unwrap_or_default())
    }

    /// An address that only slices on the same elements share.
    pub(super) fn storage_address(&self) -> usize {
        Rc::as_ptr(&self.0.storage).addr()
    }

    /// Passes all values of the storage to `look`: elements, or the fields of all elements, also of
    /// those outside of the window.
    pub(super) fn show_all(&self, look: impl FnOnce(&[Value])) {
        match &*self.0.storage.0.borrow() {
            Elements::Values(content) | Elements::Fields { fields: content, .. } => look(content),
        }
    }

    /// Moves the elements to `pending` if this is the only reference to them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Value>) {
        if let Some(window) = Rc::into_inner(self.0)
            && let Some(storage) = Rc::into_inner(window.storage)
        {
            pending.append(storage.0.borrow_mut().content_mut());
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
    use crate::types::Field;

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

    static PAIR: StructType = StructType {
        name: "t.Pair",
        fields: &[Field { name: "Key", ty: Type::String }, Field { name: "Count", ty: Type::Int }],
        methods: &[],
    };
    static PAIRS: SliceType = SliceType { name: None, elem: Type::Struct(&PAIR), methods: &[] };

    #[test]
    fn structs_given_by_their_fields_are_like_any_others() {
        let fields = [Value::from("a"), Value::Int(1), Value::from("b"), Value::Int(2)];
        let folded = || Slice::of_structs(&PAIRS, &PAIR, fields.to_vec()).with_capacity(4);
        let structs = fields.chunks(2).map(|fields| Value::Struct(Struct::new(&PAIR, fields)));
        let plain = Slice::of(&PAIRS, structs.collect()).with_capacity(4);
        let text = |slice: &Slice| format!("{slice:?}");
        let count = |slice: &Slice, index| slice.show(index, Some(1), Value::as_i64);

        assert_eq!(text(&folded()), text(&plain));
        for slice in [&folded(), &plain] {
            assert_eq!((slice.len(), slice.capacity()), (2, 4));
            assert_eq!(
                (count(slice, 0), count(slice, 1), count(slice, 2)),
                (Some(1), Some(2), None)
            );
            let second = format!("{:?}", slice.get(1));
            assert_eq!(second, r#"Some(t.Pair[b"b", 2])"#);
            assert!(slice.get(2).is_none());
            let tail = slice.window(1, 2, 2).unwrap();
            assert_eq!(count(&tail, 0), Some(2));
            slice.modify(|elements| elements.reverse());
            assert_eq!((count(slice, 0), count(&tail, 0)), (Some(2), Some(1)));
        }
        let wide = folded().window(0, 3, 4).unwrap();
        assert_eq!(text(&wide), r#"[t.Pair[b"a", 1], t.Pair[b"b", 2], t.Pair[b"", 0]]"#);
    }

    #[test]
    fn a_three_index_window_limits_the_capacity() {
        let slice = Slice::ints([1, 2, 3]);
        let one = slice.window(0, 1, 2).unwrap();
        assert_eq!(one.capacity(), 2);
        assert!(one.window(0, 3, 3).is_none());
    }
}
