//! The functions that sprig and Helm have too give what theirs give.
//!
//! `vectors/library.json` has templates with their results. A program built with Go wrote it, with its
//! text/template, sprig 3.3.0, sigs.k8s.io/yaml 1.6.0 and BurntSushi/toml 1.6.0; the functions of Helm
//! are a few lines around those. Where confd differs on purpose, there is no vector: `docs/functions`
//! has the list, and examples.

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;
use support::{Request, run};

#[test]
fn functions_of_sprig_and_helm_give_what_theirs_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/library.json");
    let text = std::fs::read(path).expect("the vectors are part of the crate");
    let vectors: Vec<Json> = serde_json::from_slice(&text).expect("a list of vectors");
    let mut faults = String::new();
    for vector in &vectors {
        let text = |field: &str| vector.get(field).and_then(Json::as_str).unwrap_or_default();
        let answer = run(&Request {
            name: "t".to_owned(),
            template: text("template").into(),
            store: BTreeMap::new(),
            env: BTreeMap::new(),
            data: None,
        });
        let output = if answer.error.is_empty() { answer.output } else { Vec::new() };
        let found =
            [output, answer.error].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if found != [text("output"), text("error")] {
            let wanted = [text("output"), text("error")];
            faults += &format!("{}\n  want {wanted:?}\n  got  {found:?}\n", text("template"));
        }
    }
    assert!(faults.is_empty(), "{faults}");
    assert!(vectors.len() > 90, "{}", vectors.len());
}
