//! TOML, as the library of consul-template writes it: scalars first, then tables, whose content is
//! indented.

use crate::GoTime;
use bytes::Bytes;
use gotmpl::types::KeyType;
use gotmpl::{Failure, Value};

use super::json::RFC3339;
use crate::library::values::{shallow, type_of};

/// The TOML text of a map or a struct. Any other value is written on one line.
///
/// # Errors
/// The value has no TOML form.
pub fn text(value: &Value) -> Result<String, Failure> {
    shallow(value)?;
    if value.as_map().is_some_and(|map| map.ty().key == KeyType::Int) {
        return Err(Failure::new("toml: cannot encode a map with non-string key type"));
    }
    let Some(members) = members(value) else {
        return match value {
            value if is_table(value) => {
                Err(Failure::new("toml: top-level values must be Go maps or structs"))
            }
            value => inline(value),
        };
    };
    let mut out = String::new();
    table(&mut out, &members, &mut Vec::new())?;
    Ok(out.trim().to_owned())
}

/// The entries of a map, or the fields of a struct; `None` for any other value.
fn members(value: &Value) -> Option<Vec<(Bytes, Value)>> {
    let record = match value {
        Value::Map(map) => return Some(map.entries().to_vec()),
        Value::Struct(record) => record,
        Value::Pointer(pointer) => pointer.target()?,
        _ => return None,
    };
    let fields = record.ty().fields.iter().zip(record.fields());
    Some(fields.map(|(field, value)| (field.name.into(), value.clone())).collect())
}

fn table(
    out: &mut String,
    content: &[(Bytes, Value)],
    path: &mut Vec<String>,
) -> Result<(), Failure> {
    let indent = "  ".repeat(path.len());
    for (key, value) in content.iter().filter(|(_, value)| !is_table(value) && !value.is_nil()) {
        out.push_str(&format!("{indent}{} = {}\n", quoted_key(key), inline(value)?));
    }
    for (key, value) in content.iter().filter(|(_, value)| is_table(value)) {
        path.push(quoted_key(key));
        let indent = "  ".repeat(path.len() - 1);
        let name = path.join(".");
        let (tables, is_list): (Vec<_>, _) = match value {
            Value::Slice(slice) => (slice.elements().iter().filter_map(members).collect(), true),
            value => (members(value).into_iter().collect(), false),
        };
        for one in tables {
            if path.len() == 1 || is_list {
                out.push('\n');
            }
            match is_list {
                true => out.push_str(&format!("{indent}[[{name}]]\n")),
                false => out.push_str(&format!("{indent}[{name}]\n")),
            }
            table(out, &one, path)?;
        }
        path.pop();
    }
    Ok(())
}

/// Whether a value is written as one table or several.
fn is_table(value: &Value) -> bool {
    let is_one = |value: &Value| match value {
        Value::Map(map) => !map.is_nil(),
        Value::Struct(_) => true,
        Value::Pointer(pointer) => pointer.target().is_some(),
        _ => false,
    };
    match value {
        Value::Slice(slice) => {
            let elements = slice.elements();
            !elements.is_empty() && elements.iter().all(is_one)
        }
        value => is_one(value),
    }
}

/// A value on one line.
fn inline(value: &Value) -> Result<String, Failure> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Integer(ty, _) if ty.name == "time.Duration" => quoted(&value.text()),
        Value::Integer(ty, bits) if ty.signed => bits.cast_signed().to_string(),
        Value::Integer(_, bits) => bits.to_string(),
        Value::Float(number) if number.is_nan() => "nan".to_owned(),
        Value::Float(number) if number.is_infinite() => {
            if *number > 0.0 {
                "inf".to_owned()
            } else {
                "-inf".to_owned()
            }
        }
        Value::Float(number) => {
            let text = number.to_string();
            if text.contains('.') { text } else { text + ".0" }
        }
        Value::String(text) => quoted(text),
        Value::Slice(slice) => {
            let elements = slice.elements();
            if elements.iter().any(|element| matches!(element, Value::Nil)) {
                return Err(Failure::new("toml: cannot encode array with nil element"));
            }
            let elements: Result<Vec<_>, _> = elements.iter().map(inline).collect();
            format!("[{}]", elements?.join(", "))
        }
        Value::Map(map) => {
            let all = map.entries();
            let entries = all.iter().filter(|(_, value)| !value.is_nil()).map(|(key, value)| {
                Ok::<_, Failure>(format!("{} = {}", quoted_key(key), inline(value)?))
            });
            format!("{{{}}}", entries.collect::<Result<Vec<_>, _>>()?.join(", "))
        }
        value if let Some(time) = GoTime::of(value) => {
            String::from_utf8_lossy(&time.format(RFC3339)).into_owned()
        }
        value => return Err(Failure::new(format!("unsupported type: {}", type_of(value)))),
    })
}

/// A key, in quotes if it is not a bare one.
fn quoted_key(key: &Bytes) -> String {
    let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    match !key.is_empty() && key.iter().all(is_bare) {
        true => String::from_utf8_lossy(key).into_owned(),
        false => quoted(key),
    }
}

fn quoted(text: &Bytes) -> String {
    let mut out = String::from("\"");
    for c in String::from_utf8_lossy(text).chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' || c == '\u{7f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}
