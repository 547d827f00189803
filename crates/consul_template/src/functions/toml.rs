//! TOML, as the library of consul-template writes it: scalars first, then tables, whose content is
//! indented.

use bytes::Bytes;
use gotmpl::{Failure, Map, Value};
use render::GoTime;

use super::json::RFC3339;
use super::values::{shallow, type_of};

/// The TOML text of a map. Any other value is written on one line.
///
/// # Errors
/// The value has no TOML form.
pub(super) fn text(value: &Value) -> Result<String, Failure> {
    shallow(value)?;
    let Value::Map(map) = value else { return inline(value) };
    let mut out = String::new();
    table(&mut out, map, &mut Vec::new())?;
    Ok(out.trim().to_owned())
}

fn table(out: &mut String, map: &Map, path: &mut Vec<String>) -> Result<(), Failure> {
    let indent = "  ".repeat(path.len());
    for (key, value) in
        map.entries().iter().filter(|(_, value)| !is_table(value) && !value.is_nil())
    {
        out.push_str(&format!("{indent}{} = {}\n", quoted_key(key), inline(value)?));
    }
    for (key, value) in map.entries().iter().filter(|(_, value)| is_table(value)) {
        path.push(quoted_key(key));
        let indent = "  ".repeat(path.len() - 1);
        let name = path.join(".");
        let tables: Vec<Map> = match value {
            Value::Map(map) => vec![map.clone()],
            Value::Slice(slice) => {
                slice.elements().iter().filter_map(|one| one.as_map().cloned()).collect()
            }
            _ => Vec::new(),
        };
        for one in tables {
            if path.len() == 1 || matches!(value, Value::Slice(_)) {
                out.push('\n');
            }
            match value {
                Value::Map(_) => out.push_str(&format!("{indent}[{name}]\n")),
                _ => out.push_str(&format!("{indent}[[{name}]]\n")),
            }
            table(out, &one, path)?;
        }
        path.pop();
    }
    Ok(())
}

/// Whether a value is written as one table or several.
fn is_table(value: &Value) -> bool {
    match value {
        Value::Map(map) => !map.is_nil(),
        Value::Slice(slice) => {
            let elements = slice.elements();
            !elements.is_empty() && elements.iter().all(|element| element.as_map().is_some())
        }
        _ => false,
    }
}

/// A value on one line.
fn inline(value: &Value) -> Result<String, Failure> {
    Ok(match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
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
            let elements: Result<Vec<_>, _> = elements.iter().map(inline).collect();
            format!("[{}]", elements?.join(", "))
        }
        Value::Map(map) => {
            let all = map.entries();
            let entries = all.iter().map(|(key, value)| {
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
