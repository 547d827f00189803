//! The promises of every source.

use std::time::Duration;

use servers::{Certificates, Proxy, Traffic};
use source::Source;
use source::testing::conformance::{self, Fixture, Refusing};

use crate::Redis;
use crate::address::{Login, Secret};
use crate::tests::options;

/// A real server behind a network that can be cut.
struct Server<const KIND: u8> {
    server: servers::Redis,
    network: Proxy,
    certificates: Option<Certificates>,
}

/// A server that asks for nothing, one that asks for a user, one that asks for a certificate, and
/// Valkey.
const ALONE: u8 = 0;
const USER: u8 = 1;
const TLS: u8 = 2;
const VALKEY: u8 = 3;

type RedisAlone = Server<ALONE>;
type RedisUser = Server<USER>;
type RedisTls = Server<TLS>;
type Valkey = Server<VALKEY>;

impl<const KIND: u8> Default for Server<KIND> {
    fn default() -> Self {
        let certificates = (KIND == TLS).then(Certificates::new);
        let server = match &certificates {
            Some(certificates) => servers::Redis::with_certificates(certificates),
            None if KIND == VALKEY => servers::Redis::valkey_or_redis(),
            None => servers::Redis::start(),
        };
        if KIND == USER {
            server.ask(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@read"]);
            server.ask(&["ACL", "SETUSER", "reader", "+psubscribe", "+punsubscribe", "+ping"]);
            server.ask(&["ACL", "SETUSER", "reader", "+config|get"]);
        }
        let address = if KIND == TLS { server.secure_address() } else { server.address() };
        Server { network: Proxy::before(&address), server, certificates }
    }
}

impl<const KIND: u8> Fixture for Server<KIND> {
    const MATCHES_TEXT: bool = false;
    const HIDES_KEYS_BELOW_A_VALUE: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.server.set(key, value);
    }

    async fn delete(&mut self, key: &str) {
        self.server.ask(&["DEL", key]);
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        let sets: Vec<[&str; 3]> = pairs.iter().map(|(key, value)| ["SET", key, value]).collect();
        self.server.ask_all(&sets.iter().map(<[&str; 3]>::as_slice).collect::<Vec<_>>());
    }

    fn source(&self) -> Box<dyn Source> {
        let scheme = if KIND == TLS { "rediss" } else { "redis" };
        let mut options = options(&[format!("{scheme}://{}", self.network.address())]);
        let file = |name| self.certificates.as_ref().map(|files| files.path(name));
        options.tls.ca = file("ca.pem");
        options.tls.certificate = file("client.pem");
        options.tls.key = file("client.key");
        options.login = (KIND == USER).then(|| Login {
            user: Some("reader".to_owned()),
            password: Secret("secret".to_owned()),
        });
        Box::new(Redis::new(options))
    }

    fn disconnect(&mut self) {
        self.network.set(Traffic::Refused);
        self.network.cut();
    }

    fn reconnect(&mut self) {
        self.network.set(Traffic::Flows);
    }
}

impl Refusing for RedisUser {
    async fn forbid(&mut self, key: &str) {
        // Rules name what is allowed: here all keys that differ from the forbidden one in the first
        // letter.
        let first = &key[1..2];
        let allowed = format!("~/[^{first}]*");
        self.server.ask(&["ACL", "SETUSER", "reader", "resetkeys", &allowed]);
    }

    async fn allow(&mut self) {
        self.server.ask(&["ACL", "SETUSER", "reader", "resetkeys", "~*"]);
    }
}

source::promises! {
    redis: super::RedisAlone, redis_user: super::RedisUser, redis_tls: super::RedisTls,
    redis_cluster: super::RedisCluster, valkey: super::Valkey,
}

mod following {
    source::promises_of_following! {
        redis: super::super::RedisAlone, redis_user: super::super::RedisUser,
        redis_tls: super::super::RedisTls, redis_cluster: super::super::RedisCluster,
        valkey: super::super::Valkey,
    }
}

mod refusing {
    source::promises_of_refusing! { redis_user: super::super::RedisUser }
}

#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    conformance::nothing_is_lost_over_a_disconnect_of::<RedisAlone>(Duration::from_secs(30)).await;
}

/// A cluster of three masters, each behind a network that can be cut.
struct RedisCluster {
    servers: Vec<servers::Redis>,
    networks: Vec<Proxy>,
}

impl Default for RedisCluster {
    fn default() -> Self {
        let servers = Vec::from(servers::Redis::cluster::<3>());
        let networks: Vec<Proxy> =
            servers.iter().map(|server| Proxy::before(&server.address())).collect();
        let port = |network: &Proxy| network.address().replace("127.0.0.1:", "");
        for (server, network) in servers.iter().zip(&networks) {
            server.ask(&["CONFIG", "SET", "cluster-announce-port", &port(network)]);
        }
        servers::eventually("every member knows the networks", || {
            let slots = servers.iter().map(|server| server.ask(&["CLUSTER", "SLOTS"]));
            slots.into_iter().all(|slots| networks.iter().all(|way| slots.contains(&port(way))))
        });
        RedisCluster { servers, networks }
    }
}

impl Fixture for RedisCluster {
    const MATCHES_TEXT: bool = false;
    const HIDES_KEYS_BELOW_A_VALUE: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        servers::redis::ask_cluster(&self.servers, &[b"SET", key.as_bytes(), value]);
    }

    async fn delete(&mut self, key: &str) {
        servers::redis::ask_cluster(&self.servers, &["DEL", key]);
    }

    fn source(&self) -> Box<dyn Source> {
        let nodes: Vec<String> = self.networks.iter().map(Proxy::address).collect();
        Box::new(Redis::new(options(&nodes)))
    }

    fn disconnect(&mut self) {
        for network in &self.networks {
            network.set(Traffic::Refused);
            network.cut();
        }
    }

    fn reconnect(&mut self) {
        self.networks.iter().for_each(|network| network.set(Traffic::Flows));
    }
}
