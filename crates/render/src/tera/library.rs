//! The functions of the [`library`] in Tera.
//!
//! A function is written over the values of Go templates, and has the names of its arguments beside it.
//! A call converts the arguments, calls the function and converts its result. Only the functions that a
//! template mentions are registered: an engine is copied for each template.

use std::sync::Arc;

use ::tera::Value;
use ::tera::value::{Key, Map as TeraMap};
use bytes::Bytes;
use gotmpl::types::{Type, VALUES};
use gotmpl::{Map, Slice, Struct, Value as GoValue};

use super::binding::{Arguments, Failure, Function};
use super::mistakes::FILTERS;
use super::tags::is_word;
use super::values::{self, MAX_DEPTH};
use crate::formats::json::RFC3339;
use crate::go::{GoTime, time_of};
use crate::library;

/// The functions of the library that `text` mentions.
pub(super) fn mentioned(text: &str) -> impl Iterator<Item = Function> {
    let words = text.split(|letter| !is_word(letter));
    let words = words.filter(|word| word.starts_with(|letter: char| letter.is_ascii_lowercase()));
    words.filter_map(function)
}

/// The names of the functions, without second names.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    library::names()
}

/// The function called `name`.
pub(super) fn function(name: &str) -> Option<Function> {
    let table = library::table();
    let place = table.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    let name = table[place].0;
    // Names are arguments, as those of `map`.
    if name == "dict" {
        return Some(Function::of_any(name, |entries| Ok(values::map(entries))));
    }
    let (described, definition) = library::find(name)?;
    let described: Vec<_> = described.split_whitespace().map(Described::new).collect();
    let names = described.iter().map(|parameter| parameter.name).collect();
    // Tera's own filters keep their names.
    let piped = described.iter().position(|parameter| parameter.is_piped);
    let piped = piped.filter(|_| !FILTERS.contains(&name));
    let definition = Arc::new(definition);
    let call = Box::new(move |context: &super::scope::Context, arguments: &mut Arguments<'_>| {
        arguments.check_names()?;
        let signature = definition.signature();
        let mut given = Vec::new();
        for (place, parameter) in described.iter().enumerate() {
            let value = arguments.value(place);
            let many = value.and_then(Value::as_array).filter(|_| parameter.is_repeated);
            let values = match (many, value) {
                (Some(values), _) => values.iter().collect(),
                (None, Some(value)) => vec![value],
                (None, None) if parameter.is_optional => Vec::new(),
                (None, None) => return Err(arguments.missing(place)),
            };
            for value in values {
                let last = signature.params.len().saturating_sub(1);
                let ty = signature.params.get(given.len().min(last)).copied();
                let ty = ty.unwrap_or(Type::Interface);
                let converted = argument(value, ty, 0);
                given.push(converted.ok_or_else(|| arguments.must_be(place, kind_of(ty), value))?);
            }
        }
        if given.len() + usize::from(signature.variadic) < signature.params.len() {
            return Err(Failure::new("an argument is missing"));
        }
        let result = definition.call(&*context.host, &mut given);
        answer(&result.map_err(|failure| Failure::from(failure.message()))?, 0)
    });
    Some(Function::reading(name, names, piped, call))
}

/// A parameter, as the library describes it.
struct Described {
    name: &'static str,
    is_piped: bool,
    /// Whether a list stands for any number of arguments.
    is_repeated: bool,
    is_optional: bool,
}

impl Described {
    fn new(word: &'static str) -> Described {
        let bare = word.trim_start_matches('|');
        let name = bare.trim_end_matches("...").trim_end_matches('?');
        let is_repeated = bare.ends_with("...");
        Described {
            name,
            is_piped: bare.len() < word.len(),
            is_repeated,
            is_optional: is_repeated || bare.ends_with('?'),
        }
    }
}

/// What an argument of a Go type is called here.
fn kind_of(ty: Type) -> &'static str {
    match ty {
        Type::String => "a string",
        Type::Int => "an integer",
        Type::Float => "a number",
        Type::Bool => "true or false",
        Type::Map(_) => "a map",
        Type::Slice(_) => "a list",
        Type::Object(_) => "a time",
        _ => "a value that is not nested too deeply",
    }
}

/// An argument of a Go type; `None` if the value is none.
fn argument(value: &Value, ty: Type, depth: usize) -> Option<GoValue> {
    let converted = go_value(value, depth)?;
    match (ty, converted) {
        (Type::Float, GoValue::Int(number)) => Some(GoValue::Float(number as f64)),
        (Type::Object(_), GoValue::String(text)) => Some(time_of(&text)),
        (Type::Interface, converted) => Some(converted),
        (ty, converted) => Some(converted).filter(|converted| converted.ty() == Some(ty)),
    }
}

/// A value of Tera as one of Go templates.
fn go_value(value: &Value, depth: usize) -> Option<GoValue> {
    if depth > MAX_DEPTH {
        return None;
    }
    if let Some(text) = value.as_str() {
        return Some(GoValue::String(Bytes::copy_from_slice(text.as_bytes())));
    }
    if let Some(value) = value.as_bool() {
        return Some(GoValue::Bool(value));
    }
    if let Some(list) = value.as_array() {
        let elements: Option<Vec<_>> = list.iter().map(|one| go_value(one, depth + 1)).collect();
        return Some(GoValue::Slice(Slice::of(&VALUES, elements?)));
    }
    if let Some(map) = value.as_map() {
        let entries = map
            .iter()
            .map(|(key, value)| Some((key.to_string().into(), go_value(value, depth + 1)?)));
        return Some(GoValue::Map(Map::values(entries.collect::<Option<_>>()?)));
    }
    if let Some(number) = value.as_i128() {
        return Some(match i64::try_from(number) {
            Ok(number) => GoValue::Int(number),
            Err(_) => GoValue::Float(number as f64),
        });
    }
    match value.as_f64() {
        Some(number) => Some(GoValue::Float(number)),
        None => Some(GoValue::Nil),
    }
}

/// A result as a value of Tera. A float without a fraction is an integer, as Go prints it.
fn answer(value: &GoValue, depth: usize) -> Result<Value, Failure> {
    if depth > MAX_DEPTH {
        return Err(Failure::new(format!("the result is nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(match value {
        value if value.is_nil() && !matches!(value, GoValue::Slice(_) | GoValue::Map(_)) => {
            Value::none()
        }
        GoValue::Bool(value) => Value::from(*value),
        GoValue::Int(number) => Value::from(*number),
        GoValue::Integer(ty, bits) if ty.signed => Value::from(bits.cast_signed()),
        GoValue::Integer(_, bits) => Value::from(*bits),
        GoValue::Float(number) if is_whole(*number) => Value::from(*number as i64),
        GoValue::Float(number) => Value::from(*number),
        GoValue::Slice(slice) => {
            let elements = slice.elements();
            let elements = elements.iter().map(|element| answer(element, depth + 1));
            Value::from(elements.collect::<Result<Vec<_>, _>>()?)
        }
        GoValue::Map(map) => {
            let (key, entries) = (map.ty().key, map.entries());
            let entries = entries.iter().map(|(name, value)| {
                Ok((text(&key.text(name))?.into(), answer(value, depth + 1)?))
            });
            Value::from(entries.collect::<Result<TeraMap, Failure>>()?)
        }
        GoValue::Struct(record) => fields(record, depth)?,
        value => match GoTime::of(value) {
            Some(time) => text(&time.format(RFC3339))?.into(),
            None => text(&value.text())?.into(),
        },
    })
}

fn fields(record: &Struct, depth: usize) -> Result<Value, Failure> {
    let fields = record.ty().fields.iter().zip(record.fields());
    let fields = fields.map(|(field, value)| Ok((Key::Str(field.name), answer(value, depth + 1)?)));
    Ok(Value::from(fields.collect::<Result<TeraMap, Failure>>()?))
}

/// Whether a float is an integer that it has exactly.
fn is_whole(number: f64) -> bool {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    number.fract() == 0.0 && number.abs() <= EXACT
}

fn text(bytes: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(bytes).map(str::to_owned);
    text.map_err(|_| Failure::new("the result is not valid UTF-8"))
}
