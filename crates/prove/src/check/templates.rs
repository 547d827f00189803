//! Templates: whether they can be compiled, with the files that they include, and keys that they name and
//! that their resource does not ask for.

use std::path::Path;

use agent::Part;
use config::Problem;
use render::{ConstantCall, Template};
use report::{Excerpt, Place};
use store::{Coverage, Snapshot, View};

use super::Findings;

/// The functions whose argument is a key.
const OF_KEYS: [&str; 3] = ["getv", "get", "exists"];

/// The functions whose argument is a folder of keys, or a pattern.
const OF_FOLDERS: [&str; 4] = ["ls", "lsdir", "gets", "getvs"];

/// What begins a part of a pattern that stands for more than itself.
const OF_PATTERNS: &[u8] = b"*?[\\";

/// Checks the template of a part of a resource.
pub(super) fn check(part: &Part, folder: &Path, findings: &mut Findings) {
    let template = match agent::compile_template(part, folder) {
        Ok(template) => template,
        Err(problem) => return findings.error("template", Some(&part.src), problem),
    };
    for error in template.faults_inside() {
        let text = format!("Unable to process template {}, {error}", part.src.display());
        let problem = Problem { text, excerpt: error.excerpt().clone() };
        findings.error("template", Some(&part.src), problem);
    }
    keys(part, &template, findings);
}

/// Finds the constant keys that the template names, and that `keys` does not ask for.
fn keys(part: &Part, template: &Template, findings: &mut Findings) {
    // In the template of an item, keys can be relative to it.
    if part.for_each.is_some() {
        return;
    }
    // A source whose rule covers most: a key that it does not ask for is asked for by none.
    let view = View::new(Snapshot::new(Coverage::Text), &part.scope, &part.prefix);
    let all = [&OF_KEYS[..], &OF_FOLDERS].concat();
    for call in template.constant_calls(&all) {
        let ConstantCall { path, source, offset, function, argument } = call;
        let is_asked = match OF_KEYS.contains(&&*function) {
            true => view.asks_for(&argument),
            false => reaches(part, &view, &argument),
        };
        if is_asked || !argument.starts_with(b"/") {
            continue;
        }
        let key = String::from_utf8_lossy(&argument);
        let text = format!("the template asks for {key}, and keys does not have it");
        let hint = format!("add {:?} to keys in {}", fixed(&key), part.path.display());
        let excerpt = Excerpt::of(Place::at_offset(&path, &source, offset));
        let problem = Problem { text, excerpt: excerpt.hinting(Some(hint)) };
        findings.warning("key-not-asked", Some(&path), problem);
    }
}

/// Whether keys that the resource asks for can be in this folder, or can match this pattern.
fn reaches(part: &Part, view: &View, pattern: &[u8]) -> bool {
    let text = String::from_utf8_lossy(pattern);
    let base = fixed(&text).as_bytes();
    let whole = part.prefix.join(base);
    view.asks_for(base) || part.scope.iter().any(|key| key.as_bytes().starts_with(whole.as_bytes()))
}

/// The folder that a pattern names before its first part that stands for more than itself.
fn fixed(pattern: &str) -> &str {
    let Some(at) = pattern.bytes().position(|byte| OF_PATTERNS.contains(&byte)) else {
        return pattern;
    };
    match pattern[..at].rfind('/') {
        Some(0) | None => "/",
        Some(end) => &pattern[..end],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_has_the_folder_before_its_first_special_part() {
        for (pattern, folder) in [
            ("/app/port", "/app/port"),
            ("/app/*", "/app"),
            ("/app/x*/y", "/app"),
            ("/*", "/"),
            ("/a/b[0-9]", "/a"),
        ] {
            assert_eq!(fixed(pattern), folder);
        }
    }
}
