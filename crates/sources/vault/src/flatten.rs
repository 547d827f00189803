//! The pairs that the data of a secret become, as in Go confd.
//!
//! A secret whose only field is the text `value` becomes this text. Any other becomes its data as JSON,
//! and each text in it, at any depth of objects, becomes a pair below it. Numbers, booleans, lists and null
//! are only in the JSON.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::value::RawValue;
use store::path;

/// A field that becomes no pair of its own, with the key that it would have.
pub(crate) enum Skipped {
    /// Its value is no text. `kind` is the type that Go confd names.
    Unsupported { key: String, kind: &'static str },
    /// The key is not below that of the secret. Who may write one secret could forge others.
    Outside { key: String },
}

/// An object, with the text of each value.
type Object<'a> = BTreeMap<String, &'a RawValue>;

fn object(text: &str) -> Option<Object<'_>> {
    if text.starts_with('{') { serde_json::from_str(text).ok() } else { None }
}

fn text(json: &str) -> Option<String> {
    if json.starts_with('"') { serde_json::from_str(json).ok() } else { None }
}

/// The pairs of the secret at the key `name`, whose data are this JSON.
pub(crate) fn pairs(
    name: &[u8],
    data: &str,
    mut skipped: impl FnMut(Skipped),
) -> Vec<(Bytes, Bytes)> {
    let Some(fields) = object(data) else { return Vec::new() };
    let only = fields.get("value").filter(|_| fields.len() == 1);
    if let Some(value) = only.and_then(|value| text(value.get())) {
        return vec![(Bytes::copy_from_slice(name), value.into())];
    }
    let mut json = String::new();
    write(&mut json, data);
    let mut pairs = vec![(Bytes::copy_from_slice(name), Bytes::from(json))];
    flatten(&String::from_utf8_lossy(name), &fields, &mut pairs, &mut skipped);
    pairs
}

fn flatten(
    name: &str,
    fields: &Object<'_>,
    pairs: &mut Vec<(Bytes, Bytes)>,
    skipped: &mut impl FnMut(Skipped),
) {
    for (field, value) in fields {
        let (key, json) = (format!("{name}/{field}"), value.get());
        if !path::is_below(field.as_bytes()) {
            skipped(Skipped::Outside { key });
            continue;
        }
        if let Some(value) = text(json) {
            pairs.push((key.into(), value.into()));
            continue;
        }
        if let Some(fields) = object(json) {
            flatten(&key, &fields, pairs, skipped);
            continue;
        }
        let kind = match json.as_bytes().first() {
            Some(b'[') => "[]interface {}",
            Some(b't' | b'f') => "bool",
            Some(b'n') => "<nil>",
            _ => "json.Number",
        };
        skipped(Skipped::Unsupported { key, kind });
    }
}

/// Writes JSON as Go does: without white space, objects sorted, and `<`, `>` and `&` escaped. Numbers keep
/// their text.
fn write(json: &mut String, value: &str) {
    if let Some(fields) = object(value) {
        json.push('{');
        for (nth, (field, value)) in fields.iter().enumerate() {
            json.push_str(if nth == 0 { "" } else { "," });
            write_text(json, field);
            json.push(':');
            write(json, value.get());
        }
        json.push('}');
    } else if let Some(text) = text(value) {
        write_text(json, &text);
    } else if let Some(list) =
        value.strip_prefix('[').and_then(|_| serde_json::from_str::<Vec<&RawValue>>(value).ok())
    {
        json.push('[');
        for (nth, value) in list.iter().enumerate() {
            json.push_str(if nth == 0 { "" } else { "," });
            write(json, value.get());
        }
        json.push(']');
    } else {
        json.push_str(value);
    }
}

fn write_text(json: &mut String, text: &str) {
    let quoted = serde_json::Value::from(text).to_string();
    for character in quoted.chars() {
        match character {
            '<' => json.push_str("\\u003c"),
            '>' => json.push_str("\\u003e"),
            '&' => json.push_str("\\u0026"),
            '\u{2028}' => json.push_str("\\u2028"),
            '\u{2029}' => json.push_str("\\u2029"),
            other => json.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pairs of the secret at `/s`, and what is skipped.
    fn made(data: &str) -> (Vec<String>, Vec<String>) {
        let mut skipped = Vec::new();
        let pairs = pairs(b"/s", data, |field| {
            skipped.push(match field {
                Skipped::Unsupported { key, kind } => format!("{key} {kind}"),
                Skipped::Outside { key } => format!("{key} outside"),
            });
        });
        let shown = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let line = |(key, value): &(Bytes, Bytes)| format!("{}={}", shown(key), shown(value));
        (pairs.iter().map(line).collect(), skipped)
    }

    #[test]
    fn a_single_text_named_value_is_the_value_itself() {
        assert_eq!(made(r#"{"value":"a<b"}"#), (vec!["/s=a<b".into()], vec![]));
        assert_eq!(made(r#"{"value":""}"#), (vec!["/s=".into()], vec![]));
        let (pairs, _) = made(r#"{"value":"a","x":"b"}"#);
        assert_eq!(pairs, [r#"/s={"value":"a","x":"b"}"#, "/s/value=a", "/s/x=b"]);
        let (pairs, skipped) = made(r#"{"value":1}"#);
        assert_eq!(pairs, [r#"/s={"value":1}"#]);
        assert_eq!(skipped, ["/s/value json.Number"]);
    }

    #[test]
    fn each_text_below_objects_is_a_pair_and_other_values_are_only_in_the_json() {
        let data = r#"{"b": {"c": "<&>", "d": {}}, "a": 12345678901234567890.10,
            "l": ["x", {"z": 1, "y": null}], "n": null, "t": true}"#;
        let (pairs, skipped) = made(data);
        let json = "{\"a\":12345678901234567890.10,\"b\":{\"c\":\"\\u003c\\u0026\\u003e\",\"d\":{}},\
                    \"l\":[\"x\",{\"y\":null,\"z\":1}],\"n\":null,\"t\":true}";
        assert_eq!(pairs, [format!("/s={json}"), "/s/b/c=<&>".into()]);
        assert_eq!(skipped, ["/s/a json.Number", "/s/l []interface {}", "/s/n <nil>", "/s/t bool"]);
    }

    proptest! {
        #[test]
        fn any_data_become_the_same_json_again(
            fields in proptest::collection::btree_map(".*", ".*", 2..5)
        ) {
            let data = serde_json::to_string(&fields).unwrap();
            let pairs = pairs(b"/s", &data, |_| {});
            let again: BTreeMap<String, String> = serde_json::from_slice(&pairs[0].1).unwrap();
            prop_assert_eq!(again, fields);
        }
    }
}
