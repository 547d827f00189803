//! Guards: what must hold before the file of a resource is replaced. They protect it from a store that
//! gives too little for a while.

use store::{Key, Prefix};

use crate::{
    document::Section,
    keys::{self, Kind, Read, ResourceTable, Spec, Word, wrong},
    resource::{Reason, quoted},
};

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
    pub(crate) fn read(table: &ResourceTable<'_, '_>) -> Result<Option<Box<Guards>>, Reason> {
        let required_keys = table.get(&keys::REQUIRED_KEYS)?.unwrap_or_default();
        let guards = Guards {
            required_keys: required_keys
                .iter()
                .map(|key| Prefix::new(b"").join(key.as_bytes()))
                .collect(),
            min_keys: table.get(&keys::MIN_KEYS)?,
            max_shrink: table.get(&keys::MAX_SHRINK)?,
            min_bytes: table.get(&keys::MIN_BYTES)?,
            output_format: table.get(&keys::OUTPUT_FORMAT)?,
        };
        Ok((guards != Guards::default()).then(|| Box::new(guards)))
    }
}

impl Word for OutputFormat {
    const ALL: &'static [(&'static str, Self)] = &[
        ("json", Self::Json),
        ("yaml", Self::Yaml),
        ("toml", Self::Toml),
        ("xml", Self::Xml),
        ("ini", Self::Ini),
    ];
}

/// By how much something may shrink, in per cent.
pub(crate) struct Percentage;

impl Read for Percentage {
    const KIND: Kind = Kind::Percentage;
    type Value<'d> = u64;

    fn read<'d>(key: &Spec, section: &Section<'d, '_>) -> Result<Option<u64>, Reason> {
        let (name, Some(text)) = (key.name, section.string(key.name)?) else { return Ok(None) };
        let number = text.strip_suffix('%').and_then(|digits| digits.trim_end().parse().ok());
        let number = number.filter(|number| *number <= 100);
        number.map(Some).ok_or_else(|| {
            let text = format!("{name} {} is not a number from 0 to 100 with %", quoted(text));
            wrong(key, section, text)
                .hinting(Some(format!("by how much the file may shrink: {name} = \"50%\"")))
        })
    }
}
