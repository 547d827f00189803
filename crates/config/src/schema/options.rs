//! The schema of confd.toml.

use options::{Form, Kind, Proposed, Spec};

use super::{
    described, forms,
    json::{Json, object},
    text, texts, whole,
};
use crate::{confd_toml::Table, keys};

/// A key of a table that describes a backend, and what it is for.
type OfBackend = (&'static str, &'static str);

/// The key that says which kind of backend it is.
pub(super) const KIND: OfBackend = ("backend", "The kind of the backend, such as etcd.");

/// The keys that each of `[[backends]]` has besides the options of its kind.
const OF_NAMED: [OfBackend; 3] = [
    ("name", "The name by which resources mean the backend."),
    ("backend", "The kind of the backend. Default: its name."),
    ("mount", "The key below which its keys stand for resources that name no backend."),
];

/// A table that describes a backend by these options, and has these keys too.
pub(super) fn backend(options: &[Spec], own: &[OfBackend]) -> Json {
    let own = own.iter().map(|(name, help)| ((*name).to_owned(), described(help).and(text())));
    let own = Json::Object(own.collect());
    let switch = described(keys::EXPAND_ENV.help).with("type", "boolean").with("default", false);
    object([("type", "object".into())])
        .with("properties", own.with(keys::EXPAND_ENV.name, switch).and(properties(options)))
        .with("additionalProperties", false)
}

/// The JSON Schema of `confd.toml`, which can set these options, and those of `tables` in tables of their own.
/// `backends` are the options of all kinds of backends.
pub fn confd_toml(options: &[Spec], tables: &[Table], backends: &[Spec]) -> String {
    let named = backend(backends, &OF_NAMED).with("required", vec!["name"]);
    let named = described("Backends besides the main one, the most important first.")
        .with("type", "array")
        .with("items", named);
    let tables = tables.iter().map(|Table { name, options }| {
        let help = format!("The same keys for {name} alone.");
        let table = described(&help).with("type", "object").with("properties", properties(options));
        ((*name).to_owned(), table.with("additionalProperties", false))
    });
    let tables = Json::Object(tables.collect()).with("backends", named);
    whole("confd", "The configuration file of confd", "The file confd.toml.")
        .with("properties", properties(options).and(tables))
        .with("additionalProperties", false)
        .document()
}

/// The keys of the options that have one.
fn properties(options: &[Spec]) -> Json {
    let keys = options.iter().flat_map(|option| {
        let own = option.key.map(|key| (key.to_owned(), property(option)));
        let help = format!("A file that has the value of -{}.", option.name);
        let of_file = option.file_key().map(|key| (key, described(&help).and(text())));
        own.into_iter().chain(of_file)
    });
    Json::Object(keys.collect())
}

/// An option.
fn property(option: &Spec) -> Json {
    let flag = format!("The option -{}: {}.", option.name, option.help);
    let property = described(&flag);
    match option.kind {
        Kind::Switch => property.with("type", "boolean").with("default", false),
        Kind::Number(default) => property.with("type", "integer").with("default", default),
        Kind::List => property.and(texts()),
        Kind::Text(default) => {
            let property = match option.form {
                // An integer is a number of seconds.
                Form::Duration | Form::Unused => property.with("type", vec!["string", "integer"]),
                Form::Any | Form::Factor | Form::Size => property.and(text()),
            };
            let property = property.and(form(option));
            if default.is_empty() { property } else { property.with("default", default) }
        }
    }
}

/// What the text of an option can be. An empty text counts as not given.
fn form(option: &Spec) -> Json {
    let form = match (option.form, option.proposed) {
        (Form::Duration, _) => forms::duration(),
        (Form::Factor, _) => forms::factor(),
        (Form::Size, _) => forms::size(),
        // Other words can be valid too, so these are only proposed.
        (Form::Any, Proposed::Words(words)) => {
            return object([(
                "anyOf",
                vec![object([("enum", words.to_vec().into())]), text()].into(),
            )]);
        }
        (Form::Any | Form::Unused, _) => return object([]),
    };
    let nothing = object([("maxLength", 0.into())]);
    object([("anyOf", vec![form, nothing].into())])
}
