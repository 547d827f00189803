//! Reading many scopes at once without letting one spoil the others.

use std::slice;

use source::{Error, Source};
use store::{Key, Scope, Snapshot};

/// Reads one snapshot for each scope, all together if the backend allows it.
///
/// Where it refuses, each scope is asked for by itself, so that one that may not be read is a failure
/// of its own only; the failure is then a text that names the keys.
///
/// # Errors
/// Nothing can be read now.
pub(crate) async fn each(
    backend: &dyn Source,
    scopes: &[Scope],
) -> Result<Vec<Result<Snapshot, String>>, Error> {
    match backend.read(scopes).await {
        Ok(snapshots) => Ok(snapshots.into_iter().map(Ok).collect()),
        Err(error) if error.is_refusal() && scopes.len() > 1 => {
            let mut each = Vec::with_capacity(scopes.len());
            for scope in scopes {
                each.push(alone(backend, scope).await?);
            }
            Ok(each)
        }
        Err(error) => Err(error),
    }
}

async fn alone(backend: &dyn Source, scope: &Scope) -> Result<Result<Snapshot, String>, Error> {
    match backend.read(slice::from_ref(scope)).await {
        Ok(mut snapshots) => Ok(snapshots.pop().ok_or_else(|| "no answer".to_owned())),
        Err(error) if error.is_refusal() => {
            let keys: Vec<String> = scope.iter().map(Key::to_string).collect();
            Ok(Err(format!("Cannot read {}: {error}", keys.join(", "))))
        }
        Err(error) => Err(error),
    }
}
