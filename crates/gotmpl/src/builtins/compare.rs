//! `eq`, `ne`, `lt`, `le`, `gt` and `ge`.

use std::cmp::Ordering;

use bytes::Bytes;

use crate::fmt;
use crate::func::Failure;
use crate::message::Message;
use crate::types::{Kind, Type};
use crate::value::Value;

/// A value of a basic kind, which can be compared.
enum Basic<'v> {
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Complex(f64, f64),
    String(&'v [u8]),
}

fn basic(value: &Value) -> Option<Basic<'_>> {
    Some(match value {
        Value::Bool(value) => Basic::Bool(*value),
        Value::Int(value) => Basic::Int(*value),
        Value::Integer(ty, bits) if ty.signed => Basic::Int(bits.cast_signed()),
        Value::Integer(_, bits) => Basic::Uint(*bits),
        Value::Float(value) => Basic::Float(*value),
        Value::Complex(real, imaginary) => Basic::Complex(*real, *imaginary),
        Value::String(text) => Basic::String(text),
        _ => return None,
    })
}

/// Whether `first` equals one of `others`. The others are compared in their order. A value that
/// cannot be compared is an error, unless an earlier one was equal.
pub(super) fn eq(first: &Value, others: &[Value]) -> Result<bool, Failure> {
    if others.is_empty() {
        return Err("missing argument for comparison".into());
    }
    for other in others {
        if equal(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn equal(a: &Value, b: &Value) -> Result<bool, Failure> {
    match (basic(a), basic(b)) {
        (Some(x), Some(y)) => basic_equal(&x, &y).ok_or_else(|| incompatible(a, b)),
        (None, None) => composite_equal(a, b),
        // Nil is different from every basic value, and comparing it is not an error.
        _ if matches!(a, Value::Nil) || matches!(b, Value::Nil) => Ok(false),
        _ => Err(incompatible(a, b)),
    }
}

/// Whether two basic values are equal; `None` if their kinds cannot be compared with each other.
fn basic_equal(a: &Basic<'_>, b: &Basic<'_>) -> Option<bool> {
    Some(match (a, b) {
        (Basic::Bool(a), Basic::Bool(b)) => a == b,
        (Basic::Int(a), Basic::Int(b)) => a == b,
        (Basic::Uint(a), Basic::Uint(b)) => a == b,
        (Basic::Int(a), Basic::Uint(b)) | (Basic::Uint(b), Basic::Int(a)) => {
            // A negative number equals no unsigned number.
            u64::try_from(*a) == Ok(*b)
        }
        (Basic::Float(a), Basic::Float(b)) => a == b,
        (Basic::Complex(a, x), Basic::Complex(b, y)) => a == b && x == y,
        (Basic::String(a), Basic::String(b)) => a == b,
        _ => return None,
    })
}

fn composite_equal(a: &Value, b: &Value) -> Result<bool, Failure> {
    let kind = |value: &Value| value.ty().map(Type::kind);
    if let (Some(x), Some(y)) = (a.ty(), b.ty())
        && x.kind() != y.kind()
    {
        let message = Message::new("non-comparable types ");
        let message = show(message, a, "%s").text(format!(": {x}, {y}: "));
        return Err(Failure::quoting(show(message, b, "%v")));
    }
    // Slices, maps and functions can only be compared with nil.
    if a.is_nil() || b.is_nil() {
        return Ok(a.is_nil() == b.is_nil());
    }
    match (a, b) {
        (Value::Struct(_), Value::Struct(_)) | (Value::Pointer(_), Value::Pointer(_)) => {
            Ok(identical(a, b))
        }
        (Value::Object(x), Value::Object(y)) => {
            Ok(Type::Object(x.ty()) == Type::Object(y.ty()) && x.equals(&**y))
        }
        // Go reports the second of the two values.
        _ if matches!(kind(b), Some(Kind::Slice | Kind::Map | Kind::Func)) => {
            let message = show(Message::new("non-comparable type "), b, "%s");
            let ty = b.ty().unwrap_or(Type::Interface);
            Err(Failure::quoting(message.text(format!(": {ty}"))))
        }
        _ => Ok(false),
    }
}

/// Go's `==` for two interface values whose types are comparable.
fn identical(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Nil, Value::Nil) => true,
        (Value::Struct(a), Value::Struct(b)) => {
            Type::Struct(a.ty()) == Type::Struct(b.ty())
                && a.fields().iter().zip(b.fields()).all(|(a, b)| identical(a, b))
        }
        (Value::Pointer(a), Value::Pointer(b)) => {
            Type::Pointer(a.ty()) == Type::Pointer(b.ty()) && a.is_same(b)
        }
        (Value::Object(a), Value::Object(b)) => {
            Type::Object(a.ty()) == Type::Object(b.ty()) && a.equals(&**b)
        }
        _ => {
            a.ty() == b.ty()
                && match (basic(a), basic(b)) {
                    (Some(a), Some(b)) => basic_equal(&a, &b) == Some(true),
                    _ => false,
                }
        }
    }
}

/// Appends a value to an error text, cut off after `LONGEST` bytes.
fn show(message: Message, value: &Value, format: &str) -> Message {
    const LONGEST: usize = 1 << 20;
    let mut shown = Vec::new();
    // If the limit is exceeded, the text up to it stays.
    let _ = fmt::printf(&mut shown, format.as_bytes(), std::slice::from_ref(value), LONGEST);
    let shown = Bytes::from(shown);
    message.value(shown.clone(), shown)
}

fn incompatible(a: &Value, b: &Value) -> Failure {
    match (a.ty(), b.ty()) {
        (Some(a), Some(b)) => format!("incompatible types for comparison: {a} and {b}").into(),
        _ => "incompatible types for comparison".into(),
    }
}

/// How `a` compares with `b`; `None` if one of them is NaN.
pub(super) fn order(a: &Value, b: &Value) -> Result<Option<Ordering>, Failure> {
    let bad = || Failure::from("invalid type for comparison");
    let (x, y) = (basic(a).ok_or_else(bad)?, basic(b).ok_or_else(bad)?);
    Ok(match (x, y) {
        (Basic::Int(a), Basic::Int(b)) => Some(a.cmp(&b)),
        (Basic::Uint(a), Basic::Uint(b)) => Some(a.cmp(&b)),
        (Basic::Int(a), Basic::Uint(b)) => {
            Some(u64::try_from(a).map_or(Ordering::Less, |a| a.cmp(&b)))
        }
        (Basic::Uint(a), Basic::Int(b)) => {
            Some(u64::try_from(b).map_or(Ordering::Greater, |b| a.cmp(&b)))
        }
        (Basic::Float(a), Basic::Float(b)) => a.partial_cmp(&b),
        (Basic::String(a), Basic::String(b)) => Some(a.cmp(b)),
        // Booleans and complex numbers have no order.
        (Basic::Bool(_), Basic::Bool(_)) | (Basic::Complex(..), Basic::Complex(..)) => {
            return Err(bad());
        }
        _ => return Err(incompatible(a, b)),
    })
}
