//! The keys of a store, without their values.

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

    /// The revision of the store. It does not read any key but this one.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn revision(&self, key: &[u8]) -> Result<i64, Error> {
        let count = |client: etcd_client::Client| async move {
            let options = GetOptions::new().with_count_only();
            within(client.kv_client().get(key, Some(options))).await
        };
        let (_, answer) = self.ask(count).await?;
        Ok(answer.header().map_or(0, |header| header.revision()))
    }
}
