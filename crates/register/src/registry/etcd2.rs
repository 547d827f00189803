//! Keys of etcd by version 2 of its API, for readers that know no other: the keys and values of
//! registrator, which end by themselves if they have a `ttl`.
//!
//! Versions 2 and 3 of the API have separate stores in one server: a reader of one does not see the
//! keys of the other.

use std::time::Duration;

use async_trait::async_trait;
use client_etcd::Options;
use nodes::body::Bounds;
use nodes::{Cause, CauseKind, Error, Failover, NodeError, address};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Client, Method, Response};
use serde_json::Value;
use tokio::time::{Instant, sleep_until, timeout};

use super::keys::Keys;
use super::{Entry, Registry};
use crate::service::Service;

/// The name of the store in errors.
const NAME: &str = "etcd";

/// The port of a node that has none.
const PORT: u16 = 2379;

/// The longest time until a new connection is there.
const CONNECTING: Duration = Duration::from_secs(3);

/// The longest time until the head of an answer is there.
const SILENCE: Duration = Duration::from_secs(10);

/// The longest time that one request waits for a change.
const WAIT: Duration = Duration::from_secs(300);

/// The time between two questions whether the store answers again, and the shortest time between two
/// requests that wait for a change.
const PAUSE: Duration = Duration::from_millis(500);

/// The code of an answer about a key that does not exist.
const KEY_NOT_FOUND: u64 = 100;

/// The header with the number of changes that the store has seen.
const INDEX: &str = "x-etcd-index";

/// The path that every node answers, whatever its keys and users are.
const VERSION: &str = "/version";

/// The advice if a node does not know version 2 of the API.
const WITHOUT_V2: &str = "this etcd does not serve version 2 of the API: start it with --enable-v2, \
                          which etcd has up to version 3.5, or write etcd:// for version 3";

/// The advice if a node wants a user.
const WITHOUT_USER: &str = "ETCDCTL_USER=NAME:PASSWORD gives the user";

/// The bytes that are escaped in the path of a URL.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// Services as keys: `PREFIX/NAME/ID`.
pub(super) struct Etcd2 {
    nodes: Failover,
    /// For an address that cannot be parsed, the reason.
    members: Vec<Result<Member, Cause>>,
    user: Option<(String, String)>,
    keys: Keys,
    ttl: Duration,
}

/// A node with its connections.
struct Member {
    /// The scheme, the host and the port.
    base: String,
    client: Client,
}

/// A whole answer.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Etcd2 {
    /// # Errors
    /// A file of the options, or a proxy of the environment, cannot be used.
    pub(super) fn new(options: &Options, keys: Keys, ttl: Duration) -> Result<Etcd2, Error> {
        let (mut members, mut addresses) = (Vec::new(), Vec::new());
        for text in &options.nodes {
            match address::parse(text, PORT) {
                Some((host, port)) => {
                    let member = Member::new(options, &host, port)?;
                    addresses.push(member.base.clone());
                    members.push(Ok(member));
                }
                None => {
                    addresses.push(address::shown(text));
                    members.push(Err(Cause::new("not an address of the form HOST:PORT")));
                }
            }
        }
        let not_given = options.nodes_are_default.then_some("HOST:PORT");
        let nodes = Failover::new(NAME, addresses).of_default(not_given);
        Ok(Etcd2 { nodes, members, user: options.user.clone(), keys, ttl })
    }

    /// Sends a request to one node after the other until a node answers.
    async fn ask(&self, method: Method, target: &str, form: &str) -> Result<Answer, Error> {
        let ask = async |node: usize| {
            let response = self.send(node, method.clone(), target, form).await?;
            let answer = self.whole(node, response).await?;
            match answer.status {
                200..=299 => Ok(answer),
                status => {
                    let cause = self.cause(&answer);
                    // A node without a leader, and one behind a proxy that does not reach it.
                    if status >= 500 {
                        return Err(NodeError::Unreachable(cause));
                    }
                    let node = self.nodes.address(node).to_owned();
                    Err(NodeError::Final(Error::Refused { store: NAME, node, reason: cause }))
                }
            }
        };
        self.nodes.ask(ask).await.map(|(_, answer)| answer)
    }

    async fn send(
        &self,
        node: usize,
        method: Method,
        target: &str,
        form: &str,
    ) -> Result<Response, NodeError> {
        let member = self.members[node].as_ref().map_err(|why| unreachable(why.clone()))?;
        let mut request = member.client.request(method, format!("{}{target}", member.base));
        if !form.is_empty() {
            request = request
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form.to_owned());
        }
        if let Some((name, password)) = &self.user {
            request = request.basic_auth(name, Some(password));
        }
        match timeout(SILENCE, request.send()).await {
            Ok(response) => response.map_err(|error| unreachable(member.failed(&error))),
            Err(_) => Err(unreachable(Cause::new(format!("no answer within {SILENCE:?}")))),
        }
    }

    async fn whole(&self, node: usize, response: Response) -> Result<Answer, NodeError> {
        let member = self.members[node].as_ref().map_err(|why| unreachable(why.clone()))?;
        let status = response.status().as_u16();
        let body = client_http::body(response, Bounds::default(), |error| member.failed(error));
        Ok(Answer { status, body: body.await.map_err(unreachable)? })
    }

    /// Why a node gave no result.
    fn cause(&self, answer: &Answer) -> Cause {
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| document[name].as_str().unwrap_or_default();
        let said = match (text("message"), text("cause")) {
            ("", _) => client_http::words(&answer.body),
            (message, "") => message.to_owned(),
            (message, cause) => format!("{message}: {cause}"),
        };
        let cause = Cause::new(format!("{said} ({})", answer.status).trim_start());
        match (answer.status, document["errorCode"].as_u64()) {
            (_, Some(KEY_NOT_FOUND)) => cause.of_kind(CauseKind::Missing),
            (404, None) => cause.advised(Some(WITHOUT_V2)),
            (401 | 403, _) if self.user.is_none() => {
                cause.of_kind(CauseKind::Credentials).advised(Some(WITHOUT_USER))
            }
            (401, _) => cause.of_kind(CauseKind::Credentials),
            _ => cause,
        }
    }

    async fn put(&self, service: &Service) -> Result<(), Error> {
        let value = self.keys.value(service);
        let mut form = format!("value={}", utf8_percent_encode(&value, NON_ALPHANUMERIC));
        if !self.ttl.is_zero() {
            let seconds = self.ttl.as_secs() + u64::from(self.ttl.subsec_nanos() > 0);
            form += &format!("&ttl={seconds}");
        }
        self.ask(Method::PUT, &target(&self.keys.of(service)), &form).await.map(|_| ())
    }

    async fn delete(&self, key: &str) -> Result<(), Error> {
        let target = format!("{}?recursive=false&dir=false", target(key));
        match self.ask(Method::DELETE, &target, "").await {
            Err(error) if error.is_missing() => Ok(()),
            done => done.map(|_| ()),
        }
    }

    /// Waits for a change below the prefix, for some time, unless the store has seen fewer than `known`
    /// changes. Returns how many it has seen at least; `None` if the user may not wait.
    async fn change(&self, known: u64) -> Result<Option<u64>, NodeError> {
        let target = format!("{}?wait=true&recursive=true", target(&self.keys.place()));
        let node = self.nodes.current().unwrap_or(0);
        let mut response = self.send(node, Method::GET, &target, "").await?;
        match response.status().as_u16() {
            200..=299 => {}
            500.. => return Err(unreachable(Cause::new("it cannot answer now"))),
            _ => return Ok(None),
        }
        // The head comes at once, and the body with the change.
        let seen = index(&response);
        if seen < known {
            return Ok(Some(seen));
        }
        match timeout(WAIT, response.chunk()).await {
            Err(_) => Ok(Some(seen)),
            Ok(Ok(Some(_))) => Ok(Some(seen + 1)),
            // The server ends.
            Ok(Ok(None)) => Err(unreachable(Cause::new("it closed the connection"))),
            Ok(Err(error)) => Err(unreachable(client_http::chain(&error))),
        }
    }

    /// Waits until the store does not answer, or is one that has seen fewer changes than before.
    async fn outage(&self) {
        let mut known = 0;
        loop {
            match self.change(known).await {
                Err(_) => return,
                Ok(Some(now)) if now < known => return,
                Ok(Some(now)) => known = now,
                Ok(None) if self.ping().await.is_err() => return,
                Ok(None) => {}
            }
            sleep_until(Instant::now() + PAUSE).await;
        }
    }
}

impl Member {
    fn new(options: &Options, host: &str, port: u16) -> Result<Member, Error> {
        let scheme = if options.https { "https" } else { "http" };
        let tls = options.https.then_some(&options.tls);
        let mut builder = client_http::builder(tls)?.connect_timeout(CONNECTING);
        if let Some(proxy) = client_http::proxy(&options.proxies, options.https, host, port)? {
            builder = builder.proxy(proxy);
        }
        let base = format!("{scheme}://{}", address::authority(host, port));
        let client = builder.build().map_err(|error| Error::Refused {
            store: NAME,
            node: base.clone(),
            reason: client_http::chain(&error),
        })?;
        Ok(Member { base, client })
    }

    /// Why a request failed.
    fn failed(&self, error: &reqwest::Error) -> Cause {
        let cause = client_http::chain(error).advised(tls::advice(error));
        match self.base.starts_with("https:") {
            true => cause.closed(tls::hung_up(error)).advised_if_closed(tls::CLOSED),
            false => cause,
        }
    }
}

fn unreachable(cause: Cause) -> NodeError {
    NodeError::Unreachable(cause)
}

/// The number of changes that the store has seen.
fn index(response: &Response) -> u64 {
    let header = response.headers().get(INDEX).and_then(|value| value.to_str().ok());
    header.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// The target of a request about a key, or about a folder if a slash is at its end.
fn target(key: &str) -> String {
    format!("/v2/keys{}", utf8_percent_encode(key, PATH))
}

/// The keys in a folder and in the folders below it.
fn leaves<'a>(folder: &'a Value, found: &mut Vec<&'a str>) {
    for node in folder["nodes"].as_array().into_iter().flatten() {
        match node["dir"].as_bool() {
            Some(true) => leaves(node, found),
            _ => found.extend(node["key"].as_str()),
        }
    }
}

#[async_trait(?Send)]
impl Registry for Etcd2 {
    async fn ping(&self) -> Result<Option<String>, Error> {
        self.ask(Method::GET, VERSION, "").await.map(|_| None)
    }

    async fn register(&self, service: &Service) -> Result<(), Error> {
        match service.is_healthy {
            Some(false) => self.deregister(service).await,
            _ => self.put(service).await,
        }
    }

    async fn refresh(&self, service: &Service) -> Result<(), Error> {
        match service.is_healthy {
            Some(false) => Ok(()),
            _ => self.put(service).await,
        }
    }

    async fn deregister(&self, service: &Service) -> Result<(), Error> {
        self.delete(&self.keys.of(service)).await
    }

    fn refuses(&self, service: &Service) -> Option<String> {
        self.keys.refuses(service)
    }

    fn key(&self, service: &Service) -> String {
        self.keys.of(service)
    }

    async fn entries(&self) -> Result<Vec<Entry>, Error> {
        let place = self.keys.place();
        // Agreed on by a majority: a member that is behind would make entries look lost.
        let target = format!("{}?recursive=true&quorum=true", target(&place));
        let answer = match self.ask(Method::GET, &target, "").await {
            Err(error) if error.is_missing() => return Ok(Vec::new()),
            answer => answer?,
        };
        let document: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if !document["node"].is_object() {
            let node = self.nodes.current().map_or("", |node| self.nodes.address(node)).to_owned();
            let reason = Cause::new("its answer is no list of keys");
            return Err(Error::Refused { store: NAME, node, reason });
        }
        let mut keys = Vec::new();
        leaves(&document["node"], &mut keys);
        let entry = |key: &&str| Entry::of_key(key, key.strip_prefix(&place)?);
        Ok(keys.iter().filter_map(entry).collect())
    }

    async fn remove(&self, entry: &Entry) -> Result<(), Error> {
        self.delete(&entry.key).await
    }

    async fn lost(&self) {
        self.outage().await;
        while self.ping().await.is_err() {
            sleep_until(Instant::now() + PAUSE).await;
        }
    }
}
