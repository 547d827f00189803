//! Structs, pointers to structs, functions, and the opaque objects of other crates.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::Value;
use super::memory::make_struct;
use crate::func::Failure;
use crate::types::{FuncType, ObjectType, PointerType, StructType};

/// A struct. Its fields never change, so that copies share them.
#[derive(Clone)]
pub struct Struct {
    ty: &'static StructType,
    fields: Rc<[Value]>,
}

impl Struct {
    /// A struct of type `ty` with its fields in the order of their declaration.
    pub fn new(ty: &'static StructType, fields: impl Into<Rc<[Value]>>) -> Struct {
        let fields = fields.into();
        debug_assert_eq!(ty.fields.len(), fields.len(), "{} has other fields", ty.name);
        make_struct(fields.len());
        Struct { ty, fields }
    }

    /// The type of the struct.
    pub fn ty(&self) -> &'static StructType {
        self.ty
    }

    /// The fields in the order of their declaration.
    pub fn fields(&self) -> &[Value] {
        &self.fields
    }

    /// The field called `name`.
    pub fn field(&self, name: &[u8]) -> Option<&Value> {
        self.fields.get(self.ty.field(name)?)
    }
}

impl fmt::Debug for Struct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.ty.name, self.fields)
    }
}

/// A pointer to a struct, or nil.
#[derive(Clone, Debug)]
pub struct Pointer {
    ty: &'static PointerType,
    target: Option<Struct>,
}

impl Pointer {
    /// A pointer to `target`.
    pub fn to(ty: &'static PointerType, target: Struct) -> Pointer {
        Pointer { ty, target: Some(target) }
    }

    /// The nil pointer of type `ty`.
    pub fn nil(ty: &'static PointerType) -> Pointer {
        Pointer { ty, target: None }
    }

    /// The type of the pointer.
    pub fn ty(&self) -> &'static PointerType {
        self.ty
    }

    /// The struct that is pointed to; `None` for a nil pointer.
    pub fn target(&self) -> Option<&Struct> {
        self.target.as_ref()
    }

    /// Whether both are nil, or both point to the same struct. Two equal structs are not the same.
    pub fn is_same(&self, other: &Pointer) -> bool {
        match (&self.target, &other.target) {
            (Some(a), Some(b)) => Rc::ptr_eq(&a.fields, &b.fields),
            (None, None) => true,
            _ => false,
        }
    }
}

/// A value with methods, whose content is hidden from templates: `time.Time`, for example.
pub trait Object: Any {
    /// The type of the value.
    fn ty(&self) -> &'static ObjectType;

    /// The result of the value's `String` method, if it has one: what `%v` and `%s` print.
    fn text(&self) -> Option<Bytes>;

    /// The result of the value's `GoString` method, if it has one: what `%#v` prints.
    fn go_text(&self) -> Option<Bytes> {
        None
    }

    /// What all other verbs print: a struct with the fields of the value, or a pointer to one. Must
    /// not be an object.
    fn inside(&self) -> Value;

    /// What the value points to, if its type is a pointer and templates can use the target.
    fn target(&self) -> Option<Value> {
        None
    }

    /// Go's `==` with another object of the same type.
    fn equals(&self, other: &dyn Object) -> bool;
}

/// The elements that ranging over a function gives, as pairs. A function that yields single values
/// uses only the second of each pair.
pub type Sequence = Box<dyn Iterator<Item = (Value, Value)>>;

/// A function as a value. The builtin `call` can call it, or, if it is an iterator, `range` can
/// iterate over it.
#[derive(Clone)]
pub struct Func {
    ty: &'static FuncType,
    /// The body; `None` for a nil function. Behind one pointer, so that this rare variant does not
    /// make every `Value` larger.
    body: Option<Rc<Body>>,
}

enum Body {
    Call(Box<Callee>),
    /// The number of values that one step yields, and the closure that starts the iteration.
    Iterate(usize, Box<dyn Fn() -> Sequence>),
}

type Callee = dyn Fn(&mut [Value]) -> Result<Value, Failure>;

impl Func {
    /// A function for the builtin `call`. `body` gets arguments of the parameters' types.
    pub fn new(
        ty: &'static FuncType,
        body: impl Fn(&mut [Value]) -> Result<Value, Failure> + 'static,
    ) -> Func {
        Func { ty, body: Some(Rc::new(Body::Call(Box::new(body)))) }
    }

    /// An iterator function, Go's `iter.Seq` (`yields` is 1) or `iter.Seq2` (2).
    pub fn iterator(
        ty: &'static FuncType,
        yields: usize,
        start: impl Fn() -> Sequence + 'static,
    ) -> Func {
        Func { ty, body: Some(Rc::new(Body::Iterate(yields, Box::new(start)))) }
    }

    /// The nil function of type `ty`.
    pub fn nil(ty: &'static FuncType) -> Func {
        Func { ty, body: None }
    }

    /// The type of the function.
    pub fn ty(&self) -> &'static FuncType {
        self.ty
    }

    /// Whether this is the nil function.
    pub fn is_nil(&self) -> bool {
        self.body.is_none()
    }

    /// Calls the function. The arguments must have the types of its parameters.
    ///
    /// # Errors
    ///
    /// The function's own failure, or that the function is nil or an iterator.
    pub fn call(&self, arguments: &mut [Value]) -> Result<Value, Failure> {
        match self.body.as_deref() {
            Some(Body::Call(body)) => body(arguments),
            _ => Err(Failure::new(format!("cannot call {}", self.ty.name))),
        }
    }

    /// The number of values that one step of the iteration yields; 0 if the function is not an
    /// iterator.
    pub fn yields(&self) -> usize {
        match self.body.as_deref() {
            Some(Body::Iterate(yields, _)) => *yields,
            _ => 0,
        }
    }

    /// Starts the iteration, if the function is an iterator.
    pub fn iterate(&self) -> Option<Sequence> {
        match self.body.as_deref() {
            Some(Body::Iterate(_, start)) => Some(start()),
            _ => None,
        }
    }
}

impl fmt::Debug for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ty.name)
    }
}
