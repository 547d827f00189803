//! `confd schema`: prints the JSON Schemas of the files that people write.

use anyhow::bail;
use config::schema;
use options::Proposed;

use crate::{
    Exit,
    commands::{Asked, Own},
    sources, table,
};

/// The kinds of files.
const FILES: &[&str] = &["resource", "confd.toml"];

/// The option that says which kind of files is meant.
pub(crate) const FOR: Own = Own {
    name: "for",
    value: "FILE",
    proposed: Proposed::Words(FILES),
    help: "the files: resource (the default) or confd.toml",
};

/// Runs the command.
pub(crate) fn run(asked: Asked) -> anyhow::Result<Exit> {
    if !asked.names.is_empty() {
        return Err(asked.command.usage());
    }
    let text = match asked.last(FOR.name).map(|word| word.to_str()) {
        None | Some(Some("resource")) => of_resource_files(),
        Some(Some("confd.toml")) => of_confd_toml(),
        Some(_) => bail!("-for is followed by one of {}", FILES.join(", ")),
    };
    crate::show(text.as_bytes())?;
    Ok(Exit::Success)
}

/// The schema of confd.toml with the options of this build.
pub(crate) fn of_confd_toml() -> String {
    schema::confd_toml(table::all(), &sources::tables(), &sources::options())
}

/// The schema of resource files with the backends of this build.
pub(crate) fn of_resource_files() -> String {
    schema::resource_files(&sources::options())
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use config::{
        Dialect, Environment,
        confd_toml::{self, Definitions},
    };
    use options::{Form, Kind, Spec};
    use serde_json::{Value, json};

    use super::*;

    /// Values of every type, in TOML and in JSON.
    fn values() -> Vec<(&'static str, Value)> {
        vec![
            ("true", json!(true)),
            ("0", json!(0)),
            ("-7", json!(-7)),
            ("1.5", json!(1.5)),
            ("''", json!("")),
            ("'x'", json!("x")),
            ("'5s'", json!("5s")),
            ("[]", json!([])),
            ("['x', 'y']", json!(["x", "y"])),
            ("['x', 1]", json!(["x", 1])),
            ("{}", json!({})),
            ("[{}]", json!([{}])),
        ]
    }

    /// Whether confd reads a file with this line, without a warning.
    fn is_read(text: &str) -> bool {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        let definitions = Definitions {
            options: table::all(),
            tables: &sources::tables(),
            kinds: sources::kind,
            dialect: Dialect::Confd,
            are_asked: true,
        };
        confd_toml::read(file.path(), definitions, &Environment::empty())
            .is_ok_and(|read| read.warnings.is_empty())
    }

    #[test]
    fn confd_and_the_schema_agree_about_every_value_of_every_key_of_confd_toml() {
        let mut compiler = boon::Compiler::new();
        let schema: Value = serde_json::from_str(&of_confd_toml()).unwrap();
        compiler.add_resource("file:///schema.json", schema).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile("file:///schema.json", &mut schemas).unwrap();
        let is_valid = |document: &Value| schemas.validate(document, index).is_ok();
        let mut count = 0;
        let tables = sources::tables();
        let of_tables = tables
            .iter()
            .flat_map(|table| table.options.iter().map(|option| (Some(table.name), option)));
        let of_root = table::all().iter().map(|option| (None, option));
        for (table, option) in of_root.chain(of_tables) {
            let Spec { key: Some(key), form, kind, .. } = option else { continue };
            for (toml, json) in values() {
                // The form of a text is examined when its option is read.
                if *form != Form::Any && matches!(kind, Kind::Text(_)) && json.is_string() {
                    continue;
                }
                let (text, document) = match table {
                    None => (format!("{key} = {toml}\n"), json!({ *key: json })),
                    Some(table) => {
                        (format!("[{table}]\n{key} = {toml}\n"), json!({ table: { *key: json } }))
                    }
                };
                assert_eq!(is_valid(&document), is_read(&text), "{text}");
                count += 1;
            }
        }
        assert!(count > 500, "{count}");
        assert!(!is_valid(&json!({ "unknown": 1 })) && !is_read("unknown = 1"));
        assert!(!is_valid(&json!({ "consul": { "unknown": 1 } })));
        assert!(is_valid(&json!({})) && is_read(""));
    }

    #[test]
    fn the_schema_has_the_keys_of_all_options_and_no_others() {
        let schema: Value = serde_json::from_str(&of_confd_toml()).unwrap();
        let keys = |options: &[Spec]| {
            options
                .iter()
                .flat_map(|option| [option.key.map(str::to_owned), option.file_key()])
                .flatten()
                .collect::<BTreeSet<_>>()
        };
        let of = |properties: &Value| {
            properties.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>()
        };
        let (tables, mut of_root) = (sources::tables(), keys(table::all()));
        of_root.extend(tables.iter().map(|table| table.name.to_owned()));
        of_root.insert("backends".to_owned());
        let mut of_backend = keys(&sources::options());
        let own = ["name", "backend", "mount", "expand_env"].map(str::to_owned);
        of_backend.extend(own);
        assert_eq!(of(&schema["properties"]["backends"]["items"]["properties"]), of_backend);
        assert_eq!(of(&schema["properties"]), of_root);
        for table in &tables {
            let properties = &schema["properties"][table.name]["properties"];
            assert_eq!(of(properties), keys(&table.options));
        }
    }
}
