//! The promises of every source.

use std::sync::Arc;

use async_trait::async_trait;
use client_vault::{Login, Options};
use nodes::Secret;
use serde_json::json;
use source::testing::conformance::Fixture;
use source::{Answer, Error, Interest, Source, Watch};
use store::{Coverage, Key, Scope, Snapshot};

/// A real server, whose keys are below the mount of a secrets engine: one with versions if `VERSIONS`.
struct Server<const VERSIONS: bool>(servers::Vault);

impl<const VERSIONS: bool> Default for Server<VERSIONS> {
    fn default() -> Self {
        Server(servers::Vault::start())
    }
}

/// Where the keys are.
fn mount(versions: bool) -> &'static str {
    if versions { "/secret" } else { "/kv" }
}

/// The part of a source below a key, as if there were no more.
struct Below(Arc<dyn Source>, &'static str);

impl Below {
    /// The same pairs without the key at their beginning.
    fn cut(&self, snapshot: &Snapshot) -> Snapshot {
        let pairs = snapshot.iter().map(|(key, value)| (key.slice(self.1.len()..), value.clone()));
        Snapshot::from_pairs(Coverage::Subtree, pairs.collect::<Vec<_>>())
    }
}

#[async_trait]
impl Source for Below {
    async fn read(&self, interest: &Interest) -> Result<Vec<Answer>, Error> {
        let key = |key: &Key| Key::new(&[self.1.as_bytes(), key.as_bytes()].concat());
        let scope = |scope: &Scope| scope.iter().map(key).collect::<Scope>();
        let answers = self.0.read(&interest.scopes.iter().map(scope).collect()).await?;
        Ok(answers.into_iter().map(|answer| answer.map(|pairs| self.cut(&pairs))).collect())
    }

    async fn watch(&self, interest: &Interest) -> Result<Option<Box<dyn Watch>>, Error> {
        self.0.watch(interest).await
    }
}

impl<const VERSIONS: bool> Fixture for Server<VERSIONS> {
    const MATCHES_TEXT: bool = false;
    // A value is a text of JSON.
    const IMPOSSIBLE: &[u8] = &{
        let mut bytes = [0; 128];
        let mut nth = 0;
        while nth < 128 {
            bytes[nth] = 128 + nth as u8;
            nth += 1;
        }
        bytes
    };
    const CAN_BE_FOLLOWED: bool = false;

    async fn set(&mut self, key: &str, value: &[u8]) {
        let data = json!({ "value": std::str::from_utf8(value).unwrap() });
        match VERSIONS {
            true => self.0.put(&key[1..], &data),
            false => self.0.write(&format!("kv{key}"), &data),
        }
    }

    async fn delete(&mut self, key: &str) {
        match VERSIONS {
            true => self.0.delete(&format!("secret/data{key}")),
            false => self.0.delete(&format!("kv{key}")),
        }
    }

    fn source(&self) -> Box<dyn Source> {
        let login = Login::Token(Secret::Text(self.0.root().to_owned()));
        let options = Options { nodes: vec![self.0.url()], login, ..Options::default() };
        Box::new(Below(Arc::new(crate::Vault::new(options)), mount(VERSIONS)))
    }
}

source::promises! { with_versions: super::Server<true>, without_versions: super::Server<false> }
