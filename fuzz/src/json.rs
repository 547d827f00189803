//! JSON as template functions read it, compared with serde_json.

use bytes::Bytes;
use render::json::{Build, Root, decode};
use serde_json::Value;

use super::LONGEST;

/// A text is read as an object, an array or any value, or the error is one line. What serde_json accepts is
/// accepted with the same value. What only our parser accepts must be something that serde_json
/// does not support.
pub fn json(data: &[u8]) {
    if data.len() > LONGEST {
        return;
    }
    let input = Bytes::copy_from_slice(data);
    let known: Option<Value> = serde_json::from_slice(data).ok();
    for root in [Root::Object, Root::Array, Root::Any] {
        let found = decode(&input, root, &Tree);
        let fits = match (&known, root) {
            (Some(Value::Null), _) => true,
            (Some(known), Root::Object) => known.is_object(),
            (Some(known), Root::Array) => known.is_array(),
            (Some(_), Root::Any) => true,
            (None, _) => false,
        };
        match (found, &known) {
            (Ok(found), Some(known)) => {
                assert!(fits, "{known} is of another kind than {root:?}");
                assert_eq!(found.unwrap_or(Value::Null), without_numbers(known));
            }
            (Ok(_), None) => assert!(is_beyond_serde(data), "read, and is no JSON: {input:?}"),
            (Err(error), _) => {
                assert!(!fits, "{input:?}: {error}");
                assert!(!error.to_string().contains('\n'), "{error}");
            }
        }
    }
}

/// Whether the text has bytes that are not UTF-8, lone surrogates or deep nesting: Go accepts
/// these, serde_json does not.
fn is_beyond_serde(data: &[u8]) -> bool {
    let opened = data.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    std::str::from_utf8(data).is_err() || data.windows(2).any(|two| two == b"\\u") || opened > 127
}

/// The value with all numbers made equal: how exactly numbers are read is tested elsewhere.
fn without_numbers(value: &Value) -> Value {
    match value {
        Value::Number(_) => Value::from(0),
        Value::Array(elements) => elements.iter().map(without_numbers).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), without_numbers(value))).collect()
        }
        other => other.clone(),
    }
}

/// Builds serde_json's values, with all numbers made equal.
struct Tree;

impl Build for Tree {
    type Value = Value;

    fn null(&self) -> Value {
        Value::Null
    }

    fn boolean(&self, value: bool) -> Value {
        Value::Bool(value)
    }

    fn number(&self, text: &str, value: f64) -> Value {
        assert!(value.is_finite(), "{text}");
        Value::from(0)
    }

    fn string(&self, value: Bytes) -> Value {
        Value::String(text(value))
    }

    fn array(&self, elements: Vec<Value>) -> Value {
        Value::Array(elements)
    }

    fn object(&self, members: Vec<(Bytes, Value)>) -> Value {
        assert!(members.is_sorted_by(|one, two| one.0 < two.0), "members are sorted and distinct");
        members.into_iter().map(|(name, value)| (text(name), value)).collect()
    }
}

fn text(bytes: Bytes) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|error| panic!("no UTF-8: {error}"))
}
