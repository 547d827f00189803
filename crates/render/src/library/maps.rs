//! Maps. `set`, `unset`, `merge` and its relatives change their first argument in place, and all
//! variables that hold the map see the change.

use bytes::Bytes;
use gotmpl::types::{Type, VALUE_MAP};
use gotmpl::{Failure, Map, Rest, Slice, Value};

use super::lists::list;
use super::values::{not_a, shallow};
use super::{Library, Machine, text_of};

pub(super) fn add(library: &mut Library<'_>) {
    library.add("dict", "pairs...", |_: &Machine, pairs: Rest<Value>| {
        let entries = pairs.0.chunks(2).map(|pair| {
            (text_of(&pair[0]), pair.get(1).cloned().unwrap_or_else(|| Value::from("")))
        });
        Map::values(entries.collect())
    });
    library.add_sprig("get", |_: &Machine, map: Map, key: Bytes| {
        map.get(&key).unwrap_or_else(|| Value::from(""))
    });
    library.add("set", "|map key value", |_: &Machine, map: Map, key: Bytes, value: Value| {
        map.insert(key, value).map(|()| map)
    });
    library.add("unset", "|map key", |_: &Machine, map: Map, key: Bytes| {
        map.remove(&key);
        map
    });
    library.add("hasKey", "|map key", |_: &Machine, map: Map, key: Bytes| map.get(&key).is_some());
    library.add("pluck", "key |maps...", |_: &Machine, key: Bytes, maps: Rest<Map>| {
        list(maps.0.iter().filter_map(|map| map.get(&key)).collect())
    });
    library.add("keys", "|maps...", |_: &Machine, maps: Rest<Map>| {
        let mut keys: Vec<Bytes> = Vec::new();
        for map in &maps.0 {
            keys.extend(map.entries().iter().map(|(key, _)| key.clone()));
        }
        keys
    });
    library.add("values", "|map", |_: &Machine, map: Map| {
        list(map.entries().iter().map(|(_, value)| value.clone()).collect())
    });
    library.add("pick", "|map keys...", |_: &Machine, map: Map, keys: Rest<Bytes>| {
        chosen(&map, &keys.0, true)
    });
    library.add("omit", "|map keys...", |_: &Machine, map: Map, keys: Rest<Bytes>| {
        chosen(&map, &keys.0, false)
    });
    for (name, replace) in [
        ("merge", false),
        ("mustMerge", false),
        ("mergeOverwrite", true),
        ("mustMergeOverwrite", true),
    ] {
        library.add(
            name,
            "|map others...",
            move |_: &Machine, mut into: Map, others: Rest<Map>| {
                for from in &others.0 {
                    into = merge(into, from, replace)?;
                }
                Ok::<_, Failure>(Value::Map(into))
            },
        );
    }
    for name in ["deepCopy", "mustDeepCopy"] {
        library.add(name, "|value", |_: &Machine, value: Value| {
            if matches!(value, Value::Nil) {
                return Err(Failure::new("reflect: call of reflect.Value.Type on zero Value"));
            }
            shallow(&value)?;
            Ok(copied(&value))
        });
    }
    library.add("dig", "path... default |map", |_: &Machine, arguments: Rest<Value>| {
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

/// Adds the entries of `from` to the map `into`, or to a new map if that is nil. Without `replace` only those are taken whose entry in
/// `into` is missing or empty.
///
/// # Errors
/// `into` would become a part of itself, or a map nests too deeply.
pub fn merge(into: Map, from: &Map, replace: bool) -> Result<Map, Failure> {
    let into = if into.is_nil() { Map::of(into.ty(), Vec::new()) } else { into };
    shallow(&Value::Map(into.clone()))?;
    shallow(&Value::Map(from.clone()))?;
    merge_shallow(&into, from, replace)?;
    Ok(into)
}

fn merge_shallow(into: &Map, from: &Map, replace: bool) -> Result<(), Failure> {
    for (key, value) in from.entries().iter() {
        let known = into.get(key);
        if value.is_nil() && !replace {
            continue;
        }
        if let (Some(Value::Map(inner)), Value::Map(value)) = (&known, value) {
            merge_shallow(inner, value, replace)?;
            if !inner.is_empty() {
                continue;
            }
        }
        if replace || known.is_none_or(|known| !known.is_true()) {
            let (theirs, ours) = (from.ty().elem, into.ty().elem);
            if !theirs.is_assignable_to(ours) {
                let text = "reflect.Value.SetMapIndex: value of type";
                return Err(Failure::new(format!(
                    "{text} {theirs} is not assignable to type {ours}"
                )));
            }
            into.insert(key.clone(), value.clone())?;
        }
    }
    Ok(())
}
