//! Converts JSON to Go values.

use bytes::Bytes;
use gotmpl::types::{VALUE_MAP, VALUES};
use gotmpl::{Map, Slice, Value};

use super::types::appended_values;
use crate::json::{Build, Error, Root, decode};

/// The result of `json`: a `map[string]interface {}`, which is nil for `null`.
pub(super) fn object(text: &Bytes) -> Result<Map, Error> {
    match decode(text, Root::Object, &GoValues)? {
        Some(Value::Map(map)) => Ok(map),
        _ => Ok(Map::nil(&VALUE_MAP)),
    }
}

/// The result of `jsonArray`: an `[]interface {}`, which is nil for `null`.
pub(super) fn array(text: &Bytes) -> Result<Slice, Error> {
    match decode(text, Root::Array, &GoValues)? {
        Some(Value::Slice(slice)) => Ok(slice),
        _ => Ok(Slice::nil(&VALUES)),
    }
}

/// Converts a JSON text of any kind to a Go value, as `json.Unmarshal` does into an
/// `interface {}`. `null` is nil.
///
/// # Errors
/// The text is no JSON, or has a number beyond `float64`.
pub fn json_value(text: &Bytes) -> Result<Value, Error> {
    Ok(decode(text, Root::Any, &GoValues)?.unwrap_or_default())
}

struct GoValues;

impl Build for GoValues {
    type Value = Value;

    fn null(&self) -> Value {
        Value::Nil
    }

    fn boolean(&self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn number(&self, _: &str, value: f64) -> Value {
        Value::Float(value)
    }

    fn string(&self, value: Bytes) -> Value {
        Value::String(value)
    }

    fn array(&self, elements: Vec<Value>) -> Value {
        Value::Slice(appended_values(elements))
    }

    fn object(&self, members: Vec<(Bytes, Value)>) -> Value {
        Value::Map(Map::values(members))
    }
}
