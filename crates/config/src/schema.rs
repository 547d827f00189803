//! JSON Schemas of the files that people write: editors mark mistakes by them and show what each key is for.
//!
//! They are made of the descriptions by which confd reads the files. A file is valid by its schema if confd
//! reads it without a warning, as far as a schema can see it: a schema knows neither the users of the machine
//! nor the syntax of templates and regular expressions. So a key that confd does not know, which is only a
//! warning, is a mistake by the schema. A key in capital letters is too, although confd reads it, because a
//! schema compares names letter by letter. The keys that only files of the live fork have are not in a schema.

mod forms;
mod json;
mod options;
mod resources;

use self::json::{Json, object};

pub use self::{options::confd_toml, resources::resource_files};

/// The beginning of the schema `name`.
fn whole(name: &str, title: &str, help: &str) -> Json {
    object([
        ("$schema", "https://json-schema.org/draft/2020-12/schema".into()),
        ("$id", format!("urn:confd:schema:{name}").into()),
        ("title", title.into()),
        ("description", help.into()),
        ("type", "object".into()),
    ])
}

/// What is said about a value.
fn described(help: &str) -> Json {
    object([("description", help.into())])
}

/// Any text.
fn text() -> Json {
    object([("type", "string".into())])
}

/// Any list of texts.
fn texts() -> Json {
    object([("type", "array".into()), ("items", text())])
}

#[cfg(test)]
pub(crate) mod tests;
