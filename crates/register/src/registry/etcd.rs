//! Keys of etcd, which end with their leases.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use client_etcd::write::{Condition, Lease};
use client_etcd::{Cluster, Options};
use nodes::Error;
use tokio::time::{Instant, sleep_until};

use super::keys::Keys;
use super::{Entry, Registry};
use crate::service::Service;

/// The time between two questions whether the store answers again.
const PAUSE: Duration = Duration::from_millis(500);

/// Services as keys: `PREFIX/NAME/ID`.
pub(super) struct Etcd {
    cluster: Cluster,
    keys: Keys,
    ttl: Duration,
    /// The keys that were put with a lease.
    leased: RefCell<HashMap<String, Leased>>,
}

/// What is known of a key that was put with a lease.
#[derive(Debug, Clone, Copy)]
struct Leased {
    lease: Lease,
    /// The revision of the put.
    revision: i64,
}

impl Etcd {
    pub(super) fn new(options: Options, keys: Keys, ttl: Duration) -> Etcd {
        Etcd { cluster: Cluster::new(options), keys, ttl, leased: RefCell::default() }
    }

    fn leased(&self, key: &str) -> Option<Leased> {
        self.leased.borrow().get(key).copied()
    }

    /// Keeps the lease of a key alive. `None` if the key has none, or if the lease has ended.
    async fn kept(&self, key: &str) -> Result<Option<Leased>, Error> {
        let Some(leased) = self.leased(key) else { return Ok(None) };
        let is_alive = self.cluster.keep_alive(leased.lease).await?.is_some();
        Ok(is_alive.then_some(leased))
    }

    async fn put(&self, key: String, value: String) -> Result<(), Error> {
        if self.ttl.is_zero() {
            return self.cluster.put(key, value, None).await.map(|_| ());
        }
        let lease = match self.kept(&key).await? {
            Some(leased) => leased.lease,
            None => self.cluster.grant_lease(self.ttl).await?,
        };
        let revision = self.cluster.put(key.clone(), value, Some(lease)).await?;
        self.leased.borrow_mut().insert(key, Leased { lease, revision });
        Ok(())
    }

    async fn delete(&self, key: String) -> Result<(), Error> {
        let leased = self.leased.borrow_mut().remove(&key);
        self.cluster.delete(key).await?;
        if let Some(leased) = leased {
            // A lease that is not kept alive ends by itself.
            let _ = self.cluster.revoke(leased.lease).await;
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Registry for Etcd {
    async fn ping(&self) -> Result<Option<String>, Error> {
        match self.cluster.ping(self.keys.place().as_bytes()).await {
            // It answers. A user that may only write is enough for most.
            Err(error) if error.is_refusal() => Ok(Some(format!("etcd: {error}"))),
            done => done.map(|()| None),
        }
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        if service.is_healthy == Some(false) {
            return self.deregister(service).await;
        }
        self.put(self.key(service), self.keys.value(service)).await
    }

    async fn refresh(&self, service: &Service) -> Result<(), Error> {
        if service.is_healthy == Some(false) {
            return Ok(());
        }
        let key = self.key(service);
        if let Some(leased) = self.kept(&key).await? {
            // Readers are woken only if there is something new for them.
            let revision = leased.revision;
            let unchanged = Condition::ChangedAt { key: key.clone().into(), revision };
            match self.cluster.transaction(&[unchanged], &[]).await {
                Ok(Some(_)) => return Ok(()),
                // A user that may only write gets no comparison, and writes each time.
                Err(error) if !error.is_refusal() => return Err(error),
                Ok(None) | Err(_) => {}
            }
        }
        self.put(key, self.keys.value(service)).await
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        self.delete(self.key(service)).await
    }

    fn refuses(&self, service: &Service) -> Option<String> {
        self.keys.refuses(service)
    }

    fn key(&self, service: &Service) -> String {
        self.keys.of(service)
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let prefix = self.keys.place();
        let keys = self.cluster.keys(prefix.as_bytes()).await?;
        let entry = |key: &bytes::Bytes| {
            let key = std::str::from_utf8(key).ok()?;
            Entry::of_key(key, key.strip_prefix(&prefix)?)
        };
        Ok(keys.iter().filter_map(entry).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.delete(entry.key.clone()).await
    }

    async fn lost(&self) {
        let place = self.keys.place();
        self.cluster.outage(place.as_bytes()).await;
        while self.cluster.ping(place.as_bytes()).await.is_err() {
            sleep_until(Instant::now() + PAUSE).await;
        }
    }
}
