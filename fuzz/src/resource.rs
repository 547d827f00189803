//! Resource files in TOML.

use std::path::Path;

use config::document::{Document, Error, Section};
use report::{Excerpt, Place};

use super::{LONGEST, excerpt};

/// A document is read, and every key of a resource is read from it; or the error is one line with
/// its place.
pub fn resource(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.len() > LONGEST {
        return;
    }
    match Document::parse(text) {
        Ok(document) => ask(&document, text),
        Err(error) => check(&error, text),
    }
}

fn ask(document: &Document<'_>, text: &str) {
    let root = document.root();
    match root.section("template") {
        Ok(None) => assert_eq!(root.line("template"), None),
        Ok(Some(template)) => ask_all(&template, text),
        Err(error) => check(&error, text),
    }
    let unknown = root.unknown();
    assert!(unknown.iter().all(|unknown| unknown.key != "template"));
    assert!(unknown.is_sorted_by_key(|unknown| unknown.offset));
}

fn ask_all(template: &Section<'_, '_>, text: &str) {
    const STRINGS: [&str; 7] =
        ["src", "dest", "prefix", "mode", "check_cmd", "reload_cmd", "engine"];
    const INTEGERS: [&str; 3] = ["uid", "gid", "filemode"];
    const LISTS: [&str; 2] = ["keys", "stagefile"];
    let errors = STRINGS.iter().filter_map(|name| template.string(name).err());
    let errors = errors.chain(INTEGERS.iter().filter_map(|name| template.integer(name).err()));
    let errors = errors.chain(LISTS.iter().filter_map(|name| template.strings(name).err()));
    errors.for_each(|error| check(&error, text));
    for name in STRINGS.iter().chain(&INTEGERS).chain(&LISTS) {
        let (line, offset) = (template.line(name), template.offset(name));
        assert_eq!(line.is_some(), offset.is_some(), "{name}");
        assert!(line.is_none_or(|line| line <= lines(text)), "{name}");
        assert!(offset.is_none_or(|offset| offset < text.len()), "{name}");
    }
    for unknown in template.unknown() {
        assert!(!STRINGS.contains(&unknown.key), "{unknown:?} was asked for");
        assert!(unknown.line <= lines(text) && unknown.offset < text.len(), "{unknown:?}");
    }
}

fn check(error: &Error, text: &str) {
    let message = error.to_string();
    let line = message.strip_prefix("toml: line ").and_then(|rest| {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        rest[..digits].parse::<usize>().ok()
    });
    assert!(line.is_some_and(|line| (1..=lines(text)).contains(&line)), "{message}");
    assert!(!message.contains('\n'), "{message:?}");
    assert!(error.offset() <= text.len(), "{message}");
    let path = Path::new("conf.d/a.toml");
    excerpt::check(&Excerpt::of(Place::at_offset(path, text.as_bytes(), error.offset())));
}

fn lines(text: &str) -> usize {
    1 + text.bytes().filter(|byte| *byte == b'\n').count()
}
