//! Reads `confd.toml`. Tables of options describe its keys.

use std::{ffi::OsString, fs, io, path::Path};

use options::{Form, Kind, Layer, Spec, Value, of_secret_file};
use report::{Excerpt, did_you_mean_spelled, file_error_text, read_regular};

use crate::{
    backends::{FindKind, NamedBackend, unread},
    conventions::Dialect,
    document::{self, Document, Section, Unknown},
    environment::Environment,
    expand,
    problem::Problem,
    resource::{Reason, Warning, quoted},
};

/// What `confd.toml` says.
#[derive(Debug, Default)]
pub struct ConfdToml {
    /// The values that the file gives.
    pub values: Layer,
    /// The values that the tables of the file give, by the names of the tables.
    pub tables: Vec<(&'static str, Layer)>,
    /// Its `[[backends]]`, in their order.
    pub backends: Vec<NamedBackend>,
    /// Whether one of these tables has a key that none of its options has.
    pub has_unknown_in_tables: bool,
    /// Probable mistakes. The texts repeat no line of the file, because a line can hold a
    /// password.
    pub warnings: Vec<Problem>,
}

/// A table that `confd.toml` can have, such as `[consul]`.
#[derive(Debug)]
pub struct Table {
    /// The name.
    pub name: &'static str,
    /// The options that can be set in it.
    pub options: Vec<Spec>,
}

/// What `confd.toml` can say.
#[derive(Debug, Clone, Copy)]
pub struct Definitions<'a> {
    /// The options of the whole file.
    pub options: &'a [Spec],
    /// Its tables.
    pub tables: &'a [Table],
    /// Finds the options of `[[backends]]`.
    pub kinds: FindKind,
    /// Whose keys it has.
    pub dialect: Dialect,
    /// Whether backends are asked. If not, what they need may be missing: variables and files of secrets.
    pub are_asked: bool,
}

/// How a table of options is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// Whose keys it has.
    pub(crate) dialect: Dialect,
    /// The unit of a duration that is an integer.
    pub(crate) unit: &'static str,
    /// Whether backends are asked.
    pub(crate) are_asked: bool,
    /// Whether all variables are set that the table names.
    pub(crate) is_whole: bool,
}

/// Reads the file `path` by these `definitions`. A file that does not exist gives no values.
/// `environment` has the variables that `[[backends]]` use.
///
/// # Errors
/// The file cannot be read, is not TOML, or has a value whose type is not that of its option. One of
/// `[[backends]]` has no name or the name of one before it, or is of a kind that does not exist.
pub fn read(
    path: &Path,
    definitions: Definitions<'_>,
    environment: &Environment,
) -> Result<ConfdToml, Problem> {
    let Definitions { options, tables, kinds, dialect, are_asked } = definitions;
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ConfdToml::default()),
        Err(error) => {
            let folder = error.kind() == io::ErrorKind::IsADirectory;
            let operation = if folder { "read" } else { "open" };
            return Err(file_error_text(operation, path, &error).into());
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        format!("{}: not a TOML file, which has to be UTF-8: {error}", path.display())
    })?;
    let malformed = |error| malformed(path, text, &error);
    let mut read = ConfdToml::default();
    let mut document = Document::parse(text).map_err(malformed)?;
    let not_valid = |reason| not_valid(path, text, reason);
    let are_whole = expand::expand(&mut document, "backends", environment, !are_asked);
    let mut are_whole = are_whole.map_err(not_valid)?.into_iter();
    let root = document.root();
    let reading = Reading { dialect, unit: SECONDS, are_asked, is_whole: true };
    read.values = layer(&root, options, reading).map_err(malformed)?.0;
    let of_file = options;
    for Table { name, options } in tables {
        let Some(section) = root.section(name).map_err(malformed)? else { continue };
        read.tables.push((name, layer(&section, options, reading).map_err(malformed)?.0));
        let unknown = section.unknown().into_iter().map(|Unknown { key, line, .. }| {
            let hint = hint_in_table(key, options, of_file);
            let key = gotmpl::quote(key.as_bytes());
            format!("{}:{line}: unknown key {key} in [{name}]{hint}", path.display()).into()
        });
        let known = read.warnings.len();
        read.warnings.extend(unknown);
        read.has_unknown_in_tables |= read.warnings.len() > known;
    }
    let start = root.offset("backends");
    for table in root.sections("backends").map_err(malformed)?.unwrap_or_default() {
        let reading = Reading { is_whole: are_whole.next().unwrap_or(true), ..reading };
        let backend = NamedBackend::read(&table, start, kinds, reading, &read.backends);
        let (backend, kind) = backend.map_err(not_valid)?;
        let place = format!("the backend {}", quoted(&backend.name));
        let unread = unread(&table, &kind, of_file, &place).into_iter();
        read.warnings.extend(unread.map(|Warning { text: warning, offset }| {
            let line = document::line_of(text, offset);
            format!("{}:{line}: {warning}", path.display()).into()
        }));
        read.backends.push(backend);
    }
    if root.line("template").is_some() {
        read.warnings.push(
            format!(
                "{} is a template resource, not a configuration file: it sets nothing here, and \
                 resources are taken from -confdir",
                path.display()
            )
            .into(),
        );
        return Ok(read);
    }
    let unknown = root.unknown().into_iter().map(|Unknown { key, line, is_table, .. }| {
        let hint = match is_table {
            true => format!(": confd.toml has no such table, its keys stand there without [{key}]"),
            false => near_keys(key, options).map_or(String::new(), |hint| format!(", {hint}")),
        };
        let key = gotmpl::quote(key.as_bytes());
        format!("{}:{line}: unknown key {key}{hint}", path.display()).into()
    });
    read.warnings.extend(unknown);
    Ok(read)
}

/// The unit of a duration that is an integer: none, which means seconds.
const SECONDS: &str = "";

/// What is wrong with the file. Neither the excerpt nor the hint shows a value, because a value can be
/// a password.
fn malformed(path: &Path, text: &str, error: &document::Error) -> Problem {
    let excerpt = Excerpt::default()
        .within(path, document::line_of(text, error.offset()))
        .hinting(error.hint_without_value());
    Problem { text: error.to_string(), excerpt }
}

/// What one of `[[backends]]` has wrong. No value is shown.
fn not_valid(path: &Path, text: &str, reason: Reason) -> Problem {
    let Reason { text: reason, offset, hint_without_value, .. } = reason;
    let line = document::line_of(text, offset.unwrap_or_default());
    let excerpt = Excerpt::default().within(path, line).hinting(hint_without_value);
    Problem { text: format!("{}:{line}: {reason}", path.display()), excerpt }
}

/// The values that a section gives, and whether all files of secrets could be read.
///
/// # Errors
/// A value has another type than its option. A secret is given twice, or its file cannot be read although
/// backends are asked.
pub(crate) fn layer(
    section: &Section<'_, '_>,
    options: &[Spec],
    reading: Reading,
) -> Result<(Layer, bool), document::Error> {
    let Reading { dialect, unit, are_asked, .. } = reading;
    let (mut layer, mut has_all) = (Layer::of_file(), true);
    for option in options {
        let of_fork = option.fork_key.filter(|_| dialect == Dialect::Fork);
        for key in [of_fork, option.key].into_iter().flatten() {
            if let Some(value) = value(section, key, option, unit)? {
                layer.set_new(option, value);
            }
        }
        if let Some(key) = option.file_key()
            && let Some(path) = section.string(&key)?.filter(|path| !path.is_empty())
        {
            if layer.has(option.name) {
                let other = option.key.unwrap_or_default();
                let why = format!("{key} and {other} are both set: only one can count");
                return Err(section.refused(&key, &why));
            }
            match read_regular(Path::new(path)) {
                Ok(content) => layer.set_new(option, Value::Text(of_secret_file(content))),
                Err(_) if !are_asked => has_all = false,
                Err(error) => {
                    let why = file_error_text("open", Path::new(path), &error);
                    return Err(section.refused(&key, &why));
                }
            }
        }
    }
    Ok((layer, has_all))
}

fn value(
    root: &Section<'_, '_>,
    key: &str,
    option: &Spec,
    unit: &str,
) -> Result<Option<Value>, document::Error> {
    Ok(match option.kind {
        Kind::Text(_)
            if matches!(option.form, Form::Duration | Form::Unused) && root.is_integer(key) =>
        {
            root.integer(key)?.map(|number| Value::Text(format!("{number}{unit}").into()))
        }
        Kind::Switch => root.boolean(key)?.map(Value::Switch),
        Kind::Number(_) => root.integer(key)?.map(Value::Number),
        Kind::Text(_) => root.string(key)?.map(|text| Value::Text(text.into())),
        Kind::List => root
            .strings(key)?
            .map(|list| Value::List(list.into_iter().map(OsString::from).collect())),
    })
}

/// Words that people write for a key of a table although their letters are far from it, each with the
/// key.
const SPELLINGS: [(&str, &str); 6] = [
    ("address", "nodes"),
    ("addr", "nodes"),
    ("host", "nodes"),
    ("url", "nodes"),
    ("token", "auth_token"),
    ("acltoken", "auth_token"),
];

/// The hint for the unknown key `key` of a table, whose options are `options`. `of_file` are the options
/// that stand above all tables.
pub(crate) fn hint_in_table(key: &str, options: &[Spec], of_file: &[Spec]) -> String {
    let folded = key.to_lowercase().replace(['-', '_'], "");
    let is_key = |option: &Spec| option.key.is_some_and(|known| known.eq_ignore_ascii_case(key));
    if let Some((_, meant)) = SPELLINGS.iter().find(|(spelling, _)| *spelling == folded) {
        format!(", did you mean \"{meant}\"?")
    } else if of_file.iter().any(is_key) {
        ": it is a key of the whole file, and stands above all tables".to_owned()
    } else {
        near_keys(key, options).map_or(String::new(), |hint| format!(", {hint}"))
    }
}

/// The keys of confd.toml that the unknown key `key` probably means. The name of a flag counts as a
/// spelling of its key; `-` and `_` are equal.
fn near_keys(key: &str, options: &[Spec]) -> Option<String> {
    let folded = |text: &str| text.replace(['-', '_'], "");
    let keys = options.iter().filter_map(|option| Some((option.name, option.key?)));
    let known = keys.flat_map(|(flag, key)| [(folded(flag), key), (folded(key), key)]);
    did_you_mean_spelled(&folded(key), known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use options::{Given, Opt};

    options::options! {
        /// The options of the tests.
        const OPTIONS;
        const NOOP: Opt<bool> = switch("noop", "change nothing").key("noop");
        const LOG_LEVEL: Opt<String> = text("log-level", "", "level").key("log-level");
        const INTERVAL: Opt<i64> = number("interval", 600, "seconds").key("interval");
        const NODE: Opt<Vec<OsString>> = list("node", "node").key("nodes");
    }

    fn definitions(tables: &[Table]) -> Definitions<'_> {
        let kinds = |_: &str| Err(String::new());
        Definitions { options: OPTIONS, tables, kinds, dialect: Dialect::Confd, are_asked: true }
    }

    fn read_text(text: &str) -> Result<(Given, Vec<String>), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confd.toml");
        fs::write(&path, text).unwrap();
        let read =
            read(&path, definitions(&[]), &Environment::empty()).map_err(|problem| problem.text)?;
        let without_folder = |problem: Problem| {
            assert!(problem.excerpt.is_empty());
            problem.text.replace(&format!("{}/", folder.path().display()), "")
        };
        let warnings = read.warnings.into_iter().map(without_folder).collect();
        Ok((Given::new(vec![read.values]), warnings))
    }

    fn get<T: options::Read>(given: &Given, option: &Opt<T>) -> T {
        given.get(option).unwrap()
    }

    #[test]
    fn each_key_sets_its_option() {
        let text = "NoOp = true\nlog-level = 'debug'\ninterval = 7\nnodes = ['a', 'b']\n";
        let (given, warnings) = read_text(text).unwrap();
        assert!(get(&given, &NOOP));
        assert_eq!(get(&given, &LOG_LEVEL), "debug");
        assert_eq!(get(&given, &INTERVAL), 7);
        assert_eq!(get(&given, &NODE), ["a", "b"]);
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn an_unknown_key_is_reported_with_its_line_and_the_nearest_known_key() {
        let (_, warnings) = read_text("noop = true\nlog_level = 'debug'\nzzz = 1\n").unwrap();
        assert_eq!(
            warnings,
            [
                "confd.toml:2: unknown key \"log_level\", did you mean \"log-level\"?",
                "confd.toml:3: unknown key \"zzz\""
            ]
        );
    }

    #[test]
    fn a_table_sets_options_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confd.toml");
        fs::write(&path, "nodes = ['a']\n[consul]\nnodes = ['b', 'c']\nnode = 1\n").unwrap();
        let tables = [Table { name: "consul", options: OPTIONS.to_vec() }];
        let read = read(&path, definitions(&tables), &Environment::empty()).unwrap();
        let (name, layer) = read.tables[0].clone();
        assert_eq!(
            (name, get(&Given::new(vec![layer]), &NODE)),
            ("consul", vec!["b".into(), "c".into()])
        );
        assert_eq!(get(&Given::new(vec![read.values]), &NODE), ["a"]);
        let [warning] = &read.warnings[..] else { panic!("{:?}", read.warnings) };
        let text = ":4: unknown key \"node\" in [consul], did you mean \"nodes\"?";
        assert!(warning.text.ends_with(text), "{}", warning.text);
    }

    #[test]
    fn an_unknown_key_of_a_table_has_a_hint() {
        let hint = |key: &str| hint_in_table(key, &OPTIONS[3..], OPTIONS);
        assert_eq!(hint("address"), ", did you mean \"nodes\"?");
        assert_eq!(hint("ACL_Token"), ", did you mean \"auth_token\"?");
        assert_eq!(hint("noop"), ": it is a key of the whole file, and stands above all tables");
        assert_eq!(hint("zzz"), "");
    }

    #[test]
    fn a_resource_as_configuration_file_is_reported_once() {
        let (_, warnings) = read_text("[template]\nsrc = 'a'\n[other]\nx = 1\n").unwrap();
        assert!(matches!(&warnings[..], [line] if line.contains("is a template resource")));
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let error = read_text("interval = '5'\n").unwrap_err();
        let start = "toml: line 1 (last key \"interval\"): incompatible types";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn a_missing_file_sets_nothing_and_a_folder_is_an_error() {
        let read = |path: &str| {
            read(Path::new(path), definitions(&[]), &Environment::empty())
                .map(|read| read.values)
                .map_err(|problem| problem.text)
        };
        assert_eq!(read("/nonexistent/confd.toml"), Ok(Layer::default()));
        assert_eq!(read("/tmp"), Err("read /tmp: is a directory".into()));
        assert_eq!(read("/dev/null/x"), Err("open /dev/null/x: not a directory".into()));
    }
}
