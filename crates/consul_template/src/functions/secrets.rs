//! Functions that ask Vault.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use client_vault::Reply;
use gotmpl::types::{Field, PointerType, STRING_MAP, STRINGS, StructType, Type, VALUE_MAP, VALUES};
use gotmpl::{Failure, Functions, Map, Pointer, Rest, Slice, Struct, Value};
use render::library::values::lossy;
use serde_json::value::RawValue;

use super::Context;
use crate::secrets::{Answer, Question};

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("secret", secret);
    functions.add("secrets", secrets);
}

/// The types of the answer, with consul-template's names and the order of its fields.
static SECRET: StructType = StructType {
    name: "dependency.Secret",
    fields: &[
        Field { name: "RequestID", ty: Type::String },
        Field { name: "LeaseID", ty: Type::String },
        Field { name: "LeaseDuration", ty: Type::Int },
        Field { name: "Renewable", ty: Type::Bool },
        Field { name: "Data", ty: Type::Map(&VALUE_MAP) },
        Field { name: "Warnings", ty: Type::Slice(&STRINGS) },
        Field { name: "Auth", ty: Type::Pointer(&AUTH_POINTER) },
        Field { name: "WrapInfo", ty: Type::Pointer(&WRAP_POINTER) },
    ],
    methods: &[],
};
static SECRET_POINTER: PointerType = PointerType { elem: &SECRET, methods: &[] };
static AUTH: StructType = StructType {
    name: "dependency.SecretAuth",
    fields: &[
        Field { name: "ClientToken", ty: Type::String },
        Field { name: "Accessor", ty: Type::String },
        Field { name: "Policies", ty: Type::Slice(&STRINGS) },
        Field { name: "Metadata", ty: Type::Map(&STRING_MAP) },
        Field { name: "LeaseDuration", ty: Type::Int },
        Field { name: "Renewable", ty: Type::Bool },
    ],
    methods: &[],
};
static AUTH_POINTER: PointerType = PointerType { elem: &AUTH, methods: &[] };
static WRAP: StructType = StructType {
    name: "dependency.SecretWrapInfo",
    fields: &[
        Field { name: "Token", ty: Type::String },
        Field { name: "TTL", ty: Type::Int },
        Field { name: "WrappedAccessor", ty: Type::String },
    ],
    methods: &[],
};
static WRAP_POINTER: PointerType = PointerType { elem: &WRAP, methods: &[] };

/// Reads or writes a secret of Vault.
fn secret(context: &Context, path: Bytes, pairs: Rest<Bytes>) -> Result<Value, Failure> {
    let text = lossy(&path);
    let (path, query) = match text.split_once('?') {
        Some((path, query)) if pairs.0.is_empty() => (path, query),
        _ => (&*text, ""),
    };
    let path = path.trim().trim_matches('/').to_owned();
    if path.is_empty() {
        return Err(Failure::new(format!("vault.read: invalid format: {text:?}")));
    }
    let asked = match pairs.0.is_empty() {
        true => Question::Read { path, query: query.trim().to_owned() },
        false => Question::Write { path, data: data(&pairs.0)? },
    };
    match context.session.vault(&asked) {
        Some(Answer::Secret(reply)) => Ok(value(&reply)),
        _ => Ok(Value::Pointer(Pointer::nil(&SECRET_POINTER))),
    }
}

/// The data of texts of the form `key=value`. An empty text is none.
fn data(pairs: &[Bytes]) -> Result<BTreeMap<String, String>, Failure> {
    let mut data = BTreeMap::new();
    for pair in pairs.iter().filter(|pair| !pair.is_empty()) {
        let text = lossy(pair);
        let (key, value) =
            text.split_once('=').ok_or_else(|| Failure::new(format!("not k=v pair {text:?}")))?;
        data.insert(key.trim().to_owned(), value.trim().to_owned());
    }
    Ok(data)
}

/// The names of the secrets below a path.
fn secrets(context: &Context, path: Bytes) -> Slice {
    let text = lossy(&path);
    let path = text.trim().trim_matches('/').to_owned();
    let names = match path.is_empty() {
        true => None,
        false => context.session.vault(&Question::List { path }),
    };
    match names {
        Some(Answer::Names(names)) => Slice::strings(names.iter().cloned()),
        _ => Slice::strings([]),
    }
}

fn text(text: &str) -> Value {
    Value::String(Bytes::copy_from_slice(text.as_bytes()))
}

fn int(number: u64) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn strings(list: Option<&Vec<String>>) -> Value {
    let list = list.into_iter().flatten();
    Value::Slice(Slice::strings(list.map(|text| Bytes::copy_from_slice(text.as_bytes()))))
}

fn value(reply: &Arc<Reply>) -> Value {
    let auth = match &reply.auth {
        None => Pointer::nil(&AUTH_POINTER),
        Some(auth) => {
            let fields = [
                text(&auth.client_token),
                text(&auth.accessor),
                strings(auth.policies.as_ref()),
                Value::Map(Map::nil(&STRING_MAP)),
                int(auth.lease_duration),
                Value::Bool(auth.renewable),
            ];
            Pointer::to(&AUTH_POINTER, Struct::new(&AUTH, fields))
        }
    };
    let wrapped = match &reply.wrap_info {
        None => Pointer::nil(&WRAP_POINTER),
        Some(info) => {
            let fields = [text(&info.token), int(info.ttl), text(&info.wrapped_accessor)];
            Pointer::to(&WRAP_POINTER, Struct::new(&WRAP, fields))
        }
    };
    let data = match of_json(reply.data().unwrap_or("null")) {
        data @ Value::Map(_) => data,
        _ => Value::Map(Map::nil(&VALUE_MAP)),
    };
    let fields = [
        text(&reply.request_id),
        text(&reply.lease_id),
        int(reply.lease_duration),
        Value::Bool(reply.renewable),
        data,
        strings(reply.warnings.as_ref()),
        Value::Pointer(auth),
        Value::Pointer(wrapped),
    ];
    Value::Pointer(Pointer::to(&SECRET_POINTER, Struct::new(&SECRET, fields)))
}

/// JSON as a value. A number keeps its text, as in consul-template.
fn of_json(json: &str) -> Value {
    match json.as_bytes().first() {
        Some(b'{') => {
            let fields: BTreeMap<String, &RawValue> =
                serde_json::from_str(json).unwrap_or_default();
            let field = |(name, value): (String, &RawValue)| (name.into(), of_json(value.get()));
            Value::Map(Map::values(fields.into_iter().map(field).collect()))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
            Value::Slice(Slice::of(&VALUES, items.iter().map(|item| of_json(item.get())).collect()))
        }
        Some(b'"') => text(&serde_json::from_str::<String>(json).unwrap_or_default()),
        Some(b't') => Value::Bool(true),
        Some(b'f') => Value::Bool(false),
        Some(b'n') | None => Value::Nil,
        Some(_) => text(json),
    }
}
