//! Changes of a store or an agent: keys, transactions, sessions and services.
//!
//! The current node gets the request. If it does not answer, the next node gets the same request,
//! so a change may happen twice when an answer was lost. Services belong to one agent, so a client
//! for them has one node.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nodes::{Attempt, Cause, Error};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::{Client, NAME, path_of};

/// A session: keys that it has acquired are released or deleted when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Session(String);

/// What happens to the keys of a session when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtEnd {
    /// The keys stay, and no session holds them.
    Release,
    /// The keys are deleted.
    Delete,
}

/// One change of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<'a> {
    /// Sets the value of a key.
    Set {
        /// The key, without a leading slash.
        key: &'a str,
        /// Its value.
        value: &'a [u8],
    },
    /// Sets the value of a key if `index` is the index of its last change; 0 if the key does not
    /// exist.
    SetIfUnchanged {
        /// The key, without a leading slash.
        key: &'a str,
        /// Its value.
        value: &'a [u8],
        /// The index.
        index: u64,
    },
    /// Removes a key.
    Delete {
        /// The key, without a leading slash.
        key: &'a str,
    },
}

/// A service, as an agent knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Service {
    /// The id, which is unique at the agent.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name.
    pub name: String,
    /// The address; empty for the agent's own.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub address: String,
    /// Its port.
    pub port: u16,
    /// Its tags.
    pub tags: Vec<String>,
    /// What else is known of it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meta: BTreeMap<String, String>,
    /// Its check. A service that is replaced by one without a check keeps the check that it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// More checks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
}

/// How the agent checks a service. Durations have Go's form: `10s`. An empty text and `false` count
/// as not given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The URL to ask.
    #[serde(rename = "HTTP", skip_serializing_if = "String::is_empty")]
    pub http: String,
    /// The method to ask it with; GET if empty.
    #[serde(rename = "Method", skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The program to run, with its arguments.
    #[serde(rename = "ScriptArgs", skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<String>,
    /// The time within which the service has to announce itself.
    #[serde(rename = "TTL", skip_serializing_if = "String::is_empty")]
    pub ttl: String,
    /// The address to connect to.
    #[serde(rename = "TCP", skip_serializing_if = "String::is_empty")]
    pub tcp: String,
    /// The address to ask by gRPC.
    #[serde(rename = "GRPC", skip_serializing_if = "String::is_empty")]
    pub grpc: String,
    /// Whether gRPC uses TLS.
    #[serde(rename = "GRPCUseTLS", skip_serializing_if = "is_no")]
    pub grpc_uses_tls: bool,
    /// Whether any certificate is accepted.
    #[serde(rename = "TLSSkipVerify", skip_serializing_if = "is_no")]
    pub tls_skip_verify: bool,
    /// The time between two checks.
    #[serde(rename = "Interval", skip_serializing_if = "String::is_empty")]
    pub interval: String,
    /// The time that a check may take.
    #[serde(rename = "Timeout", skip_serializing_if = "String::is_empty")]
    pub timeout: String,
    /// The status before the first check; critical if empty.
    #[serde(rename = "Status", skip_serializing_if = "String::is_empty")]
    pub status: String,
    /// The time after which a critical service is removed.
    #[serde(rename = "DeregisterCriticalServiceAfter", skip_serializing_if = "String::is_empty")]
    pub deregister_after: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_no(flag: &bool) -> bool {
    !flag
}

impl Client {
    /// Sets the value of a key, which has no leading slash.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.put(&self.of_key(key, ""), value).await.map(|_| ())
    }

    /// Sets the value of a key if `index` is the index of its last change, or if `index` is 0 and
    /// the key does not exist. Returns whether the value was set.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn set_if_unchanged(
        &self,
        key: &str,
        value: &[u8],
        index: u64,
    ) -> Result<bool, Error> {
        let answer = self.put(&self.of_key(key, &format!("&cas={index}")), value).await?;
        self.parsed(&answer)
    }

    /// Acquires a key for a session and sets its value. Returns whether the key was acquired:
    /// `false` if another session holds it.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn acquire(&self, key: &str, value: &[u8], session: &Session) -> Result<bool, Error> {
        let query = format!("&acquire={}", session.0);
        let answer = self.put(&self.of_key(key, &query), value).await?;
        self.parsed(&answer)
    }

    /// Removes a key.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        self.change(Method::DELETE, &self.of_key(key, ""), b"").await.map(|_| ())
    }

    /// Makes all changes at one index, or none. Returns whether they were made.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses. Consul accepts at most 64 changes.
    pub async fn transaction(&self, changes: &[Change<'_>]) -> Result<bool, Error> {
        /// Consul's answer. It contains errors if nothing was changed.
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "Errors")]
            errors: Option<Vec<serde_json::Value>>,
        }
        let changes: Vec<_> = changes.iter().map(Change::operation).collect();
        let body = serde_json::Value::from(changes).to_string();
        let answer =
            self.put(&format!("/v1/txn?{}", self.options().place()), body.as_bytes()).await?;
        let answer: Answer = self.parsed(&answer)?;
        Ok(answer.errors.is_none_or(|errors| errors.is_empty()))
    }

    /// Creates a session that lives for `ttl` (10 seconds to a day) after it was created or last
    /// renewed. Consul may let it live up to twice as long. Its keys can be acquired again at once
    /// when it has ended.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn create_session(&self, ttl: Duration, at_end: AtEnd) -> Result<Session, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(rename = "ID")]
            id: String,
        }
        let behavior = match at_end {
            AtEnd::Release => "release",
            AtEnd::Delete => "delete",
        };
        let ttl = format!("{}s", ttl.as_secs());
        let body =
            serde_json::json!({ "TTL": ttl, "Behavior": behavior, "LockDelay": "0s" }).to_string();
        let target = format!("/v1/session/create?{}", self.options().place());
        let answer: Answer = self.parsed(&self.put(&target, body.as_bytes()).await?)?;
        Ok(Session(answer.id))
    }

    /// Renews a session.
    ///
    /// # Errors
    ///
    /// No node answers, or the session has ended.
    pub async fn renew_session(&self, session: &Session) -> Result<(), Error> {
        let target = format!("/v1/session/renew/{}?{}", session.0, self.options().place());
        self.put(&target, b"").await.map(|_| ())
    }

    /// Ends a session.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn destroy_session(&self, session: &Session) -> Result<(), Error> {
        let target = format!("/v1/session/destroy/{}?{}", session.0, self.options().place());
        self.put(&target, b"").await.map(|_| ())
    }

    /// Registers a service at the agent. A service with the same id is replaced.
    ///
    /// # Errors
    ///
    /// The agent does not answer, or refuses.
    pub async fn register(&self, service: &Service) -> Result<(), Error> {
        let body = serde_json::json!(service).to_string();
        let target = format!("/v1/agent/service/register?{}", self.options().place());
        self.put(&target, body.as_bytes()).await.map(|_| ())
    }

    /// Removes the service with this id from the agent.
    ///
    /// # Errors
    ///
    /// The agent does not answer, or there is no such service.
    pub async fn deregister(&self, id: &str) -> Result<(), Error> {
        let (id, place) = (path_of(id.as_bytes()), self.options().place());
        let target = format!("/v1/agent/service/deregister/{id}?{place}");
        self.put(&target, b"").await.map(|_| ())
    }

    /// Sets the status of a check with a TTL, `passing`, `warning` or `critical`, with an output for
    /// people.
    ///
    /// # Errors
    ///
    /// The agent does not answer, or there is no such check.
    pub async fn update_check(&self, id: &str, status: &str, output: &str) -> Result<(), Error> {
        let (id, place) = (path_of(id.as_bytes()), self.options().place());
        let body = serde_json::json!({ "Status": status, "Output": output }).to_string();
        let target = format!("/v1/agent/check/update/{id}?{place}");
        self.put(&target, body.as_bytes()).await.map(|_| ())
    }

    /// The path and query of a key's URL.
    fn of_key(&self, key: &str, query: &str) -> String {
        format!("/v1/kv/{}?{}{query}", path_of(key.as_bytes()), self.options().place())
    }

    /// Parses the JSON of an answer.
    ///
    /// # Errors
    ///
    /// The answer is something else, as from a proxy that is no Consul.
    pub fn parsed<T: serde::de::DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(answer).map_err(|cause| {
            let node = self.nodes().current().map_or("", |node| self.nodes().address(node));
            let cause = Cause::new(format!("answered with something unexpected: {cause}"));
            Error::Unreachable {
                store: NAME,
                attempts: vec![Attempt { node: node.to_owned(), cause }],
            }
        })
    }
}

impl Change<'_> {
    fn operation(&self) -> serde_json::Value {
        let operation = match self {
            Change::Set { key, value } => serde_json::json!({
                "Verb": "set", "Key": key, "Value": STANDARD.encode(value),
            }),
            Change::SetIfUnchanged { key, value, index } => serde_json::json!({
                "Verb": "cas", "Key": key, "Value": STANDARD.encode(value), "Index": index,
            }),
            Change::Delete { key } => serde_json::json!({ "Verb": "delete", "Key": key }),
        };
        serde_json::json!({ "KV": operation })
    }
}
