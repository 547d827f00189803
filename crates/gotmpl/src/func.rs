//! The functions a template can call, with the signatures Go would give them.

use std::fmt;

use bytes::Bytes;
use foldhash::HashMap;

use crate::builtins::Builtin;
use crate::error::Unknown;
use crate::types::{STRINGS, Type};
use crate::value::{Map, Slice, Struct, Value};

/// Why a function gave no result: the text after `error calling NAME: `.
///
/// Go tells errors from panics; a template does not, and neither does this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Reason);

/// Two variants, as large as the common one alone: failures are in many results.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Message(Bytes),
    Unknown(Box<(Bytes, Unknown)>),
}

impl Failure {
    /// A failure with the text `message`, which may hold any bytes.
    pub fn new(message: impl Into<Bytes>) -> Failure {
        Failure(Reason::Message(message.into()))
    }

    /// A failure about a name that is not known.
    pub(crate) fn unknown(message: impl Into<Bytes>, unknown: Unknown) -> Failure {
        Failure(Reason::Unknown(Box::new((message.into(), unknown))))
    }

    /// The text.
    pub fn message(&self) -> &Bytes {
        match &self.0 {
            Reason::Message(message) => message,
            Reason::Unknown(reason) => &reason.0,
        }
    }

    /// The name that is not known, if the failure is about one.
    pub(crate) fn about(&self) -> Option<&Unknown> {
        match &self.0 {
            Reason::Message(_) => None,
            Reason::Unknown(reason) => Some(&reason.1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.message()))
    }
}

impl std::error::Error for Failure {}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure::new(message)
    }
}

impl From<&'static str> for Failure {
    fn from(message: &'static str) -> Failure {
        Failure::new(message)
    }
}

/// A Rust type that stands for a Go type in a function's parameters.
pub trait Argument: Sized {
    /// The Go type.
    const TYPE: Type;

    /// The argument from a value that is of the Go type already; `None` if it is not.
    fn from_value(value: Value) -> Option<Self>;
}

/// The rest of the arguments, Go's `...T`: any number, each of type `T`.
///
/// Only the last parameter of a function can be one.
#[derive(Clone, Debug)]
pub struct Rest<T>(pub Vec<T>);

/// A `[]string` parameter that sees and can change the caller's own elements.
#[derive(Clone, Debug)]
pub struct Strings(pub Slice);

/// A Rust type that stands for the result of a function.
pub trait Returned {
    /// The Go type of the result.
    const TYPE: Type;

    /// The result as a template sees it.
    ///
    /// # Errors
    ///
    /// The function's own failure, if the type has a place for one.
    fn into_value(self) -> Result<Value, Failure>;
}

/// A parameter of a function: one [`Argument`], or the [`Rest`].
pub trait Parameter: Sized {
    /// The Go type of one argument.
    const TYPE: Type;
    /// Whether the parameter stands for any number of arguments.
    const VARIADIC: bool;

    /// Takes what belongs to the parameter from the arguments that are left.
    fn take(arguments: &mut std::slice::IterMut<'_, Value>) -> Option<Self>;
}

impl<T: Argument> Parameter for T {
    const TYPE: Type = T::TYPE;
    const VARIADIC: bool = false;

    fn take(arguments: &mut std::slice::IterMut<'_, Value>) -> Option<T> {
        T::from_value(std::mem::take(arguments.next()?))
    }
}

impl<T: Argument> Parameter for Rest<T> {
    const TYPE: Type = T::TYPE;
    const VARIADIC: bool = true;

    fn take(arguments: &mut std::slice::IterMut<'_, Value>) -> Option<Rest<T>> {
        arguments.map(|value| T::from_value(std::mem::take(value))).collect::<Option<_>>().map(Rest)
    }
}

/// A closure that can be registered; `P` is the tuple of its parameters' types.
pub trait Native<C: ?Sized, P>: Send + Sync + 'static {
    /// The Go signature.
    fn signature() -> Signature;

    /// Calls the closure.
    ///
    /// # Errors
    ///
    /// What the closure says.
    fn call(&self, context: &C, arguments: &mut [Value]) -> Result<Value, Failure>;
}

macro_rules! native {
    ($($parameter:ident)*) => {
        impl<C: ?Sized, F, R, $($parameter),*> Native<C, ($($parameter,)*)> for F
        where
            F: Fn(&C, $($parameter),*) -> R + Send + Sync + 'static,
            R: Returned,
            $($parameter: Parameter,)*
        {
            fn signature() -> Signature {
                let variadic = [false, $($parameter::VARIADIC),*].last() == Some(&true);
                Signature { params: vec![$($parameter::TYPE),*], variadic, result: R::TYPE }
            }

            #[allow(non_snake_case, reason = "each parameter's value is named as its type")]
            fn call(&self, context: &C, arguments: &mut [Value]) -> Result<Value, Failure> {
                #[allow(unused_mut, unused_variables, reason = "not used without parameters")]
                let mut arguments = arguments.iter_mut();
                $(let $parameter = $parameter::take(&mut arguments).ok_or_else(|| {
                    Failure::new(format!("argument is no {}", $parameter::TYPE))
                })?;)*
                self(context, $($parameter),*).into_value()
            }
        }
    };
}

native!();
native!(P1);
native!(P1 P2);
native!(P1 P2 P3);
native!(P1 P2 P3 P4);
native!(P1 P2 P3 P4 P5);
native!(P1 P2 P3 P4 P5 P6);

/// The Go signature of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The types of the parameters; of a variadic function the last is the type of one extra
    /// argument.
    pub params: Vec<Type>,
    /// Whether the last parameter stands for any number of arguments.
    pub variadic: bool,
    /// The type of the result.
    pub result: Type,
}

/// What the engine knows of a function apart from how to run it.
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) signature: Signature,
    pub(crate) builtin: Option<Builtin>,
}

/// The names and signatures of a set of functions.
#[derive(Default)]
pub(crate) struct Table {
    functions: Vec<Known>,
    by_name: HashMap<Vec<u8>, usize>,
}

impl Table {
    /// The names of all functions, in no particular order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.values().map(|place| self.get(*place).name.as_str())
    }

    /// The place of the function called `name`.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The function at `place`, which came from [`find`](Table::find).
    pub(crate) fn get(&self, place: usize) -> &Known {
        &self.functions[place]
    }

    fn add(&mut self, known: Known) {
        self.by_name.insert(known.name.clone().into_bytes(), self.functions.len());
        self.functions.push(known);
    }
}

type Body<C> = dyn Fn(&C, &mut [Value]) -> Result<Value, Failure> + Send + Sync;

/// The functions that templates of one kind can call.
///
/// A function is registered as a Rust closure, and its Go signature follows from the closure's
/// types, so that a wrong count or type of arguments is reported in Go's words before the
/// closure is reached:
///
/// ```
/// use bytes::Bytes;
/// use gotmpl::{Failure, Functions, Rest};
///
/// let mut functions: Functions<u32> = Functions::new();
/// functions.add("double", |_: &u32, n: i64| n.wrapping_mul(2));
/// functions.add("getv", |_: &u32, key: Bytes, default: Rest<Bytes>| {
///     default.0.into_iter().next().ok_or_else(|| Failure::new("no such key"))
/// });
/// ```
///
/// `C` is the context an execution hands to each function: whatever they need to know of the
/// outside. The builtins (`and`, `index`, `printf`, …) are always there; a function registered
/// under the name of a builtin takes its place.
pub struct Functions<C: ?Sized> {
    table: Table,
    /// One for each function of the table; builtins have none.
    bodies: Vec<Option<Box<Body<C>>>>,
}

impl<C: ?Sized> Functions<C> {
    /// The builtins of Go's text/template and nothing else.
    pub fn new() -> Functions<C> {
        let mut functions = Functions { table: Table::default(), bodies: Vec::new() };
        for builtin in Builtin::ALL {
            functions.table.add(Known {
                name: builtin.name().to_owned(),
                signature: builtin.signature(),
                builtin: Some(builtin),
            });
            functions.bodies.push(None);
        }
        functions
    }

    /// Adds `function` as `name`, in place of any function of that name.
    pub fn add<P, F: Native<C, P>>(&mut self, name: &str, function: F) {
        self.add_body(name, F::signature(), Box::new(move |cx, args| function.call(cx, args)));
    }

    /// Adds a function with a signature of its own. `function` is called with arguments that are
    /// of the types in `signature` and as many as it says.
    pub fn add_raw(
        &mut self,
        name: &str,
        signature: Signature,
        function: impl Fn(&C, &mut [Value]) -> Result<Value, Failure> + Send + Sync + 'static,
    ) {
        self.add_body(name, signature, Box::new(function));
    }

    fn add_body(&mut self, name: &str, signature: Signature, body: Box<Body<C>>) {
        self.table.add(Known { name: name.to_owned(), signature, builtin: None });
        self.bodies.push(Some(body));
    }

    /// The names of all functions, in no particular order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.table.names()
    }

    /// The signature of the function called `name`.
    pub fn signature(&self, name: &str) -> Option<&Signature> {
        Some(&self.table.get(self.table.find(name.as_bytes())?).signature)
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }
}

impl<C: ?Sized> Default for Functions<C> {
    fn default() -> Functions<C> {
        Functions::new()
    }
}

impl<C: ?Sized> fmt::Debug for Functions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

/// Functions with the context they run in: what the executor calls, whatever the context's type.
pub(crate) trait Library {
    /// Calls the function at `place` of the table, which must not be a builtin.
    fn call(&self, place: usize, arguments: &mut [Value]) -> Result<Value, Failure>;
}

/// The [`Library`] of one execution.
pub(crate) struct Bound<'a, C: ?Sized> {
    pub(crate) functions: &'a Functions<C>,
    pub(crate) context: &'a C,
}

impl<C: ?Sized> Library for Bound<'_, C> {
    fn call(&self, place: usize, arguments: &mut [Value]) -> Result<Value, Failure> {
        match self.functions.bodies.get(place) {
            Some(Some(body)) => body(self.context, arguments),
            _ => Err(Failure::new("no such function")),
        }
    }
}

macro_rules! argument {
    ($rust:ty, $go:expr, $pattern:pat => $result:expr) => {
        impl Argument for $rust {
            const TYPE: Type = $go;

            fn from_value(value: Value) -> Option<$rust> {
                match value {
                    $pattern => Some($result),
                    _ => None,
                }
            }
        }
    };
}

argument!(bool, Type::Bool, Value::Bool(value) => value);
argument!(i64, Type::Int, Value::Int(value) => value);
argument!(f64, Type::Float, Value::Float(value) => value);
argument!(Bytes, Type::String, Value::String(text) => text);
argument!(Strings, Type::Slice(&STRINGS), Value::Slice(slice) => Strings(slice));

impl Argument for Value {
    const TYPE: Type = Type::Interface;

    fn from_value(value: Value) -> Option<Value> {
        Some(value)
    }
}

impl Argument for Vec<Bytes> {
    const TYPE: Type = Type::Slice(&STRINGS);

    fn from_value(value: Value) -> Option<Vec<Bytes>> {
        value.as_slice()?.elements().iter().map(|value| value.as_bytes().cloned()).collect()
    }
}

macro_rules! returned {
    ($($rust:ty => $go:expr),* $(,)?) => {$(
        impl Returned for $rust {
            const TYPE: Type = $go;

            fn into_value(self) -> Result<Value, Failure> {
                Ok(Value::from(self))
            }
        }
    )*};
}

// The result types of functions matter to a template only in that `interface {}` is one; of a
// slice, map or struct the value itself knows the exact type.
returned! {
    bool => Type::Bool,
    i64 => Type::Int,
    f64 => Type::Float,
    Bytes => Type::String,
    Vec<u8> => Type::String,
    String => Type::String,
    Vec<Bytes> => Type::Slice(&STRINGS),
    Slice => Type::Slice(&crate::types::VALUES),
    Map => Type::Map(&crate::types::VALUE_MAP),
    Struct => Type::Struct(&ANY_STRUCT),
    Value => Type::Interface,
}

static ANY_STRUCT: crate::types::StructType =
    crate::types::StructType { name: "struct", fields: &[], methods: &[] };

impl<T: Returned> Returned for Result<T, Failure> {
    const TYPE: Type = T::TYPE;

    fn into_value(self) -> Result<Value, Failure> {
        self.and_then(T::into_value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_go_signature_follows_from_the_closure() {
        let mut functions: Functions<()> = Functions::new();
        functions.add("f", |_: &(), a: Bytes, b: i64, rest: Rest<Bytes>| -> Result<i64, Failure> {
            Ok(a.len() as i64 + b + rest.0.len() as i64)
        });
        assert_eq!(
            functions.signature("f"),
            Some(&Signature {
                params: vec![Type::String, Type::Int, Type::String],
                variadic: true,
                result: Type::Int
            })
        );
    }

    #[test]
    fn a_registered_function_takes_the_place_of_a_builtin() {
        let mut functions: Functions<()> = Functions::new();
        functions.add("len", |_: &()| 7_i64);
        let place = functions.table().find(b"len").unwrap();
        let bound = Bound { functions: &functions, context: &() };
        assert_eq!(bound.call(place, &mut []).unwrap().as_i64(), Some(7));
        assert_eq!(functions.names().filter(|name| *name == "len").count(), 1);
    }

    #[test]
    fn a_closure_gets_its_arguments_in_order() {
        let mut functions: Functions<i64> = Functions::new();
        functions.add("f", |cx: &i64, a: i64, rest: Rest<i64>| {
            rest.0.iter().fold(cx * 10 + a, |sum, n| sum * 10 + n)
        });
        let place = functions.table().find(b"f").unwrap();
        let bound = Bound { functions: &functions, context: &1 };
        let result = bound.call(place, &mut [2.into(), 3.into(), 4.into()]);
        assert_eq!(result.unwrap().as_i64(), Some(1234));
    }
}
