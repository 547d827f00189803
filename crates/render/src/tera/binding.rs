//! Registers Rust functions as functions and filters of Tera.
//!
//! A [`Function`] has a name, the names of its arguments and a Rust function. The types of the Rust
//! function's parameters ([`Parameter`]) and result ([`Answer`]) say what the arguments must be.
//! Arguments are checked strictly: one that is missing, of the wrong kind or unknown (which Tera
//! itself would ignore) is an error.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use ::tera::value::ValueKind;
use ::tera::{ArgFromValue, Kwargs, State, Tera, TeraResult, Value};
use bytes::Bytes;
use gotmpl::Message;

use super::own::unknown_text;
use super::scope::{self, Context};
use crate::funcs;

/// A function that templates can call.
pub(super) struct Function {
    /// The name of the function, in Go templates and in Tera.
    pub(super) name: &'static str,
    /// The names of its arguments.
    parameters: Cow<'static, [&'static str]>,
    /// The index of the argument that stands on the left of the bar, if templates can use the function
    /// as a filter too.
    piped: Option<usize>,
    call: Call,
}

pub(super) type Call =
    Box<dyn Fn(&Context, &mut Arguments<'_>) -> Result<Value, Failure> + Send + Sync>;

/// Why a function returned no result: one line, without the function's name.
#[derive(Debug)]
pub(super) struct Failure(Message);

impl Failure {
    /// A failure with this text, which shows no values.
    pub(super) fn new(text: impl Into<String>) -> Self {
        Failure(Message::new(text.into()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0.exact()))
    }
}

impl From<funcs::Error> for Failure {
    fn from(error: funcs::Error) -> Self {
        Failure(error.message())
    }
}

impl From<Message> for Failure {
    fn from(message: Message) -> Self {
        Failure(message)
    }
}

impl Function {
    /// The names of its arguments.
    pub(super) fn parameters(&self) -> &[&'static str] {
        &self.parameters
    }

    /// A function that is a filter too. `parameters` names the arguments of `body` in their order;
    /// the first of them is the value that the filter is applied to.
    pub(super) fn with_filter<B: Body<N, Marker>, const N: usize, Marker>(
        name: &'static str,
        parameters: &'static [&'static str; N],
        body: B,
    ) -> Self {
        Self { piped: Some(0), ..Self::new(name, parameters, body) }
    }

    /// A function that is not a filter: it has no value to be applied to, or Tera has a filter of
    /// that name.
    pub(super) fn new<B: Body<N, Marker>, const N: usize, Marker>(
        name: &'static str,
        parameters: &'static [&'static str; N],
        body: B,
    ) -> Self {
        let call: Call = Box::new(move |context, arguments| body.call(context, arguments));
        Self { name, parameters: Cow::Borrowed(parameters), piped: None, call }
    }

    /// A function that reads its arguments itself. `piped` is the index of the argument that stands on
    /// the left of the bar.
    pub(super) fn reading(
        name: &'static str,
        parameters: Vec<&'static str>,
        piped: Option<usize>,
        call: Call,
    ) -> Self {
        Self { name, parameters: Cow::Owned(parameters), piped, call }
    }

    /// A function that takes arguments of any name.
    pub(super) fn of_any(
        name: &'static str,
        body: impl Fn(Vec<(String, Value)>) -> Result<Value, Failure> + Send + Sync + 'static,
    ) -> Self {
        let call: Call = Box::new(move |_, arguments| {
            let name = |name: &::tera::value::Key<'_>| name.as_str().unwrap_or_default().to_owned();
            body(arguments.named.iter().map(|(key, value)| (name(key), value.clone())).collect())
        });
        Self { name, parameters: Cow::Borrowed(&[]), piped: None, call }
    }

    /// Registers the function with `engine`.
    pub(super) fn register(self, engine: &mut Tera) {
        let function = Arc::new(self);
        if function.piped.is_some() {
            let filter = Arc::clone(&function);
            engine.register_filter(function.name, move |value: Value, named: Kwargs, _: &State| {
                filter.call(Some(&value), &named)
            });
        }
        engine.register_function(function.name, move |named: Kwargs, _: &State| {
            function.call(None, &named)
        });
    }

    fn call(&self, piped: Option<&Value>, named: &Kwargs) -> TeraResult<Value> {
        let piped = self.piped.zip(piped);
        let parameters = &*self.parameters;
        let mut arguments = Arguments { parameters, piped, named, next: 0 };
        let call = |context: &Context| {
            let called = match context.clock.check() {
                Ok(()) => (self.call)(context, &mut arguments).and_then(|value| {
                    let counted = context.meter.count_value(&value);
                    counted.map(|()| value).map_err(|over| Failure::new(over.to_string()))
                }),
                Err(over) => Err(Failure::new(over.to_string())),
            };
            called.map_err(|Failure(message)| {
                let message = Message::new(format!("error calling {}: ", self.name)).and(&message);
                let text = String::from_utf8_lossy(message.exact()).into_owned();
                context.failure.replace(Some(message));
                text
            })
        };
        let answer =
            scope::with(call).unwrap_or_else(|| Err("nothing is being rendered".to_owned()));
        answer.map_err(::tera::Error::message)
    }
}

/// The arguments of one call.
pub(super) struct Arguments<'a> {
    parameters: &'a [&'static str],
    /// The value that a filter is applied to, and the index of its parameter.
    piped: Option<(usize, &'a Value)>,
    named: &'a Kwargs,
    /// The index of the next parameter to read.
    next: usize,
}

impl Arguments<'_> {
    /// Returns an error for an argument whose name is not that of a parameter.
    pub(super) fn check_names(&self) -> Result<(), Failure> {
        // The parameter that is the value of a filter cannot be given by name too.
        let piped = self.piped.map(|(place, _)| place);
        let taken = self.parameters.iter().enumerate();
        let taken = taken.filter(|(place, _)| Some(*place) != piped).map(|(_, name)| name);
        let unknown = |name: &&str| !taken.clone().any(|known| known == name);
        let mut names = self.named.iter().filter_map(|(name, _)| name.as_str());
        let Some(name) = names.find(unknown) else { return Ok(()) };
        let taken: Vec<_> = taken.copied().collect();
        Err(Failure::new(unknown_text(name, &taken)))
    }

    /// The argument of the parameter with this index, if it is given.
    pub(super) fn value(&self, place: usize) -> Option<&Value> {
        match self.piped {
            Some((piped, value)) if piped == place => Some(value),
            _ => self.named.get::<&Value>(self.name(place)).ok().flatten(),
        }
    }

    fn name(&self, place: usize) -> &'static str {
        self.parameters.get(place).copied().unwrap_or_default()
    }

    /// The failure that an argument is not given.
    pub(super) fn missing(&self, place: usize) -> Failure {
        Failure::new(format!("argument \"{}\" is missing", self.name(place)))
    }

    /// The failure that an argument is not what it must be.
    pub(super) fn must_be(&self, place: usize, wanted: &str, found: &Value) -> Failure {
        let what = match self.piped {
            Some((piped, _)) if piped == place => "the value".to_owned(),
            _ => format!("argument \"{}\"", self.name(place)),
        };
        Failure::new(format!("{what} must be {wanted}, not {}", kind(found)))
    }

    /// Reads the next argument.
    fn next<P: Parameter>(&mut self) -> Result<P, Failure> {
        let place = self.next;
        self.next += 1;
        // A missing argument is an error of the template, unless the function has a default.
        match self.value(place) {
            None => P::absent().ok_or_else(|| self.missing(place)),
            Some(value) => P::from_value(value).ok_or_else(|| self.must_be(place, P::KIND, value)),
        }
    }
}

/// A type of the arguments of a Rust function.
pub(super) trait Parameter: Sized {
    /// What a template must pass, with its article: `a string`.
    const KIND: &'static str;

    /// Converts `value`. `None` if it is of another kind.
    fn from_value(value: &Value) -> Option<Self>;

    /// The value for an argument that is not given. `None` if the argument is required.
    fn absent() -> Option<Self> {
        None
    }
}

impl Parameter for Bytes {
    const KIND: &'static str = "a string";

    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().map(|text| Bytes::copy_from_slice(text.as_bytes()))
    }
}

impl Parameter for i64 {
    const KIND: &'static str = "an integer";

    fn from_value(value: &Value) -> Option<Self> {
        <i64 as ArgFromValue>::from_value(value).ok()
    }
}

impl Parameter for bool {
    const KIND: &'static str = "true or false";

    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Parameter for Value {
    const KIND: &'static str = "a value";

    fn from_value(value: &Value) -> Option<Self> {
        (!value.is_undefined()).then(|| value.clone())
    }
}

impl<E: Element> Parameter for Vec<E> {
    const KIND: &'static str = E::LIST;

    fn from_value(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(E::from_element).collect()
    }
}

/// A type of the elements of a list that is passed to a Rust function.
pub(super) trait Element: Sized {
    /// The list, with its article: `a list of strings`.
    const LIST: &'static str;

    /// Converts `value`. `None` if it must not be in the list.
    fn from_element(value: &Value) -> Option<Self>;
}

impl Element for Value {
    const LIST: &'static str = "a list";

    fn from_element(value: &Value) -> Option<Self> {
        Some(value.clone())
    }
}

impl Element for Bytes {
    const LIST: &'static str = "a list of strings";

    fn from_element(value: &Value) -> Option<Self> {
        Bytes::from_value(value)
    }
}

impl<P: Parameter> Parameter for Option<P> {
    const KIND: &'static str = P::KIND;

    fn from_value(value: &Value) -> Option<Self> {
        P::from_value(value).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// A type of the results of a Rust function.
pub(super) trait Answer {
    /// The result as a value of Tera.
    ///
    /// # Errors
    /// There is no result, or Tera cannot represent it because it is not UTF-8.
    fn into_value(self) -> Result<Value, Failure>;
}

impl Answer for Value {
    fn into_value(self) -> Result<Value, Failure> {
        Ok(self)
    }
}

impl Answer for bool {
    fn into_value(self) -> Result<Value, Failure> {
        Ok(self.into())
    }
}

impl Answer for i64 {
    fn into_value(self) -> Result<Value, Failure> {
        Ok(self.into())
    }
}

impl Answer for Bytes {
    fn into_value(self) -> Result<Value, Failure> {
        match std::str::from_utf8(&self) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(Failure::new("the result is not valid UTF-8")),
        }
    }
}

impl<T: Answer> Answer for Vec<T> {
    fn into_value(self) -> Result<Value, Failure> {
        let values: Vec<_> = self.into_iter().map(T::into_value).collect::<Result<_, _>>()?;
        Ok(values.into())
    }
}

impl<T: Answer, E: Into<Failure>> Answer for Result<T, E> {
    fn into_value(self) -> Result<Value, Failure> {
        self.map_err(E::into)?.into_value()
    }
}

/// A Rust function with a [`Context`] and `N` parameters.
pub(super) trait Body<const N: usize, Marker>: Send + Sync + 'static {
    /// Calls the function.
    ///
    /// # Errors
    /// The arguments do not fit, or the function returned no result.
    fn call(&self, context: &Context, arguments: &mut Arguments<'_>) -> Result<Value, Failure>;
}

macro_rules! body {
    ($count:literal: $($parameter:ident)*) => {
        impl<F, R, $($parameter,)*> Body<$count, (R, $($parameter,)*)> for F
        where
            F: Fn(&Context, $($parameter),*) -> R + Send + Sync + 'static,
            R: Answer,
            $($parameter: Parameter,)*
        {
            fn call(
                &self,
                context: &Context,
                arguments: &mut Arguments<'_>,
            ) -> Result<Value, Failure> {
                arguments.check_names()?;
                self(context, $(arguments.next::<$parameter>()?),*).into_value()
            }
        }
    };
}

body!(0:);
body!(1: A);
body!(2: A B);
body!(3: A B C);
body!(4: A B C D);

/// The kind of a value, with its article, for error texts.
fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Undefined => "undefined",
        ValueKind::None => "none",
        ValueKind::Bool => "true or false",
        ValueKind::F64 => "a float",
        ValueKind::String => "a string",
        ValueKind::Array => "a list",
        ValueKind::Map => "a map",
        ValueKind::Bytes => "bytes",
        // The remaining kinds are integers of several widths.
        _ => "an integer",
    }
}
