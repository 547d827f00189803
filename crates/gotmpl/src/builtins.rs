//! The functions that every template has, in addition to those that the caller registers.

mod collection;
mod compare;

use std::cmp::Ordering;

pub(crate) use self::collection::{index, map_entry, position, slice};
use crate::func::{Failure, Signature};
use crate::message::Message;
use crate::types::{FuncType, Type};
use crate::value::Value;

/// A builtin function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Builtin {
    And,
    Or,
    Not,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Len,
    Index,
    Slice,
    Call,
    Print,
    Printf,
    Println,
    Html,
    Js,
    Urlquery,
}

impl Builtin {
    /// All builtins.
    pub(crate) const ALL: [Builtin; 19] = [
        Builtin::And,
        Builtin::Or,
        Builtin::Not,
        Builtin::Eq,
        Builtin::Ne,
        Builtin::Lt,
        Builtin::Le,
        Builtin::Gt,
        Builtin::Ge,
        Builtin::Len,
        Builtin::Index,
        Builtin::Slice,
        Builtin::Call,
        Builtin::Print,
        Builtin::Printf,
        Builtin::Println,
        Builtin::Html,
        Builtin::Js,
        Builtin::Urlquery,
    ];

    /// The name templates call it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Builtin::And => "and",
            Builtin::Or => "or",
            Builtin::Not => "not",
            Builtin::Eq => "eq",
            Builtin::Ne => "ne",
            Builtin::Lt => "lt",
            Builtin::Le => "le",
            Builtin::Gt => "gt",
            Builtin::Ge => "ge",
            Builtin::Len => "len",
            Builtin::Index => "index",
            Builtin::Slice => "slice",
            Builtin::Call => "call",
            Builtin::Print => "print",
            Builtin::Printf => "printf",
            Builtin::Println => "println",
            Builtin::Html => "html",
            Builtin::Js => "js",
            Builtin::Urlquery => "urlquery",
        }
    }

    /// The builtin's signature. Go's builtins that take a `reflect.Value` take any value, as do
    /// those with parameters of type `interface {}`.
    pub(crate) fn signature(self) -> Signature {
        const ANY: Type = Type::Interface;
        let (params, variadic) = match self {
            Builtin::Not | Builtin::Len => (vec![ANY], false),
            Builtin::Ne | Builtin::Lt | Builtin::Le | Builtin::Gt | Builtin::Ge => {
                (vec![ANY, ANY], false)
            }
            Builtin::And
            | Builtin::Or
            | Builtin::Eq
            | Builtin::Index
            | Builtin::Slice
            | Builtin::Call => (vec![ANY, ANY], true),
            Builtin::Print | Builtin::Println | Builtin::Html | Builtin::Js | Builtin::Urlquery => {
                (vec![ANY], true)
            }
            Builtin::Printf => (vec![Type::String, ANY], true),
        };
        Signature { params, variadic, result: ANY }
    }

    /// Whether the result can have the static type `interface {}`.
    pub(crate) fn may_give_interface(self) -> bool {
        matches!(self, Builtin::And | Builtin::Or | Builtin::Index)
    }
}

/// Runs a builtin that needs only the values of its arguments.
pub(crate) fn run(builtin: Builtin, arguments: &[Value]) -> Result<Value, Failure> {
    let [first, rest @ ..] = arguments else { return Ok(Value::Nil) };
    let ordered = |holds: fn(Option<Ordering>) -> bool| {
        let order = compare::order(first, rest.first().unwrap_or(&Value::Nil))?;
        Ok(Value::Bool(holds(order)))
    };
    match builtin {
        Builtin::Not => Ok(Value::Bool(!first.is_true())),
        Builtin::Eq => compare::eq(first, rest).map(Value::Bool),
        Builtin::Ne => compare::eq(first, rest).map(|equal| Value::Bool(!equal)),
        Builtin::Lt => ordered(|order| order == Some(Ordering::Less)),
        Builtin::Le => ordered(|order| order.is_some_and(Ordering::is_le)),
        // `gt` and `ge` are the opposites of `le` and `lt`, as in Go. With NaN they are therefore
        // true.
        Builtin::Gt => ordered(|order| !order.is_some_and(Ordering::is_le)),
        Builtin::Ge => ordered(|order| order != Some(Ordering::Less)),
        Builtin::Len => collection::len(first),
        _ => Err(Failure::new(format!("{} is no such builtin", builtin.name()))),
    }
}

/// The failure of a call of `name` with a wrong number of arguments.
fn wrong_number(name: &Message, counts: String) -> Failure {
    let message = Message::new("wrong number of args for ").and(name).text(": ").text(counts);
    Failure::quoting(message)
}

/// Calls the function value `arguments[0]` with the other arguments. Error texts call it `name`.
pub(crate) fn call(name: Message, arguments: &mut [Value]) -> Result<Value, Failure> {
    let [function, arguments @ ..] = arguments else { return Err("call of nil".into()) };
    let Value::Func(function) = function else {
        return Err(match function.ty() {
            None => "call of nil".into(),
            Some(ty) => {
                let message =
                    Message::new("non-function ").and(&name).text(format!(" of type {ty}"));
                Failure::quoting(message)
            }
        });
    };
    if function.is_nil() {
        return Err("call of nil".into());
    }
    let FuncType { params, variadic, .. } = function.ty();
    let (got, fixed) = (arguments.len(), params.len() - usize::from(*variadic));
    if *variadic && got < fixed {
        return Err(wrong_number(&name, format!("got {got} want at least {fixed}")));
    }
    if !*variadic && got != fixed {
        return Err(wrong_number(&name, format!("got {got} want {fixed}")));
    }
    for (place, argument) in arguments.iter_mut().enumerate() {
        let Some(wanted) = params.get(place).or(params.last()) else { continue };
        match argument.ty() {
            None if wanted.can_be_nil() => *argument = Value::zero(*wanted),
            None => {
                return Err(format!("arg {place}: value is nil; should be of type {wanted}").into());
            }
            Some(ty) if ty.is_assignable_to(*wanted) => {}
            Some(ty) => {
                let message = format!("arg {place}: value has type {ty}; should be {wanted}");
                return Err(message.into());
            }
        }
    }
    function.call(arguments)
}
