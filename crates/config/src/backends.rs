//! Backends beside that of the run: `[[backends]]` of confd.toml, the table `[backend]` of a resource
//! file, and the names by which resources mean them.

use std::{fmt, sync::Arc};

use options::{Layer, Spec};
use report::did_you_mean;
use store::Key;

use crate::{
    confd_toml::{Reading, hint_in_table, layer},
    conventions::Dialect,
    document::{Section, Unknown},
    keys::{self, ResourceTable},
    resource::{Reason, Warning, quoted},
};

/// A kind of backend, such as `consul`.
#[derive(Debug)]
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// The options that a table can set.
    pub options: Vec<Spec>,
    /// The options that a table can have without an effect: those of other kinds.
    pub others: Vec<Spec>,
}

/// Finds the kind of backend that has this name.
///
/// The error says why there is none: a text for people.
pub type FindKind = fn(&str) -> Result<Kind, String>;

/// A backend as a table describes it.
#[derive(Debug)]
pub struct Described {
    /// The name of its kind.
    pub kind: &'static str,
    /// What the table sets.
    pub values: Layer,
    /// Whose defaults count.
    pub dialect: Dialect,
    /// Whether nothing is missing that it needs: a variable that is not set, or a file that cannot be read.
    /// Something is missing only if no backend is asked.
    pub is_whole: bool,
}

/// One of `[[backends]]` in confd.toml.
#[derive(Debug)]
pub struct NamedBackend {
    /// The name by which resources mean it.
    pub name: Arc<str>,
    /// The key below which its keys stand in the key space of the run, if it is mounted.
    pub mount: Option<Key>,
    /// What it is.
    pub described: Described,
}

/// The backends that resources can use besides those of the run.
#[derive(Clone, Default)]
pub struct Backends {
    /// The names of all backends of the run.
    pub names: Arc<[Arc<str>]>,
    /// Makes backends of the tables of resource files; `None` if these cannot have any.
    pub tables: Option<Tables>,
}

/// What makes backends of tables.
#[derive(Clone, Copy)]
pub struct Tables {
    /// Finds a kind.
    pub kinds: FindKind,
    /// Whether backends are asked at all.
    pub are_asked: bool,
    /// Notes a backend, and returns the name by which a scope means it. The error is a text for people.
    pub note: fn(Described) -> Result<Arc<str>, String>,
}

impl PartialEq for Backends {
    /// Whether both have the same names. What makes backends of tables is the same for a whole process.
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl fmt::Debug for Backends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backends").field("names", &self.names).finish_non_exhaustive()
    }
}

impl NamedBackend {
    /// Reads one of `[[backends]]`, which begin at `start`. `before` are those above it in the file.
    pub(crate) fn read(
        table: &Section<'_, '_>,
        start: Option<usize>,
        kinds: FindKind,
        reading: Reading,
        before: &[NamedBackend],
    ) -> Result<(Self, Kind), Reason> {
        let name = table.string("name")?.unwrap_or_default();
        let kind = table.string("backend")?.filter(|kind| !kind.is_empty());
        let mount = table.string("mount")?.filter(|mount| !mount.is_empty());
        if name.is_empty() {
            let hint = "name = \"NAME\" is how resources mean the backend".to_owned();
            return Err(Reason::new("one of [[backends]] has no name", start).hinting(Some(hint)));
        }
        if before.iter().any(|other| *other.name == *name) {
            let text = format!("two of [[backends]] have the name {}", quoted(name));
            return Err(Reason::new(text, table.offset("name")));
        }
        if let Some(mount) = mount.filter(|mount| !mount.starts_with('/')) {
            let text = format!("mount {} does not begin with /", quoted(mount));
            return Err(Reason::new(text, table.offset("mount")));
        }
        let place = if kind.is_some() { "backend" } else { "name" };
        let (described, kind) =
            Described::read(kind.unwrap_or(name), place, table, kinds, reading)?;
        Ok((Self { name: name.into(), mount: mount.map(Key::from), described }, kind))
    }
}

impl Described {
    /// Reads the options of the backend of this kind, which stands at `place` of the table.
    fn read(
        kind: &str,
        place: &str,
        table: &Section<'_, '_>,
        kinds: FindKind,
        reading: Reading,
    ) -> Result<(Self, Kind), Reason> {
        let kind = kinds(kind).map_err(|text| Reason::new(text, table.offset(place)))?;
        table.boolean(keys::EXPAND_ENV.name)?;
        let (values, has_all) = layer(table, &kind.options, reading)?;
        let (dialect, is_whole) = (reading.dialect, reading.is_whole && has_all);
        Ok((Self { kind: kind.name, values, dialect, is_whole }, kind))
    }
}

/// What is probably a mistake in the table that describes a backend of this kind, after its keys have been
/// read. `place` is what people call the table, and `of_file` are the options that stand above all tables.
pub(crate) fn unread(
    table: &Section<'_, '_>,
    kind: &Kind,
    of_file: &[Spec],
    place: &str,
) -> Vec<Warning> {
    let keys =
        kind.others.iter().flat_map(|option| [option.key.map(str::to_owned), option.file_key()]);
    let keys = keys.flatten();
    let mut idle: Vec<_> = keys.filter_map(|key| Some((table.offset(&key)?, key))).collect();
    idle.sort_unstable();
    let first = idle.first().map(|(offset, _)| *offset);
    let names: Vec<_> = idle.into_iter().map(|(_, key)| key).collect();
    let idle = first.map(|offset| {
        let (names, have) = (names.join(", "), if names.len() == 1 { "has" } else { "have" });
        let text = format!("in {place}, {names} {have} no effect: its kind is {}", kind.name);
        Warning { text, offset }
    });
    let unknown = table.unknown().into_iter().map(|Unknown { key, offset, .. }| {
        let hint = hint_in_table(key, &kind.options, of_file);
        Warning { text: format!("unknown key {} in {place}{hint}", quoted(key)), offset }
    });
    idle.into_iter().chain(unknown).collect()
}

impl Backends {
    /// The name of the backend that a resource file describes in the table `[backend]`, which begins at
    /// `start`; `None` if the table names no kind. What is probably a mistake in it is added to `warnings`.
    pub(crate) fn described(
        &self,
        table: &Section<'_, '_>,
        start: usize,
        dialect: Dialect,
        is_whole: bool,
        warnings: &mut Vec<Warning>,
    ) -> Result<Option<Arc<str>>, Reason> {
        let Some(Tables { kinds, are_asked, note }) = self.tables else { return Ok(None) };
        let Some(kind) = table.string("backend")?.filter(|kind| !kind.is_empty()) else {
            let text = "[backend] has no effect without backend = \"KIND\", such as \"etcd\"";
            warnings.push(Warning { text: text.to_owned(), offset: start });
            return Ok(None);
        };
        // An integer is a number of nanoseconds in the live fork.
        let unit = if dialect == Dialect::Fork { "ns" } else { "" };
        let reading = Reading { dialect, unit, are_asked, is_whole };
        let (described, kind) = Described::read(kind, "backend", table, kinds, reading)?;
        warnings.extend(unread(table, &kind, &[], "[backend]"));
        note(described).map(Some).map_err(|text| Reason::new(text, table.offset("backend")))
    }

    /// The backends that the table of a resource names, the most important first. Without such a word it
    /// is `own`, the backend that its file describes, or none: those of the run.
    pub(crate) fn of_resource(
        &self,
        table: &ResourceTable<'_, '_>,
        own: Option<&Arc<str>>,
    ) -> Result<Arc<[Arc<str>]>, Reason> {
        let named = table.get(&keys::BACKEND)?.unwrap_or_default();
        let found = named.iter().map(|name| {
            let known = self.names.iter().find(|known| ***known == **name);
            known.cloned().ok_or_else(|| {
                let text = format!("there is no backend {}", quoted(name));
                let hint = did_you_mean(name, self.names.iter().map(|name| &**name));
                let hint = hint.unwrap_or_else(|| match &*self.names {
                    [name] => format!(
                        "the backend of this run is {name}; [[backends]] of confd.toml give names to \
                         more"
                    ),
                    names => format!("the backends of this run are {}", names.join(", ")),
                });
                Reason::new(text, table.offset(&keys::BACKEND)).hinting(Some(hint))
            })
        });
        let found = found.collect::<Result<Vec<_>, _>>()?;
        if !found.is_empty() && own.is_some() {
            let text = "backend names other backends than the table [backend] of the file";
            let hint = "leave out one of both".to_owned();
            return Err(Reason::new(text, table.offset(&keys::BACKEND)).hinting(Some(hint)));
        }
        match (found.is_empty(), own) {
            (true, Some(own)) => Ok([Arc::clone(own)].into()),
            _ => Ok(found.into()),
        }
    }
}
