//! The nodes of a cluster, and requests to them.

use std::time::Duration;

use bytes::Bytes;
use nodes::{Cause, Error, Failover, NodeError, address};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use reqwest::{Method, Response};
use tokio::time::timeout;

use crate::answer::{Answer, index};
use crate::node::Node;
use crate::{NAME, Options};

/// The path that every node answers, whatever its keys and users are.
const VERSION: &str = "/version";

/// The bytes that are escaped in the path of a URL.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The nodes of a cluster, each with its connections.
#[derive(Debug)]
pub struct Client {
    options: Options,
    /// For an address that cannot be parsed, the reason.
    members: Vec<Result<Node, Cause>>,
    nodes: Failover,
}

/// A key and what is below it.
#[derive(Debug)]
pub struct Listed {
    /// The number of the node that has answered.
    pub node: usize,
    /// The number of changes that the store had seen.
    pub index: u64,
    /// The keys, as etcd spells them, with their values, in no order. Folders are no keys.
    pub pairs: Vec<(Bytes, Bytes)>,
}

/// The changes that a wait is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Those after the beginning of the wait.
    Now,
    /// Those after the known number of changes. The node has the last thousand events.
    Known,
}

/// How a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// There was a change, when the store had seen at least this number.
    Changed(u64),
    /// There was none, and the store had seen this number at the beginning of the wait.
    Unchanged(u64),
    /// The known number says nothing about this store: it has seen fewer changes, or has no longer the
    /// events. Everything may have changed.
    Lost(u64),
}

impl Client {
    /// Makes a client with these options. It connects to nothing and reads no file before the first
    /// request.
    pub fn new(options: Options) -> Self {
        let member = |text: &String| {
            let node = Node::parse(text, options.https);
            let address = node.as_ref().map_or_else(|_| address::shown(text), Node::base);
            (node, address)
        };
        let (members, addresses) = options.nodes.iter().map(member).unzip();
        let nodes = Failover::new(NAME, addresses).of_default(options.not_given);
        Client { members, options, nodes }
    }

    /// The options that the client was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The nodes by number, and the number of the node that is asked.
    pub fn nodes(&self) -> &Failover {
        &self.nodes
    }

    /// Asks one node after the other until a node answers.
    ///
    /// # Errors
    /// No node answers.
    pub async fn ping(&self) -> Result<(), Error> {
        self.ask(Method::GET, VERSION, "").await.map(|_| ())
    }

    /// Reads a key and everything below it, as a majority of the nodes knows it: a member that is behind
    /// would show an old state. A key that does not exist has no pairs.
    ///
    /// # Errors
    /// No node answers, or a node refuses.
    pub async fn list(&self, key: &[u8]) -> Result<Listed, Error> {
        let target = format!("{}?recursive=true&quorum=true", target(key));
        let (node, answer) = self.ask(Method::GET, &target, "").await?;
        let index = answer.index;
        if answer.is_missing() {
            return Ok(Listed { node, index, pairs: Vec::new() });
        }
        match answer.pairs() {
            Some(pairs) => Ok(Listed { node, index, pairs }),
            None => {
                let node = self.nodes.address(node).to_owned();
                let reason = Cause::new("its answer is no list of keys");
                Err(Error::Refused { store: NAME, node, reason })
            }
        }
    }

    /// Sets a key, for this time; `None` for ever.
    ///
    /// # Errors
    /// No node answers, or a node refuses.
    pub async fn put(&self, key: &str, value: &str, time: Option<Duration>) -> Result<(), Error> {
        let mut form = format!("value={}", utf8_percent_encode(value, NON_ALPHANUMERIC));
        if let Some(time) = time {
            let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
            form += &format!("&ttl={seconds}");
        }
        self.ask(Method::PUT, &target(key.as_bytes()), &form).await.map(|_| ())
    }

    /// Deletes a key. It is no error if there is none.
    ///
    /// # Errors
    /// No node answers, or a node refuses.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let target = format!("{}?recursive=false&dir=false", target(key.as_bytes()));
        self.ask(Method::DELETE, &target, "").await.map(|_| ())
    }

    /// Waits at this node for a change of a key or below it, for at most `time`.
    ///
    /// # Errors
    /// The node does not answer, or refuses.
    pub async fn wait(
        &self,
        node: usize,
        key: &[u8],
        (known, since): (u64, Since),
        time: Duration,
    ) -> Result<Waited, NodeError> {
        let mut target = format!("{}?wait=true&recursive=true", target(key));
        if since == Since::Known {
            target += &format!("&waitIndex={}", known + 1);
        }
        let mut response = self.send(node, Method::GET, &target, "").await?;
        // The head comes at once, and the body with the change.
        let seen = index(&response);
        if !response.status().is_success() {
            let answer = self.whole(node, response).await?;
            return match answer.lacks_events() {
                true => Ok(Waited::Lost(seen)),
                false => self.result(node, answer).map(|_| Waited::Lost(seen)),
            };
        }
        if seen < known {
            return Ok(Waited::Lost(seen));
        }
        match timeout(time, response.chunk()).await {
            Err(_) => Ok(Waited::Unchanged(seen)),
            Ok(Ok(Some(_))) => Ok(Waited::Changed(match since {
                Since::Now => seen + 1,
                // The change may be one that the store had seen already.
                Since::Known => seen.max(known + 1),
            })),
            // The server ends.
            Ok(Ok(None)) => {
                Err(NodeError::Unreachable(Cause::new("it closed the connection").closed(true)))
            }
            Ok(Err(error)) => Err(NodeError::Unreachable(client_http::chain(&error))),
        }
    }

    /// Sends a request to one node after the other until a node answers. Returns the node's number with
    /// its answer, which may be about a key that does not exist.
    async fn ask(
        &self,
        method: Method,
        target: &str,
        form: &str,
    ) -> Result<(usize, Answer), Error> {
        let ask = async |node: usize| {
            let response = self.send(node, method.clone(), target, form).await?;
            let answer = self.whole(node, response).await?;
            self.result(node, answer)
        };
        self.nodes.ask(ask).await
    }

    async fn send(
        &self,
        node: usize,
        method: Method,
        target: &str,
        form: &str,
    ) -> Result<Response, NodeError> {
        let sent = self.member(node)?.send(&self.options, (method, target), |mut request| {
            if !form.is_empty() {
                request = request
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(form.to_owned());
            }
            match &self.options.user {
                Some((name, password)) => request.basic_auth(name, Some(password)),
                None => request,
            }
        });
        sent.await
    }

    async fn whole(&self, node: usize, response: Response) -> Result<Answer, NodeError> {
        let (status, index) = (response.status().as_u16(), index(&response));
        let body = self.member(node)?.body(response).await?;
        Ok(Answer::new(status, index, &body))
    }

    fn member(&self, node: usize) -> Result<&Node, NodeError> {
        self.members[node].as_ref().map_err(|cause| NodeError::Unreachable(cause.clone()))
    }

    /// The answer, if it is a result.
    fn result(&self, node: usize, answer: Answer) -> Result<Answer, NodeError> {
        match answer.status {
            200..=299 => Ok(answer),
            _ if answer.is_missing() => Ok(answer),
            // A node without a leader, and one behind a proxy that does not reach it.
            500.. => Err(NodeError::Unreachable(answer.cause(&self.options))),
            _ => {
                let node = self.nodes.address(node).to_owned();
                let reason = answer.cause(&self.options);
                Err(NodeError::Final(Error::Refused { store: NAME, node, reason }))
            }
        }
    }
}

/// The target of a request about a key, or about a folder if a slash is at its end.
fn target(key: &[u8]) -> String {
    format!("/v2/keys{}", percent_encode(key, PATH))
}
