//! Functions of formats: JSON, YAML and TOML.

use bytes::Bytes;
use gotmpl::{Failure, Functions, Value};

use render::formats::json::{self, Form};
use render::formats::{toml, yaml};

use super::Context;

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
        if matches!(value, Value::Nil) {
            return Err(Failure::new("reflect: call of reflect.Value.Type on zero Value"));
        }
        toml::text(&value).map_err(|failure| Failure::new(format!("toTOML: {failure}")))
    });
}
