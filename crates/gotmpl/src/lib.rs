//! Go's text/template over byte strings.

mod builtins;
mod compile;
mod error;
mod escape;
mod exec;
mod fmt;
mod func;
#[cfg(test)]
mod golden;
mod lex;
mod literal;
mod node;
mod number;
mod parse;
mod program;
mod quote;
mod template;
pub mod types;
mod unicode;
mod value;

pub use error::{Error, ErrorKind, Unknown};
pub use exec::Limits;
pub use func::{
    Argument, Failure, Functions, Native, Parameter, Rest, Returned, Signature, Strings,
};
pub use template::Template;
pub use value::{Func, Map, Object, Pointer, Sequence, Slice, Struct, Value};

pub use quote::quote;
