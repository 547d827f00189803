//! JSON that is written in the order in which it was made, so that editors show keys as people write them.
//! (The maps of `serde_json` have that order only if some crate of the build asks for it.)

use std::fmt::Write as _;

/// A JSON document.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Json {
    /// `true` or `false`.
    Switch(bool),
    /// An integer.
    Number(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Json>),
    /// Names and values.
    Object(Vec<(String, Json)>),
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Json::Switch(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Json::Number(value)
    }
}

impl From<&str> for Json {
    fn from(value: &str) -> Self {
        Json::Text(value.to_owned())
    }
}

impl From<String> for Json {
    fn from(value: String) -> Self {
        Json::Text(value)
    }
}

impl<T: Into<Json>> From<Vec<T>> for Json {
    fn from(values: Vec<T>) -> Self {
        Json::List(values.into_iter().map(Into::into).collect())
    }
}

/// An object with these names and values.
pub(super) fn object<const N: usize>(pairs: [(&str, Json); N]) -> Json {
    Json::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

impl Json {
    /// The same object with one more name and its value.
    pub(super) fn with(self, name: &str, value: impl Into<Json>) -> Json {
        self.and(object([(name, value.into())]))
    }

    /// The same object with the names and values of another.
    pub(super) fn and(mut self, more: Json) -> Json {
        if let (Json::Object(pairs), Json::Object(more)) = (&mut self, more) {
            pairs.extend(more);
        }
        self
    }

    /// The document as text, indented by two spaces, with a line break at its end.
    pub(super) fn document(&self) -> String {
        let mut text = String::new();
        self.write(&mut text, 0);
        text.push('\n');
        text
    }

    fn write(&self, text: &mut String, depth: usize) {
        match self {
            Json::Switch(value) => text.push_str(if *value { "true" } else { "false" }),
            Json::Number(number) => text.push_str(&number.to_string()),
            Json::Text(value) => quote(text, value),
            Json::List(values) => {
                let values = values.iter().map(|value| (None, value));
                block(text, depth, ['[', ']'], values);
            }
            Json::Object(pairs) => {
                let pairs = pairs.iter().map(|(name, value)| (Some(name), value));
                block(text, depth, ['{', '}'], pairs);
            }
        }
    }
}

/// Writes values, with names or without, between two brackets.
fn block<'a>(
    text: &mut String,
    depth: usize,
    [open, close]: [char; 2],
    values: impl Iterator<Item = (Option<&'a String>, &'a Json)>,
) {
    let line = |text: &mut String, depth| {
        text.push('\n');
        text.extend(std::iter::repeat_n("  ", depth));
    };
    text.push(open);
    let mut is_empty = true;
    for (name, value) in values {
        if !is_empty {
            text.push(',');
        }
        is_empty = false;
        line(text, depth + 1);
        if let Some(name) = name {
            quote(text, name);
            text.push_str(": ");
        }
        value.write(text, depth + 1);
    }
    if !is_empty {
        line(text, depth);
    }
    text.push(close);
}

/// Writes a text between quotes.
fn quote(text: &mut String, value: &str) {
    text.push('"');
    for letter in value.chars() {
        match letter {
            '"' | '\\' => text.extend(['\\', letter]),
            // Writing to a text does not fail.
            '\0'..='\x1f' => drop(write!(text, "\\u{:04x}", u32::from(letter))),
            letter => text.push(letter),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_json_in_its_own_order() {
        let document = object([
            ("b", Json::from(vec![1, -2])),
            ("a", "\"\\\n\u{1}é".into()),
            ("empty", Json::List(Vec::new())),
        ]);
        let document = document.with("x", true).with("o", object([]));
        let text = document.document();
        let expected = "{\n  \"b\": [\n    1,\n    -2\n  ],\n  \"a\": \"\\\"\\\\\\u000a\\u0001é\",\n  \
                        \"empty\": [],\n  \"x\": true,\n  \"o\": {}\n}\n";
        assert_eq!(text, expected);
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["a"], "\"\\\n\u{1}é");
    }
}
