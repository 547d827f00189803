//! Findings about a resource file in the words of confd's live fork, which names the field of each.

use std::fmt;
use std::path::{Path, PathBuf};

use config::document::{Document, Section};
use report::Excerpt;

use crate::check::{Finding, Severity};

/// A finding with the field that it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The file: a resource file, or a template.
    pub file: PathBuf,
    /// The key of the resource file, if the finding is about one.
    pub field: Option<String>,
    /// What is wrong.
    pub text: String,
    /// How bad it is.
    pub severity: Severity,
    /// The place and the hint.
    pub excerpt: Excerpt,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let field = self.field.as_ref().map_or(String::new(), |field| format!("{field}: "));
        write!(f, "{}: {field}{}", self.file.display(), self.text)
    }
}

/// What is wrong with the resource file `path`, which has these findings: what the fork finds, in its words,
/// and then what it does not find. A folder of `dest` that does not exist is an error here, as in the fork.
pub fn in_words_of_the_fork<'f>(
    path: &Path,
    findings: impl Iterator<Item = &'f Finding>,
) -> Vec<Named> {
    let source = report::read_regular(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&source);
    let document = Document::parse(&text);
    let mut all = document.as_ref().map_or_else(|_| Vec::new(), |document| missing(path, document));
    let missing: Vec<_> = all.iter().filter_map(|named| named.field.clone()).collect();
    for finding in findings {
        let mut named = named(path, &text, finding);
        if document.is_err() && named.file == path {
            named.text = format!("TOML parse error: {}", named.text);
            named.field = None;
        }
        if !named.field.as_ref().is_some_and(|field| missing.contains(field)) {
            all.push(named);
        }
    }
    all
}

/// The fields that are missing or empty.
fn missing(path: &Path, document: &Document<'_>) -> Vec<Named> {
    let error = |field: &str, text: &str| Named {
        file: path.to_owned(),
        field: Some(field.to_owned()),
        text: text.to_owned(),
        severity: Severity::Error,
        excerpt: Excerpt::default(),
    };
    let (mut found, required) = (Vec::new(), "required field is missing");
    let root = document.root();
    let tables: Vec<Section<'_, '_>> = match root.sections("template") {
        Ok(Some(tables)) => tables,
        Ok(None) => return ["src", "dest"].map(|field| error(field, required)).into(),
        // Another finding says what it is.
        Err(_) => return found,
    };
    for table in tables {
        for field in ["src", "dest"] {
            if let Ok(None | Some("")) = table.string(field) {
                found.push(error(field, required));
            }
        }
        let has_items = table.offset("for_each").is_some();
        match table.strings("keys") {
            Ok(None) if !has_items => {
                found.push(error("keys", "required field is missing or empty"));
            }
            Ok(Some(keys)) if keys.is_empty() && !has_items => {
                found.push(error("keys", "required field is missing or empty"));
            }
            Ok(Some(keys)) => {
                let empty = keys.iter().enumerate().filter(|(_, key)| key.is_empty());
                found.extend(
                    empty.map(|(nth, _)| error(&format!("keys[{nth}]"), "key cannot be empty")),
                );
            }
            _ => {}
        }
    }
    found
}

/// One of our findings, with its field, and in the words of the fork where it has it.
fn named(path: &Path, source: &str, finding: &Finding) -> Named {
    let Finding { rule, severity, problem, .. } = finding;
    let file = finding.path().unwrap_or(path).to_owned();
    let place = problem.excerpt.place().filter(|_| file == path);
    let line = place.and_then(|(_, line, _)| Some((line, source.lines().nth(line - 1)?)));
    let field = line.and_then(|(_, line)| field_of(line));
    let before = [
        format!("Cannot process template resource {} - ", path.display()),
        format!("Unable to process template {}, ", file.display()),
        line.map_or(String::new(), |(line, _)| format!("{}:{line}: ", path.display())),
        field.map_or(String::new(), |field| format!("{field}: ")),
    ];
    let text = before
        .iter()
        .fold(&*problem.text, |text, before| text.strip_prefix(before.as_str()).unwrap_or(text));
    let value = || line.and_then(|(_, line)| value_of(line)).unwrap_or_default();
    let (field, text, severity) = match (*rule, field) {
        ("resource", None) if text == "empty src template" => {
            (Some("src"), text.to_owned(), *severity)
        }
        ("resource", None) if text == "empty dest" => (Some("dest"), text.to_owned(), *severity),
        ("resource", Some("mode")) => {
            let text = format!("must be a valid octal value (e.g., \"0644\"), got {}", value());
            (field, text, *severity)
        }
        ("resource", Some("min_reload_interval" | "debounce")) => {
            let value = value();
            let usage = "(use Go duration format, e.g., \"30s\", \"1m\")";
            (field, format!("invalid duration: {value} {usage}"), *severity)
        }
        ("missing-folder", _) => {
            let folder = text.rsplit_once(": ").map_or("", |(_, folder)| folder);
            let text = format!("destination directory does not exist: {folder}");
            (Some("dest"), text, Severity::Error)
        }
        ("template", _) => match text.strip_prefix("Missing template: ") {
            Some(src) => {
                let text = format!("template file not found: {src}");
                let excerpt = problem.excerpt.clone();
                let field = Some("src".to_owned());
                return Named { file: path.to_owned(), field, text, severity: *severity, excerpt };
            }
            None => (None, format!("template parse error: {text}"), *severity),
        },
        ("resource", Some(field)) => {
            let text =
                text.strip_prefix(field).and_then(|text| text.strip_prefix(' ')).unwrap_or(text);
            (Some(field), text.to_owned(), *severity)
        }
        _ => (field, text.to_owned(), *severity),
    };
    let (field, excerpt) = (field.map(str::to_owned), problem.excerpt.clone());
    Named { file, field, text, severity, excerpt }
}

/// The key that a line of TOML sets.
fn field_of(line: &str) -> Option<&str> {
    let (key, _) = line.split_once('=')?;
    let key = key.trim().trim_matches(['"', '\'']);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    (!key.is_empty() && key.chars().all(is_name)).then_some(key)
}

/// The value that a line of TOML gives, in double quotes.
fn value_of(line: &str) -> Option<String> {
    let (_, value) = line.split_once('=')?;
    let document = format!("value ={value}");
    let document = Document::parse(&document).ok()?;
    let text = document.root().string("value").ok().flatten().map(str::to_owned);
    text.map(|text| format!("{text:?}")).or_else(|| Some(value.trim().to_owned()))
}
