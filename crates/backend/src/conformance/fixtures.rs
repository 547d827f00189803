//! A store of each kind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use base64::Engine;
use etcd_client::{Client, Txn, TxnOp};
use servers::{Certificates, Proxy, Release, Traffic};

use super::Fixture;
use crate::{Backend, Env, File, consul, etcd, tls};

#[derive(Default)]
pub(super) struct Environment(BTreeMap<String, Vec<u8>>);

impl Environment {
    fn name(key: &str) -> String {
        key.trim_start_matches('/').replace('/', "_").to_uppercase()
    }
}

impl Fixture for Environment {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"\0";
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.0.insert(Environment::name(key), value.to_vec());
    }

    async fn delete(&mut self, key: &str) {
        self.0.remove(&Environment::name(key));
    }

    fn backend(&self) -> Box<dyn Backend> {
        let variables = self.0.iter();
        Box::new(Env::new(
            variables.map(|(name, value)| (name.into(), OsString::from_vec(value.clone()))),
        ))
    }
}

/// Two files in a folder; each key is in one of them. Away from its place, the folder still changes.
pub(super) struct Files {
    place: tempfile::TempDir,
    /// Where the folder is, in `place`.
    folder: &'static str,
    pairs: BTreeMap<String, Vec<u8>>,
}

const HERE: &str = "data";
const AWAY: &str = "away";

impl Default for Files {
    fn default() -> Self {
        let files =
            Files { place: tempfile::tempdir().unwrap(), folder: HERE, pairs: BTreeMap::new() };
        fs::create_dir(files.path(HERE)).unwrap();
        files
    }
}

impl Files {
    const NAMES: [&str; 2] = ["1.yaml", "2.yaml"];

    fn path(&self, folder: &str) -> PathBuf {
        self.place.path().join(folder)
    }

    /// The name of the file that a key is in.
    fn name(key: &str) -> &'static str {
        Files::NAMES[key.bytes().map(usize::from).sum::<usize>() % 2]
    }

    /// Writes a file anew and puts it in the place of the old one.
    fn write(&self, name: &str) {
        let mut text = String::new();
        for (key, value) in self.pairs.iter().filter(|(key, _)| Files::name(key) == name) {
            let value = base64::engine::general_purpose::STANDARD.encode(value);
            writeln!(text, "{key:?}: !!binary {value:?}").unwrap();
        }
        let folder = self.path(self.folder);
        fs::write(folder.join("new"), text).unwrap();
        fs::rename(folder.join("new"), folder.join(name)).unwrap();
    }

    fn relocate(&mut self, folder: &'static str) {
        fs::rename(self.path(self.folder), self.path(folder)).unwrap();
        self.folder = folder;
    }
}

impl Fixture for Files {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = true;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.pairs.insert(key.to_owned(), value.to_vec());
        self.write(Files::name(key));
    }

    async fn delete(&mut self, key: &str) {
        self.pairs.remove(key);
        self.write(Files::name(key));
    }

    async fn set_all(&mut self, pairs: &[(String, String)]) {
        let pairs = pairs.iter().cloned().map(|(key, value)| (key, value.into_bytes()));
        self.pairs.extend(pairs);
        Files::NAMES.iter().for_each(|name| self.write(name));
    }

    fn backend(&self) -> Box<dyn Backend> {
        Box::new(File::new([self.path(HERE)], b"*.yaml"))
    }

    fn disconnect(&mut self) {
        self.relocate(AWAY);
    }

    fn reconnect(&mut self) {
        self.relocate(HERE);
    }
}

/// A real server, seen by the backend through a network that can be cut.
pub(super) struct Etcd<const NEWEST: bool> {
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

    fn backend(&self) -> Box<dyn Backend> {
        let nodes = vec![self.network.address()];
        Box::new(crate::Etcd::new(etcd::Options { nodes, ..etcd::Options::default() }))
    }

    fn disconnect(&mut self) {
        self.network.set(Traffic::Refused);
        self.network.cut();
    }

    fn reconnect(&mut self) {
        self.network.set(Traffic::Flows);
    }
}

/// Real servers, seen by the backend through networks that can be cut: so many members of one
/// store, which want a token or a certificate or neither.
pub(super) struct Consul<const MEMBERS: usize, const TOKEN: bool, const TLS: bool> {
    servers: Vec<servers::Consul>,
    networks: Vec<Proxy>,
    token: Option<String>,
    certificates: Option<Certificates>,
}

pub(super) type ConsulAlone = Consul<1, false, false>;
pub(super) type ConsulCluster = Consul<3, false, false>;
pub(super) type ConsulTokens = Consul<1, true, false>;
pub(super) type ConsulTls = Consul<1, false, true>;

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
        let reader =
            |server: &servers::Consul| server.token("key_prefix \"\" { policy = \"read\" }").secret;
        let token = TOKEN.then(|| reader(&servers[0]));
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

    fn backend(&self) -> Box<dyn Backend> {
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
        let token = self.token.clone().map(consul::Token::Text);
        let options = consul::Options { nodes, tls, token, ..consul::Options::default() };
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

/// A key as Consul has it, without the slash at its beginning.
fn spelled(key: &str) -> &str {
    key.strip_prefix('/').unwrap_or(key)
}
