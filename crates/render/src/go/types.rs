//! The Go types of the values that confd's functions take and return.

use std::collections::BTreeMap;

use bytes::Bytes;
use gotmpl::types::{
    Field, INTS, KeyType, MapType, Method, PointerType, STRINGS, SliceType, StructType, Type,
    UINT16, VALUES,
};
use gotmpl::{Failure, Map, Message, Pointer, Returned, Slice, Struct, Value};
use store::Pair;
use world::Service;

use super::capacity::{Element, appended};

/// `memkv.KVPair`.
static PAIR: StructType = StructType {
    name: "memkv.KVPair",
    fields: &[Field { name: "Key", ty: Type::String }, Field { name: "Value", ty: Type::String }],
    methods: &[],
};

/// `memkv.KVPairs`, the result of `gets`. Its three methods are there for Go's sorting, so
/// templates can call them too.
static PAIRS: SliceType = SliceType {
    name: Some("memkv.KVPairs"),
    elem: Type::Struct(&PAIR),
    methods: &[
        Method { name: "Len", params: &[], variadic: false, results: 1, call: len },
        Method {
            name: "Less",
            params: &[Type::Int, Type::Int],
            variadic: false,
            results: 1,
            call: less,
        },
        // Templates cannot call it, because it has no result.
        Method {
            name: "Swap",
            params: &[Type::Int, Type::Int],
            variadic: false,
            results: 0,
            call: |_, _| Err(Failure::new("Swap has no result")),
        },
    ],
};

/// `[]memkv.KVPair`, which `sortKVByLength` takes and returns.
pub(super) static PLAIN_PAIRS: SliceType =
    SliceType { name: None, elem: Type::Struct(&PAIR), methods: &[] };

/// `map[string]memkv.KVPair`.
static PAIRS_BY_NAME: MapType = MapType { key: KeyType::String, elem: Type::Struct(&PAIR) };

/// `map[string]map[string]memkv.KVPair`, the result of `byKey`.
static PAIRS_BY_KEY: MapType = MapType { key: KeyType::String, elem: Type::Map(&PAIRS_BY_NAME) };

/// `net.SRV`.
static SRV: StructType = StructType {
    name: "net.SRV",
    fields: &[
        Field { name: "Target", ty: Type::String },
        Field { name: "Port", ty: Type::Integer(&UINT16) },
        Field { name: "Priority", ty: Type::Integer(&UINT16) },
        Field { name: "Weight", ty: Type::Integer(&UINT16) },
    ],
    methods: &[],
};

/// `*net.SRV`.
static SRV_POINTER: PointerType = PointerType { elem: &SRV, methods: &[] };

/// `[]*net.SRV`.
static SRV_POINTERS: SliceType =
    SliceType { name: None, elem: Type::Pointer(&SRV_POINTER), methods: &[] };

fn len(pairs: &Value, _: &mut [Value]) -> Result<Value, Failure> {
    let length = pairs.as_slice().map_or(0, Slice::len);
    Ok(Value::Int(i64::try_from(length).unwrap_or(i64::MAX)))
}

fn less(pairs: &Value, indexes: &mut [Value]) -> Result<Value, Failure> {
    let key = |index: Option<&Value>| {
        let index = index.and_then(Value::as_i64).unwrap_or(-1);
        let length = pairs.as_slice().map_or(0, Slice::len);
        let pair = usize::try_from(index).ok().and_then(|index| pairs.as_slice()?.get(index));
        match pair {
            Some(Value::Struct(pair)) => Ok(pair.field(b"Key").and_then(Value::as_bytes).cloned()),
            _ => {
                let index_text = index.to_string();
                let message = Message::new("runtime error: index out of range [")
                    .value(&index_text, index_text.clone())
                    .text("]");
                Err(Failure::quoting(match index < 0 {
                    true => message,
                    false => message.text(format!(" with length {length}")),
                }))
            }
        }
    };
    Ok(Value::Bool(key(indexes.first())? < key(indexes.get(1))?))
}

/// A `memkv.KVPair`.
pub(super) fn pair(key: Bytes, value: Bytes) -> Struct {
    Struct::new(&PAIR, [Value::String(key), Value::String(value)])
}

/// The key of a pair, without the slash at its beginning, and its value.
pub(super) fn key_and_value(pair: &Value) -> Option<(Bytes, Value)> {
    let Value::Struct(pair) = pair else { return None };
    let key = pair.field(b"Key")?.as_bytes()?;
    let key = key.slice(usize::from(key.starts_with(b"/"))..);
    Some((key, pair.field(b"Value")?.clone()))
}

/// The pairs by the first part of their keys, then by the rest.
pub(super) fn pairs_by_key(pairs: &Pairs) -> Map {
    let mut folders: BTreeMap<Bytes, Vec<(Bytes, Value)>> = BTreeMap::new();
    for (key, value) in pairs.0.elements().iter().filter_map(key_and_value) {
        let Some(slash) = key.iter().position(|byte| *byte == b'/') else { continue };
        let rest = key.slice(slash + 1..);
        if !rest.is_empty() {
            let pair = Struct::new(&PAIR, [Value::String(rest.clone()), value]);
            folders.entry(key.slice(..slash)).or_default().push((rest, Value::Struct(pair)));
        }
    }
    let folders = folders.into_iter();
    let map = |pairs| Value::Map(Map::of(&PAIRS_BY_NAME, pairs));
    Map::of(&PAIRS_BY_KEY, folders.map(|(folder, pairs)| (folder, map(pairs))).collect())
}

/// A `memkv.KVPairs` that is being built, as `gets` builds it.
#[derive(Default)]
pub(super) struct FoundPairs {
    /// The fields of all pairs.
    fields: Vec<Value>,
}

impl FoundPairs {
    pub(super) fn push(&mut self, Pair { key, value }: Pair) {
        self.fields.push(Value::String(key.into()));
        self.fields.push(Value::String(value));
    }
}

impl From<FoundPairs> for Slice {
    fn from(pairs: FoundPairs) -> Slice {
        let pairs = Slice::of_structs(&PAIRS, &PAIR, pairs.fields);
        let capacity = appended(pairs.len(), Element::Pair);
        pairs.with_capacity(capacity)
    }
}

/// A `[]string` with the capacity that appending gives it.
pub(super) fn appended_strings(texts: Vec<Bytes>) -> Slice {
    let capacity = appended(texts.len(), Element::TwoWords);
    Slice::strings(texts).with_capacity(capacity)
}

/// A `[]string` that is nil if it is empty.
pub(super) fn strings_or_nil(texts: Vec<Bytes>) -> Slice {
    if texts.is_empty() { Slice::nil(&STRINGS) } else { appended_strings(texts) }
}

/// An `[]interface {}` with the capacity that appending gives it.
pub(super) fn appended_values(values: Vec<Value>) -> Slice {
    let capacity = appended(values.len(), Element::TwoWords);
    Slice::of(&VALUES, values).with_capacity(capacity)
}

/// An `[]int` that was built by appending to nil.
pub(super) fn appended_ints(numbers: impl ExactSizeIterator<Item = i64>) -> Slice {
    if numbers.len() == 0 {
        return Slice::nil(&INTS);
    }
    let capacity = appended(numbers.len(), Element::Int);
    Slice::ints(numbers).with_capacity(capacity)
}

/// A `[]*net.SRV`.
pub(super) fn services(services: Vec<Service>) -> Slice {
    let number = |value: u16| Value::Integer(&UINT16, value.into());
    let pointers = services.into_iter().map(|Service { target, port, priority, weight }| {
        let fields = [Value::from(target), number(port), number(priority), number(weight)];
        Value::Pointer(Pointer::to(&SRV_POINTER, Struct::new(&SRV, fields)))
    });
    Slice::of(&SRV_POINTERS, pointers.collect())
}

/// A parameter of type `[]memkv.KVPair` that gives access to the caller's own slice, so that a
/// function can change it in place.
pub(super) struct Pairs(pub(super) Slice);

impl gotmpl::Argument for Pairs {
    const TYPE: Type = Type::Slice(&PLAIN_PAIRS);

    fn from_value(value: Value) -> Option<Self> {
        // A `memkv.KVPairs` may be passed too; it then has the parameter's type.
        value.as_slice().map(|slice| Pairs(slice.with_type(&PLAIN_PAIRS)))
    }
}

impl Returned for Pairs {
    const TYPE: Type = Type::Slice(&PLAIN_PAIRS);

    fn into_value(self) -> Result<Value, Failure> {
        Ok(Value::Slice(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Value {
        let mut pairs = FoundPairs::default();
        for key in ["/a", "/b"] {
            pairs.push(Pair { key: key.into(), value: Bytes::new() });
        }
        Value::Slice(pairs.into())
    }

    fn compared(a: i64, b: i64) -> Result<bool, String> {
        match less(&sample(), &mut [a.into(), b.into()]) {
            Ok(value) => Ok(value.is_true()),
            Err(failure) => Err(failure.to_string()),
        }
    }

    #[test]
    fn pairs_are_compared_by_key() {
        assert_eq!(
            (compared(0, 1), compared(1, 0), compared(1, 1)),
            (Ok(true), Ok(false), Ok(false))
        );
        assert_eq!(len(&sample(), &mut []).ok().and_then(|value| value.as_i64()), Some(2));
    }

    #[test]
    fn a_pair_that_is_not_there_fails_as_in_go() {
        let past = "runtime error: index out of range [2] with length 2";
        assert_eq!(compared(0, 2), Err(past.to_owned()));
        assert_eq!(compared(-1, 0), Err("runtime error: index out of range [-1]".to_owned()));
    }

    #[test]
    fn types_have_the_names_go_gives_them() {
        assert_eq!(Type::Slice(&PAIRS).to_string(), "memkv.KVPairs");
        assert_eq!(Type::Slice(&PLAIN_PAIRS).to_string(), "[]memkv.KVPair");
        assert_eq!(Type::Slice(&SRV_POINTERS).to_string(), "[]*net.SRV");
        assert!(Type::Slice(&PAIRS).is_assignable_to(Type::Slice(&PLAIN_PAIRS)));
    }

    #[test]
    fn lists_without_elements_are_nil_where_go_never_appended() {
        assert!(appended_ints([].into_iter()).is_nil());
        assert!(strings_or_nil(Vec::new()).is_nil());
        assert!(!appended_strings(Vec::new()).is_nil());
        assert!(!Slice::from(FoundPairs::default()).is_nil());
    }
}
