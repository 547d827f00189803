//! The promises of every source.

use std::time::Duration;

use client_etcd::Options;
use etcd_client::{Client, Txn, TxnOp};
use servers::{Proxy, Release, Traffic};
use source::Source;
use source::testing::conformance::{self, Fixture};

/// A real server, seen by the source through a network that can be cut.
struct Etcd<const NEWEST: bool> {
    server: servers::Etcd,
    network: Proxy,
    client: Option<Client>,
}

impl<const NEWEST: bool> Default for Etcd<NEWEST> {
    fn default() -> Self {
        let server = servers::Etcd::start(if NEWEST { Release::Newest } else { Release::Debian });
        let network = Proxy::before(&server.address());
        Etcd { server, network, client: None }
    }
}

impl<const NEWEST: bool> Etcd<NEWEST> {
    async fn client(&mut self) -> &mut Client {
        if self.client.is_none() {
            self.client = Some(Client::connect([self.server.address()], None).await.unwrap());
        }
        self.client.as_mut().unwrap()
    }
}

impl<const NEWEST: bool> Fixture for Etcd<NEWEST> {
    const MATCHES_TEXT: bool = false;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.client().await.put(key, value, None).await.unwrap();
    }

    async fn delete(&mut self, key: &str) {
        self.client().await.delete(key, None).await.unwrap();
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        for pairs in pairs.chunks(128) {
            let puts = pairs.iter().map(|(key, value)| TxnOp::put(&**key, &**value, None));
            let puts = Txn::new().and_then(puts.collect::<Vec<_>>());
            self.client().await.txn(puts).await.unwrap();
        }
    }

    fn source(&self) -> Box<dyn Source> {
        let nodes = vec![self.network.address()];
        Box::new(crate::Etcd::new(Options { nodes, ..Options::default() }))
    }

    fn disconnect(&mut self) {
        self.network.set(Traffic::Refused);
        self.network.cut();
    }

    fn reconnect(&mut self) {
        self.network.set(Traffic::Flows);
    }
}

source::promises! { etcd_debian: super::Etcd<false>, etcd_newest: super::Etcd<true> }

mod following {
    source::promises_of_following! {
        etcd_debian: super::super::Etcd<false>, etcd_newest: super::super::Etcd<true>,
    }
}

/// Both releases at once, since most of it is waiting.
#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    let duration = Duration::from_secs(30);
    tokio::join!(
        conformance::nothing_is_lost_over_a_disconnect_of::<Etcd<false>>(duration),
        conformance::nothing_is_lost_over_a_disconnect_of::<Etcd<true>>(duration),
    );
}
