//! A store of each kind.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::fs;
use std::os::unix::ffi::OsStringExt;

use base64::Engine;
use etcd_client::{Client, Txn, TxnOp};
use servers::{Proxy, Release, Traffic};

use super::Fixture;
use crate::{Backend, Env, File, etcd};

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

/// Two files in a folder; each key is in one of them.
pub(super) struct Files {
    folder: tempfile::TempDir,
    pairs: BTreeMap<String, Vec<u8>>,
}

impl Default for Files {
    fn default() -> Self {
        Files { folder: tempfile::tempdir().unwrap(), pairs: BTreeMap::new() }
    }
}

impl Fixture for Files {
    const MATCHES_TEXT: bool = true;
    const IMPOSSIBLE: &[u8] = b"";
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        self.pairs.insert(key.to_owned(), value.to_vec());
    }

    async fn delete(&mut self, key: &str) {
        self.pairs.remove(key);
    }

    fn backend(&self) -> Box<dyn Backend> {
        let mut texts = [String::new(), String::new()];
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            let value = base64::engine::general_purpose::STANDARD.encode(value);
            writeln!(texts[index % 2], "{key:?}: !!binary {value:?}").unwrap();
        }
        for (name, text) in ["1.yaml", "2.yaml"].iter().zip(texts) {
            fs::write(self.folder.path().join(name), text).unwrap();
        }
        Box::new(File::new([self.folder.path().to_owned()], b"*.yaml"))
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
