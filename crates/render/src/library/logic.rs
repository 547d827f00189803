//! Choices, types, JSON and paths.

use bytes::Bytes;
use gotmpl::types::Kind;
use gotmpl::{Failure, Message, Rest, Value};

use super::lists::is_equal;
use super::values::{lossy, shallow, type_of};
use super::{Library, Machine};
use crate::formats::json::{self, Form};

pub(super) fn add(library: &mut Library<'_>) {
    library.add("default", "default |value?", |_: &Machine, default: Value, given: Rest<Value>| {
        given.0.into_iter().next().filter(|given| !is_empty(given)).unwrap_or(default)
    });
    library.add("empty", "|value", |_: &Machine, value: Value| is_empty(&value));
    library.add("coalesce", "|values...", |_: &Machine, values: Rest<Value>| {
        values.0.into_iter().find(|value| !is_empty(value)).unwrap_or_default()
    });
    library.add("all", "|values...", |_: &Machine, values: Rest<Value>| {
        !values.0.iter().any(is_empty)
    });
    library.add("any", "|values...", |_: &Machine, values: Rest<Value>| {
        values.0.iter().any(|value| !is_empty(value))
    });
    library.add(
        "ternary",
        "yes no |condition",
        |_: &Machine, yes: Value, no: Value, which: bool| if which { yes } else { no },
    );
    library.add("fail", "|message", |_: &Machine, text: Bytes| Err::<Bytes, _>(saying(text)));
    library.add_own("required", "message |value", |_: &Machine, text: Bytes, value: Value| {
        match value.is_nil() || value.as_bytes().is_some_and(Bytes::is_empty) {
            true => Err(saying(text)),
            false => Ok(value),
        }
    });
    library.add_sprig("hello", |_: &Machine| "Hello!".to_owned());

    library.add("typeOf", "|value", |_: &Machine, value: Value| type_of(&value));
    library.add("typeIs", "type |value", |_: &Machine, name: Bytes, value: Value| {
        type_of(&value).as_bytes() == name
    });
    library.add("typeIsLike", "type |value", |_: &Machine, name: Bytes, value: Value| {
        let found = type_of(&value);
        let name = lossy(&name);
        found == name || found.strip_prefix('*') == Some(&*name)
    });
    library.add("kindOf", "|value", |_: &Machine, value: Value| kind(&value));
    library.add("kindIs", "kind |value", |_: &Machine, name: Bytes, value: Value| {
        kind(&value).as_bytes() == name
    });
    library.add("deepEqual", "|a b", |_: &Machine, a: Value, b: Value| {
        shallow(&a)?;
        shallow(&b)?;
        Ok::<_, Failure>(is_equal(&a, &b))
    });

    library.add_sprig("fromJson", |_: &Machine, text: Bytes| match text.is_empty() {
        true => Value::Nil,
        false => json::parse(&text).unwrap_or_default(),
    });
    library.add("mustFromJson", "|text", |_: &Machine, text: Bytes| match text.is_empty() {
        true => Err(Failure::new("unexpected end of JSON input")),
        false => json::parse(&text),
    });
    library.add_own("fromJson", "|text", |_: &Machine, text: Bytes| match text.is_empty() {
        true => Err(Failure::new("unexpected end of JSON input")),
        false => json::parse(&text),
    });
    for (name, must, for_html, pretty) in [
        ("toJson", "mustToJson", true, false),
        ("toPrettyJson", "mustToPrettyJson", true, true),
        ("toRawJson", "mustToRawJson", false, false),
    ] {
        let form = Form { for_html, pretty };
        library.add_sprig(name, move |_: &Machine, value: Value| {
            json::text(&value, form).unwrap_or_default()
        });
        library.add_own(name, "|value", move |_: &Machine, value: Value| json::text(&value, form));
        library.add(must, "|value", move |_: &Machine, value: Value| json::text(&value, form));
    }

    for name in ["base", "osBase"] {
        library.add_sprig(name, |_: &Machine, path: Bytes| crate::funcs::path::base(&path));
    }
    for name in ["dir", "osDir"] {
        library.add_sprig(name, |_: &Machine, path: Bytes| crate::funcs::path::dir(&path));
    }
    library.add("clean", "|path", clean);
    library.add_sprig("osClean", clean);
    library.add("ext", "|path", extension);
    library.add_sprig("osExt", extension);
    library.add("isAbs", "|path", is_absolute);
    library.add_sprig("osIsAbs", is_absolute);
}

fn clean(_: &Machine, path: Bytes) -> Bytes {
    match path.is_empty() {
        true => Bytes::from_static(b"."),
        // The folder of what stands below a path is that path, cleaned.
        false => crate::funcs::path::dir(&[&path, &b"/x"[..]].concat()),
    }
}

/// The end of the last element of a path, from its last point on.
fn extension(_: &Machine, path: Bytes) -> Vec<u8> {
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let point = name.iter().rposition(|byte| *byte == b'.');
    point.map_or(Vec::new(), |point| name[point..].to_vec())
}

fn is_absolute(_: &Machine, path: Bytes) -> bool {
    path.starts_with(b"/")
}

/// A failure with a text of the template, which can be made of values.
fn saying(text: Bytes) -> Failure {
    Failure::quoting(Message::default().value(&text, text.clone()))
}

/// Whether sprig takes a value as empty: as `if` takes it as false. A struct is never empty.
fn is_empty(value: &Value) -> bool {
    !value.is_true()
}

/// Go's name of the kind of a value.
pub(super) fn kind(value: &Value) -> String {
    let Some(ty) = value.ty() else { return "invalid".to_owned() };
    match ty.kind() {
        Kind::Slice => "slice".to_owned(),
        Kind::Map => "map".to_owned(),
        Kind::Struct => "struct".to_owned(),
        Kind::Pointer => "ptr".to_owned(),
        Kind::Func if type_of(value).starts_with("<-chan ") => "chan".to_owned(),
        Kind::Func => "func".to_owned(),
        Kind::Interface => "interface".to_owned(),
        _ => type_of(value),
    }
}
