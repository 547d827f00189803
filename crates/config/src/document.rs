//! A TOML document read the way confd reads one.
//!
//! confd matches a key exactly or, failing that, without regard to case. It requires exact types
//! and ignores unknown keys. [`Document`] keeps those rules in one place, for `confd.toml` and for
//! resource files. It words its errors as confd does. It can also list the keys that the program
//! did not ask for, so that a misspelt key is reported.

use std::{borrow::Cow, cell::Cell, fmt};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::form::{self, Form};

/// A parsed document. Borrow its keys through [`Document::root`].
pub struct Document<'t> {
    text: &'t str,
    root: DeTable<'t>,
}

impl<'t> Document<'t> {
    /// Parses `text`, the whole of a TOML 1.0 file.
    ///
    /// # Errors
    /// The first syntax error in the text, or a key that is defined twice, as `toml: line N: …`.
    pub fn parse(text: &'t str) -> Result<Self, Error> {
        let (root, errors) = DeTable::parse_recoverable(text);
        // The parser checks the grammar of the whole text before it reads strings and numbers, so
        // the first error in its list is not always the first in the text. The first in the text is
        // the cause of the others.
        let errors = errors.into_iter().map(|error| Error::of_syntax(&error, text));
        match errors.min_by_key(Error::offset) {
            None => Ok(Self { text, root: root.into_inner() }),
            Some(first) => Err(first),
        }
    }

    /// Parses what can be parsed of `text`, which need not be TOML.
    pub(crate) fn parse_what_can_be(text: &'t str) -> Self {
        Self { text, root: DeTable::parse_recoverable(text).0.into_inner() }
    }

    /// The table at `name`, or the tables of the array at `name`, to be changed before they are read.
    pub(crate) fn tables_mut(&mut self, name: &str) -> Vec<&mut DeTable<'t>> {
        let named =
            self.root.iter_mut().filter(|(key, _)| key.get_ref().eq_ignore_ascii_case(name));
        let values = named.flat_map(|(_, value)| match value.get_mut() {
            DeValue::Array(elements) => elements.iter_mut().map(Spanned::get_mut).collect(),
            value => vec![value],
        });
        let tables = values.filter_map(|value| match value {
            DeValue::Table(table) => Some(table),
            _ => None,
        });
        tables.collect()
    }

    /// The document's top level.
    pub fn root(&self) -> Section<'_, 't> {
        Section::new(self.text, "", &self.root)
    }
}

/// One table of a document, which remembers the keys it was asked for.
pub struct Section<'d, 't> {
    text: &'t str,
    path: &'static str,
    /// In the order of the table. A table has few keys, and most names that the program asks for
    /// are absent: then each key is compared, which is quicker in a list than in a tree.
    entries: Vec<Entry<'d, 't>>,
}

/// A key of a table, and its value.
struct Entry<'d, 't> {
    key: &'d Key<'t>,
    value: &'d Spanned<DeValue<'t>>,
    is_asked_for: Cell<bool>,
}

impl<'d, 't> Section<'d, 't> {
    fn new(text: &'t str, path: &'static str, table: &'d DeTable<'t>) -> Self {
        let entry = |(key, value)| Entry { key, value, is_asked_for: Cell::new(false) };
        Section { text, path, entries: table.iter().map(entry).collect() }
    }

    /// The string at `name`, or `None` where the key is absent.
    ///
    /// # Errors
    /// The value has another type.
    pub fn string(&self, name: &str) -> Result<Option<&'d str>, Error> {
        self.typed(name, "string", |value| match value {
            DeValue::String(text) => Some(text.as_ref()),
            _ => None,
        })
    }

    /// The integer at `name`, or `None` where the key is absent.
    ///
    /// # Errors
    /// The value has another type (a float such as `5.0` is one) or exceeds 64 bits.
    pub fn integer(&self, name: &str) -> Result<Option<i64>, Error> {
        self.typed(name, "integer", |value| match value {
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        })
    }

    /// The boolean at `name`, or `None` where the key is absent.
    ///
    /// # Errors
    /// The value has another type.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Error> {
        self.typed(name, "boolean", |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }

    /// The array of strings at `name`, or `None` where the key is absent.
    ///
    /// # Errors
    /// The value is no array, or one of its elements no string.
    pub fn strings(&self, name: &str) -> Result<Option<Vec<&'d str>>, Error> {
        let Some(elements) = self.typed(name, "slice", |value| match value {
            DeValue::Array(elements) => Some(elements),
            _ => None,
        })?
        else {
            return Ok(None);
        };
        let strings = elements.iter().map(|element| match element.get_ref() {
            DeValue::String(text) => Ok(text.as_ref()),
            other => {
                let error = self.mismatch(name, element.span().start, element, "string");
                Err(Error { form: form::of_type(name, "slice", other), ..error })
            }
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// Whether the value at `name` is an array.
    pub fn is_array(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::Array(_)))
    }

    /// Whether the value at `name` is an integer.
    pub(crate) fn is_integer(&self, name: &str) -> bool {
        self.find(name).is_some_and(|(_, value)| matches!(value.get_ref(), DeValue::Integer(_)))
    }

    /// Whether the value at `name` is a table.
    pub(crate) fn is_table(&self, name: &str) -> bool {
        let mut named = self.entries.iter().filter(|entry| entry.key.get_ref() == name);
        named.any(|entry| matches!(entry.value.get_ref(), DeValue::Table(_)))
    }

    /// The table at `name`, or `None` where the key is absent.
    ///
    /// # Errors
    /// The value is no table, or an array of tables.
    pub fn section(&self, name: &'static str) -> Result<Option<Section<'d, 't>>, Error> {
        let Some((key, value)) = self.find(name) else { return Ok(None) };
        match value.get_ref() {
            DeValue::Table(table) => Ok(Some(Section::new(self.text, name, table))),
            other => {
                let text = format!(
                    "toml: line {} (last key \"{name}\"): type mismatch for {name}: expected table but found {}",
                    line_of(self.text, key.span().start),
                    type_word(other),
                );
                Err(Error { text, offset: key.span().start, form: None })
            }
        }
    }

    /// The table at `name`, or the tables of the array there; `None` where the key is absent.
    ///
    /// # Errors
    /// The value is neither a table nor an array of at least one table.
    pub fn sections(&self, name: &'static str) -> Result<Option<Vec<Section<'d, 't>>>, Error> {
        let Some((_, value)) = self.find(name) else { return Ok(None) };
        if let DeValue::Array(elements) = value.get_ref()
            && let tables = elements.iter().map(|element| match element.get_ref() {
                DeValue::Table(table) => Some(Section::new(self.text, name, table)),
                _ => None,
            })
            && let Some(tables) = tables.collect::<Option<Vec<_>>>()
            && !tables.is_empty()
        {
            return Ok(Some(tables));
        }
        Ok(self.section(name)?.map(|table| vec![table]))
    }

    /// The 1-based line on which `name` stands, or `None` where the key is absent.
    pub fn line(&self, name: &str) -> Option<usize> {
        self.find(name).map(|(key, _)| line_of(self.text, key.span().start))
    }

    /// Where in the text the value of `name` begins, in bytes, or `None` where the key is absent.
    pub fn offset(&self, name: &str) -> Option<usize> {
        self.find(name).map(|(_, value)| value.span().start)
    }

    /// The error that the value of `name` cannot be used, for this reason.
    pub(crate) fn refused(&self, name: &str, why: &str) -> Error {
        let offset = self.offset(name).unwrap_or_default();
        let line = line_of(self.text, offset);
        let text = format!("toml: line {line} (last key \"{}\"): {why}", self.whole_name(name));
        Error { text, offset, form: None }
    }

    /// The name of a key with that of its table.
    fn whole_name(&self, name: &str) -> String {
        let dot = if self.path.is_empty() { "" } else { "." };
        format!("{}{dot}{name}", self.path)
    }

    /// The keys that no call on this section has asked for, in the order of the file.
    pub fn unknown(&self) -> Vec<Unknown<'d>> {
        let entries = self.entries.iter().filter(|entry| !entry.is_asked_for.get());
        let mut unknown: Vec<Unknown<'d>> = entries
            .map(|&Entry { key, value, .. }| {
                let offset = key.span().start;
                let is_table = matches!(value.get_ref(), DeValue::Table(_));
                Unknown { key: key.get_ref(), line: line_of(self.text, offset), offset, is_table }
            })
            .collect();
        unknown.sort_by_key(|unknown| unknown.offset);
        unknown
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&'d DeValue<'t>) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let Some((key, value)) = self.find(name) else { return Ok(None) };
        let at = key.span().start;
        read(value.get_ref()).map(Some).ok_or_else(|| self.mismatch(name, at, value, wanted))
    }

    /// The key that is spelt exactly like `name`, or else the first that differs only in case.
    fn find(&self, name: &str) -> Option<(&'d Key<'t>, &'d Spanned<DeValue<'t>>)> {
        let mut same_but_for_case =
            self.entries.iter().filter(|entry| entry.key.get_ref().eq_ignore_ascii_case(name));
        let first = same_but_for_case.next()?;
        let is_exact = |entry: &&Entry<'d, 't>| entry.key.get_ref() == name;
        let found = match is_exact(&first) {
            true => first,
            false => same_but_for_case.find(is_exact).unwrap_or(first),
        };
        found.is_asked_for.set(true);
        Some((found.key, found.value))
    }

    /// The error that `name` has the value `found`, whose type is not `wanted`. Its text names the
    /// line of the byte `named`, as Go confd does. Its offset is that of `found`.
    fn mismatch(
        &self,
        name: &str,
        named: usize,
        found: &Spanned<DeValue<'_>>,
        wanted: &str,
    ) -> Error {
        let text = format!(
            "toml: line {} (last key \"{}\"): incompatible types: TOML value has type {}; \
             destination has type {wanted}",
            line_of(self.text, named),
            self.whole_name(name),
            type_word(found.get_ref()),
        );
        let form = form::of_type(name, wanted, found.get_ref());
        Error { text, offset: found.span().start, form }
    }
}

/// A key as it stands in a document.
type Key<'t> = Spanned<Cow<'t, str>>;

/// A key that the program does not know, since no call has asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'d> {
    /// The key.
    pub key: &'d str,
    /// The line on which it stands, counted from 1.
    pub line: usize,
    /// Where it begins, in bytes from the beginning of the text.
    pub offset: usize,
    /// Whether it is the name of a table.
    pub is_table: bool,
}

/// Why a document cannot be read: one line, in the words of confd's TOML library.
#[derive(Debug)]
pub struct Error {
    text: String,
    offset: usize,
    form: Option<Form>,
}

impl Error {
    /// The error for what the TOML parser says about `text`.
    fn of_syntax(error: &toml::de::Error, text: &str) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let line = line_of(text, offset);
        let message = error.message().trim_end().replace('\n', "; ");
        let form = form::of_syntax(text, offset);
        Self { text: format!("toml: line {line}: {message}"), offset, form }
    }

    /// Where in the text the error is, in bytes from its beginning.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// How it is written, if that is known. Can show a value of the document.
    pub fn hint(&self) -> Option<String> {
        self.form.as_ref().map(Form::hint)
    }

    /// How it is written, if that is known, without values of the document.
    pub fn hint_without_value(&self) -> Option<String> {
        self.form.as_ref().map(Form::without_value)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// What Go calls a TOML value's type.
fn type_word(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "int64",
        DeValue::Float(_) => "float64",
        DeValue::Boolean(_) => "bool",
        DeValue::Datetime(_) => "time.Time",
        DeValue::Array(elements) => {
            let tables = !elements.is_empty() && elements.iter().all(|e| e.get_ref().is_table());
            if tables { "[]map[string]interface {}" } else { "[]interface {}" }
        }
        DeValue::Table(_) => "map[string]interface {}",
    }
}

/// The line, counted from 1, of the byte at `offset`.
pub(crate) fn line_of(text: impl AsRef<[u8]>, offset: usize) -> usize {
    1 + text.as_ref().iter().take(offset).filter(|&&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_exactly_or_else_without_case() {
        let document = Document::parse("Backend = 'file'\nbackend = 'env'\nNODES = ['a']").unwrap();
        let root = document.root();
        assert_eq!(root.string("backend").unwrap(), Some("env"));
        assert_eq!(root.strings("nodes").unwrap(), Some(vec!["a"]));
        assert_eq!(root.string("prefix").unwrap(), None);
    }

    #[test]
    fn dashes_and_underscores_are_not_the_same() {
        let document = Document::parse("log_level = 'debug'").unwrap();
        let root = document.root();
        assert_eq!(root.string("log-level").unwrap(), None);
        assert_eq!(
            root.unknown(),
            [Unknown { key: "log_level", line: 1, offset: 0, is_table: false }]
        );
    }

    #[test]
    fn a_wrong_type_is_reported_with_line_and_key() {
        let document = Document::parse(
            "a = 1\ninterval = '5'\nnodes = 'a'\n[template]\nuid = 'x'\nkeys = ['a', 2]\n",
        )
        .unwrap();
        let root = document.root();
        let text = |error: Error| error.to_string();
        assert_eq!(
            text(root.integer("interval").unwrap_err()),
            "toml: line 2 (last key \"interval\"): incompatible types: TOML value has type string; destination has type integer"
        );
        assert_eq!(
            text(root.strings("nodes").unwrap_err()),
            "toml: line 3 (last key \"nodes\"): incompatible types: TOML value has type string; destination has type slice"
        );
        let template = root.section("template").unwrap().unwrap();
        assert_eq!(
            text(template.integer("uid").unwrap_err()),
            "toml: line 5 (last key \"template.uid\"): incompatible types: TOML value has type string; destination has type integer"
        );
        assert_eq!(
            text(template.strings("keys").unwrap_err()),
            "toml: line 6 (last key \"template.keys\"): incompatible types: TOML value has type int64; destination has type string"
        );
    }

    #[test]
    fn a_float_is_no_integer() {
        let document = Document::parse("interval = 5.0").unwrap();
        assert!(document.root().integer("interval").unwrap_err().to_string().contains("float64"));
    }

    #[test]
    fn an_array_of_tables_is_no_table() {
        let document = Document::parse("[[template]]\nsrc = 'a'").unwrap();
        let error = document.root().section("template").err().unwrap().to_string();
        assert!(error.contains("expected table but found []map[string]interface {}"), "{error}");
    }

    #[test]
    fn syntax_errors_and_duplicates_name_their_line() {
        for (text, start) in [
            ("a = 1\nmode = 0644\n", "toml: line 2: "),
            ("a = 1\n\na = 2\n", "toml: line 3: "),
            ("[template]\na = 1\n[template]\n", "toml: line 3: "),
        ] {
            let error = Document::parse(text).err().unwrap().to_string();
            assert!(error.starts_with(start) && !error.contains('\n'), "{error}");
        }
    }

    /// The lines are those that Go confd names for the same documents.
    #[test]
    fn the_first_of_several_syntax_errors_is_reported() {
        for (broken, line) in [
            // A string that is broken over two lines: the second line is no TOML either.
            ("a = 1\ndest = \".\n\"\nb = 2\n", 2),
            ("a = 1\ndest = '.\n'\nb = 2\n", 2),
            ("a = 1\ndest = \".\n\nkeys = [\n  '/x',\n", 2),
            ("keys = [\n  '/x\n',\n  '/y'\n]\n", 2),
            ("keys = [\n  '/x',\n  /y',\n]\nb = '\n", 3),
            ("a = \"\\q\"\nb\n= 1\n", 1),
            ("a = \"x\u{1}y\"\nb = [1 2]\n", 1),
            ("a = 0644\nb = = 1\n", 1),
            ("a = 1\na = 2\nb = 'x\n", 2),
            ("[a]\nx = 1\n[a]\ny\n", 3),
        ] {
            let error = Document::parse(broken).err().unwrap();
            let text = error.to_string();
            assert!(text.starts_with(&format!("toml: line {line}: ")), "{broken:?}: {text}");
            assert_eq!(line_of(broken, error.offset()), line, "{broken:?}");
        }
    }

    /// Go confd counts an unexpected line break to the line behind it. For a file that ends too
    /// early, it names the line before the last.
    #[test]
    fn a_line_or_a_file_that_ends_too_early_is_reported_with_its_own_line() {
        for (broken, line) in [
            ("a = 1\nb = 'x", 2),
            ("a = 1\nb", 2),
            ("a = 1\nb\n", 2),
            ("a = 1\nb =\n", 2),
            ("a = 1\nb = [", 2),
            ("a = 1\nb = \"\"\"x", 2),
            ("a = 1\n[b", 2),
            ("a = 1\n[b\nc = 1\n", 2),
            ("a = 1\nb\n= 1\n", 2),
            ("a = 1\nb =\n1\n", 2),
        ] {
            let text = Document::parse(broken).err().unwrap().to_string();
            assert!(text.starts_with(&format!("toml: line {line}: ")), "{broken:?}: {text}");
        }
    }

    /// Go confd takes the last definition if one of the two is an array.
    #[test]
    fn a_key_that_is_defined_twice_is_an_error_also_if_it_is_an_array() {
        for (text, line) in [
            ("keys = ['/a']\nkeys = ['/b']\n", 2),
            ("keys = ['/a']\nuid = 1\nkeys = '/b'\n", 3),
            ("uid = 1\nuid = 2\n", 2),
        ] {
            let error = Document::parse(text).err().unwrap().to_string();
            assert_eq!(error, format!("toml: line {line}: duplicate key"), "{text:?}");
        }
    }

    #[test]
    fn toml_1_1_is_read() {
        let text = "a = \"\\e\\x41\"\nt = {\n  b = 1,\n}\n";
        let document = Document::parse(text).unwrap();
        assert_eq!(document.root().string("a").unwrap(), Some("\u{1b}A"));
        let table = document.root().section("t").unwrap().unwrap();
        assert_eq!(table.integer("b").unwrap(), Some(1));
    }
}
