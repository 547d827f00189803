//! Maps. A map never changes here, so the functions that change one in place (`set`, `unset`) are
//! not there; `merge` and its relatives return a new map.

use bytes::Bytes;
use gotmpl::{Failure, Map, Rest, Value};

use super::super::Context;
use super::super::collections::merge;
use super::super::values::shallow;
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
        map.get(&key).cloned().unwrap_or_else(|| Value::from(""))
    });
    library.add("hasKey", |_: &Context, map: Map, key: Bytes| map.get(&key).is_some());
    library.add("pluck", |_: &Context, key: Bytes, maps: Rest<Map>| {
        list(maps.0.iter().filter_map(|map| map.get(&key).cloned()).collect())
    });
    library.add("keys", |_: &Context, maps: Rest<Map>| {
        maps.0.iter().flat_map(|map| map.iter().map(|(key, _)| key.clone())).collect::<Vec<_>>()
    });
    library.add("values", |_: &Context, map: Map| {
        list(map.iter().map(|(_, value)| value.clone()).collect())
    });
    library.add("pick", |_: &Context, map: Map, keys: Rest<Bytes>| chosen(&map, &keys.0, true));
    library.add("omit", |_: &Context, map: Map, keys: Rest<Bytes>| chosen(&map, &keys.0, false));
    for (name, replace) in [
        ("merge", false),
        ("mustMerge", false),
        ("mergeOverwrite", true),
        ("mustMergeOverwrite", true),
    ] {
        library.add(name, move |_: &Context, into: Map, others: Rest<Map>| {
            for map in others.0.iter().chain([&into]) {
                shallow(&Value::Map(map.clone()))?;
            }
            Ok::<_, Failure>(others.0.iter().fold(into, |into, from| merge(&into, from, replace)))
        });
    }
    for name in ["deepCopy", "mustDeepCopy"] {
        library.add(name, |_: &Context, value: Value| value);
    }
    library.add("dig", |_: &Context, arguments: Rest<Value>| {
        let mut arguments = arguments.0;
        let (Some(Value::Map(mut map)), Some(default)) = (arguments.pop(), arguments.pop()) else {
            return Err(Failure::new("dig needs at least three arguments"));
        };
        let Some(last) = arguments.pop() else {
            return Err(Failure::new("dig needs at least three arguments"));
        };
        for key in &arguments {
            map = match map.get(&text_of(key)) {
                Some(Value::Map(inner)) => inner.clone(),
                None => return Ok(default),
                Some(_) => return Err(Failure::new("dig: a value on the way is no map")),
            };
        }
        Ok(map.get(&text_of(&last)).cloned().unwrap_or(default))
    });
}

/// The entries of a map whose keys are, or are not, in a list.
fn chosen(map: &Map, keys: &[Bytes], wanted: bool) -> Map {
    let entries = map.iter().filter(|(key, _)| keys.contains(key) == wanted);
    Map::values(entries.map(|(key, value)| (key.clone(), value.clone())).collect())
}
