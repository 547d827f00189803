//! Go types that functions take and return, and texts of values.

use bytes::Bytes;
use gotmpl::types::{INT64, IntegerType, Type, UINT64};
use gotmpl::{Failure, Message, Returned, Value};

use crate::funcs::MAX_TEXT;

/// The result type `int64`.
pub struct Int64(pub i64);

/// The result type `uint64`.
pub struct Uint64(pub u64);

impl Returned for Int64 {
    const TYPE: Type = Type::Integer(&INT64);

    fn into_value(self) -> Result<Value, Failure> {
        Ok(int64(self.0))
    }
}

impl Returned for Uint64 {
    const TYPE: Type = Type::Integer(&UINT64);

    fn into_value(self) -> Result<Value, Failure> {
        Ok(Value::Integer(&UINT64, self.0))
    }
}

/// An `int64`.
pub fn int64(number: i64) -> Value {
    Value::Integer(&INT64, number.cast_unsigned())
}

/// A failure whose text quotes a part of `value`. What stands behind the first quotation mark is shown
/// only where the value may be.
pub fn quoting(text: &str, value: &Bytes) -> Failure {
    let (before, quoted) = text.split_at(text.find(['"', '`', '\'']).unwrap_or(text.len()));
    match quoted {
        "" => Failure::new(before.to_owned()),
        quoted => Failure::quoting(Message::new(before).value(quoted, value.clone())),
    }
}

/// Go's text of the type of a value.
pub fn type_of(value: &Value) -> String {
    value.ty().map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string())
}

/// Go's error for a value in an `interface {}` that has another type than `wanted`.
pub fn not_a(value: &Value, wanted: Type) -> Failure {
    let found = value.ty().map_or_else(|| "nil".to_owned(), |ty| ty.to_string());
    Failure::new(format!("interface conversion: interface {{}} is {found}, not {wanted}"))
}

/// The type of an integer value, `int` included, as (signed, bits).
pub fn integer(value: &Value) -> Option<(bool, u64)> {
    match value {
        Value::Int(number) => Some((true, number.cast_unsigned())),
        Value::Integer(IntegerType { signed, .. }, bits) => Some((*signed, *bits)),
        _ => None,
    }
}

/// The text of bytes, where each byte that is no text becomes U+FFFD.
pub fn lossy(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Checks that a text has a length that a function may return.
///
/// # Errors
/// It is too long.
pub fn bounded(length: usize) -> Result<(), Failure> {
    match length > MAX_TEXT {
        true => Err(Failure::new(format!("the result is larger than {MAX_TEXT} bytes"))),
        false => Ok(()),
    }
}

/// How deeply values may nest where functions look into them, which uses the stack of the thread.
const DEEPEST: usize = 500;

/// Checks that a value does not nest too deeply to be looked into.
///
/// # Errors
/// It does.
pub fn shallow(value: &Value) -> Result<(), Failure> {
    let mut pending = vec![(value.clone(), 0)];
    while let Some((value, depth)) = pending.pop() {
        if depth > DEEPEST {
            return Err(Failure::new(format!("a value nests more than {DEEPEST} deep")));
        }
        let mut add = |value: &Value| {
            if matches!(value, Value::Slice(_) | Value::Map(_) | Value::Struct(_)) {
                pending.push((value.clone(), depth + 1));
            }
        };
        match &value {
            Value::Slice(slice) => slice.elements().iter().for_each(&mut add),
            Value::Map(map) => map.entries().iter().for_each(|(_, value)| add(value)),
            Value::Struct(value) => value.fields().iter().for_each(&mut add),
            _ => {}
        }
    }
    Ok(())
}
