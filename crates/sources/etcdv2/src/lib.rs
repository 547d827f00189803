//! etcd as a source of keys, by version 2 of its API.
//!
//! A key stands for itself and everything below it: `/app` also gets `/app/x`, and not `/apple`. In
//! version 2 a key is a value or a folder; folders are no keys. Each folder that is asked for is listed
//! by one request, and followed by one that waits for a change: see `watch`.
//!
//! The modules: `description` has the options, `folders` chooses what is listed together, `watch` follows
//! it. The crate `client-etcd2` sends the requests.

#[cfg(test)]
mod conformance;
mod description;
mod folders;
mod watch;

#[cfg(test)]
mod tests;

pub use description::DESCRIPTION;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use client_etcd2::{Client, Options};
use futures_util::future::try_join_all;
use source::{Answer, Error, Interest, Refusals, Source, Watch};
use store::{Coverage, Key, Snapshot};

/// The most folders that are listed at the same time without following.
const AT_ONCE: usize = 8;

/// A cluster of etcd.
pub struct Etcdv2 {
    client: Arc<Client>,
}

impl Etcdv2 {
    /// Makes a source with these options. It connects to nothing and reads no file before the first
    /// request.
    pub fn new(options: Options) -> Self {
        Etcdv2 { client: Arc::new(Client::new(options)) }
    }
}

#[async_trait]
impl Source for Etcdv2 {
    /// All snapshots are the same: the pairs of all scopes that are not refused. What is below one key
    /// has one index; version 2 of the API cannot promise that for several keys.
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let scopes = &interest.scopes;
        let mut refusals = Refusals::default();
        let mut snapshot = Snapshot::new(Coverage::Subtree);
        let mut most = folders::MOST;
        let mut read: BTreeSet<Key> = BTreeSet::new();
        loop {
            // A key that was refused may have covered keys of other scopes.
            let asked = folders::asked(refusals.allowed(scopes));
            let mut around = folders::around(&asked, most);
            around.retain(|folder| !read.contains(folder));
            if around.is_empty() {
                return Ok(folders::answers(scopes, &refusals, &snapshot));
            }
            for folders in around.chunks(AT_ONCE) {
                let list = async |folder: &Key| match self.client.list(folder.as_bytes()).await {
                    Err(error) if error.is_refusal() => Ok(Err(error)),
                    listed => listed.map(Ok),
                };
                let listed = try_join_all(folders.iter().map(list)).await?;
                for (folder, listed) in folders.iter().zip(listed) {
                    match listed {
                        Ok(listed) => {
                            for (key, value) in listed.pairs {
                                snapshot.insert(key, value);
                            }
                            let index = listed.index.max(snapshot.revision());
                            snapshot = snapshot.at_revision(index);
                            read.insert(folder.clone());
                        }
                        // The keys in this folder may be allowed one by one.
                        Err(_) if !asked.contains(folder) => most = usize::MAX,
                        Err(error) => refusals.add(folder.clone(), error.into()),
                    }
                }
            }
            refusals.check_any_allowed(scopes)?;
        }
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        let client = Arc::clone(&self.client);
        Ok(Some(Box::new(watch::Following::new(client, interest))))
    }
}

impl fmt::Debug for Etcdv2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Etcdv2").field("options", self.client.options()).finish_non_exhaustive()
    }
}
