//! Lists.

use std::collections::HashSet;

use bytes::Bytes;
use gotmpl::types::{STRING_MAP, SliceType, Type, VALUES};
use gotmpl::{Failure, Map, Rest, Slice, Struct, Value};

use super::logic::kind;
use super::values::{lossy, shallow};
use super::{Library, Machine, text_of, texts_of, to_int};

/// `[][]interface {}`.
static CHUNKS: SliceType = SliceType { name: None, elem: Type::Slice(&VALUES), methods: &[] };

pub(super) fn add(library: &mut Library<'_>) {
    library.add("list", "|values...", |_: &Machine, values: Rest<Value>| list(values.0));
    library.add_sprig("tuple", |_: &Machine, values: Rest<Value>| list(values.0));
    library.add_sprig("split", |_: &Machine, separator: Bytes, text: Bytes| {
        parts(split_n(&lossy(&text), &lossy(&separator), -1).into_iter())
    });
    library.add(
        "splitn",
        "separator count |text",
        |_: &Machine, separator: Bytes, count: i64, text: Bytes| {
            parts(split_n(&lossy(&text), &lossy(&separator), count).into_iter())
        },
    );
    library.add("splitList", "separator |text", |_: &Machine, separator: Bytes, text: Bytes| {
        let (text, separator) = (lossy(&text), lossy(&separator));
        let parts = split_n(&text, &separator, -1).into_iter();
        parts.map(|part| Bytes::copy_from_slice(part.as_bytes())).collect::<Vec<_>>()
    });
    library.add("toStrings", "|list", |_: &Machine, value: Value| texts_of(&value));
    library.add_sprig("join", |_: &Machine, separator: Bytes, value: Value| {
        texts_of(&value).join(&separator[..])
    });
    library.add("sortAlpha", "|list", |_: &Machine, value: Value| {
        let mut texts = match value {
            Value::Slice(_) => texts_of(&value),
            value => vec![text_of(&value)],
        };
        texts.sort();
        texts
    });
    for (names, function) in [
        (
            ["first", "mustFirst"],
            (|elements| elements.into_iter().next().unwrap_or_default()) as fn(Vec<Value>) -> Value,
        ),
        (["last", "mustLast"], |elements| elements.into_iter().next_back().unwrap_or_default()),
        (["rest", "mustRest"], |elements| some(elements.into_iter().skip(1).collect())),
        (["initial", "mustInitial"], |mut elements| {
            elements.pop();
            some(elements)
        }),
        (["compact", "mustCompact"], |mut elements| {
            elements.retain(Value::is_true);
            Value::Slice(list(elements))
        }),
    ] {
        for name in names {
            library.add(name, "|list", move |_: &Machine, value: Value| {
                Ok::<_, Failure>(function(elements(name, &value)?))
            });
        }
    }
    for name in ["uniq", "mustUniq"] {
        library.add(name, "|list", move |_: &Machine, value: Value| {
            shallow(&value)?;
            Ok::<_, Failure>(list(distinct(elements(name, &value)?)))
        });
    }
    // confd's own `reverse` changes a list of texts in place.
    for name in ["reverse", "mustReverse"] {
        library.add_sprig(name, |_: &Machine, value: Value| {
            let mut elements = elements("reverse", &value)?;
            elements.reverse();
            Ok::<_, Failure>(list(elements))
        });
    }
    for name in ["append", "mustAppend"] {
        library.add(name, "|list value", append);
    }
    for name in ["push", "mustPush"] {
        library.add_sprig(name, append);
    }
    for name in ["prepend", "mustPrepend"] {
        library.add(name, "|list value", |_: &Machine, value: Value, first: Value| {
            let mut elements = elements("prepend", &value)?;
            elements.insert(0, first);
            Ok::<_, Failure>(list(elements))
        });
    }
    for name in ["without", "mustWithout"] {
        library.add(name, "|list values...", |_: &Machine, value: Value, omitted: Rest<Value>| {
            std::iter::once(&value).chain(&omitted.0).try_for_each(shallow)?;
            let mut elements = elements("without", &value)?;
            elements.retain(|element| !omitted.0.iter().any(|omitted| is_equal(omitted, element)));
            Ok::<_, Failure>(list(elements))
        });
    }
    for name in ["has", "mustHas"] {
        library.add(name, "value |list", |_: &Machine, wanted: Value, value: Value| {
            [&wanted, &value].into_iter().try_for_each(shallow)?;
            match value.is_nil() {
                true => Ok(false),
                false => Ok::<_, Failure>(
                    elements("has", &value)?.iter().any(|element| is_equal(element, &wanted)),
                ),
            }
        });
    }
    for name in ["slice", "mustSlice"] {
        library.add_sprig(name, |_: &Machine, value: Value, bounds: Rest<Value>| {
            let elements = elements("slice", &value)?;
            if elements.is_empty() {
                return Ok(Value::Nil);
            }
            let bound = |nth: usize, default: usize| {
                let bound = bounds
                    .0
                    .get(nth)
                    .map_or(Some(default), |bound| usize::try_from(to_int(bound)).ok());
                bound.ok_or_else(|| Failure::new("reflect.Value.Slice: slice index out of bounds"))
            };
            let (from, to) = (bound(0, 0)?, bound(1, elements.len())?);
            let part = elements.get(from..to);
            let part =
                part.ok_or_else(|| Failure::new("reflect.Value.Slice: slice index out of bounds"))?;
            Ok::<_, Failure>(Value::Slice(list(part.to_vec())))
        });
    }
    library.add("concat", "|lists...", |_: &Machine, lists: Rest<Value>| {
        let mut all = Vec::new();
        for one in &lists.0 {
            all.extend(elements("concat", one)?);
        }
        Ok::<_, Failure>(list(all))
    });
    for name in ["chunk", "mustChunk"] {
        library.add(name, "size |list", |_: &Machine, size: i64, value: Value| {
            let elements = elements("chunk", &value)?;
            // The number of chunks as sprig calculates it: a negative size can give none.
            let count = ((elements.len() as f64 - 1.0) / size as f64).floor() + 1.0;
            let chunks: Vec<_> = match usize::try_from(size) {
                Ok(size) if size > 0 => {
                    let chunks = elements.chunks(size);
                    chunks.map(|chunk| Value::Slice(list(chunk.to_vec()))).collect()
                }
                _ if size < 0 && count == 0.0 => Vec::new(),
                _ => return Err(Failure::new("runtime error: makeslice: len out of range")),
            };
            Ok(Slice::of(&CHUNKS, chunks))
        });
    }
}

fn append(_: &Machine, value: Value, last: Value) -> Result<Slice, Failure> {
    let mut elements = elements("push", &value)?;
    elements.push(last);
    Ok(list(elements))
}

/// The elements without those that are equal to an element before them.
fn distinct(elements: Vec<Value>) -> Vec<Value> {
    let mut texts = HashSet::new();
    let mut distinct: Vec<Value> = Vec::new();
    for element in elements {
        // Lists of texts are long sometimes, and to compare each with each takes too long.
        let is_new = match element.as_bytes() {
            Some(text) => texts.insert(text.clone()),
            None => !distinct.iter().any(|known| is_equal(known, &element)),
        };
        if is_new {
            distinct.push(element);
        }
    }
    distinct
}

/// Go's `strings.SplitN`: all parts if `count` is negative, and characters without a separator.
fn split_n<'t>(text: &'t str, separator: &str, count: i64) -> Vec<&'t str> {
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if !separator.is_empty() {
        return text.splitn(count, separator).collect();
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && parts.len() < count {
        let length = rest.chars().next().map_or(0, char::len_utf8);
        let length = if parts.len() + 1 == count { rest.len() } else { length };
        let (part, behind) = rest.split_at(length);
        parts.push(part);
        rest = behind;
    }
    parts
}

/// An `[]interface {}`.
pub(super) fn list(elements: Vec<Value>) -> Slice {
    Slice::of(&VALUES, elements)
}

/// A list, or nil without elements.
fn some(elements: Vec<Value>) -> Value {
    match elements.is_empty() {
        true => Value::Slice(Slice::nil(&VALUES)),
        false => Value::Slice(list(elements)),
    }
}

/// The elements of a list, for the function `name`.
fn elements(name: &str, value: &Value) -> Result<Vec<Value>, Failure> {
    let Value::Slice(slice) = value else {
        let name = name.strip_prefix("must").map_or(name.to_owned(), str::to_lowercase);
        let ty = kind(value);
        return Err(Failure::new(match &*name {
            _ if value.is_nil() => {
                "runtime error: invalid memory address or nil pointer dereference".to_owned()
            }
            "push" | "prepend" | "compact" => format!("Cannot {name} on type {ty}"),
            "chunk" => format!("Cannot chunk type {ty}"),
            "slice" => format!("list should be type of slice or array but {ty}"),
            "concat" => format!("Cannot concat type {ty} as list"),
            _ => format!("Cannot find {name} on type {ty}"),
        }));
    };
    Ok(slice.elements().to_vec())
}

/// The map `_0`, `_1`, … of the parts.
fn parts<'p>(parts: impl Iterator<Item = &'p str>) -> Map {
    let entries =
        parts.enumerate().map(|(nth, part)| (format!("_{nth}").into(), Value::from(part)));
    Map::of(&STRING_MAP, entries.collect())
}

fn is_same_struct(a: &Struct, b: &Struct) -> bool {
    std::ptr::eq(a.ty(), b.ty())
        && std::iter::zip(a.fields(), b.fields()).all(|(a, b)| is_equal(a, b))
}

/// Go's `reflect.DeepEqual`.
pub(super) fn is_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Slice(a), Value::Slice(b)) => {
            let same_type = Type::Slice(a.ty()) == Type::Slice(b.ty());
            same_type
                && a.len() == b.len()
                && a.elements().iter().zip(b.elements().iter()).all(|(a, b)| is_equal(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let same_type = Type::Map(a.ty()) == Type::Map(b.ty());
            same_type
                && a.len() == b.len()
                && std::iter::zip(a.entries().iter(), b.entries().iter())
                    .all(|((k, a), (l, b))| k == l && is_equal(a, b))
        }
        (Value::Nil, Value::Nil) => true,
        (Value::Struct(a), Value::Struct(b)) => is_same_struct(a, b),
        (Value::Pointer(a), Value::Pointer(b)) => match (a.target(), b.target()) {
            (Some(target), Some(other)) => is_same_struct(target, other),
            (None, None) => std::ptr::eq(a.ty(), b.ty()),
            _ => false,
        },
        _ => a.ty().is_some() && a.ty() == b.ty() && text_of(a) == text_of(b),
    }
}
