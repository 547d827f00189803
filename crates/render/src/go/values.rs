//! Go values made of JSON, and of items.

use bytes::Bytes;
use gotmpl::types::{VALUE_MAP, VALUES};
use gotmpl::{Map, Slice, Value};
use store::Item;

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

/// An item as the data of a template: a map with its `name`, its `key`, and all of its `names`.
pub(crate) fn item(item: &Item) -> Value {
    let text = |text: &Bytes| Value::String(text.clone());
    Value::Map(Map::values(vec![
        ("name".into(), text(&item.name())),
        ("key".into(), text(&item.key)),
        ("names".into(), Value::Slice(Slice::strings(item.names.iter().cloned()))),
    ]))
}
