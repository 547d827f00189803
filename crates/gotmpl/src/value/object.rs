//! Structs, pointers to them, functions, and the opaque objects of other crates.

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;

use super::Value;
use crate::func::Failure;
use crate::types::{FuncType, ObjectType, PointerType, StructType};

/// A struct, copied by sharing: its fields are never changed.
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

    /// What is pointed to; `None` for nil.
    pub fn target(&self) -> Option<&Struct> {
        self.target.as_ref()
    }

    /// Whether both are nil or point to the same struct, not merely to equal ones.
    pub fn is_same(&self, other: &Pointer) -> bool {
        match (&self.target, &other.target) {
            (Some(a), Some(b)) => Rc::ptr_eq(&a.fields, &b.fields),
            (None, None) => true,
            _ => false,
        }
    }
}

/// A value whose inside templates cannot see, only its methods: `time.Time` and the like.
pub trait Object: Any {
    /// The type of the value.
    fn ty(&self) -> &'static ObjectType;

    /// What the value's `String` method gives, if it has one: the text that `%v` and `%s` print.
    fn text(&self) -> Option<Bytes>;

    /// What the value's `GoString` method gives, if it has one: the text that `%#v` prints.
    fn go_text(&self) -> Option<Bytes> {
        None
    }

    /// What is printed by verbs that neither text is for: a struct with the fields of the value,
    /// or a pointer to one. Not an object.
    fn inside(&self) -> Value;

    /// Go's `==` with another object of the same type.
    fn equals(&self, other: &dyn Object) -> bool;
}

/// What ranging over a function gives: the pairs it would yield, of which one that yields single
/// values uses only the second.
pub type Sequence = Box<dyn Iterator<Item = (Value, Value)>>;

/// A function as a value: `call` can call it, or `range` iterate over it if it is an iterator.
#[derive(Clone)]
pub struct Func {
    ty: &'static FuncType,
    /// What it does, unless it is nil. Behind one pointer: a function is the rarest of values,
    /// and must not make all others larger.
    body: Option<Rc<Body>>,
}

enum Body {
    Call(Box<Callee>),
    /// How many values one step of the iteration has, and what begins it.
    Iterate(usize, Box<dyn Fn() -> Sequence>),
}

type Callee = dyn Fn(&mut [Value]) -> Result<Value, Failure>;

impl Func {
    /// A function that `call` can call. The body's arguments are already of their types.
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

    /// Calls the function with arguments that are of its parameters' types.
    ///
    /// # Errors
    ///
    /// What the function itself says, or that it cannot be called.
    pub fn call(&self, arguments: &mut [Value]) -> Result<Value, Failure> {
        match self.body.as_deref() {
            Some(Body::Call(body)) => body(arguments),
            _ => Err(Failure::new(format!("cannot call {}", self.ty.name))),
        }
    }

    /// How many values one step of the iteration has; 0 if the function is no iterator.
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
