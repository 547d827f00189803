//! Consul's HTTP API as tests use it: keys, and tokens for them.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Consul, ask};
use crate::http::{Answer, escape};

/// The most operations of one transaction.
const OPERATIONS: usize = 64;

/// A token for requests.
#[derive(Debug, Clone)]
pub struct Token {
    /// The secret that requests carry.
    pub secret: String,
    accessor: String,
}

impl Consul {
    /// Sends a request to the HTTP API (`PUT /v1/kv/a`) with the token of its
    /// [setup](super::Setup).
    ///
    /// # Errors
    ///
    /// There is no answer.
    pub fn try_ask(&self, request: &str, body: &[u8]) -> io::Result<Answer> {
        ask(self.ports.http, &self.token, request, body)
    }

    /// Sends a request to the HTTP API (`PUT /v1/kv/a`) with the token of its
    /// [setup](super::Setup). Panics if it fails.
    #[track_caller]
    pub fn ask(&self, request: &str, body: &[u8]) -> Answer {
        let answer = self.try_ask(request, body).unwrap_or_else(|why| panic!("{request}: {why}"));
        assert!(answer.status < 300, "{request}: {} {}", answer.status, answer.text());
        answer
    }

    /// Sets a key. Keys of Consul do not begin with a slash.
    #[track_caller]
    pub fn put(&self, key: &str, value: impl AsRef<[u8]>) {
        let answer = self.ask(&format!("PUT /v1/kv/{}", escape(key)), value.as_ref());
        assert_eq!(answer.text().trim(), "true", "{key} is not set");
    }

    /// Sets many keys with few requests.
    #[track_caller]
    pub fn put_all<'a>(&self, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let set = |(key, value): (&str, &str)| json!({"KV": {"Verb": "set", "Key": key, "Value": STANDARD.encode(value)}});
        let operations: Vec<Value> = pairs.into_iter().map(set).collect();
        for operations in operations.chunks(OPERATIONS) {
            self.ask("PUT /v1/txn", &json_bytes(&operations.into()));
        }
    }

    /// Removes a key, if it is there.
    #[track_caller]
    pub fn delete(&self, key: &str) {
        self.ask(&format!("DELETE /v1/kv/{}", escape(key)), b"");
    }

    /// Removes every key that begins with `head`.
    #[track_caller]
    pub fn delete_all(&self, head: &str) {
        self.ask(&format!("DELETE /v1/kv/{}?recurse", escape(head)), b"");
    }

    /// A key's value.
    #[track_caller]
    pub fn get(&self, key: &str) -> Option<Vec<u8>> {
        Some(self.find(&format!("{}?raw", escape(key)))?.body)
    }

    /// The keys that begin with `head`, sorted.
    #[track_caller]
    pub fn list(&self, head: &str) -> Vec<String> {
        let answer = self.find(&format!("{}?keys", escape(head)));
        answer.map_or_else(Vec::new, |answer| serde_json::from_slice(&answer.body).unwrap())
    }

    /// The index at which all keys that begin with `head` are read now. A blocking query on them
    /// starts from it.
    #[track_caller]
    pub fn index(&self, head: &str) -> u64 {
        let request = format!("GET /v1/kv/{}?recurse", escape(head));
        let answer = self.try_ask(&request, b"").unwrap_or_else(|why| panic!("{request}: {why}"));
        let index = answer.header("X-Consul-Index").and_then(|index| index.parse().ok());
        index.unwrap_or_else(|| panic!("{request}: no index in {}", answer.head))
    }

    /// Creates a token with these rules, in Consul's language: `key_prefix "app/" { policy = "read"
    /// }`.
    #[track_caller]
    pub fn token(&self, rules: &str) -> Token {
        let made = self.ask("PUT /v1/acl/token", &json_bytes(&self.policy(rules)));
        let made: Value = serde_json::from_slice(&made.body).unwrap();
        let field = |name| made[name].as_str().unwrap().to_owned();
        Token { secret: field("SecretID"), accessor: field("AccessorID") }
    }

    /// Creates a token again that was [revoked](Self::revoke).
    #[track_caller]
    pub fn restore(&self, token: &Token, rules: &str) {
        let mut wanted = self.policy(rules);
        wanted["SecretID"] = token.secret.clone().into();
        wanted["AccessorID"] = token.accessor.clone().into();
        self.ask("PUT /v1/acl/token", &json_bytes(&wanted));
    }

    /// Gives a token other rules.
    #[track_caller]
    pub fn change(&self, token: &Token, rules: &str) {
        let request = format!("PUT /v1/acl/token/{}", token.accessor);
        self.ask(&request, &json_bytes(&self.policy(rules)));
    }

    /// Deletes a token.
    #[track_caller]
    pub fn revoke(&self, token: &Token) {
        self.ask(&format!("DELETE /v1/acl/token/{}", token.accessor), b"");
    }

    /// Creates a policy and returns the request for a token with it.
    #[track_caller]
    fn policy(&self, rules: &str) -> Value {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("policy-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.ask("PUT /v1/acl/policy", &json_bytes(&json!({"Name": name, "Rules": rules})));
        json!({"Policies": [{"Name": name}]})
    }

    #[track_caller]
    fn find(&self, rest: &str) -> Option<Answer> {
        let request = format!("GET /v1/kv/{rest}");
        let answer = self.try_ask(&request, b"").unwrap_or_else(|why| panic!("{request}: {why}"));
        match answer.status {
            200 => Some(answer),
            404 => None,
            status => panic!("{request}: {status} {}", answer.text()),
        }
    }
}

fn json_bytes(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
