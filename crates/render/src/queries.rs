//! The functions by which a template asks Consul, with consul-template's names, arguments, types and
//! neutral values.
//!
//! A function asks by [`Asks`], which the context of an execution implements, so that confd's
//! templates and consul-template's have the same functions. A query that has no answer yet is
//! missing. Its function then returns a neutral value, so that the rest of the template can ask for
//! more, and the caller drops the output. [`Session`] is the record of one rendering.

mod groups;
mod session;
mod types;
mod values;

use std::slice::from_ref;
use std::sync::Arc;

use bytes::Bytes;
use catalog::{Data, Malformed, Query};
use gotmpl::{Failure, Functions, Message, Rest, Slice, Struct, Value};

pub use groups::explode;
pub(crate) use groups::meta_name;
pub use session::{Answers, Session};
use values::Below;

/// The names of the functions of [`add_services`] that ask something.
pub(crate) const ASKING: [&str; 13] = [
    "service",
    "connect",
    "preparedQuery",
    "services",
    "node",
    "nodes",
    "datacenters",
    "caRoots",
    "caLeaf",
    "partitions",
    "peerings",
    "exportedServices",
    "importedServices",
];

/// What functions ask by.
pub trait Asks {
    /// The answer to `query`; `None` if there is none yet. Notes that the query is used, and, without
    /// an answer, that it is missing.
    fn ask(&self, query: &Query) -> Option<Data>;

    /// Notes that `query` counts as missing although it has an answer.
    fn miss(&self, query: &Query);
}

/// The failure of a text that is no query. The text is made of the `arguments` of a function, which may
/// be values of keys.
fn malformed(error: &Malformed, arguments: &[Bytes]) -> Failure {
    let error = error.to_string();
    let (kind, quoted) = error.split_at(error.find('"').unwrap_or(error.len()));
    if quoted.is_empty() {
        return Failure::new(error);
    }
    if quoted.contains('\\') {
        // A quotation mark in a value must not end it.
        let value = quoted.trim_matches('"').to_owned();
        return Failure::quoting(Message::new(kind).value(quoted, value));
    }
    let mut message = Message::new(kind);
    for (nth, part) in quoted.split('"').skip(1).enumerate() {
        if nth % 2 == 1 {
            message = message.text(part);
            continue;
        }
        message = match argument_of(part, arguments) {
            Some(argument) => message.value(format!("\"{part}\""), argument),
            // The arguments were joined.
            None => {
                let pieces = part.split('|').enumerate();
                let message = pieces.fold(message.text("\""), |message, (nth, piece)| {
                    let message = if nth == 0 { message } else { message.text("|") };
                    let argument = argument_of(piece, arguments);
                    message.value(piece, argument.unwrap_or_else(|| Bytes::from(piece.to_owned())))
                });
                message.text("\"")
            }
        };
    }
    Failure::quoting(message)
}

/// The first of the arguments that contains this part.
fn argument_of(part: &str, arguments: &[Bytes]) -> Option<Bytes> {
    arguments.iter().find(|argument| utf8(argument).contains(part)).cloned()
}

fn utf8(text: &Bytes) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// A function that asks one thing and returns a list.
macro_rules! list {
    ($context:expr, $query:expr, $variant:ident, $record:ty) => {
        match $context.ask(&$query) {
            Some(Data::$variant(records)) => values::list(&records),
            _ => values::none::<$record>(),
        }
    };
}

/// The instances of a service. The parts are what stands between the bars of a query. No part, or
/// an empty first one, asks nothing.
pub(crate) fn instances<C: Asks + ?Sized>(
    context: &C,
    parts: &[Bytes],
    mesh: bool,
) -> Result<Slice, Failure> {
    if parts.first().is_none_or(Bytes::is_empty) {
        return Ok(values::none::<catalog::Instance>());
    }
    let text = parts.iter().map(utf8).collect::<Vec<_>>().join("|");
    let query = Query::instances(&text, mesh).map_err(|error| malformed(&error, parts))?;
    Ok(list!(context, query, Instances, catalog::Instance))
}

/// The instances that a prepared query chooses. An empty name asks nothing.
pub(crate) fn prepared<C: Asks + ?Sized>(context: &C, text: &Bytes) -> Result<Slice, Failure> {
    let none = values::instances_of_datacenters(&Arc::default());
    if text.is_empty() {
        return Ok(none);
    }
    let query = Query::prepared(&utf8(text)).map_err(|error| malformed(&error, from_ref(text)))?;
    Ok(match context.ask(&query) {
        Some(Data::Instances(instances)) => values::instances_of_datacenters(&instances),
        _ => none,
    })
}

/// All services.
pub(crate) fn services<C: Asks + ?Sized>(context: &C, parts: &[Bytes]) -> Result<Slice, Failure> {
    let query = Query::services(&whole(parts)).map_err(|error| malformed(&error, parts))?;
    Ok(list!(context, query, Services, catalog::Service))
}

/// All nodes.
pub(crate) fn nodes<C: Asks + ?Sized>(context: &C, parts: &[Bytes]) -> Result<Slice, Failure> {
    let query = Query::nodes(&whole(parts)).map_err(|error| malformed(&error, parts))?;
    Ok(list!(context, query, Nodes, catalog::Node))
}

/// One node with its services.
pub(crate) fn node<C: Asks + ?Sized>(context: &C, parts: &[Bytes]) -> Result<Value, Failure> {
    let query = Query::node(&whole(parts)).map_err(|error| malformed(&error, parts))?;
    Ok(match context.ask(&query) {
        Some(Data::Node(found)) => values::node(found.as_deref()),
        _ => Value::Nil,
    })
}

/// The names of the datacenters.
pub(crate) fn datacenters<C: Asks + ?Sized>(context: &C, only_reachable: bool) -> Slice {
    match context.ask(&Query::Datacenters { only_reachable }) {
        Some(Data::Datacenters(names)) => Slice::strings(names.iter().cloned()),
        _ => Slice::strings([]),
    }
}

/// The root certificates of the mesh.
pub(crate) fn ca_roots<C: Asks + ?Sized>(context: &C) -> Slice {
    match context.ask(&Query::CaRoots) {
        Some(Data::CaRoots(roots)) => values::list(&roots),
        _ => Slice::nil(<catalog::CaRoot as values::Record>::LIST),
    }
}

/// The certificate of a service. An empty name asks nothing.
pub(crate) fn ca_leaf<C: Asks + ?Sized>(context: &C, service: &Bytes) -> Value {
    if service.is_empty() {
        return Value::Nil;
    }
    match context.ask(&Query::CaLeaf { service: utf8(service) }) {
        Some(Data::CaLeaf(leaf)) => values::leaf(&leaf),
        _ => Value::Nil,
    }
}

/// The partitions.
pub(crate) fn partitions<C: Asks + ?Sized>(context: &C) -> Slice {
    list!(context, Query::Partitions, Partitions, catalog::Partition)
}

/// The peers.
pub(crate) fn peerings<C: Asks + ?Sized>(context: &C, parts: &[Bytes]) -> Result<Slice, Failure> {
    let query = Query::peerings(&whole(parts)).map_err(|error| malformed(&error, parts))?;
    Ok(list!(context, query, Peerings, catalog::Peering))
}

/// The services that peers may use.
pub(crate) fn exported<C: Asks + ?Sized>(context: &C, parts: &[Bytes]) -> Result<Slice, Failure> {
    if parts.len() > 1 {
        let text = "exportedServices: wrong number of arguments, expected 0 or 1";
        return Err(Failure::new(text));
    }
    let query = Query::ExportedServices { partition: whole(parts) };
    Ok(list!(context, query, ExportedServices, catalog::ExportedService))
}

/// The services of peers.
pub(crate) fn imported<C: Asks + ?Sized>(context: &C, part: &Bytes) -> Result<Slice, Failure> {
    let query =
        Query::imported_services(&utf8(part)).map_err(|error| malformed(&error, from_ref(part)))?;
    Ok(list!(context, query, ImportedServices, catalog::ImportedService))
}

/// All arguments, one after the other.
fn whole(parts: &[Bytes]) -> String {
    parts.iter().map(utf8).collect()
}

/// Adds the functions that ask for services and nodes, and those that group them: `service`,
/// `connect`, `preparedQuery`, `services`, `node`, `nodes`, `datacenters`, `caRoots`, `caLeaf`, `partitions`,
/// `peerings`, `exportedServices`, `importedServices`, `byTag`, `byMeta` and `byPort`.
pub fn add_services<C: Asks + ?Sized>(functions: &mut Functions<C>) {
    functions.add("service", |cx: &C, parts: Rest<Bytes>| instances(cx, &parts.0, false));
    functions.add("connect", |cx: &C, parts: Rest<Bytes>| instances(cx, &parts.0, true));
    functions.add("preparedQuery", |cx: &C, text: Bytes| prepared(cx, &text));
    functions.add("services", |cx: &C, parts: Rest<Bytes>| services(cx, &parts.0));
    functions.add("nodes", |cx: &C, parts: Rest<Bytes>| nodes(cx, &parts.0));
    functions.add("node", |cx: &C, parts: Rest<Bytes>| node(cx, &parts.0));
    functions.add("datacenters", |cx: &C, flags: Rest<bool>| match *flags.0 {
        [] => Ok(datacenters(cx, false)),
        [only_reachable] => Ok(datacenters(cx, only_reachable)),
        _ => {
            let text = "datacenters: wrong number of arguments, expected 0 or 1, but got";
            Err(Failure::new(format!("{text} {}", flags.0.len())))
        }
    });
    functions.add("caRoots", |cx: &C, _: Rest<Bytes>| ca_roots(cx));
    functions.add("caLeaf", |cx: &C, service: Rest<Bytes>| {
        ca_leaf(cx, &service.0.into_iter().next().unwrap_or_default())
    });
    functions.add("partitions", |cx: &C| partitions(cx));
    functions.add("peerings", |cx: &C, parts: Rest<Bytes>| peerings(cx, &parts.0));
    functions.add("exportedServices", |cx: &C, parts: Rest<Bytes>| exported(cx, &parts.0));
    functions.add("importedServices", |cx: &C, partition: Bytes| imported(cx, &partition));
    groups::add_services(functions);
}

/// Adds the functions that ask for Consul's keys, and those that group pairs: `key`, `keyExists`,
/// `keyOrDefault`, `ls`, `tree`, `safeLs`, `safeTree`, `byKey` and `explode`.
pub fn add_pairs<C: Asks + ?Sized>(functions: &mut Functions<C>) {
    functions.add("key", |context: &C, key: Bytes| -> Result<Bytes, Failure> {
        Ok(value(context, &key, true)?.unwrap_or_default())
    });
    functions.add("keyExists", |context: &C, key: Bytes| -> Result<bool, Failure> {
        Ok(value(context, &key, false)?.is_some())
    });
    functions.add("keyOrDefault", |context: &C, key: Bytes, default: Bytes| {
        let found = value(context, &key, false)?.filter(|value| !value.is_empty());
        Ok::<_, Failure>(found.unwrap_or(default))
    });
    for (name, is_flat, may_be_empty) in [
        ("ls", true, true),
        ("safeLs", true, false),
        ("tree", false, true),
        ("safeTree", false, false),
    ] {
        functions.add(name, move |context: &C, prefix: Bytes| {
            pairs(context, &prefix, is_flat, may_be_empty)
        });
    }
    groups::add_pairs(functions);
}

/// The value of a key; `None` if there is no such key, or no answer yet.
fn value<C: Asks + ?Sized>(
    context: &C,
    key: &Bytes,
    must_exist: bool,
) -> Result<Option<Bytes>, Failure> {
    if key.is_empty() {
        return Ok(None);
    }
    let query =
        Query::key(&utf8(key), must_exist).map_err(|error| malformed(&error, from_ref(key)))?;
    Ok(match context.ask(&query) {
        Some(Data::Value(value)) => value,
        _ => None,
    })
}

/// The pairs below a prefix; for `is_flat` only those that are in no folder below it.
fn pairs<C: Asks + ?Sized>(
    context: &C,
    prefix: &Bytes,
    is_flat: bool,
    may_be_empty: bool,
) -> Result<Slice, Failure> {
    if prefix.is_empty() {
        return Ok(values::none::<Below>());
    }
    let query = Query::pairs(&utf8(prefix)).map_err(|error| malformed(&error, from_ref(prefix)))?;
    let Query::Pairs { prefix, .. } = &query else { return Ok(values::none::<Below>()) };
    let Some(Data::Pairs(pairs)) = context.ask(&query) else {
        return Ok(values::none::<Below>());
    };
    let below = pairs.iter().map(|pair| {
        let cut = if pair.path.starts_with(prefix.as_bytes()) { prefix.len() } else { 0 };
        let slashes = pair.path[cut..].iter().take_while(|byte| **byte == b'/').count();
        Below { key: pair.path.slice(cut + slashes..), pair: pair.clone() }
    });
    let is_listed = |below: &Below| match is_flat {
        true => !below.key.is_empty() && !below.key.contains(&b'/'),
        false => !below.key.is_empty() && !below.key.ends_with(b"/"),
    };
    let found: Arc<[Below]> = below.filter(is_listed).collect();
    if found.is_empty() && !may_be_empty {
        context.miss(&query);
    }
    Ok(match found.is_empty() {
        true => values::none::<Below>(),
        false => values::list(&found),
    })
}

/// The fields of a struct in JSON, with their names.
pub fn json_fields(record: &Struct) -> Vec<(&'static str, Value)> {
    values::json_fields(record)
}

#[cfg(test)]
mod own;
#[cfg(test)]
mod tests;
