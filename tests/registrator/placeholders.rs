//! The texts that stand for `{PLACEHOLDERS}`.

use serde_json::{Map, Value};

/// What a text in braces stands for: `None` if it is no placeholder.
pub(crate) trait Lookup {
    fn look_up(&self, name: &str) -> Option<String>;
}

/// The text with its placeholders replaced.
pub(crate) fn fill(text: &str, lookup: &impl Lookup) -> String {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        filled += before;
        let replaced = after.split_once('}').and_then(|(name, after)| {
            let is_name = name.starts_with(|c: char| c.is_ascii_uppercase());
            Some((is_name.then(|| lookup.look_up(name)).flatten()?, after))
        });
        rest = match replaced {
            Some((text, after)) => {
                filled += &text;
                after
            }
            None => {
                filled.push('{');
                after
            }
        };
    }
    filled + rest
}

/// The value with the placeholders of all its texts and keys replaced. A text that is only the
/// placeholder of a port becomes a number.
pub(crate) fn fill_all(value: &Value, lookup: &impl Lookup) -> Value {
    match value {
        Value::String(text) => {
            let filled = fill(text, lookup);
            let is_port = text.starts_with("{PORT") && text.find('}') == Some(text.len() - 1);
            match filled.parse::<u16>() {
                Ok(port) if is_port => port.into(),
                _ => filled.into(),
            }
        }
        Value::Array(list) => list.iter().map(|value| fill_all(value, lookup)).collect(),
        Value::Object(members) => {
            let fill =
                |(name, value): (&String, &Value)| (fill(name, lookup), fill_all(value, lookup));
            Value::Object(members.iter().map(fill).collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}
