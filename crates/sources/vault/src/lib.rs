//! Vault as a source of keys.
//!
//! A key stands for the secret at this path and for all secrets below it, as in Go confd. In a
//! key/value engine with versions (KV v2) the paths are the same as in one without: `data/` and
//! `metadata/` are put in here. Vault reports no changes, so the keys are read again and again; a
//! secret with a lease is kept until two thirds of its lease are over.
//!
//! The modules: `description` has the options, `methods` the ways to log in, `plan` finds the paths
//! that a key stands for, `leases` reads them, `flatten` makes pairs of what is there. The crate
//! `client-vault` sends the requests.

#[cfg(test)]
mod conformance;
mod description;
mod flatten;
mod leases;
mod methods;
mod plan;
#[cfg(test)]
mod tests;

pub use description::DESCRIPTION;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use client_vault::{Client, Options};
use futures_util::{StreamExt, TryStreamExt, stream};
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Key, Snapshot};
use tokio::time::Instant;
use tracing::warn;

use self::flatten::Skipped;
use self::leases::Leases;
use self::plan::{Mounts, Wanted};

/// The most requests at the same time.
const AT_ONCE: usize = 16;

/// The secrets of a Vault.
pub struct Vault {
    options: Options,
    client: Arc<Client>,
    leases: Leases,
    /// What was warned of already.
    warned: Mutex<BTreeSet<String>>,
}

impl Vault {
    /// Makes a source with these options. It connects to nothing and reads no file before the first
    /// request.
    pub(crate) fn new(options: Options) -> Self {
        Vault {
            client: Client::new(options.clone()),
            options,
            leases: Leases::default(),
            warned: Mutex::default(),
        }
    }

    /// Warns, once for each text.
    fn warn(&self, text: String) {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if !warned.contains(&text) {
            warn!("{text}");
            warned.insert(text);
        }
    }

    /// The paths that each key stands for, or why Vault refuses to show them.
    async fn plan(
        &self,
        keys: BTreeSet<Key>,
    ) -> Result<Vec<(Key, Result<Vec<Wanted>, Error>)>, Error> {
        let mounts = Mounts::default();
        let found = stream::iter(keys).map(|key| {
            let mounts = &mounts;
            async move {
                let found = plan::paths(&self.client, mounts, &key).await;
                Ok((key, allowed(found)?))
            }
        });
        found.buffered(AT_ONCE).try_collect().await
    }

    /// Reads the secrets at these paths. Returns the pairs of each.
    async fn read_paths(
        &self,
        paths: BTreeMap<String, Wanted>,
    ) -> Result<BTreeMap<String, Result<Vec<(Bytes, Bytes)>, Arc<Error>>>, Error> {
        let read = stream::iter(paths).map(|(path, wanted)| async move {
            let reply = allowed(self.leases.read(&self.client, &path).await)?;
            let pairs = reply.map(|reply| {
                let data = reply.as_deref().and_then(|reply| plan::data(&wanted, reply));
                let pairs = data.map(|data| {
                    flatten::pairs(&wanted.name, data, |skipped| match skipped {
                        Skipped::Unsupported { key, kind } => {
                            self.warn(format!("type of '{key}' is not supported ({kind})"));
                        }
                        Skipped::Outside { key } => self.warn(format!(
                            "vault: the field that would be '{key}' is no key: it leads out of its secret"
                        )),
                    })
                });
                pairs.unwrap_or_default()
            });
            Ok((path, pairs.map_err(Arc::new)))
        });
        read.buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// Separates a refusal, which concerns one path, from an error, which concerns all.
fn allowed<T>(result: Result<T, nodes::Error>) -> Result<Result<T, Error>, Error> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.is_refusal() => Ok(Err(error.into())),
        Err(error) => Err(error.into()),
    }
}

#[async_trait]
impl Source for Vault {
    /// All snapshots are the same: the pairs of all scopes that are not refused. Vault has no
    /// revisions.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let scopes = &interest.scopes;
        let keys: BTreeSet<Key> = scopes.iter().flat_map(store::Scope::iter).cloned().collect();
        let mut refusals = Refusals::default();
        let planned = self.plan(keys).await?;
        let mut paths = BTreeMap::new();
        for (_, wanted) in &planned {
            for wanted in wanted.iter().flatten() {
                paths.insert(wanted.path.clone(), wanted.clone());
            }
        }
        self.leases.keep_only(&paths);
        let read = self.read_paths(paths).await?;
        // The pairs by path: where the field of one secret and another secret have the same key, the
        // secret counts.
        let mut pairs = BTreeMap::new();
        for (key, wanted) in planned {
            let wanted = match wanted {
                Ok(wanted) => wanted,
                Err(error) => {
                    refusals.add(key, error);
                    continue;
                }
            };
            for Wanted { path, .. } in wanted {
                // Several keys can stand for one path.
                match read.get(&path) {
                    Some(Ok(found)) => _ = pairs.entry(path).or_insert_with(|| found.clone()),
                    Some(Err(error)) => refusals.add_shared(key.clone(), Arc::clone(error)),
                    None => {}
                }
            }
        }
        drop(read);
        refusals.check_any_allowed(scopes)?;
        let snapshot = Snapshot::from_pairs(Coverage::Subtree, pairs.into_values().flatten());
        Ok(refusals.answers(scopes, &snapshot))
    }

    /// Vault does not report changes.
    async fn watch(&self, _: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        Ok(None)
    }

    fn next_reading(&self) -> Option<Instant> {
        self.leases.next_reading()
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("options", &self.options).finish_non_exhaustive()
    }
}
