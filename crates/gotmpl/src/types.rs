//! The Go types of values.
//!
//! A [`Type`] is a small `Copy` handle. A type with parts (the element type of a slice, the fields
//! of a struct) is described by a `static`, so that a value carries only one pointer to it.
//! Template authors see types in `%T`, in `%#v` and in error texts, so
//! [`Display`](std::fmt::Display) gives Go's exact text.
//!
//! This module has the descriptors of Go's common types. A crate that registers functions declares
//! the descriptors of its own types in the same way.

use std::fmt;

use bytes::Bytes;

use crate::func::Failure;
use crate::value::Value;

/// A Go type.
///
/// Two types are equal if Go writes them in the same way.
#[derive(Clone, Copy)]
pub enum Type {
    /// `interface {}`: a parameter or element that takes any value, including nil.
    Interface,
    /// `bool`.
    Bool,
    /// `int`, 64 bits wide.
    Int,
    /// Any other integer type: `uint8`, `time.Month`, …
    Integer(&'static IntegerType),
    /// `float64`.
    Float,
    /// `complex128`.
    Complex,
    /// `string`.
    String,
    /// A slice type.
    Slice(&'static SliceType),
    /// A map type; its keys are strings or integers.
    Map(&'static MapType),
    /// A struct type whose fields a template can read.
    Struct(&'static StructType),
    /// A pointer to a struct of known fields.
    Pointer(&'static PointerType),
    /// A type whose content is hidden from templates.
    Object(&'static ObjectType),
    /// A function type.
    Func(&'static FuncType),
}

/// The kind of a type in Go's `reflect`: its shape without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are Go's own")]
pub enum Kind {
    Interface,
    Bool,
    Int,
    Uint,
    Float,
    Complex,
    String,
    Slice,
    Map,
    Struct,
    Pointer,
    Func,
}

/// An integer type other than `int`.
#[derive(Debug)]
pub struct IntegerType {
    /// Go's text of the type.
    pub name: &'static str,
    /// Whether the type has negative values.
    pub signed: bool,
    /// The width in bits: 8, 16, 32 or 64.
    pub bits: u32,
    /// The type's `String` method, if it has one: what `%v` and `%s` print. Takes the value
    /// reinterpreted as an `i64`.
    pub stringer: Option<fn(i64) -> String>,
    /// The methods a template can call. Without a `stringer`, a method `String` is one of a pointer
    /// to the type: it makes the text that an action prints, but not what `%v` and `%s` print.
    pub methods: &'static [Method],
}

/// A slice type.
#[derive(Debug)]
pub struct SliceType {
    /// The type's own name, or `None` for a plain `[]T`.
    pub name: Option<&'static str>,
    /// The type of the elements.
    pub elem: Type,
    /// The methods a template can call.
    pub methods: &'static [Method],
}

/// A map type.
#[derive(Debug)]
pub struct MapType {
    /// The type of the keys.
    pub key: KeyType,
    /// The type of the values.
    pub elem: Type,
}

/// The type of the keys of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// `string`.
    String,
    /// `int`.
    Int,
}

impl KeyType {
    /// The bytes by which a map stores a key that is an integer. Their order is that of the numbers.
    pub(crate) fn stored(number: i64) -> Bytes {
        // With its sign bit, a negative number would be greater than all others.
        Bytes::copy_from_slice(&(number ^ i64::MIN).to_be_bytes())
    }

    /// The value that a template sees for a key as the map stores it.
    pub fn value(self, stored: &Bytes) -> Value {
        match (self, <[u8; 8]>::try_from(&**stored)) {
            (KeyType::Int, Ok(bytes)) => Value::Int(i64::from_be_bytes(bytes) ^ i64::MIN),
            _ => Value::String(stored.clone()),
        }
    }

    /// The text of a key as the map stores it.
    pub fn text(self, stored: &Bytes) -> Bytes {
        match self.value(stored) {
            Value::Int(number) => number.to_string().into(),
            _ => stored.clone(),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyType::String => "string",
            KeyType::Int => "int",
        })
    }
}

/// A struct type, named, with fields.
#[derive(Debug)]
pub struct StructType {
    /// Go's text of the type, with its package: `memkv.KVPair`.
    pub name: &'static str,
    /// The fields in the order of their declaration.
    pub fields: &'static [Field],
    /// The methods a template can call.
    pub methods: &'static [Method],
}

impl StructType {
    /// The index of the field called `name`.
    pub fn field(&self, name: &[u8]) -> Option<usize> {
        self.fields.iter().position(|field| field.name.as_bytes() == name)
    }
}

/// A field of a struct type.
#[derive(Debug)]
pub struct Field {
    /// The field's name. Templates cannot read a field whose name begins with a lower case letter.
    pub name: &'static str,
    /// The field's type.
    pub ty: Type,
}

impl Field {
    /// Whether Go lets other packages, and therefore templates, read the field.
    pub fn is_exported(&self) -> bool {
        self.name.starts_with(char::is_uppercase)
    }
}

/// A pointer type.
#[derive(Debug)]
pub struct PointerType {
    /// The struct type that is pointed to.
    pub elem: &'static StructType,
    /// The methods a template can call.
    pub methods: &'static [Method],
}

/// A type whose values are [`Object`](crate::Object)s: a type with methods only, or a pointer to
/// one.
#[derive(Debug)]
pub struct ObjectType {
    /// Go's text of the type, with its package and, for a pointer type, with its `*`.
    pub name: &'static str,
    /// The names of its unexported fields. A template that reads one gets Go's error for such
    /// fields.
    pub fields: &'static [&'static str],
    /// The methods a template can call.
    pub methods: &'static [Method],
}

impl ObjectType {
    /// Whether values of the type are pointers.
    pub fn is_pointer(&self) -> bool {
        self.name.starts_with('*')
    }
}

/// A function type.
#[derive(Debug)]
pub struct FuncType {
    /// Go's text of the type: `func(int) string`.
    pub name: &'static str,
    /// The types of the parameters. For a variadic function, the last is the type of each extra
    /// argument.
    pub params: &'static [Type],
    /// Whether the last parameter takes any number of arguments.
    pub variadic: bool,
}

impl FuncType {
    /// Whether it stands for a channel, which a loop can receive from.
    pub(crate) fn is_channel(&self) -> bool {
        self.name.starts_with("<-chan ")
    }
}

/// A method of a named type.
pub struct Method {
    /// The method's name.
    pub name: &'static str,
    /// The types of the parameters, without the receiver. For a variadic method, the last is the
    /// type of each extra argument.
    pub params: &'static [Type],
    /// Whether the last parameter takes any number of arguments.
    pub variadic: bool,
    /// The number of results. A template can only call a method with one result; a second one of
    /// Go's type `error` is not counted here.
    pub results: usize,
    /// The body of the method. It gets the receiver and the arguments, each already of its
    /// parameter's type.
    pub call: fn(&Value, &mut [Value]) -> Result<Value, Failure>,
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("name", &self.name).finish_non_exhaustive()
    }
}

/// `uint8`, Go's `byte`.
pub static UINT8: IntegerType =
    IntegerType { name: "uint8", signed: false, bits: 8, stringer: None, methods: &[] };
/// `uint16`.
pub static UINT16: IntegerType =
    IntegerType { name: "uint16", signed: false, bits: 16, stringer: None, methods: &[] };
/// `int64`.
pub static INT64: IntegerType =
    IntegerType { name: "int64", signed: true, bits: 64, stringer: None, methods: &[] };
/// `uint64`.
pub static UINT64: IntegerType =
    IntegerType { name: "uint64", signed: false, bits: 64, stringer: None, methods: &[] };
/// `[]string`.
pub static STRINGS: SliceType = SliceType { name: None, elem: Type::String, methods: &[] };
/// `[]int`.
pub static INTS: SliceType = SliceType { name: None, elem: Type::Int, methods: &[] };
/// `[]interface {}`.
pub static VALUES: SliceType = SliceType { name: None, elem: Type::Interface, methods: &[] };
/// `map[string]interface {}`.
pub static VALUE_MAP: MapType = MapType { key: KeyType::String, elem: Type::Interface };
/// `map[string]string`.
pub static STRING_MAP: MapType = MapType { key: KeyType::String, elem: Type::String };

impl Type {
    /// The kind of the type.
    pub fn kind(self) -> Kind {
        match self {
            Type::Interface => Kind::Interface,
            Type::Bool => Kind::Bool,
            Type::Int => Kind::Int,
            Type::Integer(ty) if ty.signed => Kind::Int,
            Type::Integer(_) => Kind::Uint,
            Type::Float => Kind::Float,
            Type::Complex => Kind::Complex,
            Type::String => Kind::String,
            Type::Slice(_) => Kind::Slice,
            Type::Map(_) => Kind::Map,
            Type::Struct(_) => Kind::Struct,
            Type::Pointer(_) => Kind::Pointer,
            Type::Object(ty) if ty.is_pointer() => Kind::Pointer,
            Type::Object(_) => Kind::Struct,
            Type::Func(_) => Kind::Func,
        }
    }

    /// Whether `nil` is a value of the type.
    pub fn can_be_nil(self) -> bool {
        matches!(
            self.kind(),
            Kind::Interface | Kind::Slice | Kind::Map | Kind::Pointer | Kind::Func
        )
    }

    /// Whether a value of this concrete type can be passed to a parameter of type `target`.
    ///
    /// Go asks for identical types, or for types of the same shape of which at most one has a name.
    /// `interface {}` takes every type.
    pub fn is_assignable_to(self, target: Type) -> bool {
        match (self, target) {
            (_, Type::Interface) => true,
            (Type::Slice(from), Type::Slice(to)) => {
                std::ptr::eq(from, to)
                    || from.elem == to.elem
                        && (from.name == to.name || from.name.is_none() || to.name.is_none())
            }
            _ => self == target,
        }
    }

    /// The methods of the type.
    pub fn methods(self) -> &'static [Method] {
        match self {
            Type::Integer(ty) => ty.methods,
            Type::Slice(ty) => ty.methods,
            Type::Struct(ty) => ty.methods,
            Type::Pointer(ty) => ty.methods,
            Type::Object(ty) => ty.methods,
            _ => &[],
        }
    }

    /// The value of a variable of the type before anything is assigned to it.
    pub fn zero(self) -> Value {
        Value::zero(self)
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Type) -> bool {
        use Type::*;
        match (*self, *other) {
            (Interface, Interface)
            | (Bool, Bool)
            | (Int, Int)
            | (Float, Float)
            | (Complex, Complex)
            | (String, String) => true,
            (Integer(a), Integer(b)) => std::ptr::eq(a, b) || a.name == b.name,
            (Slice(a), Slice(b)) => {
                std::ptr::eq(a, b) || a.name == b.name && (a.name.is_some() || a.elem == b.elem)
            }
            (Map(a), Map(b)) => std::ptr::eq(a, b) || a.key == b.key && a.elem == b.elem,
            (Struct(a), Struct(b)) => std::ptr::eq(a, b) || a.name == b.name,
            (Pointer(a), Pointer(b)) => std::ptr::eq(a, b) || a.elem.name == b.elem.name,
            (Object(a), Object(b)) => std::ptr::eq(a, b) || a.name == b.name,
            (Func(a), Func(b)) => std::ptr::eq(a, b) || a.name == b.name,
            _ => false,
        }
    }
}

impl Eq for Type {}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Interface => f.write_str("interface {}"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Integer(ty) => f.write_str(ty.name),
            Type::Float => f.write_str("float64"),
            Type::Complex => f.write_str("complex128"),
            Type::String => f.write_str("string"),
            Type::Slice(SliceType { name: Some(name), .. }) => f.write_str(name),
            Type::Slice(ty) => write!(f, "[]{}", ty.elem),
            Type::Map(ty) => write!(f, "map[{}]{}", ty.key, ty.elem),
            Type::Struct(ty) => f.write_str(ty.name),
            Type::Pointer(ty) => write!(f, "*{}", ty.elem.name),
            Type::Object(ty) => f.write_str(ty.name),
            Type::Func(ty) => f.write_str(ty.name),
        }
    }
}

impl fmt::Debug for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static PAIRS: SliceType = SliceType { name: Some("kv.Pairs"), elem: Type::Int, methods: &[] };
    static OTHER: SliceType = SliceType { name: Some("kv.Other"), elem: Type::Int, methods: &[] };
    static LISTS: SliceType = SliceType { name: None, elem: Type::Slice(&STRINGS), methods: &[] };

    #[test]
    fn types_print_as_go_prints_them() {
        assert_eq!(Type::Slice(&VALUES).to_string(), "[]interface {}");
        assert_eq!(Type::Slice(&LISTS).to_string(), "[][]string");
        assert_eq!(Type::Map(&VALUE_MAP).to_string(), "map[string]interface {}");
        assert_eq!(Type::Slice(&PAIRS).to_string(), "kv.Pairs");
        assert_eq!(Type::Integer(&UINT8).to_string(), "uint8");
    }

    #[test]
    fn a_named_slice_and_its_plain_form_are_assignable_but_not_equal() {
        let (named, plain) = (Type::Slice(&PAIRS), Type::Slice(&INTS));
        assert!(named.is_assignable_to(plain));
        assert!(plain.is_assignable_to(named));
        assert_ne!(named, plain);
    }

    #[test]
    fn two_names_for_one_shape_are_not_assignable() {
        assert!(!Type::Slice(&PAIRS).is_assignable_to(Type::Slice(&OTHER)));
        assert!(!Type::Int.is_assignable_to(Type::Integer(&INT64)));
    }
}
