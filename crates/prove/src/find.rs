//! Finds a resource by the name that a person gives.

use std::path::Path;
use std::sync::Arc;

use agent::{Rehearsal, Resource};
use report::did_you_mean;

/// The resource of this name, or of this path of its file.
///
/// # Errors
/// There is none; the text says what was probably meant, or why the resource cannot be used.
pub fn find<'r>(
    rehearsal: &'r Rehearsal,
    conf_d: &Path,
    name: &str,
) -> Result<&'r Arc<Resource>, String> {
    let is_file = |path: &Path| {
        let found = config::name(path, conf_d);
        found == name
            || path == Path::new(name)
            || name.strip_suffix(".toml").is_some_and(|name| name == found)
    };
    let is_it = |resource: &&Arc<Resource>| {
        **resource.name() == *name || resource.parts().iter().any(|part| is_file(&part.path))
    };
    if let Some(resource) = rehearsal.resources().iter().find(is_it) {
        return Ok(resource);
    }
    let is_named = |known: &str| known == name || name.strip_suffix(".toml") == Some(known);
    if let Some(problem) = rehearsal.problems().iter().find(|problem| is_named(&problem.name)) {
        return Err(problem.text.clone());
    }
    let names = rehearsal.resources().iter().map(|resource| &**resource.name());
    let hint = did_you_mean(name, names).map_or(String::new(), |hint| format!(", {hint}"));
    Err(format!("there is no resource {name:?} in {}{hint}", conf_d.display()))
}
