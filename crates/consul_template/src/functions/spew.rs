//! Values with their types, for people who look for a fault: the functions `spew_…`.

use bytes::Bytes;
use gotmpl::types::Type;
use gotmpl::{Failure, Functions, Rest, Value};

use super::Context;
use render::library::values::{shallow, type_of};

/// What stands for the address of a pointer, which differs from run to run in consul-template.
const ADDRESS: &str = "0xc000000000";

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("spew_sdump", |_: &Context, values: Rest<Value>| dump(&values.0));
    functions.add("spew_dump", |context: &Context, values: Rest<Value>| {
        context.machine.print(dump(&values.0)?.as_bytes());
        Ok::<_, Failure>(Bytes::new())
    });
    functions.add("spew_sprintf", |_: &Context, format: Bytes, values: Rest<Value>| {
        formatted(&format, &values.0)
    });
    functions.add("spew_printf", |context: &Context, format: Bytes, values: Rest<Value>| {
        context.machine.print(&formatted(&format, &values.0)?);
        Ok::<_, Failure>(Bytes::new())
    });
}

/// The values with their types and lengths, each on lines of its own.
fn dump(values: &[Value]) -> Result<String, Failure> {
    let mut out = String::new();
    for value in values {
        shallow(value)?;
        dump_one(&mut out, value, 0);
        out.push('\n');
    }
    Ok(out)
}

fn dump_one(out: &mut String, value: &Value, depth: usize) {
    let ty = type_of(value);
    let indent = " ".repeat(depth);
    let len = |len: usize| match len {
        0 => String::new(),
        len => format!("(len={len}) "),
    };
    match value {
        Value::Nil => out.push_str("(interface {}) <nil>"),
        Value::Pointer(pointer) if pointer.target().is_none() => {
            out.push_str(&format!("({ty})(<nil>)"));
        }
        value if value.is_nil() => out.push_str(&format!("({ty}) <nil>")),
        Value::String(text) => {
            out.push_str(&format!("(string) {}{}", len(text.len()), gotmpl::quote(text)));
        }
        Value::Slice(slice) => {
            let elements = slice.elements().to_vec();
            let sizes = match (elements.len(), slice.capacity()) {
                (0, 0) => String::new(),
                (0, capacity) => format!("(cap={capacity}) "),
                (len, capacity) => format!("(len={len} cap={capacity}) "),
            };
            out.push_str(&format!("({ty}) {sizes}{{\n"));
            for (nth, element) in elements.iter().enumerate() {
                out.push_str(&format!("{indent} "));
                dump_one(out, element, depth + 1);
                out.push_str(if nth + 1 < elements.len() { ",\n" } else { "\n" });
            }
            out.push_str(&format!("{indent}}}"));
        }
        Value::Map(map) => {
            let entries = map.entries();
            out.push_str(&format!("({ty}) {}{{\n", len(entries.len())));
            for (nth, (key, value)) in entries.iter().enumerate() {
                out.push_str(&format!("{indent} "));
                dump_one(out, &map.ty().key.value(key), depth + 1);
                out.push_str(": ");
                dump_one(out, value, depth + 1);
                out.push_str(if nth + 1 < entries.len() { ",\n" } else { "\n" });
            }
            out.push_str(&format!("{indent}}}"));
        }
        Value::Struct(value) => {
            out.push_str(&format!("({ty}) {{\n"));
            let fields = value.ty().fields;
            for (nth, (field, value)) in fields.iter().zip(value.fields()).enumerate() {
                out.push_str(&format!("{indent} {}: ", field.name));
                dump_one(out, value, depth + 1);
                out.push_str(if nth + 1 < fields.len() { ",\n" } else { "\n" });
            }
            out.push_str(&format!("{indent}}}"));
        }
        Value::Pointer(pointer) => {
            out.push_str(&format!("({ty})({ADDRESS})("));
            if let Some(target) = pointer.target() {
                let mut inside = String::new();
                dump_one(&mut inside, &Value::Struct(target.clone()), depth);
                // The type of what is pointed to stands in the pointer's type.
                out.push_str(inside.split_once(") ").map_or(&*inside, |(_, rest)| rest));
            }
            out.push(')');
        }
        value if is_pointer(value) => {
            out.push_str(&format!("({ty})({ADDRESS})({})", plain(value)));
        }
        value => out.push_str(&format!("({ty}) {}", plain(value))),
    }
}

fn is_pointer(value: &Value) -> bool {
    matches!(value.ty(), Some(Type::Object(ty)) if ty.is_pointer())
}

/// The text of a value without values in it.
fn plain(value: &Value) -> String {
    match value {
        Value::Float(number) => float(*number),
        Value::Integer(ty, _)
            if let Some(method) = ty.methods.iter().find(|method| method.name == "String")
                && let Ok(text) = (method.call)(value, &mut []) =>
        {
            plain(&text)
        }
        value => String::from_utf8_lossy(&value.text()).into_owned(),
    }
}

/// A float as Go's `strconv` writes it in the form `g`: with an exponent from a million on.
fn float(number: f64) -> String {
    let shortest = format!("{number:e}");
    let parts = shortest.split_once('e').and_then(|(digits, exponent)| {
        let exponent: i32 = exponent.parse().ok()?;
        (!(-4..6).contains(&exponent)).then_some((digits, exponent))
    });
    match parts {
        Some((digits, exponent)) => format!("{digits}e{exponent:+03}"),
        None => String::from_utf8_lossy(&Value::Float(number).text()).into_owned(),
    }
}

/// `fmt.Sprintf`, where `%v` shows what pointers point to, and `%#v` the types.
fn formatted(format: &[u8], values: &[Value]) -> Result<Vec<u8>, Failure> {
    let mut out = Vec::new();
    let mut values = values.iter();
    let mut rest = format;
    while let Some(place) = rest.iter().position(|byte| *byte == b'%') {
        out.extend_from_slice(&rest[..place]);
        let directive = &rest[place..];
        let flags = directive[1..].iter().take_while(|byte| b"+-# 0".contains(byte)).count();
        let numbers = directive[1 + flags..].iter();
        let numbers = numbers.take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        let Some(verb) = directive.get(1 + flags + numbers) else {
            out.extend_from_slice(&gotmpl::printf(directive, &[]));
            rest = b"";
            break;
        };
        let length = match std::str::from_utf8(&directive[1 + flags + numbers..]) {
            Ok(text) => text.chars().next().map_or(1, char::len_utf8),
            Err(_) => 1,
        };
        let (directive, behind) = directive.split_at(1 + flags + numbers + length);
        rest = behind;
        if *verb == b'%' {
            out.extend_from_slice(&gotmpl::printf(directive, &[]));
            continue;
        }
        let Some(value) = values.next() else {
            out.extend_from_slice(&gotmpl::printf(directive, &[]));
            continue;
        };
        shallow(value)?;
        match verb {
            b'v' => {
                let flags = &directive[1..=flags];
                let names = flags.contains(&b'+') || flags.contains(&b'#');
                let form = Form { types: flags.contains(&b'#'), names };
                show(&mut out, value, form, form.types);
            }
            b'T' => out.extend_from_slice(b"*spew.formatState"),
            _ => out.extend_from_slice(&gotmpl::printf(directive, std::slice::from_ref(value))),
        }
    }
    out.extend_from_slice(rest);
    let mut between: &[u8] = b"%!(EXTRA ";
    let has_more = values.len() > 0;
    for value in values {
        shallow(value)?;
        out.extend_from_slice(between);
        out.extend_from_slice(b"*spew.formatState=");
        show(&mut out, value, Form { types: false, names: false }, false);
        between = b", ";
    }
    if has_more {
        out.push(b')');
    }
    Ok(out)
}

/// What `%v` shows.
#[derive(Clone, Copy)]
struct Form {
    /// Whether values have their types before them.
    types: bool,
    /// Whether fields have their names before them.
    names: bool,
}

/// Appends a value, with its type if that is not known from what contains it.
fn show(out: &mut Vec<u8>, value: &Value, form: Form, shows_type: bool) {
    let ty = value.ty().map_or_else(|| "interface {}".to_owned(), |ty| ty.to_string());
    if shows_type {
        out.extend_from_slice(format!("({ty})").as_bytes());
    }
    let inner = |elem: Type| form.types && elem == Type::Interface;
    match value {
        value if value.is_nil() => out.extend_from_slice(b"<nil>"),
        Value::String(text) => out.extend_from_slice(text),
        Value::Slice(slice) => {
            out.push(b'[');
            for (nth, element) in slice.elements().to_vec().iter().enumerate() {
                if nth > 0 {
                    out.push(b' ');
                }
                show(out, element, form, inner(slice.ty().elem));
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.extend_from_slice(b"map[");
            for (nth, (key, value)) in map.entries().iter().enumerate() {
                if nth > 0 {
                    out.push(b' ');
                }
                out.extend_from_slice(&map.ty().key.text(key));
                out.push(b':');
                show(out, value, form, inner(map.ty().elem));
            }
            out.push(b']');
        }
        Value::Struct(value) => {
            out.push(b'{');
            for (nth, (field, value)) in value.ty().fields.iter().zip(value.fields()).enumerate() {
                if nth > 0 {
                    out.push(b' ');
                }
                if form.names {
                    out.extend_from_slice(format!("{}:", field.name).as_bytes());
                }
                show(out, value, form, form.types);
            }
            out.push(b'}');
        }
        Value::Pointer(pointer) => {
            if !shows_type {
                out.extend_from_slice(b"<*>");
            }
            if let Some(target) = pointer.target() {
                show(out, &Value::Struct(target.clone()), form, false);
            }
        }
        value => {
            if is_pointer(value) && !shows_type {
                out.extend_from_slice(b"<*>");
            }
            out.extend_from_slice(plain(value).as_bytes());
        }
    }
}
