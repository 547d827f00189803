//! Functions that ask for what changes: files, and what Consul, Vault and Nomad know.
//!
//! The queries of Consul are checked and named here, as the log shows them. Their answers come with
//! a client of Consul; until then they stay missing.

use std::fs;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use gotmpl::types::VALUES;
use gotmpl::{Failure, Functions, Rest, Slice, Value};
use report::errno_text;

use super::Context;
use super::values::lossy;
use crate::session::{Data, Query};

/// The number of links of a path that are followed, as in Go.
const LINKS: usize = 255;

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("file", file);
    functions.add("key", |context: &Context, key: Bytes| {
        single(context, &key, "kv.block", "kv.get", Value::from(""))
    });
    functions.add("keyExists", |context: &Context, key: Bytes| {
        single(context, &key, "kv.get", "kv.get", Value::Bool(false))
    });
    functions.add("keyOrDefault", |context: &Context, key: Bytes, default: Bytes| {
        single(context, &key, "kv.get", "kv.get", Value::String(default))
    });
    for name in ["ls", "tree", "safeLs", "safeTree"] {
        functions.add(name, |context: &Context, prefix: Bytes| {
            single(context, &prefix, "kv.list", "kv.list", list())
        });
    }
    functions.add("service", |context: &Context, parts: Rest<Bytes>| {
        health(context, &parts.0, "health.service")
    });
    functions.add("connect", |context: &Context, parts: Rest<Bytes>| {
        health(context, &parts.0, "health.connect")
    });
    for (name, identity) in [
        ("services", "catalog.services"),
        ("nodes", "catalog.nodes"),
        ("peerings", "list.peerings"),
        ("partitions", "list.partitions"),
        ("exportedServices", "list.exportedServices"),
        ("importedServices", "list.importedServices"),
    ] {
        functions.add(name, move |context: &Context, parts: Rest<Bytes>| {
            catalog(context, &parts.0, identity, list())
        });
    }
    functions.add("datacenters", |context: &Context, _: Rest<bool>| {
        ask(context, "catalog.datacenters".to_owned(), list())
    });
    functions.add("node", |context: &Context, parts: Rest<Bytes>| {
        catalog(context, &parts.0, "catalog.node", Value::Nil)
    });
    functions
        .add("caRoots", |context: &Context| ask(context, "connect.caroots".to_owned(), Value::Nil));
    functions.add("caLeaf", |context: &Context, service: Bytes| {
        ask(context, format!("connect.caleaf({})", lossy(&service)), Value::Nil)
    });
    functions.add("secret", secret);
    functions.add("secrets", |_: &Context, path: Bytes| match path.is_empty() {
        true => Ok(Slice::strings([])),
        false => Err(not_here("Vault")),
    });
    functions.add("pkiCert", |_: &Context, _: Rest<Bytes>| Err::<Value, _>(not_here("Vault")));
    for name in [
        "nomadServices",
        "nomadService",
        "nomadVar",
        "nomadVarExists",
        "nomadVarList",
        "nomadVarListSafe",
    ] {
        functions.add(name, |_: &Context, _: Rest<Value>| Err::<Value, _>(not_here("Nomad")));
    }
}

fn not_here(store: &str) -> Failure {
    Failure::new(format!("this release cannot ask {store}"))
}

fn list() -> Value {
    Value::Slice(Slice::nil(&VALUES))
}

/// Asks Consul. Without an answer the result is `neutral`.
fn ask(context: &Context, name: String, neutral: Value) -> Result<Value, Failure> {
    match context.session.ask(Query::Consul(name)) {
        Some(Data::Text(text)) => Ok(Value::String(text)),
        None => Ok(neutral),
    }
}

/// Asks for a key or a prefix. The errors of both name the query `kind_of_errors`.
fn single(
    context: &Context,
    key: &Bytes,
    kind: &str,
    kind_of_errors: &str,
    neutral: Value,
) -> Result<Value, Failure> {
    if key.is_empty() {
        return Ok(neutral);
    }
    let text = lossy(key);
    let text = text.strip_prefix('/').unwrap_or(&text);
    if text.matches('@').count() > 1 {
        return Err(invalid(kind_of_errors, &lossy(key)));
    }
    ask(context, format!("{kind}({text})"), neutral)
}

/// Asks for the instances of a service.
fn health(context: &Context, parts: &[Bytes], kind: &str) -> Result<Value, Failure> {
    let text = parts.iter().map(lossy).collect::<Vec<_>>().join("|");
    if text.is_empty() {
        return Ok(list());
    }
    let (service, filters) = match text.split_once('|') {
        Some((service, filters)) => (service, Some(filters)),
        None => (&*text, None),
    };
    let is_part = |part: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.=:@~?&".contains(c);
        !part.is_empty() && part.chars().all(allowed)
    };
    if !is_part(service) || filters.is_some_and(|filters| !is_filter_list(filters)) {
        return Err(invalid("health.service", &text));
    }
    if let Some(filters) = filters {
        for filter in filters.split(',') {
            if !["passing", "warning", "critical", "maintenance", "any"].contains(&filter) {
                let why = format!("health.service: invalid filter: {filter:?} in {text:?}");
                return Err(Failure::new(why));
            }
        }
    }
    ask(context, format!("{kind}({text})"), list())
}

fn is_filter_list(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == ',' || c == '_')
}

/// Asks the catalogue.
fn catalog(
    context: &Context,
    parts: &[Bytes],
    kind: &str,
    neutral: Value,
) -> Result<Value, Failure> {
    let text = parts.iter().map(lossy).collect::<String>();
    let name = if text.is_empty() { kind.to_owned() } else { format!("{kind}({text})") };
    ask(context, name, neutral)
}

fn invalid(kind: &str, text: &str) -> Failure {
    Failure::new(format!("{kind}: invalid format: {text:?}"))
}

/// Reads or writes a secret of Vault.
fn secret(_: &Context, path: Bytes, pairs: Rest<Bytes>) -> Result<Value, Failure> {
    if path.is_empty() {
        return Err(Failure::new("vault.read: invalid format: \"\""));
    }
    let pairs = pairs.0.iter().filter(|pair| !pair.is_empty());
    for pair in pairs {
        if !pair.contains(&b'=') {
            return Err(Failure::new(format!("not k=v pair {:?}", lossy(pair))));
        }
    }
    Err(not_here("Vault"))
}

/// The content of a file.
fn file(context: &Context, path: Bytes) -> Result<Bytes, Failure> {
    let path = lossy(&path);
    let path = path.trim();
    if path.is_empty() {
        return Ok(Bytes::new());
    }
    if let Some(sandbox) = &context.sandbox {
        stay_inside(sandbox, path)?;
    }
    let clean = clean(Path::new(path)).display().to_string();
    match context.session.ask(Query::File(clean)) {
        Some(Data::Text(text)) => Ok(text),
        None => Ok(Bytes::new()),
    }
}

/// Refuses a path that leads out of the sandbox.
fn stay_inside(sandbox: &Path, path: &str) -> Result<(), Failure> {
    let resolve = |path: &Path| {
        resolved(path).map_err(|cause| {
            Failure::new(format!("lstat {}: {}", path.display(), errno_text(&cause)))
        })
    };
    let (folder, target) = (resolve(sandbox)?, resolve(Path::new(path))?);
    if folder.is_absolute() != target.is_absolute() {
        let (target, folder) = (target.display(), folder.display());
        return Err(Failure::new(format!(
            "failed to get relative path: Rel: can't make {target} relative to {folder}"
        )));
    }
    match target.starts_with(&folder) || folder == Path::new(".") && !target.starts_with("..") {
        true => Ok(()),
        false => Err(Failure::new(format!("'{path}' is outside of sandbox"))),
    }
}

/// The path without `.`, and without a name that `..` follows.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => match clean.components().next_back() {
                Some(Component::Normal(_)) => {
                    clean.pop();
                }
                Some(Component::RootDir) => {}
                _ => clean.push(".."),
            },
            component => clean.push(component),
        }
    }
    if clean.as_os_str().is_empty() { PathBuf::from(".") } else { clean }
}

/// The path without links. A relative path stays relative, unless a link is absolute.
fn resolved(path: &Path) -> std::io::Result<PathBuf> {
    let mut pending: Vec<PathBuf> =
        path.components().rev().map(|one| one.as_os_str().into()).collect();
    let mut done = PathBuf::new();
    let mut links = 0;
    while let Some(component) = pending.pop() {
        let next = clean(&done.join(&component));
        if !fs::symlink_metadata(&next)?.is_symlink() {
            done = next;
            continue;
        }
        links += 1;
        if links > LINKS {
            return Err(std::io::Error::from_raw_os_error(rustix::io::Errno::LOOP.raw_os_error()));
        }
        let target = fs::read_link(&next)?;
        pending.extend(target.components().rev().map(|one| PathBuf::from(one.as_os_str())));
    }
    Ok(clean(&done))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_as_go_does() {
        for (path, expect) in [
            ("a/./b/../c", "a/c"),
            ("../a", "../a"),
            ("/../a", "/a"),
            ("a/..", "."),
            ("a//b/", "a/b"),
        ] {
            assert_eq!(clean(Path::new(path)), Path::new(expect), "{path}");
        }
    }
}
