//! Slices: windows on shared storage, with Go's length, capacity and aliasing.

use std::cell::{OnceCell, Ref, RefCell, RefMut};
use std::fmt;
use std::mem;
use std::rc::Rc;

use bytes::Bytes;

use super::memory::{make_list, make_struct};
use super::{Pointer, Struct, Value, dismantle};
use crate::types::{INTS, STRINGS, SliceType, StructType, Type};

/// Structs of one type that are made when a template reads them.
///
/// Most templates read few fields of each struct, and many read only some of the structs.
pub trait Records {
    /// The number of structs.
    fn count(&self) -> usize;

    /// The field number `field` of the struct number `index`, both counted from 0.
    fn field(&self, index: usize, field: usize) -> Value;
}

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
    /// The type of the structs, if the elements are pointers to structs and none of them is nil.
    targets: Option<&'static StructType>,
}

/// The elements, up to the last one that was ever needed. The capacity of a window can reach
/// further: elements there are zero values, and are added when a window is moved over them.
#[derive(Default)]
struct Storage(RefCell<Elements>);

/// The elements of a storage, in one of three forms.
enum Elements {
    Values(Vec<Value>),
    /// Structs of one type, with the fields of all structs in one list. Most templates read one
    /// field at a time; this form has no allocation for each struct.
    Fields {
        ty: &'static StructType,
        fields: Vec<Value>,
    },
    /// Structs, or pointers to structs, that are made when they are read.
    Records(Rc<Lazy>),
}

/// Structs that are made when they are read.
struct Lazy {
    /// The type of the elements: a struct or a pointer to one.
    elem: Type,
    records: Box<dyn Records>,
    /// The elements that were read as a whole. A pointer stays the same pointer.
    made: OnceCell<Box<[OnceCell<Value>]>>,
}

impl Lazy {
    fn element(&self, index: usize) -> &Value {
        let made =
            self.made.get_or_init(|| (0..self.records.count()).map(|_| OnceCell::new()).collect());
        let Some(place) = made.get(index) else { return &Value::Nil };
        place.get_or_init(|| {
            let content = |ty: &'static StructType| {
                let fields = (0..ty.fields.len()).map(|field| self.records.field(index, field));
                Struct::new(ty, fields.collect::<Rc<[Value]>>())
            };
            match self.elem {
                Type::Struct(ty) => Value::Struct(content(ty)),
                Type::Pointer(ty) => Value::Pointer(Pointer::to(ty, content(ty.elem))),
                _ => Value::Nil,
            }
        })
    }
}

impl Default for Elements {
    fn default() -> Elements {
        Elements::Values(Vec::new())
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(content) = self.0.get_mut().content_mut() {
            dismantle(content);
        }
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
            Elements::Records(lazy) => lazy.records.count(),
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
        if let Elements::Records(lazy) = self {
            let elements = (0..lazy.records.count()).map(|index| lazy.element(index).clone());
            *self = Elements::Values(elements.collect());
        }
        match self {
            Elements::Values(values) => values,
            Elements::Fields { .. } | Elements::Records(_) => unreachable!("both were converted"),
        }
    }

    /// All values that the list holds: elements, or fields.
    fn content_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self {
            Elements::Values(content) | Elements::Fields { fields: content, .. } => Some(content),
            Elements::Records(_) => None,
        }
    }

    /// Passes the element at `index`, or one of its fields, to `look`.
    fn show<R>(&self, index: usize, field: Option<usize>, look: impl FnOnce(&Value) -> R) -> R {
        match (self, field) {
            (Elements::Values(values), None) => look(values.get(index).unwrap_or(&Value::Nil)),
            (Elements::Values(values), Some(field)) => {
                let target = match values.get(index) {
                    Some(Value::Struct(value)) => Some(value),
                    Some(Value::Pointer(pointer)) => pointer.target(),
                    _ => None,
                };
                let content = target.and_then(|target| target.fields().get(field));
                look(content.unwrap_or(&Value::Nil))
            }
            (Elements::Records(lazy), None) => look(lazy.element(index)),
            (Elements::Records(lazy), Some(field)) => look(&lazy.records.field(index, field)),
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

    /// A slice of type `ty`, whose elements are structs or pointers to structs. They are made from
    /// `records` when a template reads them.
    pub fn of_records(ty: &'static SliceType, records: impl Records + 'static) -> Slice {
        let (elem, records) = (ty.elem, Box::new(records));
        debug_assert!(matches!(elem, Type::Struct(_) | Type::Pointer(_)), "{elem} has no fields");
        Slice::holding(
            ty,
            Elements::Records(Rc::new(Lazy { elem, records, made: OnceCell::new() })),
        )
    }

    fn holding(ty: &'static SliceType, elements: Elements) -> Slice {
        let len = elements.len();
        match &elements {
            Elements::Values(values) => make_list(values),
            Elements::Fields { fields, .. } => make_struct(fields.len()),
            Elements::Records(_) => {}
        }
        let targets = match (&elements, ty.elem) {
            (Elements::Records(_), Type::Pointer(pointer)) => Some(pointer.elem),
            _ => None,
        };
        let storage = Rc::new(Storage(RefCell::new(elements)));
        Slice(Rc::new(Window { ty, storage, start: 0, len, capacity: len, nil: false, targets }))
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
        let targets = None;
        Slice(Rc::new(Window { ty, storage, start: 0, len: 0, capacity: 0, nil: true, targets }))
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

    /// The field number `field` of the struct at `index`, or of the struct that the element points
    /// to. Nil if there is no such field.
    pub fn field(&self, index: usize, field: usize) -> Value {
        self.show(index, Some(field), Value::clone)
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
        if !matches!(&*window.storage.0.borrow(), Elements::Values(_)) {
            window.storage.values();
        }
        Ref::map(window.storage.0.borrow(), |elements| match elements {
            Elements::Values(values) => {
                values.get(window.start..window.start + window.len).unwrap_or_default()
            }
            Elements::Fields { .. } | Elements::Records(_) => &[],
        })
    }

    /// Changes the elements in place. All slices that share them see the change.
    pub fn modify<R>(&self, change: impl FnOnce(&mut [Value]) -> R) -> R {
        let window = &*self.0;
        let mut elements = window.storage.values();
        change(elements.get_mut(window.start..window.start + window.len).unwrap_or_default())
    }

    /// The type of the structs that the elements are, or point to without being nil.
    pub(crate) fn struct_type(&self) -> Option<&'static StructType> {
        match self.0.ty.elem {
            Type::Struct(ty) => Some(ty),
            _ => self.0.targets,
        }
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
            // What they are made from does not belong to the template.
            Elements::Records(_) => {}
        }
    }

    /// Moves the elements to `pending` if this is the only reference to them.
    pub(super) fn dismantle_into(self, pending: &mut Vec<Value>) {
        if let Some(window) = Rc::into_inner(self.0)
            && let Some(storage) = Rc::into_inner(window.storage)
            && let Some(content) = storage.0.borrow_mut().content_mut()
        {
            pending.append(content);
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
    use crate::types::{Field, PointerType};

    static PAIR_POINTER: PointerType = PointerType { elem: &PAIR, methods: &[] };
    static POINTERS: SliceType =
        SliceType { name: None, elem: Type::Pointer(&PAIR_POINTER), methods: &[] };

    /// Pairs of a letter and a number. Counts how many fields were made.
    struct Counted(Rc<std::cell::Cell<usize>>);

    impl Records for Counted {
        fn count(&self) -> usize {
            3
        }

        fn field(&self, index: usize, field: usize) -> Value {
            self.0.set(self.0.get() + 1);
            match field {
                0 => Value::from(["a", "b", "c"][index]),
                _ => Value::Int(index as i64),
            }
        }
    }

    #[test]
    fn records_are_made_when_they_are_read_and_only_once() {
        let made = Rc::new(std::cell::Cell::new(0));
        let slice = Slice::of_records(&POINTERS, Counted(Rc::clone(&made)));
        assert_eq!((slice.len(), made.get()), (3, 0));
        assert_eq!(slice.field(2, 1).as_i64(), Some(2));
        assert!(matches!(slice.field(3, 1), Value::Nil));
        assert_eq!(made.get(), 1);
        let pointer = |slice: &Slice| match slice.get(1) {
            Some(Value::Pointer(pointer)) => pointer,
            other => panic!("{other:?}"),
        };
        let before = pointer(&slice);
        assert_eq!(
            before.target().and_then(|pair| pair.field(b"Key")?.as_bytes()),
            Some(&"b".into())
        );
        assert_eq!(made.get(), 3);
        assert_eq!(slice.window(1, 3, 3).map(|tail| tail.field(0, 1).as_i64()), Some(Some(1)));
        assert_eq!(slice.elements().len(), 3);
        assert!(pointer(&slice).is_same(&before));
        assert_eq!((slice.field(1, 1).as_i64(), made.get()), (Some(1), 8));
    }

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
