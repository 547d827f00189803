//! Secrets with a lease, which Vault makes for each request: they are kept and their leases renewed,
//! so that a reading does not make new ones.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client_vault::{Client, Reply, Request};
use nodes::Error;
use tokio::time::Instant;
use tracing::debug;

use crate::plan::Wanted;

/// The shortest time between two readings because of a lease.
const SHORTEST: Duration = Duration::from_secs(1);

/// What is known of the secrets that were read.
#[derive(Default)]
pub(crate) struct Leases(Mutex<BTreeMap<String, Held>>);

/// What is known of a secret.
struct Held {
    /// The secret, if it has a lease.
    reply: Option<Arc<Reply>>,
    /// When its lease began.
    began: Instant,
    lasts: Duration,
}

impl Held {
    /// Notes a secret. Without a lease it is read again when Vault says that it may have changed.
    fn new(reply: &Arc<Reply>) -> Option<Self> {
        let lasts = reply.lease()?;
        let held = Some(Arc::clone(reply)).filter(|reply| !reply.lease_id.is_empty());
        Some(Held { reply: held, began: Instant::now(), lasts })
    }

    /// When two thirds of the lease are over.
    fn due(&self) -> Instant {
        self.began + (self.lasts * 2 / 3).max(SHORTEST)
    }
}

impl Leases {
    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the secrets that are not asked for any more. Their leases end by themselves.
    pub(crate) fn keep_only(&self, paths: &BTreeMap<String, Wanted>) {
        self.held().retain(|path, _| paths.contains_key(path));
    }

    /// When the next secret must be read again; `None` if no secret says it.
    pub(crate) fn next_reading(&self) -> Option<Instant> {
        self.held().values().map(Held::due).min()
    }

    /// The secret at a path; `None` if there is none.
    ///
    /// # Errors
    /// No node answers, or Vault refuses.
    pub(crate) async fn read(
        &self,
        client: &Client,
        path: &str,
    ) -> Result<Option<Arc<Reply>>, Error> {
        let kept = {
            let held = self.held();
            let held = held.get(path);
            held.and_then(|held| Some((Arc::clone(held.reply.as_ref()?), held.due())))
        };
        if let Some((reply, due)) = kept {
            if Instant::now() < due {
                return Ok(Some(reply));
            }
            if let Some(renewed) = renewed(client, &reply).await? {
                self.note(path, &renewed);
                return Ok(Some(renewed));
            }
            debug!("vault: the lease on /{path} ends, so it is read again");
        }
        let reply = client.read(&Request::get(path)).await?.map(Arc::new);
        match &reply {
            Some(reply) => self.note(path, reply),
            None => _ = self.held().remove(path),
        }
        Ok(reply)
    }

    fn note(&self, path: &str, reply: &Arc<Reply>) {
        let mut held = self.held();
        match Held::new(reply) {
            Some(new) => _ = held.insert(path.to_owned(), new),
            None => _ = held.remove(path),
        }
    }
}

/// The same secret with its lease renewed; `None` if it cannot be renewed for as long as before.
async fn renewed(client: &Client, reply: &Reply) -> Result<Option<Arc<Reply>>, Error> {
    if !reply.renewable {
        return Ok(None);
    }
    let renewal = match client.renew(&reply.lease_id).await {
        Ok(Some(renewal)) => renewal,
        Ok(None) => return Ok(None),
        Err(error) if error.is_refusal() => return Ok(None),
        Err(error) => return Err(error),
    };
    // At the end of its longest life a lease grows no more.
    if renewal.lease_duration < reply.lease_duration * 2 / 3 {
        return Ok(None);
    }
    let renewed = Reply { lease_duration: renewal.lease_duration, ..reply.clone() };
    Ok(Some(Arc::new(renewed)))
}
