//! The promises of every source.

use std::time::Duration;

use client_consul::{Options, Token};
use servers::{Certificates, Proxy, Traffic};
use source::Source;
use source::testing::conformance::{self, Fixture, Refusing};

/// Real servers behind networks that can be cut: `MEMBERS` servers of one store, with tokens if
/// `TOKEN`, with certificates if `TLS`.
struct Consul<const MEMBERS: usize, const TOKEN: bool, const TLS: bool> {
    servers: Vec<servers::Consul>,
    networks: Vec<Proxy>,
    token: Option<servers::Token>,
    certificates: Option<Certificates>,
}

/// The rules of a token that may read all keys.
const EVERYTHING: &str = "key_prefix \"\" { policy = \"read\" }";

type ConsulAlone = Consul<1, false, false>;
type ConsulCluster = Consul<3, false, false>;
type ConsulTokens = Consul<1, true, false>;
type ConsulTls = Consul<1, false, true>;

impl<const MEMBERS: usize, const TOKEN: bool, const TLS: bool> Default
    for Consul<MEMBERS, TOKEN, TLS>
{
    fn default() -> Self {
        let certificates = TLS.then(Certificates::new);
        let servers = match &certificates {
            Some(certificates) => vec![servers::Consul::with_certificates(certificates)],
            None if TOKEN => vec![servers::Consul::with_tokens()],
            None if MEMBERS == 1 => vec![servers::Consul::start()],
            None => Vec::from(servers::Consul::cluster::<MEMBERS>()),
        };
        let token = TOKEN.then(|| servers[0].token(EVERYTHING));
        let address = |server: &servers::Consul| match TLS {
            true => server.secure_address(),
            false => server.address(),
        };
        let networks = servers.iter().map(|server| Proxy::before(&address(server))).collect();
        Consul { servers, networks, token, certificates }
    }
}

impl<const MEMBERS: usize, const TOKEN: bool, const TLS: bool> Fixture
    for Consul<MEMBERS, TOKEN, TLS>
{
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.servers[0].put(spelled(key), value);
    }

    async fn delete(&mut self, key: &str) {
        self.servers[0].delete(spelled(key));
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        self.servers[0].put_all(pairs.iter().map(|(key, value)| (spelled(key), &**value)));
    }

    fn source(&self) -> Box<dyn Source> {
        let scheme = if TLS { "https" } else { "http" };
        let node = |network: &Proxy| format!("{scheme}://{}", network.address());
        let file = |name| self.certificates.as_ref().map(|files| files.path(name));
        let tls = tls::Options {
            ca: file("ca.pem"),
            certificate: file("client.pem"),
            key: file("client.key"),
            ..tls::Options::default()
        };
        let nodes = self.networks.iter().map(node).collect();
        let token = self.token.as_ref().map(|token| Token::Text(token.secret.clone()));
        let options = Options { nodes, tls, token, ..Options::default() };
        Box::new(crate::Consul::new(options))
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

impl Refusing for ConsulTokens {
    async fn forbid(&mut self, key: &str) {
        let key = spelled(key);
        let rules = format!("{EVERYTHING} key_prefix \"{key}\" {{ policy = \"deny\" }}");
        self.servers[0].change(self.token.as_ref().unwrap(), &rules);
    }

    async fn allow(&mut self) {
        self.servers[0].change(self.token.as_ref().unwrap(), EVERYTHING);
    }
}

/// A key without its leading slash, as in Consul.
fn spelled(key: &str) -> &str {
    key.strip_prefix('/').unwrap_or(key)
}

source::promises! {
    consul: super::ConsulAlone, consul_cluster: super::ConsulCluster,
    consul_tokens: super::ConsulTokens, consul_tls: super::ConsulTls,
}

mod following {
    source::promises_of_following! {
        consul: super::super::ConsulAlone, consul_cluster: super::super::ConsulCluster,
        consul_tokens: super::super::ConsulTokens, consul_tls: super::super::ConsulTls,
    }
}

mod refusing {
    source::promises_of_refusing! { consul_tokens: super::super::ConsulTokens }
}

#[tokio::test]
async fn nothing_is_lost_over_a_disconnect_of_half_a_minute() {
    conformance::nothing_is_lost_over_a_disconnect_of::<ConsulAlone>(Duration::from_secs(30)).await;
}
