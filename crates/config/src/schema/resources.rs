//! The schema of resource files.

use std::time::Duration;

use options::Spec;

use super::{
    described, forms,
    json::{Json, object},
    options::{KIND, backend},
    whole,
};
use crate::keys::{self, Kind, Need, Otherwise, TABLES, Table};

/// The JSON Schema of resource files, which can describe a backend by these `options`.
pub fn resource_files(options: &[Spec]) -> String {
    let tables = TABLES.iter().map(|table| (table.name.to_owned(), reference(table))).collect();
    let help = "A backend of this file's own, which all of its resources ask.";
    let backend = described(help).and(backend(options, &[KIND])).with("required", vec![KIND.0]);
    let tables = Json::Object(tables).with("backend", backend);
    let required: Vec<_> =
        TABLES.iter().filter(|table| table.is_required).map(|table| table.name).collect();
    let definitions = TABLES.iter().map(|table| (table.name.to_owned(), of_table(table))).collect();
    whole("resource", "A resource file of confd", "A file of the folder conf.d.")
        .with("properties", tables)
        .with("required", required)
        .with("additionalProperties", false)
        .with("$defs", Json::Object(definitions))
        .document()
}

/// What stands at the name of a table. The keywords for objects say nothing about a list and those for lists
/// nothing about an object, so both stand side by side. So editors name the key that is wrong. Of
/// alternatives, they would only say that no one is right.
fn reference(table: &Table) -> Json {
    let one = object([("$ref", format!("#/$defs/{}", table.name).into())]);
    let types = if table.can_be_several { vec!["object", "array"] } else { vec!["object"] };
    let reference = object([("description", table.help.into()), ("type", types.into())]);
    let reference = reference.with("allOf", vec![one.clone()]);
    match table.can_be_several {
        false => reference,
        true => reference
            .with("minItems", 1)
            .with("items", object([("type", "object".into()), ("allOf", vec![one].into())])),
    }
}

/// A table with its keys.
fn of_table(table: &Table) -> Json {
    let properties = table.keys.iter().map(|key| (key.name.to_owned(), property(key))).collect();
    let required = table.keys.iter().filter(|key| key.is_required).map(|key| key.name);
    let needs = table.needs.iter().map(need);
    let excluded = table.excludes.iter().map(|[one, other]| exclusion(one, other));
    object([("properties", Json::Object(properties))])
        .with("required", required.collect::<Vec<_>>())
        .with("additionalProperties", false)
        .with("allOf", needs.chain(excluded).chain(variables(table)).collect::<Vec<_>>())
}

/// A key.
fn property(key: &keys::Spec) -> Json {
    let mut help = key.help.to_owned();
    if let Otherwise::Said(default) = key.otherwise {
        help += &format!(" Default: {default}.");
    }
    if let Some(words) = key.in_fork {
        help += &format!(" In the live fork: {words}.");
    }
    let default = match key.otherwise {
        Otherwise::Nothing | Otherwise::Said(_) => None,
        Otherwise::Switch(value) => Some(Json::from(value)),
        Otherwise::Number(number) => Some(i64::from(number).into()),
        Otherwise::Time(Duration::ZERO) => Some("0".into()),
        Otherwise::Time(time) => Some(format!("{time:?}").into()),
        Otherwise::Text(text) => Some(text.into()),
    };
    let mut property = described(&help).and(value(key));
    if let Some(default) = default {
        property = property.with("default", default);
    }
    if !key.is_used {
        property = property.with("deprecated", true);
    }
    property
}

/// A value of a key.
fn value(key: &keys::Spec) -> Json {
    let form = match key.kind {
        Kind::Switch => return object([("type", "boolean".into())]),
        Kind::Integer(first, last) => {
            return object([("type", "integer".into())]).and(range(first, last));
        }
        Kind::NameOrNumber => {
            let (Kind::Integer(first, last), types) = (keys::UID.kind, vec!["string", "integer"])
            else {
                return object([]);
            };
            return object([("type", types.into())]).and(range(first, last));
        }
        Kind::Texts => return super::texts(),
        Kind::TextOrTexts => {
            return object([("type", vec!["string", "array"].into())]).with("items", super::text());
        }
        Kind::Command => {
            let program = super::text().with("minLength", 1);
            return object([("type", vec!["string", "array"].into())])
                .with("items", super::text())
                .with("minItems", 1)
                .with("prefixItems", vec![program]);
        }
        Kind::Text if key.is_required => return super::text().with("minLength", 1),
        Kind::Text | Kind::Expression => return super::text(),
        Kind::Word(words) => object([("enum", words().into())]),
        Kind::Duration => forms::duration(),
        Kind::Mode => forms::mode(),
        Kind::Percentage => forms::percentage(),
        Kind::Factor => forms::factor(),
    };
    super::text().with("anyOf", vec![form, variable()])
}

/// Whether the text of a key has a form, so that not every text is one of its values.
fn has_form(key: &keys::Spec) -> bool {
    match key.kind {
        Kind::Word(_) | Kind::Duration | Kind::Mode | Kind::Percentage | Kind::Factor => true,
        Kind::Switch
        | Kind::Integer(..)
        | Kind::NameOrNumber
        | Kind::Texts
        | Kind::TextOrTexts
        | Kind::Command
        | Kind::Text
        | Kind::Expression => false,
    }
}

/// A text in which a variable stands, so that its form is known only when confd reads it.
fn variable() -> Json {
    object([("pattern", r"\$\{".into())])
}

/// Without `expand_env`, a text with a form has no variables.
fn variables(table: &Table) -> Option<Json> {
    let is_asked_for = is_on(&keys::EXPAND_ENV);
    let has_switch = table.keys.iter().any(|key| key.name == keys::EXPAND_ENV.name);
    let without = object([("pattern", "^[^$]*$".into())]);
    let keys = table.keys.iter().filter(|key| has_form(key));
    let keys = keys.map(|key| (key.name.to_owned(), without.clone())).collect();
    let otherwise = object([("properties", Json::Object(keys))]);
    has_switch.then(|| object([("if", is_asked_for), ("else", otherwise)]))
}

/// A key has no effect without one of several others.
fn need(Need { key, of }: &Need) -> Json {
    let one_of: Vec<_> = of
        .iter()
        .map(|other| match other.kind {
            Kind::Switch => is_on(other),
            _ => with_value(other, object([("minLength", 1.into())])),
        })
        .collect();
    object([("if", has(key)), ("then", object([("anyOf", one_of.into())]))])
}

/// Two keys cannot be set together. A number that is 0 counts as not set.
fn exclusion(one: &keys::Spec, other: &keys::Spec) -> Json {
    let refused = match other.kind {
        Kind::Integer(..) => object([("maximum", 0.into())]),
        _ => false.into(),
    };
    let then = object([("properties", object([(other.name, refused)]))]);
    object([("if", has(one)), ("then", then)])
}

/// A table that has this key.
fn has(key: &keys::Spec) -> Json {
    object([("required", vec![key.name].into())])
}

/// A table in which this switch is on.
fn is_on(key: &keys::Spec) -> Json {
    with_value(key, object([("const", true.into())]))
}

/// A table that has this key with such a value.
fn with_value(key: &keys::Spec, value: Json) -> Json {
    has(key).with("properties", object([(key.name, value)]))
}

/// From the first to the last of these, without the limits of the type.
fn range(first: i64, last: i64) -> Json {
    let least = (first != i64::MIN).then(|| ("minimum".to_owned(), first.into()));
    let most = (last != i64::MAX).then(|| ("maximum".to_owned(), last.into()));
    Json::Object(least.into_iter().chain(most).collect())
}
