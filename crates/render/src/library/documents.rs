//! Documents in YAML and TOML as values, and back: the functions of Helm.

use ::toml::de::{DeTable, DeValue};
use bytes::Bytes;
use gotmpl::types::VALUES;
use gotmpl::{Failure, Map, Message, Slice, Value};

use super::values::{lossy, type_of};
use super::{Library, Machine};
use crate::formats::json::{self, Form};
use crate::formats::{toml, yaml};
use crate::go::time_of;

pub(super) fn add(library: &mut Library<'_>) {
    library.add_own("toYaml", "|value", |_: &Machine, value: Value| {
        // As in Helm, the value becomes JSON first, which has fewer kinds of values.
        let text = json::text(&value, Form { for_html: false, pretty: false })?;
        yaml::text(&yaml::parse(&text.into())?)
    });
    library.add_own("fromYaml", "|text", |_: &Machine, text: Bytes| match read(&text)? {
        Value::Map(map) => Ok(map),
        Value::Nil => Ok(Map::values(Vec::new())),
        value => Err(Failure::new(format!(
            "the document is no map, but {}: fromYamlArray reads a list",
            type_of(&value)
        ))),
    });
    library.add_own("fromYamlArray", "|text", |_: &Machine, text: Bytes| match read(&text)? {
        Value::Slice(list) => Ok(list),
        Value::Nil => Ok(Slice::of(&VALUES, Vec::new())),
        value => Err(Failure::new(format!(
            "the document is no list, but {}: fromYaml reads a map",
            type_of(&value)
        ))),
    });
    library.add_own("toToml", "|map", |_: &Machine, map: Map| {
        let text = toml::text(&Value::Map(map))?;
        Ok::<_, Failure>(if text.is_empty() { text } else { text + "\n" })
    });
    library.add_own("fromToml", "|text", |_: &Machine, text: Bytes| {
        let document = lossy(&text);
        let table = DeTable::parse(&document).map_err(|error| {
            let why = Message::new("toml: ");
            Failure::quoting(why.value(error.message(), text.clone()))
        })?;
        map_of(table.get_ref())
    });
}

/// The value of a document in YAML. Numbers are floats, as those of JSON are.
fn read(text: &Bytes) -> Result<Value, Failure> {
    match text.is_empty() {
        true => Ok(Value::Nil),
        false => yaml::parse(text).map(with_floats),
    }
}

fn with_floats(value: Value) -> Value {
    match value {
        Value::Int(number) => Value::Float(number as f64),
        Value::Integer(_, bits) => Value::Float(bits as f64),
        Value::Slice(slice) => {
            let elements = slice.elements().iter().cloned().map(with_floats).collect();
            Value::Slice(Slice::of(slice.ty(), elements))
        }
        Value::Map(map) => {
            let entries = map.entries().to_vec().into_iter();
            let entries = entries.map(|(key, value)| (key, with_floats(value)));
            Value::Map(Map::of(map.ty(), entries.collect()))
        }
        value => value,
    }
}

fn map_of(table: &DeTable<'_>) -> Result<Map, Failure> {
    let entries = table.iter().map(|(key, value)| {
        Ok((Bytes::copy_from_slice(key.get_ref().as_bytes()), of_toml(value.get_ref())?))
    });
    Ok(Map::values(entries.collect::<Result<_, Failure>>()?))
}

fn of_toml(value: &DeValue<'_>) -> Result<Value, Failure> {
    Ok(match value {
        DeValue::String(text) => Value::from(&**text),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            Value::Int(read.map_err(|_| Failure::new("toml: an integer has more than 64 bits"))?)
        }
        DeValue::Float(number) => {
            let read = number.as_str().parse();
            Value::Float(read.map_err(|_| Failure::new("toml: a float cannot be read"))?)
        }
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Datetime(time) if time.offset.is_some() => time_of(time.to_string().as_bytes()),
        // A day or a time of the day without a zone is no moment.
        DeValue::Datetime(time) => Value::from(time.to_string()),
        DeValue::Array(elements) => {
            let elements = elements.iter().map(|element| of_toml(element.get_ref()));
            Value::Slice(Slice::of(&VALUES, elements.collect::<Result<_, _>>()?))
        }
        DeValue::Table(table) => Value::Map(map_of(table)?),
    })
}
