//! The named cases in `vectors/`: lists of templates with the results of Go.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value as Json;

use super::{Answer, Request};

/// A template and its expected result.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) request: Request,
    pub(crate) want: Answer,
    /// What the case shows.
    pub(crate) note: String,
    /// Whether only the beginning of the error is given.
    prefix: bool,
}

impl Vector {
    /// Whether `found` is the expected result.
    pub(crate) fn accepts(&self, found: &Answer) -> bool {
        let error = match self.prefix {
            true => found.error.starts_with(&self.want.error),
            false => found.error == self.want.error,
        };
        error && found.stage == self.want.stage && found.output == self.want.output
    }
}

/// All vectors of all files.
pub(crate) fn all() -> Vec<Vector> {
    ["gotemplate.json", "differences.json"].into_iter().flat_map(read).collect()
}

fn read(file: &str) -> Vec<Vector> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors").join(file);
    let text = std::fs::read(&path).expect("the vectors are part of the crate");
    let vectors: Vec<Json> = serde_json::from_slice(&text).expect("a list of vectors");
    vectors.iter().map(vector).collect()
}

fn vector(json: &Json) -> Vector {
    let name = text_of(json, "name").expect("every vector has a name");
    let store = texts_of(json, "store");
    let request = Request {
        name: text_of(json, "template_name").unwrap_or_else(|| "test.tmpl".to_owned()),
        template: bytes_of(json, "template").expect("every vector has a template"),
        store: store.into_iter().map(|(key, value)| (key, value.into_bytes())).collect(),
        env: texts_of(json, "env"),
        data: json.get("data").map(|_| texts_of(json, "data")),
    };
    let want = Answer {
        stage: text_of(json, "stage").expect("every vector has a stage"),
        output: bytes_of(json, "want_output")
            .or_else(|| bytes_of(json, "partial_output"))
            .unwrap_or_default(),
        error: bytes_of(json, "want_error").unwrap_or_default(),
    };
    let note = text_of(json, "note").unwrap_or_default();
    Vector { name, request, want, note, prefix: json["match"] == "prefix" }
}

fn text_of(json: &Json, field: &str) -> Option<String> {
    json.get(field)?.as_str().map(str::to_owned)
}

/// A field, which can also be given in base64 as `field_b64`.
fn bytes_of(json: &Json, field: &str) -> Option<Vec<u8>> {
    match text_of(json, &format!("{field}_b64")) {
        Some(encoded) => Some(STANDARD.decode(encoded).expect("base64")),
        None => text_of(json, field).map(String::into_bytes),
    }
}

fn texts_of(json: &Json, field: &str) -> BTreeMap<String, String> {
    let entries = json.get(field).and_then(Json::as_object).into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), value.as_str().expect("a string").to_owned()))
        .collect()
}
