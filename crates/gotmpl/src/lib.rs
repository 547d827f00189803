//! Go's text/template over byte strings.

#![allow(dead_code)]

mod builtins;
mod escape;
mod fmt;
mod func;
#[cfg(test)]
mod golden;
mod number;
mod quote;
pub mod types;
mod unicode;
mod value;

pub use func::{
    Argument, Failure, Functions, Native, Parameter, Rest, Returned, Signature, Strings,
};
pub use value::{Func, Map, Object, Pointer, Sequence, Slice, Struct, Value};

pub use quote::quote;
