//! Keys of etcd by version 2 of its API, for readers that know no other: the keys and values of
//! registrator, which end by themselves if they have a `ttl`.

use std::time::Duration;

use async_trait::async_trait;
use client_etcd2::{Client, Options, Since, Waited};
use nodes::{Error, NodeError};
use tokio::time::{Instant, sleep_until};

use super::keys::Keys;
use super::{Entry, Registry};
use crate::service::Service;

/// The longest time that one request waits for a change.
const WAIT: Duration = Duration::from_secs(300);

/// The time between two questions whether the store answers again, and the shortest time between two
/// requests that wait for a change.
const PAUSE: Duration = Duration::from_millis(500);

/// The advice if a node does not know version 2 of the API.
pub(super) const WITHOUT_V2: &str = "this etcd does not serve version 2 of the API: start it with --enable-v2, which etcd has up to \
     version 3.5, or write etcd:// for version 3";

/// The advice if a node wants a user.
pub(super) const WITHOUT_USER: &str = "ETCDCTL_USER=NAME:PASSWORD gives the user";

/// Services as keys: `PREFIX/NAME/ID`.
pub(super) struct Etcd2 {
    client: Client,
    keys: Keys,
    ttl: Duration,
}

impl Etcd2 {
    pub(super) fn new(options: Options, keys: Keys, ttl: Duration) -> Etcd2 {
        Etcd2 { client: Client::new(options), keys, ttl }
    }

    async fn put(&self, service: &Service) -> Result<(), Error> {
        let time = Some(self.ttl).filter(|ttl| !ttl.is_zero());
        self.client.put(&self.keys.of(service), &self.keys.value(service), time).await
    }

    /// Waits for a change below the prefix, for some time, unless the store has seen fewer than `known`
    /// changes. Returns how many it has seen at least; `None` if the user may not wait.
    async fn change(&self, known: u64) -> Result<Option<u64>, NodeError> {
        let node = self.client.nodes().current().unwrap_or(0);
        let place = self.keys.place();
        match self.client.wait(node, place.as_bytes(), (known, Since::Now), WAIT).await {
            Ok(Waited::Changed(seen) | Waited::Unchanged(seen) | Waited::Lost(seen)) => {
                Ok(Some(seen))
            }
            Err(NodeError::Final(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until the store does not answer, or is one that has seen fewer changes than before.
    async fn outage(&self) {
        let mut known = 0;
        loop {
            match self.change(known).await {
                Err(_) => return,
                Ok(Some(now)) if now < known => return,
                Ok(Some(now)) => known = now,
                Ok(None) if self.client.ping().await.is_err() => return,
                Ok(None) => {}
            }
            sleep_until(Instant::now() + PAUSE).await;
        }
    }
}

#[async_trait(?Send)]
impl Registry for Etcd2 {
    async fn ping(&self) -> Result<Option<String>, Error> {
        self.client.ping().await.map(|()| None)
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        match service.is_healthy {
            Some(false) => self.deregister(service).await,
            _ => self.put(service).await,
        }
    }

    async fn refresh(&self, service: &Service) -> Result<(), Error> {
        match service.is_healthy {
            Some(false) => Ok(()),
            _ => self.put(service).await,
        }
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        self.client.delete(&self.keys.of(service)).await
    }

    fn refuses(&self, service: &Service) -> Option<String> {
        self.keys.refuses(service)
    }

    fn key(&self, service: &Service) -> String {
        self.keys.of(service)
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let place = self.keys.place();
        let listed = self.client.list(place.as_bytes()).await?;
        let keys = listed.pairs.iter().filter_map(|(key, _)| std::str::from_utf8(key).ok());
        let entry = |key: &str| Entry::of_key(key, key.strip_prefix(&place)?);
        Ok(keys.filter_map(entry).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.client.delete(&entry.key).await
    }

    async fn lost(&self) {
        self.outage().await;
        while self.ping().await.is_err() {
            sleep_until(Instant::now() + PAUSE).await;
        }
    }
}
