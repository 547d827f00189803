//! Reads one file of `conf.d` into its resources.
//!
//! A file has one table `[template]`, or several tables `[[template]]`, which are a group.

use std::path::Path;

use report::{Excerpt, Place, read_regular};

use crate::{
    conventions::Conventions,
    document::{self, Document, Unknown},
    expand, hint,
    keys::{self, Kind, Need, ResourceTable, TEMPLATE},
    permissions,
    problem::Problem,
    resource::{Confdir, Reason, Resource, Warning, quoted, refused, unreadable},
};

/// Why a resource file is invalid.
pub(crate) struct Invalid {
    pub(crate) problem: Problem,
    /// The group that it names, as far as that can be read.
    pub(crate) group: Option<String>,
}

/// How a file begins the table of a backend of its own.
const BACKEND: &[u8] = b"[backend]";

/// Reads the resource file `path`, one of `confdir`. It has at least one resource.
///
/// # Errors
/// The file cannot be read, is not TOML, has a key of a wrong type, no `src` or `dest`, a `mode` that is
/// not a number, an owner that is out of range or unknown, an unknown `engine`, a malformed
/// template in a key that can have actions, or tables of two groups.
pub(crate) fn load(path: &Path, confdir: &Confdir<'_>) -> Result<Vec<Resource>, Invalid> {
    let source = read_regular(path)
        .map_err(|error| Invalid { problem: unreadable(path, "open", &error), group: None })?;
    let place = |offset| Place::at_offset(path, &source, offset);
    // A line of the table can have a password.
    let describes_backend = source.windows(BACKEND.len()).any(|text| text == BACKEND);
    let excerpt = |offset| match describes_backend {
        true => Excerpt::default().within(path, document::line_of(&source, offset)),
        false => Excerpt::of(place(offset)),
    };
    let read = parse(path, &source, confdir).map_err(|reason| {
        let Reason { text, offset, hint, hint_without_value } = reason;
        let hint = if describes_backend { hint_without_value } else { hint };
        let excerpt = offset.map(excerpt).unwrap_or_default().hinting(hint);
        let problem = Problem { text: refused(path, &text), excerpt };
        Invalid { problem, group: group_of(&source, confdir) }
    })?;
    let warning = |Warning { text, offset }| {
        let place = place(offset);
        let text = format!("{}:{}: {text}", path.display(), place.line);
        Problem { text, excerpt: excerpt(offset) }
    };
    let warned = |(mut resource, warnings): Read| {
        resource.warnings = warnings.into_iter().map(warning).collect();
        resource
    };
    Ok(read.into_iter().map(warned).collect())
}

/// The group that a malformed file names, if that part of it can be read.
fn group_of(source: &[u8], confdir: &Confdir<'_>) -> Option<String> {
    if confdir.conventions.are_of_fork() {
        return None;
    }
    let text = String::from_utf8_lossy(source);
    let mut document = Document::parse_what_can_be(&text);
    // The error, if there is one, is not about the group.
    let _ = expand::expand(&mut document, TEMPLATE.name, confdir.environment, false);
    let tables = ResourceTable::all(&document.root(), &TEMPLATE).ok()??;
    let named = tables.iter().find_map(|table| table.get(&keys::GROUP).ok().flatten());
    named.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// A resource, and what is probably a mistake in its table.
type Read = (Resource, Vec<Warning>);

fn parse(path: &Path, source: &[u8], confdir: &Confdir<'_>) -> Result<Vec<Read>, Reason> {
    let text = std::str::from_utf8(source).map_err(|error| {
        let offset = error.valid_up_to();
        let line = document::line_of(source, offset);
        Reason::new(format!("toml: line {line}: invalid UTF-8"), Some(offset))
    })?;
    let mut document = Document::parse(text).map_err(|error| {
        match hint::for_second_table(text, error.offset()) {
            None => Reason::from(error),
            hint => Reason::from(error).hinting(hint),
        }
    })?;
    let Conventions { backends, dialect, .. } = confdir.conventions;
    let may_lack = backends.tables.is_some_and(|tables| !tables.are_asked);
    expand::expand(&mut document, TEMPLATE.name, confdir.environment, false)?;
    let is_whole = expand::expand(&mut document, "backend", confdir.environment, may_lack)?;
    let is_whole = is_whole.into_iter().all(|is_whole| is_whole);
    let root = document.root();
    let Some(tables) = ResourceTable::all(&root, &TEMPLATE)? else {
        return Err(Reason::new("empty src template", None)
            .hinting(hint::without_template(&root.unknown())));
    };
    // Another value belongs below [template].
    let backend = if root.is_table("backend") { root.section("backend")? } else { None };
    let mut of_backend = Vec::new();
    let own = match &backend {
        Some(table) => {
            let start = root.offset("backend").unwrap_or_default();
            backends.described(table, start, *dialect, is_whole, &mut of_backend)?
        }
        None => None,
    };
    let mut read = Vec::with_capacity(tables.len());
    for table in &tables {
        read.push((Resource::read(path, confdir, table, own.as_ref())?, Vec::new()));
    }
    share_the_group(&mut read, &tables)?;
    for ((resource, warnings), table) in read.iter_mut().zip(&tables) {
        warn(resource, table, warnings);
    }
    if let Some((_, warnings)) = read.first_mut() {
        warnings.extend(unknown("", root.unknown()));
        warnings.extend(of_backend);
    }
    Ok(read)
}

/// Gives the resources of one file the group that one of them names.
fn share_the_group(read: &mut [Read], tables: &[ResourceTable<'_, '_>]) -> Result<(), Reason> {
    let mut named = read.iter().zip(tables).filter(|((resource, _), _)| resource.group.is_some());
    let Some(((first, _), _)) = named.next() else { return Ok(()) };
    if let Some(((other, _), table)) = named.find(|((other, _), _)| other.group != first.group) {
        let name = |resource: &Resource| quoted(resource.group.as_deref().unwrap_or_default());
        let text = format!(
            "the tables of a file are one group, and two are named: {} and {}",
            name(first),
            name(other)
        );
        return Err(Reason::new(text, table.offset(&keys::GROUP)));
    }
    let group = first.group.clone();
    read.iter_mut().for_each(|(resource, _)| resource.group = group.clone());
    Ok(())
}

/// Adds what is probably a mistake in the table of a resource.
fn warn(resource: &Resource, table: &ResourceTable<'_, '_>, warnings: &mut Vec<Warning>) {
    warnings.extend(permissions::warnings(table));
    for (key, command) in
        [(&keys::RELOAD_CMD, &resource.reload_cmd), (&keys::START_CMD, &resource.start_cmd)]
    {
        if let Some(command) = command.as_ref().filter(|_| !resource.reload_template)
            && let Some(text) = command.not_a_template(key.name)
            && let Some(offset) = table.offset(key)
        {
            warnings.push(Warning { text, offset });
        }
    }
    warnings.extend(TEMPLATE.needs.iter().filter_map(|need| without_effect(need, table)));
    warnings.extend(unknown("template.", table.unknown()));
}

/// Warnings about the keys of a table that no resource has.
fn unknown<'a>(
    name: &'static str,
    unknown: Vec<Unknown<'a>>,
) -> impl Iterator<Item = Warning> + use<'a> {
    unknown
        .into_iter()
        .map(move |Unknown { key, offset, .. }| Warning { text: hint::ignored(name, key), offset })
}

/// The warning about a key that has no effect, because none of the keys that it needs is set.
fn without_effect(Need { key, of }: &Need, table: &ResourceTable<'_, '_>) -> Option<Warning> {
    let offset = table.offset(key).filter(|_| !of.iter().any(|other| table.is_set(other)))?;
    let (first, on) = (of.first()?, matches!(of.first()?.kind, Kind::Switch));
    let on = if on { " = true" } else { "" };
    let text = format!("{} has no effect without {}{on}", key.name, first.name);
    Some(Warning { text, offset })
}
