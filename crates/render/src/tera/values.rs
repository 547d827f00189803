//! Converts values of the store, of JSON and of DNS to values of Tera.
//!
//! Tera has only UTF-8 text and prints replacement characters for other bytes. A value of the store
//! that is not UTF-8 is therefore an error, which names the key, for the template that asks for it;
//! other keys can be used. Go templates have no such limit.

use std::cell::Cell;

use ::tera::Value;
use ::tera::value::{Key, Map};
use bytes::Bytes;
use store::{Item, Pair};
use world::Service;

use super::binding::{Answer, Element, Failure};
use crate::json::{Build, Root, decode};

/// The most levels of nested lists and maps. Tera needs stack for each level of a value.
pub(super) const MAX_DEPTH: usize = 128;

/// The name of the key in a pair.
const KEY: &str = "key";

/// `text` as a value. `name` says in an error where the text comes from.
pub(super) fn text(text: &[u8], name: impl FnOnce() -> String) -> Result<Value, Failure> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.into()),
        Err(_) => Err(Failure::new(format!("{} is not valid UTF-8", name()))),
    }
}

/// The value of the key `key`.
pub(super) fn value_of(key: &[u8], value: &[u8]) -> Result<Value, Failure> {
    text(value, || format!("the value of {}", String::from_utf8_lossy(key)))
}

/// The name of a key or of a path element.
pub(super) fn name_of(name: &[u8]) -> Result<String, Failure> {
    match std::str::from_utf8(name) {
        Ok(name) => Ok(name.to_owned()),
        Err(_) => {
            let name = String::from_utf8_lossy(name);
            Err(Failure::new(format!("the name of key {name} is not valid UTF-8")))
        }
    }
}

/// An item as variables of a template: its `name`, its `key`, and all of its `names`.
pub(super) fn item(item: &Item) -> Result<[(&'static str, Value); 3], Failure> {
    let names = item.names.iter().map(|name| name_of(name).map(Value::from));
    Ok([
        ("name", name_of(&item.name())?.into()),
        (KEY, name_of(&item.key)?.into()),
        ("names", names.collect::<Result<Vec<_>, _>>()?.into()),
    ])
}

/// A map with `key` and `value`.
pub(super) fn pair(key: &[u8], value: &[u8]) -> Result<Value, Failure> {
    Ok(record([(KEY, name_of(key)?.into()), ("value", value_of(key, value)?)]))
}

impl Answer for Pair {
    fn into_value(self) -> Result<Value, Failure> {
        pair(self.key.as_bytes(), &self.value)
    }
}

/// A map with a `key`, as [`pair`] makes them.
pub(super) struct Keyed(Value);

impl Keyed {
    /// The length of the key, in bytes.
    pub(super) fn key_length(&self) -> usize {
        key(&self.0).map_or(0, str::len)
    }
}

fn key(value: &Value) -> Option<&str> {
    value.as_map()?.get(&Key::Str(KEY))?.as_str()
}

impl Element for Keyed {
    const LIST: &'static str = "a list of maps with a key, as gets gives it";

    fn from_element(value: &Value) -> Option<Self> {
        key(value).map(|_| Keyed(value.clone()))
    }
}

impl Answer for Keyed {
    fn into_value(self) -> Result<Value, Failure> {
        Ok(self.0)
    }
}

impl Answer for Service {
    /// A map with `target`, `port`, `priority` and `weight`.
    fn into_value(self) -> Result<Value, Failure> {
        let Service { target, port, priority, weight } = self;
        Ok(record([
            ("target", target.into()),
            ("port", port.into()),
            ("priority", priority.into()),
            ("weight", weight.into()),
        ]))
    }
}

fn record<const N: usize>(fields: [(&'static str, Value); N]) -> Value {
    fields.into_iter().map(|(name, value)| (Key::from(name), value)).collect::<Map>().into()
}

/// A map with these entries in their order. If names are equal the last one counts.
pub(super) fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Value {
    entries.into_iter().map(|(name, value)| (Key::from(name), value)).collect::<Map>().into()
}

/// The result of `json`: the object in `text` as a map, which is empty for `null`.
pub(super) fn object(text: &Bytes) -> Result<Value, Failure> {
    Ok(read(text, Root::Object)?.unwrap_or_else(|| map([])))
}

/// The result of `jsonArray`: the list in `text`, which is empty for `null`.
pub(super) fn array(text: &Bytes) -> Result<Value, Failure> {
    Ok(read(text, Root::Array)?.unwrap_or_else(|| Vec::<Value>::new().into()))
}

fn read(text: &Bytes, root: Root) -> Result<Option<Value>, Failure> {
    let build = TeraValues { too_deep: Cell::new(false) };
    let value = decode(text, root, &build).map_err(|error| error.message(text))?;
    // A value that was too deep is gone; the error replaces the result.
    if build.too_deep.get() {
        return Err(Failure::new(format!("JSON is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(value.map(|nested| nested.value))
}

struct TeraValues {
    too_deep: Cell<bool>,
}

/// A value, and its number of levels of lists and maps.
struct Nested {
    value: Value,
    depth: usize,
}

impl TeraValues {
    /// The list or map that `collect` makes, around values of at most `depth` levels. If that would
    /// be too deep, `collect` is not called: dropping such a value could overflow the stack.
    fn around(&self, depth: usize, collect: impl FnOnce() -> Value) -> Nested {
        if depth >= MAX_DEPTH {
            self.too_deep.set(true);
            return Value::none().into();
        }
        Nested { value: collect(), depth: depth + 1 }
    }
}

impl From<Value> for Nested {
    fn from(value: Value) -> Self {
        Nested { value, depth: 0 }
    }
}

impl Build for TeraValues {
    type Value = Nested;

    fn null(&self) -> Nested {
        Value::none().into()
    }

    fn boolean(&self, value: bool) -> Nested {
        Value::from(value).into()
    }

    /// An integer, if the number is written as one that fits in 64 bits; otherwise the nearest
    /// float.
    fn number(&self, text: &str, value: f64) -> Nested {
        if let Ok(integer) = text.parse::<i64>() {
            return Value::from(integer).into();
        }
        text.parse::<u64>().map_or_else(|_| Value::from(value), Value::from).into()
    }

    fn string(&self, value: Bytes) -> Nested {
        Value::from(String::from_utf8_lossy(&value)).into()
    }

    fn array(&self, elements: Vec<Nested>) -> Nested {
        let depth = elements.iter().map(|element| element.depth).max().unwrap_or_default();
        let values = || elements.into_iter().map(|element| element.value).collect::<Vec<_>>();
        self.around(depth, || values().into())
    }

    fn object(&self, members: Vec<(Bytes, Nested)>) -> Nested {
        let depth = members.iter().map(|(_, member)| member.depth).max().unwrap_or_default();
        let name = |name: &Bytes| String::from_utf8_lossy(name).into_owned();
        self.around(depth, || {
            map(members.into_iter().map(|(key, member)| (name(&key), member.value)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reads(text: &'static str) -> String {
        object(&Bytes::from_static(text.as_bytes())).expect(text).to_string()
    }

    #[test]
    fn numbers_of_json_are_printed_as_they_are_written() {
        for number in ["8080", "-1", "9007199254740993", "18446744073709551615", "1.5", "1.0"] {
            let text = Bytes::from(format!("{{\"n\":{number}}}"));
            let printed = object(&text).expect(number).to_string();
            assert_eq!(printed, format!("{{\"n\": {number}}}"));
        }
        assert_eq!(reads("{\"n\":18446744073709551616}"), "{\"n\": 1.8446744073709552e19}");
        assert_eq!(reads("{\"n\":-0, \"m\":1e2}"), "{\"m\": 100.0, \"n\": 0}");
    }

    #[test]
    fn objects_have_their_members_by_name() {
        assert_eq!(
            reads("{\"z\":[1,\"a\"],\"a\":{\"y\":null,\"x\":true}}"),
            "{\"a\": {\"x\": true, \"y\": }, \"z\": [1, \"a\"]}"
        );
        assert_eq!(reads("null"), "{}");
        let nothing = array(&Bytes::from_static(b"null")).expect("a list");
        assert_eq!(nothing.as_array().map(<[Value]>::len), Some(0));
    }

    #[test]
    fn json_may_be_nested_as_deep_as_the_stack_allows() {
        let nested = |depth: usize| Bytes::from(["[".repeat(depth), "]".repeat(depth)].concat());
        assert!(array(&nested(MAX_DEPTH)).is_ok());
        for depth in [MAX_DEPTH + 1, 10_000] {
            let failure = array(&nested(depth)).expect_err("too deep");
            assert_eq!(failure.to_string(), "JSON is nested deeper than 128 levels");
        }
    }
}
