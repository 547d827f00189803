//! Go templates do what Go does with them: every vector of `vectors/gotemplate.json` is a test.
//!
//! The expectations were written by a program built with Go 1.27.3, text/template and confd's
//! functions. Output, error text and what was written before an error are compared byte by byte;
//! only where a vector says `"match": "prefix"` is the error allowed to go on.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use gotmpl::{Functions, Map, Value};
use libtest_mimic::{Arguments, Failed, Trial};
use render::host::Service;
use render::time::Time;
use render::{Host, Stage, System, Template};
use serde_json::Value as Json;
use store::{Coverage, Key, Prefix, Scope, Snapshot, View};

fn main() {
    let arguments = Arguments::from_args();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/gotemplate.json");
    let text = std::fs::read(&path).expect("the vectors are part of the crate");
    let vectors: Vec<Json> = serde_json::from_slice(&text).expect("a list of vectors");
    let trials = vectors.into_iter().map(|vector| {
        let name = text_of(&vector, "name").expect("every vector has a name");
        Trial::test(name, move || check(&vector))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

/// What came of a template.
#[derive(PartialEq, Eq)]
struct Outcome {
    stage: &'static str,
    output: Vec<u8>,
    error: Option<String>,
}

fn check(vector: &Json) -> Result<(), Failed> {
    let template = bytes_of(vector, "template").ok_or("the vector has no template")?;
    let name = text_of(vector, "template_name").unwrap_or_else(|| "test.tmpl".to_owned());
    let mut found = match vector.get("data") {
        Some(_) => run_with_data(&name, template, texts_of(vector, "data")),
        None => run_with_store(&name, &template, vector),
    };
    let want = Outcome {
        stage: match text_of(vector, "stage").as_deref() {
            Some("ok") => "ok",
            Some("parse") => "parse",
            Some("exec") => "exec",
            other => return Err(format!("unknown stage {other:?}").into()),
        },
        output: bytes_of(vector, "want_output")
            .or_else(|| bytes_of(vector, "partial_output"))
            .unwrap_or_default(),
        error: text_of(vector, "want_error"),
    };
    if text_of(vector, "match").as_deref() == Some("prefix")
        && let (Some(want), Some(error)) = (&want.error, &mut found.error)
        && error.starts_with(want)
    {
        error.truncate(want.len());
    }
    if found == want {
        return Ok(());
    }
    Err(format!(
        "{}\n  template: {:?}\n  want {}\n  got  {}",
        text_of(vector, "note").unwrap_or_default(),
        bytes_of(vector, "template").map(Bytes::from).unwrap_or_default(),
        describe(&want),
        describe(&found),
    )
    .into())
}

fn describe(outcome: &Outcome) -> String {
    let Outcome { stage, output, error } = outcome;
    format!(
        "{stage}: {:?}\n       {}",
        Bytes::copy_from_slice(output),
        error.as_deref().unwrap_or("-")
    )
}

/// A resource's template: all functions, and the store.
fn run_with_store(name: &str, template: &[u8], vector: &Json) -> Outcome {
    let pairs = texts_of(vector, "store");
    let snapshot = Snapshot::from_pairs(Coverage::Exact, pairs);
    let scope = Scope::from_iter([Key::root()]);
    let view = View::new(snapshot, &scope, &Prefix::new(b"/"));
    let host: Arc<dyn Host> =
        Arc::new(World { environment: texts_of(vector, "env"), system: System::new() });
    let mut output = Vec::new();
    let result = Template::compile(Path::new(name), template)
        .and_then(|template| template.render_to(&view, &host, &mut output));
    let (stage, error) = match result {
        Ok(()) => ("ok", None),
        Err(error) if error.stage() == Stage::Compile => ("parse", Some(error.to_string())),
        Err(error) => ("exec", Some(error.to_string())),
    };
    Outcome { stage, output, error }
}

/// The template of a check command: builtins only, and a map of strings as the root.
fn run_with_data(name: &str, template: Vec<u8>, data: BTreeMap<String, String>) -> Outcome {
    let functions: Arc<Functions<()>> = Arc::new(Functions::new());
    let mut output = Vec::new();
    let template = match gotmpl::Template::parse(name, Bytes::from(template), &functions) {
        Ok(template) => template,
        Err(error) => return Outcome { stage: "parse", output, error: Some(error.to_string()) },
    };
    let data = data.into_iter().map(|(key, value)| (Bytes::from(key), Bytes::from(value)));
    let result = template.execute(&(), Value::Map(Map::strings(data)), &mut output);
    match result {
        Ok(()) => Outcome { stage: "ok", output, error: None },
        Err(error) => Outcome { stage: "exec", output, error: Some(error.to_string()) },
    }
}

/// This machine, with other environment variables.
struct World {
    environment: BTreeMap<String, String>,
    system: System,
}

impl Host for World {
    fn variable(&self, name: &[u8]) -> Option<Bytes> {
        let value = self.environment.get(std::str::from_utf8(name).ok()?)?;
        Some(Bytes::copy_from_slice(value.as_bytes()))
    }

    fn now(&self) -> Time {
        self.system.now()
    }

    fn file_exists(&self, path: &[u8]) -> bool {
        self.system.file_exists(path)
    }

    fn addresses(&self, name: &[u8]) -> io::Result<Vec<IpAddr>> {
        self.system.addresses(name)
    }

    fn services(&self, name: &[u8]) -> io::Result<Vec<Service>> {
        self.system.services(name)
    }
}

fn text_of(vector: &Json, field: &str) -> Option<String> {
    vector.get(field)?.as_str().map(str::to_owned)
}

/// A field that may also be there in base64, as `field_b64`.
fn bytes_of(vector: &Json, field: &str) -> Option<Vec<u8>> {
    match text_of(vector, &format!("{field}_b64")) {
        Some(encoded) => Some(STANDARD.decode(encoded).expect("base64")),
        None => text_of(vector, field).map(String::into_bytes),
    }
}

fn texts_of(vector: &Json, field: &str) -> BTreeMap<String, String> {
    let entries = vector.get(field).and_then(Json::as_object).into_iter().flatten();
    entries
        .map(|(key, value)| (key.clone(), value.as_str().expect("a string").to_owned()))
        .collect()
}
