//! Functions of formats: JSON, YAML, TOML, and dumps of values.

use bytes::Bytes;
use gotmpl::{Failure, Functions, Rest, Value};

use super::json::{self, Form};
use super::{Context, toml, yaml};

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("parseJSON", |_: &Context, text: Bytes| json::parse(&text));
    for (name, for_html, pretty) in [
        ("toJSON", true, false),
        ("toJSONPretty", true, true),
        ("toUnescapedJSON", false, false),
        ("toUnescapedJSONPretty", false, true),
    ] {
        functions.add(name, move |_: &Context, value: Value| {
            let text = json::text(&value, Form { for_html, pretty });
            text.map_err(|failure| Failure::new(format!("{name}: {failure}")))
        });
    }
    functions.add("parseYAML", |_: &Context, text: Bytes| yaml::parse(&text));
    functions.add("toYAML", |_: &Context, value: Value| yaml::text(&value));
    functions.add("toTOML", |_: &Context, value: Value| {
        toml::text(&value).map_err(|failure| Failure::new(format!("toTOML: {failure}")))
    });
    functions.add("spew_sdump", |_: &Context, values: Rest<Value>| dump(&values.0));
    functions.add("spew_dump", |context: &Context, values: Rest<Value>| {
        context.machine.print(dump(&values.0)?.as_bytes());
        Ok::<_, Failure>(Bytes::new())
    });
}

/// The values with their types and lengths, each on lines of its own.
fn dump(values: &[Value]) -> Result<String, Failure> {
    let mut out = String::new();
    for value in values {
        super::values::shallow(value)?;
        dump_one(&mut out, value, 0);
        out.push('\n');
    }
    Ok(out)
}

fn dump_one(out: &mut String, value: &Value, depth: usize) {
    let ty = super::values::type_of(value);
    let indent = " ".repeat(depth);
    match value {
        Value::Nil => out.push_str("(interface {}) <nil>"),
        Value::String(text) => {
            out.push_str(&format!("(string) (len={}) {}", text.len(), gotmpl::quote(text)));
        }
        Value::Slice(slice) if slice.is_nil() => out.push_str(&format!("({ty}) <nil>")),
        Value::Map(map) if map.is_nil() => out.push_str(&format!("({ty}) <nil>")),
        Value::Slice(slice) => {
            let elements = slice.elements().to_vec();
            let sizes = match elements.len() {
                0 => String::new(),
                len => format!("(len={len} cap={}) ", slice.capacity()),
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
            let len = match map.len() {
                0 => String::new(),
                len => format!("(len={len}) "),
            };
            out.push_str(&format!("({ty}) {len}{{\n"));
            for (nth, (key, value)) in map.entries().iter().enumerate() {
                match map.ty().key.value(key) {
                    Value::Int(number) => out.push_str(&format!("{indent} (int) {number}: ")),
                    _ => {
                        let name = gotmpl::quote(key);
                        out.push_str(&format!("{indent} (string) (len={}) {name}: ", key.len()));
                    }
                }
                dump_one(out, value, depth + 1);
                out.push_str(if nth + 1 < map.len() { ",\n" } else { "\n" });
            }
            out.push_str(&format!("{indent}}}"));
        }
        value => {
            out.push_str(&format!("({ty}) {}", String::from_utf8_lossy(&value.text())));
        }
    }
}
