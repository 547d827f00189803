//! The schemas and confd agree about files.

use serde_json::{Value, json};
use toml::de::{DeTable, DeValue};

use super::*;
use crate::{
    keys::{Kind, TEMPLATE_KEYS},
    resource::tests::loaded,
};

/// A document that is checked.
pub(crate) struct Checked(Value);

impl From<&str> for Checked {
    fn from(text: &str) -> Self {
        Checked(text.into())
    }
}

impl Checked {
    /// The document of a text in TOML, as editors hand it over. Its keys are in small letters, because the
    /// schema knows no others.
    pub(crate) fn of_toml(text: &str) -> Self {
        let table = DeTable::parse(text).unwrap();
        Checked(of_table(table.get_ref()))
    }
}

fn of_table(table: &DeTable<'_>) -> Value {
    let pair = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, _)| {
        (key.get_ref().to_lowercase(), of_value(value))
    };
    table.iter().map(pair).collect()
}

fn of_value(value: &toml::Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => json!(text),
        DeValue::Integer(number) => {
            json!(i64::from_str_radix(number.as_str(), number.radix()).unwrap())
        }
        DeValue::Float(number) => json!(number.as_str().parse::<f64>().unwrap()),
        DeValue::Boolean(value) => json!(value),
        DeValue::Datetime(time) => json!(time.to_string()),
        DeValue::Array(values) => values.iter().map(of_value).collect(),
        DeValue::Table(table) => of_table(table),
    }
}

/// A schema that checks documents.
pub(crate) struct Validator {
    schemas: boon::Schemas,
    index: boon::SchemaIndex,
}

impl Validator {
    /// Panics if the text is not a schema.
    pub(crate) fn new(schema: &str) -> Self {
        let name = "file:///schema.json";
        let mut compiler = boon::Compiler::new();
        compiler.set_default_draft(boon::Draft::V2020_12);
        compiler.add_resource(name, serde_json::from_str(schema).unwrap()).unwrap();
        let mut schemas = boon::Schemas::new();
        let index = compiler.compile(name, &mut schemas).unwrap_or_else(|why| panic!("{why:#}"));
        Validator { schemas, index }
    }

    pub(crate) fn accepts(&self, Checked(document): &Checked) -> bool {
        self.schemas.validate(document, self.index).is_ok()
    }
}

/// Whether the schema of resource files accepts this text.
pub(crate) fn is_resource(text: &str) -> bool {
    thread_local! {
        static VALIDATOR: Validator = Validator::new(&resource_files(&[]));
    }
    VALIDATOR.with(|validator| validator.accepts(&Checked::of_toml(text)))
}

/// Values of every type and of every form. JSON has no dates, and 5.0 is an integer there, so that schemas
/// cannot refuse them.
const VALUES: &[&str] = &[
    "true",
    "false",
    "0",
    "1",
    "-1",
    "-5",
    "4294967294",
    "4294967295",
    "-2147483649",
    "1.5",
    "''",
    "'x'",
    "'5'",
    "'5s'",
    "'-5s'",
    "'5 apples'",
    "'1.5'",
    "'0.5 '",
    "'50%'",
    "'50'",
    "'101%'",
    "'0644'",
    "'0999'",
    "'rwx'",
    "'644'",
    "'go'",
    "'tera'",
    "'json'",
    "'keep'",
    "'rollback'",
    "'empty'",
    "'${X'",
    "'a${X}'",
    "'$'",
    "[]",
    "['x']",
    "['x', 'y']",
    "['']",
    "['x', '']",
    "[1]",
    "['x', 1]",
    "[true]",
    "[['x']]",
    "{}",
    "{ x = 'x' }",
    "[{ x = 'x' }]",
];

/// What a schema cannot see: that a text is not the name of a user or of a backend, not a pattern of paths, and so on.
fn is_invisible(key: &str, value: &str) -> bool {
    match key {
        "owner" | "group_owner" => value.starts_with('\'') && value != "''",
        "for_each" => value.starts_with('\''),
        "backend" => value.contains('\'') && value != "''",
        "for_each_service" | "ignore_lines" => false,
        // The number counts, and not its form.
        "retry_factor" => value == "'0'",
        "retry_delay" | "retry_max_delay" => value == "'0'",
        _ => false,
    }
}

#[test]
fn confd_and_the_schema_agree_about_every_value_of_every_key() {
    let mut checked = 0;
    for key in TEMPLATE_KEYS {
        for value in VALUES.iter().filter(|value| !is_invisible(key.name, value)) {
            let mut text = format!("[template]\n{} = {value}\n", key.name);
            // What the key belongs to. dest depends on the item of for_each.
            for (name, value) in [
                ("src", "'a'"),
                ("dest", "'/d'"),
                ("reload_cmd", "'x'"),
                ("make_directories", "true"),
            ] {
                if key.name != name {
                    text += &format!("{name} = {value}\n");
                }
            }
            if matches!(key.name, "for_each" | "for_each_service") {
                text = text.replace("/d", "/d/{{.name}}");
            }
            if key.name == "remove_cmd" {
                text = text.replace("/d", "/d/{{.name}}") + "for_each = '/t/*'\n";
            }
            let read = loaded(&text);
            let is_read = read.as_ref().is_ok_and(|resource| resource.warnings.is_empty());
            let why = read.map(|resource| resource.warnings);
            assert_eq!(is_resource(&text), is_read, "{text}{why:?}");
            checked += 1;
        }
    }
    assert!(checked > 2000, "{checked}");
}

#[test]
fn confd_and_the_schema_agree_about_keys_that_belong_together() {
    for (lines, is_valid) in [
        ("", true),
        ("dir_mode = '0755'", false),
        ("dir_mode = '0755'\nmake_directories = false", false),
        ("dir_mode = '0755'\nmake_directories = true", true),
        ("remove_cmd = 'x'", false),
        ("remove_cmd = 'x'\nfor_each = '/t/*'", true),
        ("remove_cmd = 'x'\nfor_each_service = '*'", true),
        ("for_each = '/t/*'\nfor_each_service = '*'", false),
        ("for_each = '/t/*'\nbackup = 1", false),
        ("for_each_service = '*'\nbackup = 1", false),
        ("for_each = '/t/*'\nbackup = 0", true),
        ("health_cmd = 'x'", false),
        ("health_cmd = 'x'\nstart_cmd = 'x'", true),
        ("health_cmd = 'x'\nreload_cmd = 'x'", true),
        ("on_reload_failure = 'rollback'\nreload_cmd = 'x'", true),
        ("on_reload_failure = 'rollback'\nstart_cmd = 'x'", false),
        ("on_reload_failure = 'rollback'", false),
        ("on_reload_failure = 'rollback'\nreload_cmd = ''", false),
        ("mode = '${SITE:-0644}'", false),
        ("expand_env = true\nmode = '${NO:-0644}'", true),
        ("expand_env = false\nmode = '${NO:-0644}'", false),
        ("expand_env = true\nengine = '${NO:-tera}'\ndebounce = '${NO:-1s}'", true),
        ("unknown = 1", false),
    ] {
        let dest = if lines.contains("for_each") { "/{{.name}}" } else { "d" };
        let text = format!("[template]\nsrc='a'\ndest='{dest}'\n{lines}\n");
        let read = loaded(&text).is_ok_and(|resource| resource.warnings.is_empty());
        assert_eq!((is_resource(&text), read), (is_valid, is_valid), "{text}");
    }
}

#[test]
fn a_file_has_one_table_or_several() {
    for (text, is_valid) in [
        ("[template]\nsrc='a'\ndest='d'", true),
        ("[[template]]\nsrc='a'\ndest='d'\n[[template]]\nsrc='a'\ndest='e'", true),
        ("[[template]]\nsrc='a'\n", false),
        ("[template]\nsrc='a'\ndest='d'\n[other]\n", false),
        ("template = []", false),
        ("template = 'x'", false),
        ("src='a'\ndest='d'", false),
        ("", false),
    ] {
        assert_eq!(is_resource(text), is_valid, "{text}");
        let text = text.replace("dest='d'", "dest='d' # dest='d'");
        if !text.contains("src='a'\n") || is_valid {
            let read = loaded(&text).is_ok_and(|resource| resource.warnings.is_empty());
            assert_eq!(read, is_valid, "{text}");
        }
    }
}

#[test]
fn the_schema_has_the_keys_that_confd_reads_and_no_others() {
    let schema: Value = serde_json::from_str(&resource_files(&[])).unwrap();
    let of_schema = schema["$defs"]["template"]["properties"].as_object().unwrap();
    let mut names: Vec<_> = TEMPLATE_KEYS.iter().map(|key| key.name).collect();
    names.sort_unstable();
    let mut of_schema: Vec<_> = of_schema.keys().map(String::as_str).collect();
    of_schema.sort_unstable();
    assert_eq!(of_schema, names);
    for key in TEMPLATE_KEYS {
        let property = &schema["$defs"]["template"]["properties"][key.name];
        assert!(
            property["description"].as_str().is_some_and(|text| text.ends_with('.')),
            "{}",
            key.name
        );
        if let Kind::Word(words) = key.kind {
            assert_eq!(property["anyOf"][0]["enum"], json!(words()));
        }
    }
}
