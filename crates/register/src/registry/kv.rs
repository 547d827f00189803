//! Keys of Consul's key/value store.

use std::time::Duration;

use async_trait::async_trait;
use client_consul::{Client, Options, path_of};
use nodes::Error;

use super::consul::{leader, outage};
use super::{Entry, Registry, host_and_port};
use crate::log::Log;
use crate::service::Service;
use crate::uri::clean;

/// Services as keys: `PREFIX/NAME/ID` has the value `ADDRESS:PORT`.
pub(super) struct Kv {
    client: Client,
    /// Without slashes at its ends; empty for none.
    prefix: String,
    log: Log,
}

impl Kv {
    pub(super) fn new(options: Options, prefix: String, log: Log) -> Kv {
        Kv { client: Client::new(options), prefix, log }
    }

    fn key(&self, name: &str, id: &str) -> String {
        clean(&format!("{}/{name}/{id}", self.prefix))
    }

    /// The keys below the prefix, as the target of a request.
    fn keys(&self) -> String {
        let prefix = match &self.prefix[..] {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        format!("/v1/kv/{}?keys&", path_of(prefix.as_bytes()))
    }
}

#[async_trait(?Send)]
impl Registry for Kv {
    async fn ping(&self) -> Result<Option<String>, Error> {
        leader(&self.client, "consulkv").await
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        let key = self.key(&service.name, &service.id);
        self.log.line("Register");
        self.log.line(format_args!("path: {key}"));
        self.client.set(&key, host_and_port(service).as_bytes()).await
    }

    async fn refresh(&self, _: &Service) -> Result<(), Error> {
        Ok(())
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        self.client.delete(&self.key(&service.name, &service.id)).await
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let keys = match self.client.read(&self.keys(), Duration::ZERO).await {
            Ok((_, body)) => serde_json::from_slice::<Vec<String>>(&body).unwrap_or_default(),
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error),
        };
        let below = |key: &String| {
            let rest = key.strip_prefix(&self.prefix)?.trim_start_matches('/');
            let (name, id) = rest.rsplit_once('/')?;
            Some(Entry { id: id.to_owned(), name: name.to_owned() })
        };
        Ok(keys.iter().filter_map(below).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.client.delete(&self.key(&entry.name, &entry.id)).await
    }

    async fn lost(&self) {
        outage(&self.client, &self.keys()).await;
    }
}
