//! What the commands of a resource find in their environment.

use std::{
    collections::HashMap,
    ffi::OsString,
    os::unix::ffi::OsStringExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use deploy::Environment;
use store::Snapshot;

use crate::prepare::Job;

/// The keys of the last successful pass of each resource with commands, by the paths of the resource
/// files. A failed pass does not count, so that its changes are not lost to the next pass.
#[derive(Default)]
pub(crate) struct Applied(Mutex<HashMap<PathBuf, Snapshot>>);

impl Applied {
    /// Notes that the pass `job` has succeeded.
    pub(crate) fn note(&self, job: &Job) {
        self.lock().insert(job.resource.path.clone(), job.snapshot.clone());
    }

    /// Forgets all resources whose files are not among `paths`.
    pub(crate) fn keep_only<'a>(&self, paths: impl Iterator<Item = &'a Path>) {
        let mut applied = self.lock();
        if !applied.is_empty() {
            let paths: std::collections::HashSet<_> = paths.collect();
            applied.retain(|path, _| paths.contains(&**path));
        }
    }

    /// The variables of the commands of the pass `job`.
    pub(crate) fn environment(&self, job: &Job) -> Environment {
        let Job { resource, snapshot, .. } = job;
        let before = self.lock().get(&resource.path).cloned();
        let before = before.unwrap_or_else(|| Snapshot::new(snapshot.coverage()));
        let changed = snapshot.changed_since(&before, &resource.scope);
        of(&resource.path, snapshot.revision(), changed.iter().map(line_of))
    }

    /// The variables of commands for files that the pass `job` leaves in place, which are of an earlier
    /// revision. If the source `shows_keys`, those that have changed are known all the same.
    pub(crate) fn of_kept(&self, job: &Job, shows_keys: bool) -> Environment {
        match shows_keys {
            true => self.environment(job).with("CONFD_REVISION", None::<String>),
            false => of(&job.resource.path, 0, std::iter::empty()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Snapshot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The variables of commands for the resource in the file `path`. A revision of 0 is none.
pub(crate) fn of(
    path: &Path,
    revision: u64,
    changed: impl Iterator<Item = OsString>,
) -> Environment {
    let revision = Some(revision).filter(|revision| *revision != 0);
    Environment::default()
        .with("CONFD_RESOURCE", [path])
        .with("CONFD_REVISION", revision.map(|revision| revision.to_string()))
        .with("CONFD_CHANGED_KEYS", changed)
}

/// A key as one line. A key with a line break, or with a byte that no variable can have, stands in
/// quotes, with escapes such as `\n`.
fn line_of(key: &Bytes) -> OsString {
    match key.iter().any(|byte| matches!(byte, b'\n' | 0)) {
        true => format!("\"{}\"", key.escape_ascii()).into(),
        false => OsString::from_vec(key.to_vec()),
    }
}
