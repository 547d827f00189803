//! The promises of every source.

use std::time::Duration;

use client_etcd2::Options;
use servers::{Etcd, Proxy, Traffic};
use source::Source;
use source::testing::conformance::{self, Fixture, Refusing};

use crate::Etcdv2;

/// A real server, with users if `USERS`, behind a network that can be cut.
struct Server<const USERS: bool> {
    server: Etcd,
    network: Proxy,
}

type EtcdAlone = Server<false>;
type EtcdUsers = Server<true>;

/// Who writes where there are users.
const ROOT: Option<(&str, &str)> = Some(("root", "secret"));

/// The keys of a role that may read everything.
const EVERYTHING: &str = "/*";

impl<const USERS: bool> Server<USERS> {
    fn admin(&self) -> Option<(&'static str, &'static str)> {
        ROOT.filter(|_| USERS)
    }

    /// Lets the role of the source read these keys instead of those before.
    fn allow_only(&self, before: &[&str], now: &[&str]) {
        let change = serde_json::json!({
            "role": "reader",
            "revoke": { "kv": { "read": before, "write": [] } },
            "grant": { "kv": { "read": now, "write": [] } },
        });
        self.server.of_version_2("PUT", "/v2/auth/roles/reader", &change.to_string(), self.admin());
    }
}

impl<const USERS: bool> Default for Server<USERS> {
    fn default() -> Self {
        let server = crate::tests::server();
        if USERS {
            let auth = |what: &str, body: &str| {
                server.of_version_2("PUT", &format!("/v2/auth/{what}"), body, None);
            };
            auth("users/root", r#"{"user":"root","password":"secret"}"#);
            auth(
                "roles/reader",
                r#"{"role":"reader","permissions":{"kv":{"read":["/*"],"write":[]}}}"#,
            );
            auth("users/joe", r#"{"user":"joe","password":"password","roles":["reader"]}"#);
            auth("enable", "");
        }
        let network = Proxy::before(&server.address());
        Server { server, network }
    }
}

impl<const USERS: bool> Fixture for Server<USERS> {
    const MATCHES_TEXT: bool = false;
    const KEYS_ARE_FOLDERS_OR_VALUES: bool = true;
    const IMPOSSIBLE: &[u8] = &conformance::NO_TEXT;
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        // Without a login: etcd takes long to check a password, and guests may do everything.
        self.server.put_of_version_2(key, value, None);
    }

    async fn delete(&mut self, key: &str) {
        self.server.of_version_2("DELETE", &format!("/v2/keys{key}"), "", None);
    }

    fn source(&self) -> Box<dyn Source> {
        let nodes = vec![self.network.address()];
        let user = (USERS).then(|| ("joe".to_owned(), "password".to_owned()));
        Box::new(Etcdv2::new(Options { nodes, user, ..Options::default() }))
    }

    fn disconnect(&mut self) {
        self.network.set(Traffic::Refused);
        self.network.cut();
    }

    fn reconnect(&mut self) {
        self.network.set(Traffic::Flows);
    }
}

impl Refusing for EtcdUsers {
    async fn forbid(&mut self, key: &str) {
        // A role names what is allowed: here the first letters of all keys of the suite but one.
        let others: Vec<String> = ('a'..='z')
            .map(|first| format!("/{first}*"))
            .filter(|keys| keys[..2] != key[..2])
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        self.allow_only(&[EVERYTHING], &others);
    }

    async fn allow(&mut self) {
        self.allow_only(&[], &[EVERYTHING]);
    }
}

source::promises! { etcd: super::EtcdAlone, etcd_users: super::EtcdUsers }

mod following {
    source::promises_of_following! {
        etcd: super::super::EtcdAlone, etcd_users: super::super::EtcdUsers,
    }
}

mod refusing {
    source::promises_of_refusing! { etcd_users: super::super::EtcdUsers }
}

#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    conformance::nothing_is_lost_over_a_disconnect_of::<EtcdAlone>(Duration::from_secs(30)).await;
}
