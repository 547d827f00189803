//! Guards: what must hold before the file of a resource is replaced. They protect it from a store that
//! gives too little for a while.

use store::{Key, Prefix};

use crate::{document::Section, resource::Reason};

/// The guards of a resource. One that is not set always holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Guards {
    /// The keys, without the prefix, of which each must exist or have keys below it.
    pub required_keys: Vec<Key>,
    /// The least number of keys that the resource sees.
    pub min_keys: Option<u64>,
    /// By how much keys and bytes may shrink, in per cent of what was applied last.
    pub max_shrink: Option<u64>,
    /// The least size of the file, in bytes.
    pub min_bytes: Option<u64>,
    /// The format that the file must have.
    pub output_format: Option<OutputFormat>,
}

/// A format whose syntax can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// One JSON document.
    Json,
    /// YAML documents.
    Yaml,
    /// TOML.
    Toml,
    /// A well-formed XML document.
    Xml,
    /// Sections in brackets, and keys with values.
    Ini,
}

impl OutputFormat {
    /// All formats.
    const ALL: [OutputFormat; 5] = [Self::Json, Self::Yaml, Self::Toml, Self::Xml, Self::Ini];

    /// Its name in resource files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Xml => "xml",
            Self::Ini => "ini",
        }
    }
}

impl Guards {
    /// Whether the keys of a pass that was applied are compared with those of later passes.
    pub fn counts_keys(&self) -> bool {
        self.max_shrink.is_some()
    }

    /// The guards in the table of a resource with this prefix; `None` if it sets none.
    pub(crate) fn read(table: &Section<'_, '_>) -> Result<Option<Box<Guards>>, Reason> {
        let required_keys = table.strings("required_keys")?.unwrap_or_default();
        let guards = Guards {
            required_keys: required_keys
                .iter()
                .map(|key| Prefix::new(b"").join(key.as_bytes()))
                .collect(),
            min_keys: count(table, "min_keys")?,
            max_shrink: percent(table, "max_shrink")?,
            min_bytes: count(table, "min_bytes")?,
            output_format: format(table, "output_format")?,
        };
        Ok((guards != Guards::default()).then(|| Box::new(guards)))
    }
}

pub(crate) fn count(table: &Section<'_, '_>, key: &str) -> Result<Option<u64>, Reason> {
    let Some(number) = table.integer(key)? else { return Ok(None) };
    let wrong = || Reason::new(format!("{key} {number} is less than 0"), table.offset(key));
    u64::try_from(number).map(Some).map_err(|_| wrong())
}

fn percent(table: &Section<'_, '_>, key: &str) -> Result<Option<u64>, Reason> {
    let Some(text) = table.string(key)? else { return Ok(None) };
    let number = text.strip_suffix('%').and_then(|digits| digits.trim_end().parse().ok());
    let number = number.filter(|number| *number <= 100);
    number.map(Some).ok_or_else(|| {
        let text = gotmpl::quote(text.as_bytes());
        Reason::new(format!("{key} {text} is not a number from 0 to 100 with %"), table.offset(key))
            .hinting(Some(format!("by how much the file may shrink: {key} = \"50%\"")))
    })
}

fn format(table: &Section<'_, '_>, key: &str) -> Result<Option<OutputFormat>, Reason> {
    let Some(name) = table.string(key)? else { return Ok(None) };
    let found = OutputFormat::ALL.into_iter().find(|format| format.name() == name);
    found.map(Some).ok_or_else(|| {
        let known = OutputFormat::ALL.map(|format| format!("{:?}", format.name())).join(", ");
        let name = gotmpl::quote(name.as_bytes());
        Reason::new(format!("unknown {key} {name}; the known ones are {known}"), table.offset(key))
    })
}
