//! Choices, types, JSON and paths.

use bytes::Bytes;
use gotmpl::types::Kind;
use gotmpl::{Failure, Rest, Value};

use super::super::Context;
use super::super::json::{self, Form};
use super::super::values::{lossy, shallow, type_of};
use super::Library;
use super::lists::is_equal;

pub(super) fn add(library: &mut Library<'_>) {
    library.add("default", |_: &Context, default: Value, given: Rest<Value>| {
        given.0.into_iter().next().filter(|given| !is_empty(given)).unwrap_or(default)
    });
    library.add("empty", |_: &Context, value: Value| is_empty(&value));
    library.add("coalesce", |_: &Context, values: Rest<Value>| {
        values.0.into_iter().find(|value| !is_empty(value)).unwrap_or_default()
    });
    library.add("all", |_: &Context, values: Rest<Value>| !values.0.iter().any(is_empty));
    library.add("any", |_: &Context, values: Rest<Value>| {
        values.0.iter().any(|value| !is_empty(value))
    });
    library.add(
        "ternary",
        |_: &Context, yes: Value, no: Value, which: bool| if which { yes } else { no },
    );
    library.add("fail", |_: &Context, text: Bytes| Err::<Bytes, _>(Failure::new(text)));
    library.add("hello", |_: &Context| "Hello!".to_owned());

    library.add("typeOf", |_: &Context, value: Value| type_of(&value));
    library
        .add("typeIs", |_: &Context, name: Bytes, value: Value| type_of(&value).as_bytes() == name);
    library.add("typeIsLike", |_: &Context, name: Bytes, value: Value| {
        let found = type_of(&value);
        let name = lossy(&name);
        found == name || found.strip_prefix('*') == Some(&*name)
    });
    library.add("kindOf", |_: &Context, value: Value| kind(&value));
    library.add("kindIs", |_: &Context, name: Bytes, value: Value| kind(&value).as_bytes() == name);
    library.add("deepEqual", |_: &Context, a: Value, b: Value| {
        shallow(&a)?;
        shallow(&b)?;
        Ok::<_, Failure>(is_equal(&a, &b))
    });

    library.add("fromJson", |_: &Context, text: Bytes| match text.is_empty() {
        true => Value::Nil,
        false => json::parse(&text).unwrap_or_default(),
    });
    library.add("mustFromJson", |_: &Context, text: Bytes| match text.is_empty() {
        true => Err(Failure::new("unexpected end of JSON input")),
        false => json::parse(&text),
    });
    for (name, for_html, pretty) in
        [("ToJson", true, false), ("ToPrettyJson", true, true), ("ToRawJson", false, false)]
    {
        let short = name.replacen('T', "t", 1);
        library.add(&short, move |_: &Context, value: Value| {
            json::text(&value, Form { for_html, pretty }).unwrap_or_default()
        });
        library.add(&format!("must{name}"), move |_: &Context, value: Value| {
            json::text(&value, Form { for_html, pretty })
        });
    }

    for name in ["base", "osBase"] {
        library.add(name, |_: &Context, path: Bytes| render::funcs::path::base(&path));
    }
    for name in ["dir", "osDir"] {
        library.add(name, |_: &Context, path: Bytes| render::funcs::path::dir(&path));
    }
    for name in ["clean", "osClean"] {
        // The folder of what stands below a path is that path, cleaned.
        library.add(name, |_: &Context, path: Bytes| match path.is_empty() {
            true => Bytes::from_static(b"."),
            false => render::funcs::path::dir(&[&path, &b"/x"[..]].concat()),
        });
    }
    for name in ["ext", "osExt"] {
        library.add(name, |_: &Context, path: Bytes| {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            let point = name.iter().rposition(|byte| *byte == b'.');
            point.map_or(Vec::new(), |point| name[point..].to_vec())
        });
    }
    for name in ["isAbs", "osIsAbs"] {
        library.add(name, |_: &Context, path: Bytes| path.starts_with(b"/"));
    }
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
