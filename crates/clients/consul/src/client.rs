//! The nodes of a datacenter, and requests to one of them.

use std::time::Duration;

use client_http::Node;
use nodes::{Cause, CauseKind, Error, Failover, NodeError, address};
use reqwest::{Method, StatusCode};

use crate::connection::{Head, NodeClient};
use crate::{NAME, Options};

/// The nodes of a datacenter, each with its connections.
pub struct Client {
    options: Options,
    /// For an address that cannot be parsed, the reason.
    members: Vec<Result<NodeClient, Cause>>,
    nodes: Failover,
}

impl Client {
    /// Makes a client with these options. It connects to nothing and reads no file before the first
    /// request.
    pub fn new(options: Options) -> Self {
        let member = |text: &String| {
            let node = Node::parse(text, options.https);
            let address = node.as_ref().map_or_else(|| address::shown(text), Node::to_string);
            (node.map(NodeClient::new).ok_or_else(|| not_an_address(text)), address)
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

    /// Sends a GET request to the current node and returns the whole answer. The node has
    /// `patience` more time than usual to begin its answer.
    ///
    /// # Errors
    ///
    /// The node did not send a whole answer.
    pub async fn get(
        &self,
        node: usize,
        target: &str,
        patience: Duration,
    ) -> Result<(Head, Vec<u8>), NodeError> {
        self.send(node, Method::GET, target, Vec::new(), patience).await
    }

    /// Sends a GET request to one node after the other until a node answers with a result. A node
    /// has `patience` more time than usual to begin its answer.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn read(&self, target: &str, patience: Duration) -> Result<(Head, Vec<u8>), Error> {
        let ask = async |node: usize| {
            let (head, answer) = self.get(node, target, patience).await?;
            match head.status.is_success() {
                true => Ok((head, answer)),
                false => Err(self.failed(node, &head, &answer, head.status.is_client_error())),
            }
        };
        self.nodes.ask(ask).await.map(|(_, answer)| answer)
    }

    /// Sends a PUT request to one node after the other until a node answers with a result.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub(crate) async fn put(&self, target: &str, body: &[u8]) -> Result<Vec<u8>, Error> {
        self.change(Method::PUT, target, body).await
    }

    /// Sends a request that changes the store or the agent. The status 500 is a refusal of this change,
    /// for example of a service whose check the agent does not run, unless no server can answer now.
    pub(crate) async fn change(
        &self,
        method: Method,
        target: &str,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let is_refusal = |status: StatusCode, answer: &[u8]| {
            let is_about_this =
                status == StatusCode::INTERNAL_SERVER_ERROR && !lacks_leader(answer);
            status.is_client_error() || is_about_this
        };
        let ask = async |node: usize| {
            let body = body.to_vec();
            let (head, answer) =
                self.send(node, method.clone(), target, body, Duration::ZERO).await?;
            // A transaction answers with the status 409 if a condition does not hold.
            match head.status.is_success() || head.status == StatusCode::CONFLICT {
                true => Ok(answer),
                false => Err(self.failed(node, &head, &answer, is_refusal(head.status, &answer))),
            }
        };
        let (_, answer) = self.nodes.ask(ask).await?;
        Ok(answer)
    }

    /// The error for an answer without a result, which is a refusal or a fault of the node.
    fn failed(&self, node: usize, head: &Head, answer: &[u8], is_refusal: bool) -> NodeError {
        let reason = match head.status {
            StatusCode::NOT_FOUND => head.cause(answer).of_kind(CauseKind::Missing),
            _ => head.cause(answer),
        };
        if !is_refusal {
            return NodeError::Unreachable(reason);
        }
        let node = self.nodes.address(node).to_owned();
        NodeError::Final(Error::Refused { store: NAME, node, reason })
    }

    async fn send(
        &self,
        node: usize,
        method: Method,
        target: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<(Head, Vec<u8>), NodeError> {
        match &self.members[node] {
            Ok(member) => member.send(&self.options, method, target, body, patience).await,
            Err(cause) => Err(NodeError::Unreachable(cause.clone())),
        }
    }
}

/// Whether the text of an error with the status 500 says that no server can answer now. Consul has no
/// status of its own for that.
fn lacks_leader(answer: &[u8]) -> bool {
    const TEXTS: [&str; 4] = [
        "No cluster leader",
        "No known Consul servers",
        "Raft leader not found",
        "leadership lost",
    ];
    let text = String::from_utf8_lossy(answer);
    TEXTS.iter().any(|known| text.contains(known))
}

/// Why nothing can be sent to the address `text`.
fn not_an_address(text: &str) -> Cause {
    let advice = text.contains(',').then_some(address::SEVERAL);
    let forms = "not an address of the form HOST:PORT, http://HOST:PORT, https://HOST:PORT or \
                 unix:///PATH";
    Cause::new(forms).advised(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_leader_differs_from_a_refusal_by_its_text() {
        assert!(lacks_leader(b"No cluster leader"));
        assert!(lacks_leader(b"leadership lost while committing log"));
        assert!(!lacks_leader(b"Scripts are disabled on this agent"));
    }
}
