//! The keys of a store, without their values, and whether it answers.

use bytes::Bytes;
use etcd_client::GetOptions;
use nodes::Error;

use crate::{Cluster, within};

impl Cluster {
    /// The keys that begin with `prefix`.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn keys(&self, prefix: &[u8]) -> Result<Vec<Bytes>, Error> {
        let list = |client: etcd_client::Client| async move {
            let options = GetOptions::new().with_prefix().with_keys_only();
            within(client.kv_client().get(prefix, Some(options))).await
        };
        let (_, mut answer) = self.ask(list).await?;
        Ok(answer.take_kvs().into_iter().map(|pair| pair.into_key_value().0.into()).collect())
    }

    /// Asks whether the store answers. It counts this key and reads nothing.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn ping(&self, key: &[u8]) -> Result<(), Error> {
        let count = |client: etcd_client::Client| async move {
            let options = GetOptions::new().with_count_only();
            within(client.kv_client().get(key, Some(options))).await
        };
        self.ask(count).await.map(|_| ())
    }

    /// Waits until the node that answers ends, or cannot be reached: it follows this key until the
    /// stream of its events ends. A node that ends and begins again between two questions is seen
    /// so, and one that has lost its data.
    pub async fn outage(&self, key: &[u8]) {
        let follow = |client: etcd_client::Client| async move {
            within(client.watch_client().watch(key, None)).await
        };
        let Ok((_, mut events)) = self.ask(follow).await else { return };
        while let Ok(Some(event)) = events.message().await {
            if event.canceled() {
                return;
            }
        }
    }
}
