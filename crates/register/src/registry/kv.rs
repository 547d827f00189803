//! Keys of Consul's key/value store.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use client_consul::write::{AtEnd, Session};
use client_consul::{Client, NAME, Options, path_of};
use nodes::{Cause, Error};

use super::consul::{leader, outage};
use super::keys::host_and_port;
use super::{Entry, Registry, key_outside};
use crate::log::Log;
use crate::service::Service;
use crate::uri::clean;

/// Services as keys: `PREFIX/NAME/ID` has the value `ADDRESS:PORT`.
pub(super) struct Kv {
    client: Client,
    /// Without slashes at its ends; empty for none.
    prefix: String,
    /// How long a key outlives its process; `None` for keys that stay.
    ttl: Option<Duration>,
    /// The sessions that hold keys.
    sessions: RefCell<HashMap<String, Session>>,
    log: Log,
}

impl Kv {
    pub(super) fn new(options: Options, prefix: String, ttl: Option<Duration>, log: Log) -> Kv {
        Kv { client: Client::new(options), prefix, ttl, sessions: RefCell::default(), log }
    }

    /// Sets a key that ends with its session.
    async fn hold(&self, key: String, value: String, ttl: Duration) -> Result<(), Error> {
        let session = self.client.create_session(ttl, AtEnd::Delete).await?;
        if self.client.acquire(&key, value.as_bytes(), &session).await? {
            self.sessions.borrow_mut().insert(key, session);
            return Ok(());
        }
        self.client.destroy_session(&session).await?;
        Err(self.held_by_another(&key))
    }

    /// Makes the key of a living session again if another program has removed or changed it.
    async fn hold_again(&self, key: &str, value: &str, session: &Session) -> Result<(), Error> {
        // Readers are woken only if there is something new for them.
        let target = format!("/v1/kv/{}?raw&", path_of(key.as_bytes()));
        match self.client.read(&target, Duration::ZERO).await {
            Ok((_, found)) if found == value.as_bytes() => return Ok(()),
            Err(error) if !error.is_missing() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        match self.client.acquire(key, value.as_bytes(), session).await? {
            true => Ok(()),
            false => Err(self.held_by_another(key)),
        }
    }

    fn held_by_another(&self, key: &str) -> Error {
        let reason =
            format!("another session holds the key {key}, until the process behind it ends");
        let node = self.client.options().nodes.join(",");
        Error::Refused { store: NAME, node, reason: Cause::new(reason) }
    }

    fn path(&self, name: &str, id: &str) -> String {
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
        if service.is_healthy == Some(false) {
            return self.deregister(service).await;
        }
        let key = self.key(service);
        let value = host_and_port(service);
        if let Some(ttl) = self.ttl {
            return self.hold(key, value, ttl).await;
        }
        self.log.line("Register");
        self.log.line(format_args!("path: {key}"));
        self.client.set(&key, value.as_bytes()).await
    }

    async fn refresh(&self, service: &Service) -> Result<(), Error> {
        let key = self.key(service);
        let session = self.sessions.borrow().get(&key).cloned();
        match session {
            None if self.ttl.is_none() => Ok(()),
            None => self.register(service).await,
            Some(session) => match self.client.renew_session(&session).await {
                // Consul has forgotten the session, and the key with it.
                Err(error) if error.is_missing() => {
                    self.sessions.borrow_mut().remove(&key);
                    self.register(service).await
                }
                Err(error) => Err(error),
                Ok(()) => self.hold_again(&key, &host_and_port(service), &session).await,
            },
        }
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        let key = self.key(service);
        let session = self.sessions.borrow_mut().remove(&key);
        match session {
            // The key ends with its session.
            Some(session) => self.client.destroy_session(&session).await,
            None if self.ttl.is_some() => Ok(()),
            None => self.client.delete(&key).await,
        }
    }

    fn refuses(&self, service: &Service) -> Option<String> {
        let key = self.path(&service.name, &service.id);
        key_outside(&self.prefix, key.trim_start_matches('/'))
    }

    fn key(&self, service: &Service) -> String {
        self.path(&service.name, &service.id)
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let keys = match self.client.read(&self.keys(), Duration::ZERO).await {
            Ok((_, body)) => self.client.parsed::<Vec<String>>(&body)?,
            Err(error) if error.is_missing() => Vec::new(),
            Err(error) => return Err(error),
        };
        let below = |key: &String| {
            let rest = key.strip_prefix(&self.prefix)?;
            Entry::of_key(key, rest.strip_prefix('/').unwrap_or(rest))
        };
        Ok(keys.iter().filter_map(below).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.client.delete(&entry.key).await
    }

    async fn lost(&self) {
        outage(&self.client, &self.keys()).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use servers::Stub;

    use super::*;

    #[tokio::test]
    async fn keys_below_a_longer_prefix_are_no_entries() {
        let stub = Stub::answering(|_| {
            let body = r#"["s/web/h1:web:80", "s/inner/web/h1:web:80", "s/web/a/b", "s/x", "s/"]"#;
            let length = body.len();
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
        });
        let options = Options { nodes: vec![stub.address()], ..Options::default() };
        let log = Log::new(Arc::new(world::System::new()), Box::new(std::io::sink()));
        let entries = Kv::new(options, "s".to_owned(), None, log).entries().await.unwrap();
        let shown: Vec<_> = entries.iter().map(|entry| (&entry.name[..], &entry.id[..])).collect();
        assert_eq!(shown, [("web", "h1:web:80")]);
    }
}
