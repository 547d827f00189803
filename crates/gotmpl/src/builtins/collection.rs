//! `index`, `slice` and `len`.

use crate::func::Failure;
use crate::message::Message;
use crate::types::{KeyType, Kind, Type, UINT8};
use crate::value::{Map, Value};

/// The index that the value `index` means. It may be at most `end`.
pub(crate) fn position(index: &Value, end: usize) -> Result<usize, Failure> {
    let number = match index {
        Value::Nil => return Err("cannot index slice/array with nil".into()),
        Value::Int(number) => *number,
        // Go converts every integer to `int`; one that is too large becomes negative.
        Value::Integer(_, bits) => bits.cast_signed(),
        _ => {
            let ty = index.ty().unwrap_or(Type::Interface);
            return Err(format!("cannot index slice/array with type {ty}").into());
        }
    };
    match usize::try_from(number) {
        Ok(place) if place <= end => Ok(place),
        _ => Err(Failure::quoting(Message::new("index out of range: ").number(number))),
    }
}

/// The value of the key `index`, or the zero value of the map's element type.
pub(crate) fn map_entry(map: &Map, index: &Value) -> Result<Value, Failure> {
    let key = map.ty().key;
    let found = match (index, key) {
        (Value::String(text), KeyType::String) => map.get(text),
        (Value::Int(_) | Value::Integer(..), KeyType::Int) => {
            index.as_i64().and_then(|number| map.get_integer(number))
        }
        _ => {
            return Err(match index.ty() {
                None => format!("value is nil; should be of type {key}").into(),
                Some(ty) => format!("value has type {ty}; should be {key}").into(),
            });
        }
    };
    Ok(found.unwrap_or_else(|| Value::zero(map.ty().elem)))
}

/// One step of the builtin `index` into a value that is neither slice nor map.
pub(crate) fn index(item: &Value, index: &Value) -> Result<Value, Failure> {
    match item {
        Value::String(text) => {
            let place = position(index, text.len())?;
            match text.get(place) {
                Some(byte) => Ok(Value::Integer(&UINT8, u64::from(*byte))),
                None => Err("reflect: string index out of range".into()),
            }
        }
        _ => Err(format!("can't index item of type {}", followed(item)).into()),
    }
}

/// The builtin `slice`: `arguments[0]` from, to, and with capacity up to the other arguments.
/// `boxed` tells which of those have the static type `interface {}`: Go's `slice` refuses them,
/// unlike its `index`.
pub(crate) fn slice(arguments: &[Value], boxed: [bool; 3]) -> Result<Value, Failure> {
    let [item, indexes @ ..] = arguments else { return Ok(Value::Nil) };
    let Some(ty) = item.ty() else {
        return Err("slice of untyped nil".into());
    };
    if ty.kind() == Kind::Pointer && item.is_nil() {
        return Err("slice of nil pointer".into());
    }
    if indexes.len() > 3 {
        return Err(format!("too many slice indexes: {}", indexes.len()).into());
    }
    let (len, capacity) = match item {
        Value::String(_) if indexes.len() == 3 => {
            return Err("cannot 3-index slice a string".into());
        }
        Value::String(text) => (text.len(), text.len()),
        Value::Slice(slice) => (slice.len(), slice.capacity()),
        _ => return Err(format!("can't slice item of type {}", followed(item)).into()),
    };
    let mut bounds = [0, len, capacity];
    for ((bound, index), boxed) in bounds.iter_mut().zip(indexes).zip(boxed) {
        if boxed {
            return Err("cannot index slice/array with type interface {}".into());
        }
        *bound = position(index, capacity)?;
    }
    let [low, high, max] = bounds;
    let invalid = |a: usize, b: usize| {
        let message = Message::new("invalid slice index: ").number(a).text(" > ").number(b);
        Err(Failure::quoting(message))
    };
    if low > high {
        return invalid(low, high);
    }
    if high > max {
        return invalid(high, max);
    }
    match item {
        Value::String(text) => Ok(Value::String(text.slice(low..high))),
        Value::Slice(slice) => match slice.window(low, high, max) {
            Some(window) => Ok(Value::Slice(window)),
            None => invalid(high, max),
        },
        _ => Ok(Value::Nil),
    }
}

pub(super) fn len(item: &Value) -> Result<Value, Failure> {
    let len = match item {
        Value::String(text) => text.len(),
        Value::Slice(slice) => slice.len(),
        Value::Map(map) => map.len(),
        // Nothing waits in a channel: a loop makes each element when it receives it.
        Value::Func(func) if func.ty().is_channel() => 0,
        Value::Nil => return Err("reflect: call of reflect.Value.Type on zero Value".into()),
        _ => return Err(format!("len of type {}", followed(item)).into()),
    };
    Ok(Value::Int(len as i64))
}

/// The type of `item` in error texts. Go names the type that a pointer points to.
fn followed(item: &Value) -> String {
    let ty = item.ty().unwrap_or(Type::Interface).to_string();
    ty.trim_start_matches('*').to_owned()
}
