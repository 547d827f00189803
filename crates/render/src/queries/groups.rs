//! Functions that group services and pairs.

use std::collections::BTreeMap;

use bytes::Bytes;
use gotmpl::types::{SliceType, StructType, Type, VALUES};
use gotmpl::{Argument, Failure, Functions, Map, Message, Pointer, Slice, Struct, Value};

use super::types;

/// The largest number of parts of a key that becomes nested maps.
const DEEPEST: usize = 500;

/// The functions that group instances and services.
pub(super) fn add_services<C: ?Sized>(functions: &mut Functions<C>) {
    functions.add("byTag", |_: &C, list: Value| by_tag(&list));
    functions.add("byPort", |_: &C, list: Value| by_port(&list));
    functions.add("byMeta", |_: &C, keys: Bytes, list: InstanceList| by_meta(&keys, &list.0));
}

/// The functions that group pairs.
pub(super) fn add_pairs<C: ?Sized>(functions: &mut Functions<C>) {
    functions.add("byKey", |_: &C, pairs: PairList| by_key(&pairs.0));
    functions.add("explode", |_: &C, pairs: PairList| {
        let (key, value) = (place(&types::PAIR, b"Key"), place(&types::PAIR, b"Value"));
        let pairs = (0..pairs.0.len())
            .map(|index| (pairs.0.field(index, key), pairs.0.field(index, value)))
            .filter_map(|(key, value)| Some((key.as_bytes()?.clone(), value)));
        explode("explode", pairs)
    });
}

macro_rules! lists {
    ($($name:ident: $ty:ident;)+) => {$(
        /// A list of pointers to structs, as a parameter.
        struct $name(Slice);

        impl Argument for $name {
            const TYPE: Type = Type::Slice(&types::$ty);

            fn from_value(value: Value) -> Option<Self> {
                value.as_slice().cloned().map($name)
            }
        }
    )+};
}

lists! {
    InstanceList: INSTANCES;
    PairList: PAIRS;
}

/// The number of the field `name`, which the type has.
fn place(ty: &'static StructType, name: &[u8]) -> usize {
    ty.field(name).unwrap_or(usize::MAX)
}

/// The elements by the keys that each has; `None` if the list has none of these types.
fn grouped<K: Ord>(
    list: &Value,
    types: &[(&'static SliceType, &'static StructType)],
    field: &[u8],
    keys: impl Fn(Value) -> Vec<K>,
) -> Option<Vec<(K, Value)>> {
    let slice = match list {
        Value::Nil => return Some(Vec::new()),
        Value::Slice(slice) => slice,
        _ => return None,
    };
    let (_, ty) = types.iter().find(|(ty, _)| Type::Slice(ty) == Type::Slice(slice.ty()))?;
    let field = place(ty, field);
    let mut groups: BTreeMap<K, Vec<Value>> = BTreeMap::new();
    for index in 0..slice.len() {
        for key in keys(slice.field(index, field)) {
            groups.entry(key).or_default().extend(slice.get(index));
        }
    }
    let list = |elements| Value::Slice(Slice::of(&VALUES, elements));
    Some(groups.into_iter().map(|(key, elements)| (key, list(elements))).collect())
}

fn wrong_type(function: &str, value: &Value) -> Failure {
    let ty = value.ty().map_or_else(|| "<nil>".to_owned(), |ty| ty.to_string());
    Failure::new(format!("{function}: wrong argument type {ty}"))
}

/// The services or instances by their tags.
fn by_tag(list: &Value) -> Result<Map, Failure> {
    let known = [(&types::INSTANCES, &types::INSTANCE), (&types::SERVICES, &types::SERVICE)];
    let tags = |tags: Value| match tags {
        Value::Slice(tags) => tags.elements().iter().filter_map(Value::as_bytes).cloned().collect(),
        _ => Vec::new(),
    };
    let groups = grouped(list, &known, b"Tags", tags);
    groups.map(|groups| Map::of(&types::BY_TAG, groups)).ok_or_else(|| wrong_type("byTag", list))
}

/// The instances by their ports.
fn by_port(list: &Value) -> Result<Map, Failure> {
    let known = [(&types::INSTANCES, &types::INSTANCE)];
    let groups = grouped(list, &known, b"Port", |port| port.as_i64().into_iter().collect());
    let map = |groups| Map::of_integers(&types::BY_PORT, groups);
    groups.map(map).ok_or_else(|| wrong_type("byPort", list))
}

/// The instances by values of their metadata. `keys` is a list with commas; a key that ends in
/// `|int` has numbers as values, which are filled with zeros so that they sort as numbers.
fn by_meta(keys: &Bytes, list: &Slice) -> Result<Map, Failure> {
    let keys = String::from_utf8_lossy(keys);
    let field = place(&types::INSTANCE, b"ServiceMeta");
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for index in 0..list.len() {
        let meta = list.field(index, field);
        let name = meta_name(&keys, |key| {
            let value = meta.as_map()?.get(key.as_bytes())?;
            Some(String::from_utf8_lossy(value.as_bytes()?).into_owned())
        })?;
        groups.entry(name).or_default().extend(list.get(index));
    }
    let groups = groups
        .into_iter()
        .map(|(key, elements)| (Bytes::from(key), Value::Slice(Slice::of(list.ty(), elements))));
    Ok(Map::of(&types::BY_META, groups.collect()))
}

/// The name of the group of `byMeta` to which an instance belongs. `value` gives the values of its
/// metadata.
///
/// # Errors
/// A value that must be a number is none.
pub(crate) fn meta_name(
    keys: &str,
    value: impl Fn(&str) -> Option<String>,
) -> Result<String, Failure> {
    let parts = keys.split(',').map(|key| meta_part(key, &value));
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("_"))
}

/// The part of a group's name that one key of the metadata gives.
fn meta_part(key: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, Failure> {
    let (name, is_number) = match key.strip_suffix("|int") {
        Some(name) => (name, true),
        None => (key, false),
    };
    let value = match value(name).filter(|value| !value.is_empty()) {
        Some(value) => value,
        None if is_number => "0".to_owned(),
        None => format!("_no_{name}_"),
    };
    let value = match is_number {
        true => {
            let number: i64 = value.parse().map_err(|_| {
                let quoted = gotmpl::quote(value.as_bytes());
                let message = Message::new("cannot parse ").value(&value, value.clone());
                let message = message.text(" as number : strconv.Atoi: parsing ");
                Failure::quoting(message.value(quoted, value.clone()).text(": invalid syntax"))
            })?;
            format!("{number:05}")
        }
        false => value,
    };
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '-';
    Ok(value.chars().map(|c| if is_plain(&c) { c } else { '_' }).collect())
}

/// The pairs by the first part of their keys, then by the rest.
fn by_key(pairs: &Slice) -> Map {
    let field = place(&types::PAIR, b"Key");
    let mut groups: BTreeMap<Bytes, Vec<(Bytes, Value)>> = BTreeMap::new();
    for index in 0..pairs.len() {
        let Value::String(key) = pairs.field(index, field) else { continue };
        let Some(slash) = key.iter().position(|byte| *byte == b'/') else { continue };
        let rest = key.slice(slash + 1..);
        if rest.is_empty() {
            continue;
        }
        let fields = (0..types::PAIR.fields.len()).map(|number| match number == field {
            true => Value::String(rest.clone()),
            false => pairs.field(index, number),
        });
        let pair = Struct::new(&types::PAIR, fields.collect::<Vec<_>>());
        let pair = Value::Pointer(Pointer::to(&types::PAIR_POINTER, pair));
        groups.entry(key.slice(..slash)).or_default().push((rest, pair));
    }
    let map = |entries| Value::Map(Map::of(&types::BY_NAME, entries));
    let groups = groups.into_iter().map(|(top, entries)| (top, map(entries)));
    Map::of(&types::BY_KEY, groups.collect())
}

/// The nested maps that the slashes in keys mean. `function` is the name in error texts.
///
/// # Errors
/// A key has a value, and is the beginning of another key; or a key has more than 500 parts.
pub fn explode(
    function: &str,
    pairs: impl IntoIterator<Item = (Bytes, Value)>,
) -> Result<Map, Failure> {
    let mut root = Folder::default();
    for (key, value) in pairs {
        let mut parts: Vec<_> = key.split(|byte| *byte == b'/').collect();
        let Some(last) = parts.pop() else { continue };
        if parts.len() > DEEPEST {
            return Err(Failure::new(format!("{function}: a key has more than {DEEPEST} parts")));
        }
        let mut folder = &mut root;
        // Go's text names the rest of the key that the folder before was found by.
        let (mut before, mut rest) = (key.clone(), key.clone());
        for part in parts {
            let name = key.slice_ref(part);
            let entry =
                folder.0.entry(name.clone()).or_insert_with(|| Entry::Folder(Folder::default()));
            folder = match entry {
                Entry::Folder(folder) => folder,
                Entry::Value(value) => {
                    let text = format!("{function}: not a map: ");
                    let (before, name) = (gotmpl::quote(&before), gotmpl::quote(&name));
                    let (shown, value) = (gotmpl::quote(&value.text()), value.text());
                    let message =
                        Message::new(format!("{text}{before}: {name} already has value "));
                    return Err(Failure::quoting(message.value(shown, value)));
                }
            };
            let below = rest.slice(part.len() + 1..);
            before = std::mem::replace(&mut rest, below);
        }
        if !last.is_empty() {
            folder.0.insert(key.slice_ref(last), Entry::Value(value));
        }
    }
    Ok(root.into_map())
}

/// A map that is being built.
#[derive(Default)]
struct Folder(BTreeMap<Bytes, Entry>);

enum Entry {
    Folder(Folder),
    Value(Value),
}

impl Folder {
    fn into_map(self) -> Map {
        let entries = self.0.into_iter().map(|(name, entry)| match entry {
            Entry::Folder(folder) => (name, Value::Map(folder.into_map())),
            Entry::Value(value) => (name, value),
        });
        Map::values(entries.collect())
    }
}
