//! Maps. `set`, `unset`, `merge` and its relatives change their first argument in place, and all
//! variables that hold the map see the change.

use bytes::Bytes;
use gotmpl::types::{Type, VALUE_MAP};
use gotmpl::{Failure, Map, Rest, Slice, Value};

use super::super::Context;
use super::super::collections::merge;
use super::super::values::{not_a, shallow};
use super::lists::list;
use super::{Library, text_of};

pub(super) fn add(library: &mut Library<'_>) {
    library.add("dict", |_: &Context, pairs: Rest<Value>| {
        let entries = pairs.0.chunks(2).map(|pair| {
            (text_of(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| Value::from("")))
        });
        Map::values(entries.collect())
    });
    library.add("get", |_: &Context, map: Map, key: Bytes| {
        map.get(&key).unwrap_or_else(|| Value::from(""))
    });
    library.add("set", |_: &Context, map: Map, key: Bytes, value: Value| {
        map.insert(key, value).map(|()| map)
    });
    library.add("unset", |_: &Context, map: Map, key: Bytes| {
        map.remove(&key);
        map
    });
    library.add("hasKey", |_: &Context, map: Map, key: Bytes| map.get(&key).is_some());
    library.add("pluck", |_: &Context, key: Bytes, maps: Rest<Map>| {
        list(maps.0.iter().filter_map(|map| map.get(&key)).collect())
    });
    library.add("keys", |_: &Context, maps: Rest<Map>| {
        let mut keys: Vec<Bytes> = Vec::new();
        for map in &maps.0 {
            keys.extend(map.entries().iter().map(|(key, _)| key.clone()));
        }
        keys
    });
    library.add("values", |_: &Context, map: Map| {
        list(map.entries().iter().map(|(_, value)| value.clone()).collect())
    });
    library.add("pick", |_: &Context, map: Map, keys: Rest<Bytes>| chosen(&map, &keys.0, true));
    library.add("omit", |_: &Context, map: Map, keys: Rest<Bytes>| chosen(&map, &keys.0, false));
    for (name, replace) in [
        ("merge", false),
        ("mustMerge", false),
        ("mergeOverwrite", true),
        ("mustMergeOverwrite", true),
    ] {
        library.add(name, move |_: &Context, mut into: Map, others: Rest<Map>| {
            for from in &others.0 {
                into = merge(into, from, replace)?;
            }
            Ok::<_, Failure>(Value::Map(into))
        });
    }
    for name in ["deepCopy", "mustDeepCopy"] {
        library.add(name, |_: &Context, value: Value| {
            if matches!(value, Value::Nil) {
                return Err(Failure::new("reflect: call of reflect.Value.Type on zero Value"));
            }
            shallow(&value)?;
            Ok(copied(&value))
        });
    }
    library.add("dig", |_: &Context, arguments: Rest<Value>| {
        let [keys @ .., last, default, map] = &arguments.0[..] else {
            return Err(Failure::new("dig needs at least three arguments"));
        };
        let mut map = as_map(map)?;
        let last = as_text(last)?;
        for key in keys {
            match map.get(&as_text(key)?) {
                Some(inner) => map = as_map(&inner)?,
                None => return Ok(default.clone()),
            }
        }
        Ok(map.get(&last).unwrap_or_else(|| default.clone()))
    });
}

/// The map that a value is; otherwise the error of a type assertion of Go.
fn as_map(value: &Value) -> Result<Map, Failure> {
    match value {
        Value::Map(map) if Type::Map(map.ty()) == Type::Map(&VALUE_MAP) => Ok(map.clone()),
        value => Err(not_a(value, Type::Map(&VALUE_MAP))),
    }
}

fn as_text(value: &Value) -> Result<Bytes, Failure> {
    value.as_bytes().cloned().ok_or_else(|| not_a(value, Type::String))
}

/// The entries of a map whose keys are, or are not, in a list.
fn chosen(map: &Map, keys: &[Bytes], wanted: bool) -> Map {
    let mut entries = map.entries().to_vec();
    entries.retain(|(key, _)| keys.contains(key) == wanted);
    Map::values(entries)
}

/// A copy of a value, whose lists and maps can be changed without changing those of the value.
fn copied(value: &Value) -> Value {
    match value {
        Value::Slice(slice) if !slice.is_nil() => {
            Value::Slice(Slice::of(slice.ty(), slice.elements().iter().map(copied).collect()))
        }
        Value::Map(map) if !map.is_nil() => {
            let entries = map.entries();
            let entries = entries.iter().map(|(key, value)| (key.clone(), copied(value)));
            Value::Map(Map::of(map.ty(), entries.collect()))
        }
        value => value.clone(),
    }
}
