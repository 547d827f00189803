//! The functions that ask Consul, as functions of Tera.
//!
//! They ask as the functions of Go templates do, and their results are the same structs as maps,
//! with the same names of fields.

use std::collections::BTreeMap;

use ::tera::Value;
use ::tera::value::{Key, Map};
use bytes::Bytes;
use gotmpl::Value as GoValue;
use world::time::Duration;

use super::binding::{Answer, Failure, Function};
use super::scope::Context;
use super::values;
use crate::go::GoTime;
use crate::queries as asked;

/// A result in the form of Go templates.
pub(super) struct Answered(pub(super) GoValue);

impl<T: Into<GoValue>> From<T> for Answered {
    fn from(value: T) -> Self {
        Answered(value.into())
    }
}

impl Answer for Answered {
    fn into_value(self) -> Result<Value, Failure> {
        converted(&self.0)
    }
}

impl From<gotmpl::Failure> for Failure {
    fn from(failure: gotmpl::Failure) -> Self {
        failure.message().into()
    }
}

/// A result, or why there is none.
fn answered<T: Into<GoValue>>(result: Result<T, gotmpl::Failure>) -> Result<Answered, Failure> {
    Ok(Answered::from(result?))
}

/// The optional texts that were given.
fn given<const N: usize>(parts: [Option<Bytes>; N]) -> Vec<Bytes> {
    parts.into_iter().flatten().collect()
}

/// All functions that ask Consul, and those that group what they give.
pub(super) fn table() -> Vec<Function> {
    vec![
        Function::with_filter(
            "service",
            &["name", "filter"],
            |cx: &Context, name: Bytes, filter: Option<Bytes>| {
                answered(asked::instances(&cx.session, &given([Some(name), filter]), false))
            },
        ),
        Function::with_filter(
            "connect",
            &["name", "filter"],
            |cx: &Context, name: Bytes, filter: Option<Bytes>| {
                answered(asked::instances(&cx.session, &given([Some(name), filter]), true))
            },
        ),
        Function::with_filter("preparedQuery", &["name"], |cx: &Context, name: Bytes| {
            answered(asked::prepared(&cx.session, &name))
        }),
        Function::with_filter("services", &["query"], |cx: &Context, query: Option<Bytes>| {
            answered(asked::services(&cx.session, &given([query])))
        }),
        Function::with_filter("nodes", &["query"], |cx: &Context, query: Option<Bytes>| {
            answered(asked::nodes(&cx.session, &given([query])))
        }),
        Function::with_filter("node", &["name"], |cx: &Context, name: Option<Bytes>| {
            answered(asked::node(&cx.session, &given([name])))
        }),
        Function::with_filter(
            "datacenters",
            &["reachable"],
            |cx: &Context, reachable: Option<bool>| {
                Answered::from(asked::datacenters(&cx.session, reachable.unwrap_or_default()))
            },
        ),
        Function::new("caRoots", &[], |cx: &Context| Answered::from(asked::ca_roots(&cx.session))),
        Function::with_filter("caLeaf", &["service"], |cx: &Context, service: Bytes| {
            Answered::from(asked::ca_leaf(&cx.session, &service))
        }),
        Function::new("partitions", &[], |cx: &Context| {
            Answered::from(asked::partitions(&cx.session))
        }),
        Function::with_filter("peerings", &["query"], |cx: &Context, query: Option<Bytes>| {
            answered(asked::peerings(&cx.session, &given([query])))
        }),
        Function::with_filter(
            "exportedServices",
            &["partition"],
            |cx: &Context, part: Option<Bytes>| {
                answered(asked::exported(&cx.session, &given([part])))
            },
        ),
        Function::with_filter(
            "importedServices",
            &["partition"],
            |cx: &Context, partition: Bytes| answered(asked::imported(&cx.session, &partition)),
        ),
        Function::with_filter("byTag", &["list"], |_: &Context, list: Vec<Value>| by_tag(list)),
        Function::with_filter("byPort", &["list"], |_: &Context, list: Vec<Value>| by_port(list)),
        Function::with_filter(
            "byMeta",
            &["list", "keys"],
            |_: &Context, list: Vec<Value>, keys: Bytes| by_meta(list, &keys),
        ),
        Function::with_filter("byKey", &["pairs"], |_: &Context, pairs: Vec<Value>| by_key(pairs)),
        Function::with_filter("explode", &["pairs"], |_: &Context, pairs: Vec<Value>| {
            explode(&pairs)
        }),
    ]
}

/// A Go value as a value of Tera. Structs become maps; nil becomes none.
fn converted(value: &GoValue) -> Result<Value, Failure> {
    Ok(match value {
        GoValue::Bool(value) => (*value).into(),
        GoValue::Int(number) => (*number).into(),
        GoValue::Integer(ty, bits) if ty.methods.iter().any(|method| method.name == "String") => {
            Duration(bits.cast_signed()).to_string().into()
        }
        GoValue::Integer(ty, bits) if ty.signed => bits.cast_signed().into(),
        GoValue::Integer(_, bits) => (*bits).into(),
        GoValue::Float(number) => (*number).into(),
        GoValue::String(text) => values::text(text, || "a text of Consul".to_owned())?,
        GoValue::Slice(slice) => {
            let elements = slice.elements();
            let elements = elements.iter().map(converted);
            elements.collect::<Result<Vec<_>, _>>()?.into()
        }
        GoValue::Map(map) => {
            let (ty, entries) = (map.ty(), map.entries());
            let entries = entries.iter().map(|(key, value)| {
                let key = match ty.key.value(key) {
                    GoValue::Int(number) => Key::I64(number),
                    _ => Key::from(values::name_of(key)?),
                };
                Ok((key, converted(value)?))
            });
            entries.collect::<Result<Map, Failure>>()?.into()
        }
        GoValue::Struct(value) => fields(value)?,
        GoValue::Pointer(pointer) => match pointer.target() {
            Some(target) => fields(target)?,
            None => Value::none(),
        },
        value => match GoTime::of(value) {
            Some(time) => String::from_utf8_lossy(&time.format(RFC3339)).into_owned().into(),
            None => Value::none(),
        },
    })
}

/// The layout of times.
const RFC3339: &[u8] = b"2006-01-02T15:04:05.999999999Z07:00";

/// The fields of a struct as a map.
fn fields(value: &gotmpl::Struct) -> Result<Value, Failure> {
    let fields = value.ty().fields.iter().zip(value.fields());
    let entries = fields.map(|(field, value)| Ok((Key::from(field.name), converted(value)?)));
    Ok(entries.collect::<Result<Map, Failure>>()?.into())
}

/// The entry `name` of a map.
fn entry<'a>(value: &'a Value, name: &'static str) -> Option<&'a Value> {
    value.as_map()?.get(&Key::Str(name))
}

/// The groups as a map.
fn grouped<K: Into<Key<'static>>>(groups: BTreeMap<K, Vec<Value>>) -> Value {
    groups.into_iter().map(|(key, list)| (key.into(), Value::from(list))).collect::<Map>().into()
}

/// The failure of a function that got a list of other maps.
fn no_instances(function: &str, field: &str) -> Failure {
    Failure::new(format!("{function} needs a list of maps with {field}, as service gives it"))
}

/// Services or instances by their tags.
fn by_tag(list: Vec<Value>) -> Result<Value, Failure> {
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for element in list {
        let tags = entry(&element, "Tags").and_then(Value::as_array);
        let tags = tags.ok_or_else(|| no_instances("byTag", "Tags"))?;
        let tags: Vec<_> = tags.iter().filter_map(|tag| Some(tag.as_str()?.to_owned())).collect();
        for tag in tags {
            groups.entry(tag).or_default().push(element.clone());
        }
    }
    Ok(grouped(groups))
}

/// Instances by their ports.
fn by_port(list: Vec<Value>) -> Result<Value, Failure> {
    let mut groups: BTreeMap<i64, Vec<Value>> = BTreeMap::new();
    for element in list {
        let port = entry(&element, "Port").and_then(Value::as_i64);
        let port = port.ok_or_else(|| no_instances("byPort", "Port"))?;
        groups.entry(port).or_default().push(element);
    }
    let groups = groups.into_iter().map(|(port, list)| (Key::I64(port), Value::from(list)));
    Ok(groups.collect::<Map>().into())
}

/// Instances by values of their metadata.
fn by_meta(list: Vec<Value>, keys: &Bytes) -> Result<Value, Failure> {
    let keys = String::from_utf8_lossy(keys);
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for element in list {
        let meta = entry(&element, "ServiceMeta").and_then(Value::as_map);
        let meta = meta.ok_or_else(|| no_instances("byMeta", "ServiceMeta"))?;
        let name = asked::meta_name(&keys, |key| {
            meta.iter().find(|(name, _)| name.as_str() == Some(key))?.1.as_str().map(str::to_owned)
        })?;
        groups.entry(name).or_default().push(element);
    }
    Ok(grouped(groups))
}

/// The key of a pair, without the slash at its beginning, and its value.
fn pair(value: &Value) -> Result<(&str, &Value), Failure> {
    let key = entry(value, "key").and_then(Value::as_str);
    match (key, entry(value, "value")) {
        (Some(key), Some(value)) => Ok((key.strip_prefix('/').unwrap_or(key), value)),
        _ => Err(Failure::new("a list of maps with key and value is needed, as gets gives it")),
    }
}

/// Pairs by the first part of their keys, then by the rest.
fn by_key(pairs: Vec<Value>) -> Result<Value, Failure> {
    let mut folders: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for (key, value) in pairs.iter().map(pair).collect::<Result<Vec<_>, _>>()? {
        if let Some((folder, rest)) = key.split_once('/')
            && !rest.is_empty()
        {
            let pair =
                values::map([("key".to_owned(), rest.into()), ("value".to_owned(), value.clone())]);
            folders.entry(folder.to_owned()).or_default().insert(rest.to_owned(), pair);
        }
    }
    Ok(values::map(folders.into_iter().map(|(folder, pairs)| (folder, values::map(pairs)))))
}

/// The nested maps that the slashes in keys mean.
fn explode(pairs: &[Value]) -> Result<Answered, Failure> {
    let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let pairs = pairs.iter().map(|value| {
        let (key, value) = pair(value)?;
        Ok((text(key), GoValue::from(text(value.as_str().unwrap_or_default()))))
    });
    answered(asked::explode("explode", pairs.collect::<Result<Vec<_>, Failure>>()?))
}
