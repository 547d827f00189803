//! The promises of every source.

use std::time::Duration;

use client_etcd::Options;
use etcd_client::{Client, ConnectOptions, Txn, TxnOp};
use servers::{Proxy, Release, Traffic};
use source::Source;
use source::testing::conformance::{self, Fixture, Refusing};

/// A real server behind a network that can be cut. With `USERS`, the source signs in as a user who
/// may read everything except forbidden keys.
struct Etcd<const NEWEST: bool, const USERS: bool> {
    server: servers::Etcd,
    network: Proxy,
    client: Option<Client>,
}

type EtcdAlone<const NEWEST: bool> = Etcd<NEWEST, false>;
type EtcdUsers<const NEWEST: bool> = Etcd<NEWEST, true>;

impl<const NEWEST: bool, const USERS: bool> Default for Etcd<NEWEST, USERS> {
    fn default() -> Self {
        let release = if NEWEST { Release::Newest } else { Release::Debian };
        let server = servers::Etcd::start_with(release, &["--bcrypt-cost", "4"]);
        if USERS {
            for line in [
                "user add root:root",
                "user grant-role root root",
                "role add reader",
                "role grant-permission reader read --prefix=true /",
                "user add app:secret",
                "user grant-role app reader",
                "auth enable",
            ] {
                server.ctl(&line.split(' ').collect::<Vec<_>>());
            }
        }
        let network = Proxy::before(&server.address());
        Etcd { server, network, client: None }
    }
}

impl<const NEWEST: bool, const USERS: bool> Etcd<NEWEST, USERS> {
    async fn client(&mut self) -> &mut Client {
        if self.client.is_none() {
            let user = USERS.then(|| ConnectOptions::new().with_user("root", "root"));
            self.client = Some(Client::connect([self.server.address()], user).await.unwrap());
        }
        self.client.as_mut().unwrap()
    }

    /// Grants the source a range of keys, or revokes it.
    fn by_root(&self, line: &str) {
        let words = ["--user", "root:root"].into_iter().chain(line.split(' '));
        self.server.ctl(&words.collect::<Vec<_>>());
    }
}

impl<const NEWEST: bool> Refusing for EtcdUsers<NEWEST> {
    /// Allows the keys before and after this key.
    async fn forbid(&mut self, key: &str) {
        self.by_root("role revoke-permission reader --prefix=true /");
        self.by_root(&format!("role grant-permission reader read / {key}"));
        self.by_root(&format!("role grant-permission reader read {key}0 0"));
        self.client = None;
    }

    async fn allow(&mut self) {
        self.by_root("role grant-permission reader read --prefix=true /");
        self.client = None;
    }
}

impl<const NEWEST: bool, const USERS: bool> Fixture for Etcd<NEWEST, USERS> {
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
        let user = USERS.then(|| ("app".to_owned(), "secret".to_owned()));
        Box::new(crate::Etcd::new(Options { nodes, user, ..Options::default() }))
    }

    fn disconnect(&mut self) {
        self.network.set(Traffic::Refused);
        self.network.cut();
    }

    fn reconnect(&mut self) {
        self.network.set(Traffic::Flows);
    }
}

source::promises! {
    etcd_debian: super::EtcdAlone<false>, etcd_newest: super::EtcdAlone<true>,
}

mod following {
    source::promises_of_following! {
        etcd_debian: super::super::EtcdAlone<false>, etcd_newest: super::super::EtcdAlone<true>,
    }
}

mod refusing {
    source::promises_of_refusing! {
        etcd_debian: super::super::EtcdUsers<false>, etcd_newest: super::super::EtcdUsers<true>,
    }
}

/// Both releases at the same time, because most of the time is waiting.
#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    let duration = Duration::from_secs(30);
    tokio::join!(
        conformance::nothing_is_lost_over_a_disconnect_of::<EtcdAlone<false>>(duration),
        conformance::nothing_is_lost_over_a_disconnect_of::<EtcdAlone<true>>(duration),
    );
}
