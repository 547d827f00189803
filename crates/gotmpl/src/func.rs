//! The functions that templates can call, and their Go signatures.

mod stock;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::HashMap;

use crate::builtins::Builtin;
use crate::error::Unknown;
use crate::message::Message;
use crate::types::{STRINGS, Type};
use crate::value::{Map, Slice, Struct, Value};

pub use self::stock::{Definition, Stock};
use self::stock::{Shelf, Shelved};

/// Why a function returned no result: the text that stands after `error calling NAME: `.
///
/// Go distinguishes returned errors from panics. Templates see the same text for both, so this type
/// does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Reason);

/// The rare variant is boxed: every result of a function has room for a failure, so it must be
/// small.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reason {
    Text(Bytes),
    Message(Box<Message>),
    Unknown(Box<(Bytes, Unknown)>),
}

impl Failure {
    /// A failure with the text `message`, which can hold any bytes. A text that shows values is made
    /// by [`quoting`](Failure::quoting).
    pub fn new(message: impl Into<Bytes>) -> Failure {
        Failure(Reason::Text(message.into()))
    }

    /// A failure with a text that shows values.
    pub fn quoting(message: Message) -> Failure {
        Failure(Reason::Message(Box::new(message)))
    }

    /// A failure about a name that does not exist.
    pub(crate) fn unknown(message: impl Into<Bytes>, unknown: Unknown) -> Failure {
        Failure(Reason::Unknown(Box::new((message.into(), unknown))))
    }

    /// The text of the failure.
    pub fn text(&self) -> &[u8] {
        match &self.0 {
            Reason::Text(text) => text,
            Reason::Message(message) => message.exact(),
            Reason::Unknown(reason) => &reason.0,
        }
    }

    /// The text of the failure, and the values that it shows.
    pub fn message(&self) -> Message {
        match &self.0 {
            Reason::Message(message) => (**message).clone(),
            Reason::Text(_) | Reason::Unknown(_) => Message::new(self.text()),
        }
    }

    /// The name that does not exist, if the failure is about one.
    pub(crate) fn about(&self) -> Option<&Unknown> {
        match &self.0 {
            Reason::Text(_) | Reason::Message(_) => None,
            Reason::Unknown(reason) => Some(&reason.1),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.text()))
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

/// A Rust type that a registered function takes as an argument of a Go type.
pub trait Argument: Sized {
    /// The Go type.
    const TYPE: Type;

    /// Converts a value of that Go type. `None` if the value has another type.
    fn from_value(value: Value) -> Option<Self>;
}

/// The remaining arguments, Go's `...T`: any number, each of type `T`.
///
/// Must be the last parameter of a function.
#[derive(Clone, Debug)]
pub struct Rest<T>(pub Vec<T>);

/// A `[]string` parameter that gives access to the caller's own slice, so that a function can
/// change it in place.
#[derive(Clone, Debug)]
pub struct Strings(pub Slice);

/// A Rust type that a registered function returns.
pub trait Returned {
    /// The Go type of the result.
    const TYPE: Type;

    /// The result as a value.
    ///
    /// # Errors
    ///
    /// The failure of the function, if the type can hold one.
    fn into_value(self) -> Result<Value, Failure>;
}

/// A parameter of a registered function: one [`Argument`], or the [`Rest`].
pub trait Parameter: Sized {
    /// The Go type of one argument for the parameter.
    const TYPE: Type;
    /// Whether the parameter takes any number of arguments.
    const VARIADIC: bool;

    /// Takes the arguments of this parameter from those that are left.
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

/// A closure that can be registered. `P` is the tuple of its parameter types.
pub trait Native<C: ?Sized, P>: Send + Sync + 'static {
    /// The Go signature.
    fn signature() -> Signature;

    /// Calls the closure.
    ///
    /// # Errors
    ///
    /// The failure of the closure.
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
    /// The types of the parameters. For a variadic function, the last is the type of each extra
    /// argument.
    pub params: Vec<Type>,
    /// Whether the last parameter takes any number of arguments.
    pub variadic: bool,
    /// The type of the result.
    pub result: Type,
}

/// A function without its body: what the parser, compiler and executor need.
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
    /// The functions that are made when a template names them. Their indexes begin at [`STOCK`].
    stock: Option<Arc<dyn Shelved>>,
}

/// The index of the first function of the stock. No table has so many other functions.
const STOCK: usize = 1 << 20;

impl Table {
    /// The names of all functions, in no particular order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        let stock = self.stock.iter().flat_map(|stock| stock.names());
        // A function of the table hides one of the stock.
        let stock = stock.copied().filter(|name| !self.is_registered(name.as_bytes()));
        self.by_name.values().map(|place| self.get(*place).name.as_str()).chain(stock)
    }

    /// The index of the function called `name`.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.by_name.get(name).copied().or_else(|| Some(STOCK + self.stock.as_ref()?.find(name)?))
    }

    /// Whether a function called `name` is registered, without those of the stock.
    pub(crate) fn is_registered(&self, name: &[u8]) -> bool {
        self.by_name.contains_key(name)
    }

    /// The function at index `place`, which came from [`find`](Table::find).
    pub(crate) fn get(&self, place: usize) -> &Known {
        match &self.stock {
            Some(stock) if place >= STOCK => stock.known(place - STOCK),
            _ => &self.functions[place],
        }
    }

    fn add(&mut self, known: Known) {
        self.by_name.insert(known.name.clone().into_bytes(), self.functions.len());
        self.functions.push(known);
    }
}

type Body<C> = dyn Fn(&C, &mut [Value]) -> Result<Value, Failure> + Send + Sync;

/// The functions that templates can call.
///
/// A function is registered as a Rust closure. The closure's types give the Go signature, so that a
/// wrong number or type of arguments is reported in Go's words before the closure is called:
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
/// `C` is the type of the context that each execution passes to the functions. The builtins (`and`,
/// `index`, `printf`, …) always exist. A function registered under a builtin's name replaces it.
pub struct Functions<C: ?Sized> {
    table: Table,
    /// The body of each function of the table; `None` for a builtin.
    bodies: Vec<Option<Box<Body<C>>>>,
    stock: Option<Arc<Shelf<C>>>,
    interrupt: fn(&C) -> Result<(), Failure>,
}

impl<C: ?Sized> Functions<C> {
    /// The builtins of Go's text/template and no other function.
    pub fn new() -> Functions<C> {
        let mut functions = Functions {
            table: Table::default(),
            bodies: Vec::new(),
            stock: None,
            interrupt: |_| Ok(()),
        };
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

    /// Registers `function` as `name`. Replaces a function of that name.
    pub fn add<P, F: Native<C, P>>(&mut self, name: &str, function: F) {
        self.add_body(name, F::signature(), Box::new(move |cx, args| function.call(cx, args)));
    }

    /// Registers a function with an explicit signature, for Go types that no Rust type stands for.
    /// `function` gets as many arguments as `signature` says, each of its type.
    pub fn add_raw(
        &mut self,
        name: &str,
        signature: Signature,
        function: impl Fn(&C, &mut [Value]) -> Result<Value, Failure> + Send + Sync + 'static,
    ) {
        self.add_body(name, signature, Box::new(function));
    }

    /// Registers a function that is defined already. Replaces a function of that name.
    pub fn define(&mut self, name: &str, definition: Definition<C>) {
        let (signature, body) = definition.into_parts();
        self.add_body(name, signature, body);
    }

    /// Sets functions that are made only when a template names them. They add nothing to the cost of a
    /// table whose templates name none of them. A registered function hides one of the stock.
    pub fn set_stock(&mut self, stock: impl Stock<C> + 'static)
    where
        C: 'static,
    {
        let shelf = Arc::new(Shelf::new(stock));
        self.table.stock = Some(Arc::clone(&shelf) as Arc<dyn Shelved>);
        self.stock = Some(shelf);
    }

    /// Sets a function that is called regularly while a template is executed: at least at every
    /// 256th step of a loop, and at every 16th call of a registered function. The execution stops
    /// with the failure that it returns.
    pub fn set_interrupt(&mut self, interrupt: fn(&C) -> Result<(), Failure>) {
        self.interrupt = interrupt;
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

/// Registered functions with their context. A trait object, so that the executor does not depend on
/// the type of the context.
pub(crate) trait Library {
    /// Calls the function at index `place` of the table, which must not be a builtin.
    fn call(&self, place: usize, arguments: &mut [Value]) -> Result<Value, Failure>;

    /// Whether the execution may go on; see [`Functions::set_interrupt`].
    fn interrupt(&self) -> Result<(), Failure>;
}

/// The [`Library`] of one execution: the functions and its context.
pub(crate) struct Bound<'a, C: ?Sized> {
    pub(crate) functions: &'a Functions<C>,
    pub(crate) context: &'a C,
}

impl<C: ?Sized> Library for Bound<'_, C> {
    fn call(&self, place: usize, arguments: &mut [Value]) -> Result<Value, Failure> {
        if let Some(Some(body)) = self.functions.bodies.get(place) {
            return body(self.context, arguments);
        }
        match (&self.functions.stock, place.checked_sub(STOCK)) {
            (Some(stock), Some(place)) => stock.call(place, self.context, arguments),
            _ => Err(Failure::new("no such function")),
        }
    }

    fn interrupt(&self) -> Result<(), Failure> {
        (self.functions.interrupt)(self.context)
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

argument!(Map, Type::Map(&crate::types::VALUE_MAP), Value::Map(map) => map);

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

// Of the result types, templates can only tell `interface {}` from all others. A slice, map or
// struct knows its exact type itself.
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
