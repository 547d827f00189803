//! Template functions and the language, as a user of confd sees them, and their errors.
//!
//! Each test is a table of templates, which are all rendered in one run. Results and error texts
//! are those of Go's text/template (as of Go 1.27) and of confd 0.16; so that errors show values, as
//! in Go, they are provoked with `-show-values`.

mod calc;
mod json;
mod language;
mod lookup;
mod store;
mod text;
mod world;

use std::fs;

use crate::support::{Ended, Run, Sandbox};

/// The keys that most tables use.
const KEYS: &str = r#"
a: "1"
app: { a: "2", b: { c: "3" } }
apple: "4"
"#;

/// Renders every template in one run and expects these results.
#[track_caller]
fn gives(yaml: &str, cases: &[(&str, &str)]) {
    gives_when(yaml, cases, |run| run);
}

/// Like [`gives`], with changes to the run.
#[track_caller]
fn gives_when(yaml: &str, cases: &[(&str, &str)], change: impl FnOnce(Run) -> Run) {
    let sandbox = with_templates(cases.iter().map(|(template, _)| *template));
    let ended = change(sandbox.onetime_with(yaml)).run();
    for (nth, (template, expected)) in cases.iter().enumerate() {
        let name = name(nth);
        let result = fs::read(sandbox.path(&format!("out/{name}")))
            .unwrap_or_else(|_| panic!("{template:?} gave no file {name}:\n{}", ended.stderr));
        assert_eq!(String::from_utf8_lossy(&result), *expected, "{template}");
    }
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// Renders every template in one run and expects that each fails while it is executed.
///
/// An error is written without the parts that are the same in all errors: `1:2 <x>: why` is the log
/// line `ERROR template: NAME:1:2: executing "NAME" at <x>: why`.
#[track_caller]
fn fails(yaml: &str, cases: &[(&str, &str)]) {
    refuses(yaml, cases, |_, name, error| {
        let (place, reason) = error.split_once(' ').unwrap();
        format!("ERROR template: {name}:{place}: executing \"{name}\" at {reason}")
    });
}

/// Renders every template in one run and expects that none can be parsed.
///
/// An error `1: why` is the log line `ERROR Unable to process template <path>, template: NAME:1:
/// why`.
#[track_caller]
fn cannot_be_parsed(cases: &[(&str, &str)]) {
    refuses("{}", cases, |sandbox, name, error| {
        let path = sandbox.path(&format!("templates/{name}"));
        format!("ERROR Unable to process template {}, template: {name}:{error}", path.display())
    });
}

#[track_caller]
fn refuses(yaml: &str, cases: &[(&str, &str)], line: impl Fn(&Sandbox, &str, &str) -> String) {
    let sandbox = with_templates(cases.iter().map(|(template, _)| *template));
    let ended: Ended = sandbox.onetime_with(yaml).arguments(&["-show-values"]).fails();
    let errors: Vec<_> =
        ended.log().into_iter().filter(|line| line.starts_with("ERROR ")).collect();
    let expected: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(nth, (_, error))| line(&sandbox, &format!("{}.tmpl", name(nth)), error))
        .collect();
    for ((error, expected), (template, _)) in errors.iter().zip(&expected).zip(cases) {
        assert_eq!(error, expected, "{template}");
    }
    assert_eq!(errors.len(), cases.len(), "{}", ended.stderr);
    // The run ends with the last error, as Go confd does.
    ended.expect(&expected.last().unwrap().replacen("ERROR", "FATAL", 1));
    assert_eq!(sandbox.list("out"), [""; 0], "no result and no stage file");
}

/// A tree with a resource for each template.
fn with_templates<'a>(templates: impl Iterator<Item = &'a str>) -> Sandbox {
    let sandbox = Sandbox::new();
    for (nth, template) in templates.enumerate() {
        sandbox.resource(&name(nth), template, "");
    }
    sandbox
}

/// The name of resource number `nth`. The byte order of the names is that of the numbers.
fn name(nth: usize) -> String {
    format!("t{nth:03}")
}
