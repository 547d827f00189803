//! The values of a template.
//!
//! A [`Value`] is what Go calls a value of static type `interface {}`: a concrete type with its
//! content, or nil. Cloning is cheap: strings are [`Bytes`], and larger content is shared by `Rc`.
//! Values therefore stay on one thread; a compiled template, which threads share, keeps its
//! literals as constants instead.
//!
//! Strings are bytes and need not be UTF-8.

mod map;
pub(crate) mod memory;
mod object;
mod slice;

use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

pub use self::map::{Entries, Map};
pub use self::object::{Func, Object, Pointer, Sequence, Struct};
pub use self::slice::{Records, Slice};
use crate::exec::Limits;
use crate::types::{IntegerType, Type};

/// A value of a template.
#[derive(Clone, Default)]
pub enum Value {
    /// No value: Go's untyped nil, or the result of a missing map key.
    #[default]
    Nil,
    /// A `bool`.
    Bool(bool),
    /// An `int`.
    Int(i64),
    /// An integer of another type; a signed one is sign-extended to 64 bits.
    Integer(&'static IntegerType, u64),
    /// A `float64`.
    Float(f64),
    /// A `complex128`: real and imaginary part.
    Complex(f64, f64),
    /// A `string`: any bytes.
    String(Bytes),
    /// A slice.
    Slice(Slice),
    /// A map.
    Map(Map),
    /// A struct.
    Struct(Struct),
    /// A pointer to a struct.
    Pointer(Pointer),
    /// A value that templates can use only through its methods.
    Object(Rc<dyn Object>),
    /// A function.
    Func(Func),
}

impl Value {
    /// The type of the value; `None` for nil.
    pub fn ty(&self) -> Option<Type> {
        Some(match self {
            Value::Nil => return None,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) => Type::Int,
            Value::Integer(ty, _) => Type::Integer(ty),
            Value::Float(_) => Type::Float,
            Value::Complex(..) => Type::Complex,
            Value::String(_) => Type::String,
            Value::Slice(slice) => Type::Slice(slice.ty()),
            Value::Map(map) => Type::Map(map.ty()),
            Value::Struct(value) => Type::Struct(value.ty()),
            Value::Pointer(pointer) => Type::Pointer(pointer.ty()),
            Value::Object(object) => Type::Object(object.ty()),
            Value::Func(func) => Type::Func(func.ty()),
        })
    }

    /// The value of a variable of type `ty` before anything is assigned to it. Nil for interface
    /// types, and for objects, whose content this crate does not know.
    pub fn zero(ty: Type) -> Value {
        match ty {
            Type::Interface | Type::Object(_) => Value::Nil,
            Type::Bool => Value::Bool(false),
            Type::Int => Value::Int(0),
            Type::Integer(ty) => Value::Integer(ty, 0),
            Type::Float => Value::Float(0.0),
            Type::Complex => Value::Complex(0.0, 0.0),
            Type::String => Value::String(Bytes::new()),
            Type::Slice(ty) => Value::Slice(Slice::nil(ty)),
            Type::Map(ty) => Value::Map(Map::nil(ty)),
            Type::Struct(ty) => Value::Struct(Struct::new(
                ty,
                ty.fields.iter().map(|field| Value::zero(field.ty)).collect::<Vec<_>>(),
            )),
            Type::Pointer(ty) => Value::Pointer(Pointer::nil(ty)),
            Type::Func(ty) => Value::Func(Func::nil(ty)),
        }
    }

    /// Whether `if`, `with`, `and`, `or` and `not` take the value as true: it is not false, zero,
    /// nil or empty. A struct is always true.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(value) => *value,
            Value::Int(value) => *value != 0,
            Value::Integer(_, bits) => *bits != 0,
            Value::Float(value) => *value != 0.0,
            Value::Complex(real, imaginary) => *real != 0.0 || *imaginary != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Slice(slice) => !slice.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Pointer(pointer) => pointer.target().is_some(),
            Value::Func(func) => !func.is_nil(),
            Value::Struct(_) | Value::Object(_) => true,
        }
    }

    /// The bytes of a string.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an integer of any type, if an `i64` can hold it.
    pub fn as_i64(&self) -> Option<i64> {
        match *self {
            Value::Int(value) => Some(value),
            Value::Integer(ty, bits) if ty.signed => Some(bits.cast_signed()),
            Value::Integer(_, bits) => i64::try_from(bits).ok(),
            _ => None,
        }
    }

    /// The slice, if the value is one.
    pub fn as_slice(&self) -> Option<&Slice> {
        match self {
            Value::Slice(slice) => Some(slice),
            _ => None,
        }
    }

    /// The map, if the value is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The text that `%v` gives: Go's `fmt.Sprint`. It is at most 256 MiB long, and is cut there.
    pub fn text(&self) -> Bytes {
        let mut text = Vec::new();
        // A longer text stays cut.
        let _ = crate::fmt::print(&mut text, std::slice::from_ref(self), Limits::default().value);
        text.into()
    }

    /// Whether the value is nil, or a nil slice, map, pointer or function.
    pub fn is_nil(&self) -> bool {
        match self {
            Value::Nil => true,
            Value::Slice(slice) => slice.is_nil(),
            Value::Map(map) => map.is_nil(),
            Value::Pointer(pointer) => pointer.target().is_none(),
            Value::Func(func) => func.is_nil(),
            _ => false,
        }
    }

    /// Whether the value can contain values that are dropped with it.
    fn is_container(&self) -> bool {
        matches!(self, Value::Slice(_) | Value::Map(_))
    }

    /// The address of the values in this value, which only values that share them have. `None` for
    /// values without values in them.
    fn content_address(&self) -> Option<usize> {
        match self {
            Value::Slice(slice) => Some(slice.storage_address()),
            Value::Map(map) => Some(map.address()),
            Value::Struct(value) => Some(value.fields().as_ptr().addr()),
            Value::Pointer(pointer) => {
                pointer.target().map(|target| target.fields().as_ptr().addr())
            }
            _ => None,
        }
    }
}

/// An element as slices and maps store it.
trait Nested {
    fn value(&self) -> &Value;
    fn into_value(self) -> Value;
}

impl Nested for Value {
    fn value(&self) -> &Value {
        self
    }

    fn into_value(self) -> Value {
        self
    }
}

/// Drops values, and the values in them, without recursion. A template can nest values as deeply as
/// it loops, so a recursive drop could overflow the stack.
fn dismantle<N: Nested>(content: &mut Vec<N>) {
    if !content.iter().any(|nested| nested.value().is_container()) {
        return;
    }
    let mut pending: Vec<Value> = content.drain(..).map(Nested::into_value).collect();
    while let Some(value) = pending.pop() {
        match value {
            Value::Slice(slice) => slice.dismantle_into(&mut pending),
            Value::Map(map) => map.dismantle_into(&mut pending),
            _ => {}
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Nil => f.write_str("nil"),
            Value::Bool(value) => value.fmt(f),
            Value::Int(value) => value.fmt(f),
            Value::Integer(ty, bits) => write!(f, "{}({})", ty.name, bits.cast_signed()),
            Value::Float(value) => value.fmt(f),
            Value::Complex(real, imaginary) => write!(f, "({real}, {imaginary}i)"),
            Value::String(text) => text.fmt(f),
            Value::Slice(slice) => slice.fmt(f),
            Value::Map(map) => map.fmt(f),
            Value::Struct(value) => value.fmt(f),
            Value::Pointer(pointer) => pointer.fmt(f),
            Value::Object(object) => write!(f, "{}", Type::Object(object.ty())),
            Value::Func(func) => write!(f, "{}", Type::Func(func.ty())),
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Float(value)
    }
}

impl From<Bytes> for Value {
    fn from(text: Bytes) -> Value {
        Value::String(text)
    }
}

impl From<Vec<u8>> for Value {
    fn from(text: Vec<u8>) -> Value {
        Value::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::String(text.into())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::String(Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl From<Vec<Bytes>> for Value {
    fn from(texts: Vec<Bytes>) -> Value {
        Value::Slice(Slice::strings(texts))
    }
}

impl From<Slice> for Value {
    fn from(slice: Slice) -> Value {
        Value::Slice(slice)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Value {
        Value::Map(map)
    }
}

impl From<Struct> for Value {
    fn from(value: Struct) -> Value {
        Value::Struct(value)
    }
}

impl From<Pointer> for Value {
    fn from(pointer: Pointer) -> Value {
        Value::Pointer(pointer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::VALUES;

    #[test]
    fn a_million_nested_values_are_dropped_without_recursion() {
        let mut value = Value::Nil;
        for level in 0..1_000_000 {
            value = match level % 2 {
                0 => Value::Slice(Slice::of(&VALUES, vec![value])),
                _ => Value::Map(Map::values(vec![(Bytes::from_static(b"x"), value)])),
            };
        }
        assert!(value.is_true());
        drop(value);
    }

    #[test]
    fn zero_and_empty_are_false_and_structs_are_true() {
        for value in [
            Value::Nil,
            Value::from(false),
            Value::from(-0.0),
            Value::Complex(0.0, -0.0),
            Value::from(""),
            Value::from(Vec::<Bytes>::new()),
        ] {
            assert!(!value.is_true(), "{value:?}");
        }
        static EMPTY: crate::types::StructType =
            crate::types::StructType { name: "t.Empty", fields: &[], methods: &[] };
        assert!(Value::from(Struct::new(&EMPTY, vec![])).is_true());
    }
}
