use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{Confdir, Conventions, Dialect, Environment, Group, resource::tests::loaded};

/// A value of the key, as TOML.
fn sample(key: &Spec) -> String {
    match (key.name, key.kind) {
        ("for_each", _) => "'/t/*'".into(),
        ("backup", _) => "0".into(),
        // In the fork it is the name or the number of a group of users.
        ("group", _) => "'0'".into(),
        (_, Kind::Switch) => "true".into(),
        (_, Kind::Integer(..) | Kind::NameOrNumber) => "7".into(),
        (_, Kind::Text | Kind::Command | Kind::Expression) => "'x'".into(),
        (_, Kind::Texts) => "['x']".into(),
        // Any other name has to be that of a backend.
        (_, Kind::TextOrTexts) => "''".into(),
        (_, Kind::Duration) => "'7s'".into(),
        (_, Kind::Mode) => "'0640'".into(),
        (_, Kind::Percentage) => "'7%'".into(),
        (_, Kind::Factor) => "'1.5'".into(),
        (_, Kind::Word(words)) => format!("'{}'", words()[0]),
    }
}

/// The warnings about a file with this table, in a run of this dialect.
fn warnings(text: &str, dialect: Dialect) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.toml");
    fs::write(&path, text).unwrap();
    let conventions = Conventions { dialect, ..Conventions::default() };
    let environment = Environment::empty();
    let confdir = Confdir::new(Path::new("/etc/confd"), &conventions, &environment);
    let group = Group::load(&path, &confdir).unwrap_or_else(|why| panic!("{text}: {why}"));
    let warnings = group.resources.iter().flat_map(|resource| &resource.warnings);
    warnings.map(|warning| warning.text.clone()).collect()
}

#[test]
fn every_key_is_read_in_every_dialect() {
    for key in TEMPLATE_KEYS {
        for dialect in [Dialect::Confd, Dialect::Fork] {
            let mut text = format!("[template]\n{} = {}\n", key.name, sample(key));
            for (name, value) in [("src", "'a'"), ("dest", "'/{{.name}}'")] {
                if key.name != name {
                    text += &format!("{name} = {value}\n");
                }
            }
            if !key.name.starts_with("for_each") {
                text = text.replace("{{.name}}", "d");
            }
            let warnings = warnings(&text, dialect).join("\n");
            assert!(!warnings.contains("unknown key"), "{text}{warnings}");
        }
    }
}

#[test]
fn no_two_keys_have_the_same_name() {
    let mut names: Vec<_> = TEMPLATE_KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TEMPLATE_KEYS.len());
}

#[test]
fn a_default_is_the_value_of_a_table_without_the_key() {
    for key in TEMPLATE_KEYS {
        let value = match key.otherwise {
            Otherwise::Switch(value) => value.to_string(),
            Otherwise::Number(number) => number.to_string(),
            Otherwise::Time(time) => format!("'{time:?}'"),
            Otherwise::Text(text) => format!("'{text}'"),
            Otherwise::Nothing | Otherwise::Said(_) => continue,
        };
        // What the key belongs to has to be there for its value to count.
        let table = "[template]\nsrc='a'\nhealth_cmd='x'\nreload_cmd='x'\nmake_directories=true\n";
        let table = match key.name {
            "make_directories" => "[template]\nsrc='a'\n",
            _ => table,
        };
        let read = |text: &str| {
            let mut resource = loaded(text).unwrap();
            resource.path = PathBuf::new();
            resource
        };
        let without = read(table);
        let with = read(&format!("{table}{} = {value}\n", key.name));
        // A guard that allows everything is not the same as no guard, and has the same effect.
        if !matches!(key.name, "min_keys" | "min_bytes" | "max_shrink") {
            assert_eq!(without, with, "{}", key.name);
        }
    }
}

/// The rows of the table of keys in the documentation: keys, type and default.
fn rows() -> Vec<(Vec<String>, String, String)> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/resources.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| key of `[template]` |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned());
        let keys = cells.next().unwrap().split(", ").map(|key| key.replace('`', "")).collect();
        (keys, cells.next().unwrap(), cells.next().unwrap())
    };
    rows.map(row).collect()
}

#[test]
fn the_documentation_has_every_key_with_its_type_and_its_default() {
    let rows = rows();
    for key in TEMPLATE_KEYS.iter().filter(|key| key.is_used) {
        let row = rows.iter().find(|(keys, ..)| keys.iter().any(|name| name == key.name));
        let (_, kind, default) = row.unwrap_or_else(|| panic!("{} is missing", key.name));
        let expected = match key.kind {
            Kind::Switch => "boolean",
            Kind::Integer(..) => "integer",
            Kind::Texts => "strings",
            Kind::Command | Kind::TextOrTexts => "string or strings",
            Kind::NameOrNumber => "string or integer",
            Kind::Duration => "duration",
            Kind::Text
            | Kind::Mode
            | Kind::Percentage
            | Kind::Factor
            | Kind::Expression
            | Kind::Word(_) => "string",
        };
        assert_eq!(kind, expected, "{}", key.name);
        let expected = match key.otherwise {
            Otherwise::Switch(value) => format!("`{value}`"),
            Otherwise::Number(number) => number.to_string(),
            Otherwise::Time(Duration::ZERO) => "`\"0\"`".into(),
            Otherwise::Time(time) => format!("`\"{time:?}\"`"),
            Otherwise::Text(text) => format!("`\"{text}\"`"),
            Otherwise::Nothing | Otherwise::Said(_) => continue,
        };
        assert_eq!(*default, expected, "{}", key.name);
    }
    let mut described = rows.iter().flat_map(|(keys, ..)| keys);
    assert!(described.all(|name| find(name).is_some()));
}
