//! Functions that ask for what changes: files, and what Nomad knows. Those that ask Vault are in `secrets`,
//! those that ask Consul in `render`.

use std::fs;
use std::path::{Component, Path, PathBuf};

use bytes::Bytes;
use gotmpl::{Failure, Functions, Rest, Value};
use report::errno_text;

use super::Context;
use render::library::values::lossy;

/// The number of links of a path that are followed, as in Go.
const LINKS: usize = 255;

pub(super) fn add(functions: &mut Functions<Context>) {
    functions.add("file", file);
    functions.add("pkiCert", |_: &Context, _: Rest<Bytes>| {
        Err::<Value, _>(not_here("Vault for certificates"))
    });
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
    Ok(context.session.file(&clean).unwrap_or_default())
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
