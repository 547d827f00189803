//! Changes of a store: puts, deletes, transactions with conditions, and leases.
//!
//! The current node gets the request. If it does not answer, the next node gets the same request,
//! so a change may happen twice when an answer was lost. A second put or delete does no harm, and a
//! second transaction that compares a revision changes nothing.

use std::time::Duration;

use bytes::Bytes;
use etcd_client::{Compare, CompareOp, PutOptions, Txn, TxnOp};
use nodes::Error;

use crate::{Cluster, within};

/// A lease: keys that were put with it are deleted when it expires or is revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease(i64);

/// One change of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets the value of a key. The key is deleted when the lease ends, if there is one.
    Put {
        /// The key.
        key: Bytes,
        /// Its value.
        value: Bytes,
        /// The lease.
        lease: Option<Lease>,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: Bytes,
    },
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The key does not exist.
    Missing {
        /// The key.
        key: Bytes,
    },
    /// The key was last changed at this revision.
    ChangedAt {
        /// The key.
        key: Bytes,
        /// The revision.
        revision: i64,
    },
}

impl Cluster {
    /// Sets the value of a key, which is deleted when `lease` ends, if there is one. Returns the
    /// revision of the change.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn put(
        &self,
        key: impl Into<Bytes>,
        value: impl Into<Bytes>,
        lease: Option<Lease>,
    ) -> Result<i64, Error> {
        let (key, value) = (&key.into(), &value.into());
        let put = |client: etcd_client::Client| async move {
            let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
            within(client.kv_client().put(&key[..], &value[..], options)).await
        };
        let (_, done) = self.ask(put).await?;
        Ok(done.header().map_or(0, |header| header.revision()))
    }

    /// Removes a key. Returns whether it existed.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn delete(&self, key: impl Into<Bytes>) -> Result<bool, Error> {
        let key = &key.into();
        let delete = |client: etcd_client::Client| async move {
            within(client.kv_client().delete(&key[..], None)).await
        };
        let (_, done) = self.ask(delete).await?;
        Ok(done.deleted() > 0)
    }

    /// Makes all changes in one revision if all conditions hold, and none otherwise. Returns the
    /// revision of the changes, or `None` if a condition does not hold.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses. By default a server accepts at most 128 changes.
    pub async fn transaction(
        &self,
        conditions: &[Condition],
        changes: &[Change],
    ) -> Result<Option<i64>, Error> {
        let conditions: Vec<Compare> = conditions.iter().map(Condition::compare).collect();
        let changes: Vec<TxnOp> = changes.iter().map(Change::operation).collect();
        let transaction = &Txn::new().when(conditions).and_then(changes);
        let make = |client: etcd_client::Client| async move {
            within(client.kv_client().txn(transaction.clone())).await
        };
        let (_, done) = self.ask(make).await?;
        let revision = done.header().map_or(0, |header| header.revision());
        Ok(done.succeeded().then_some(revision))
    }

    /// Grants a lease that lives for at least `duration` (whole seconds, rounded up) after it was
    /// granted or last kept alive.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn grant_lease(&self, duration: Duration) -> Result<Lease, Error> {
        let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).max(1);
        let grant = |client: etcd_client::Client| async move {
            within(client.lease_client().grant(seconds, None)).await
        };
        let (_, granted) = self.ask(grant).await?;
        Ok(Lease(granted.id()))
    }

    /// Keeps a lease alive once. Returns its remaining life, or `None` if it has expired.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn keep_alive(&self, lease: Lease) -> Result<Option<Duration>, Error> {
        let keep = |client: etcd_client::Client| async move {
            within(async {
                let mut client = client.lease_client();
                // The client waits for the first answer, but does not return it.
                let (mut keeper, mut answers) = match client.keep_alive(lease.0).await {
                    Err(etcd_client::Error::LeaseKeepAliveError(_)) => return Ok(None),
                    begun => begun?,
                };
                keeper.keep_alive().await?;
                answers.message().await
            })
            .await
        };
        let (_, answer) = self.ask(keep).await?;
        let left = answer.and_then(|answer| u64::try_from(answer.ttl()).ok());
        Ok(left.filter(|seconds| *seconds > 0).map(Duration::from_secs))
    }

    /// Ends a lease and deletes its keys.
    ///
    /// # Errors
    ///
    /// No node answers, or there is no such lease.
    pub async fn revoke(&self, lease: Lease) -> Result<(), Error> {
        let revoke = |client: etcd_client::Client| async move {
            within(client.lease_client().revoke(lease.0)).await
        };
        self.ask(revoke).await?;
        Ok(())
    }
}

impl Condition {
    fn compare(&self) -> Compare {
        match self {
            Condition::Missing { key } => Compare::create_revision(&key[..], CompareOp::Equal, 0),
            Condition::ChangedAt { key, revision } => {
                Compare::mod_revision(&key[..], CompareOp::Equal, *revision)
            }
        }
    }
}

impl Change {
    fn operation(&self) -> TxnOp {
        match self {
            Change::Put { key, value, lease } => {
                let options = lease.map(|lease| PutOptions::new().with_lease(lease.0));
                TxnOp::put(&key[..], &value[..], options)
            }
            Change::Delete { key } => TxnOp::delete(&key[..], None),
        }
    }
}
