//! A node: its address, and its connections.

use std::path::Path;
use std::time::Duration;

use client_http::{Connection, builder, chain, proxy};
use nodes::body::Bounds;
use nodes::{Cause, Error, NodeError, address};
use reqwest::{Client, Method, RequestBuilder, Response};

use crate::Options;

/// The port of a node that has none.
const PORT: u16 = 2379;

/// The longest time until a new connection is there.
const CONNECTING: Duration = Duration::from_secs(3);

/// The longest time until the head of an answer is there.
const SILENCE: Duration = Duration::from_secs(10);

/// The form of the addresses, for messages.
const FORM: &str = "HOST:PORT, http://HOST:PORT or https://HOST:PORT";

/// A node with its connections.
#[derive(Debug)]
pub(crate) struct Node(Connection);

impl Node {
    /// Parses `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`; `https` says whether the first form
    /// means TLS.
    ///
    /// # Errors
    /// Any other text, and several addresses separated by commas.
    pub(crate) fn parse(text: &str, https: bool) -> Result<Self, Cause> {
        let (scheme, rest) = match text.split_once("://") {
            Some(("http", rest)) => ("http", rest),
            Some(("https", rest)) => ("https", rest),
            Some(_) => return Err(not_an_address(text)),
            None => (if https { "https" } else { "http" }, text),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = address::parse(authority, PORT).ok_or_else(|| not_an_address(text))?;
        let node = client_http::Node::Tcp { scheme, host, port, prefix: String::new() };
        Ok(Node(Connection::new(node)))
    }

    /// The beginning of each URL: `http://HOST:PORT`.
    pub(crate) fn base(&self) -> String {
        self.0.node().base()
    }

    /// Sends a request for `target`, a path with its query. Returns when the head of the answer is there.
    /// `complete` adds headers and a body.
    ///
    /// # Errors
    /// A file of TLS or a proxy cannot be used, or the node does not answer in time.
    pub(crate) async fn send(
        &self,
        options: &Options,
        (method, target): (Method, &str),
        complete: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Response, NodeError> {
        let client = self.0.client(&options.tls, |node| build(node, options));
        let client = client.map_err(NodeError::Final)?;
        let request = complete(client.request(method, self.base() + target));
        let sent = Connection::within(SILENCE, request.send(), |error| self.0.cause(error));
        sent.await.map_err(NodeError::Unreachable)
    }

    /// The whole body of an answer.
    ///
    /// # Errors
    /// The connection broke, or the body is too large or too slow.
    pub(crate) async fn body(&self, response: Response) -> Result<Vec<u8>, NodeError> {
        let cause = |error: &reqwest::Error| self.0.cause(error);
        let body = client_http::body(response, Bounds::default(), cause);
        body.await.map_err(NodeError::Unreachable)
    }
}

fn build(node: &client_http::Node, options: &Options) -> Result<Client, Error> {
    let https = node.tls();
    let mut builder = builder(https.then_some(&options.tls))?.connect_timeout(CONNECTING);
    if let client_http::Node::Tcp { host, port, .. } = node
        && let Some(proxy) = proxy(&options.proxies, https, host, *port)?
    {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(|error| Error::tls(Path::new("HTTP"), chain(&error)))
}

/// Why nothing can be sent to the address `text`.
fn not_an_address(text: &str) -> Cause {
    let advice = text.contains(',').then_some(address::SEVERAL);
    Cause::new(format!("not an address of the form {FORM}")).advised(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scheme_of_an_address_wins_over_the_one_asked_for() {
        for (text, https, base) in [
            ("10.0.0.1:4001", false, "http://10.0.0.1:4001"),
            ("10.0.0.1", true, "https://10.0.0.1:2379"),
            ("http://etcd.example:1/", true, "http://etcd.example:1"),
            ("https://[::1]:1", false, "https://[::1]:1"),
        ] {
            assert_eq!(Node::parse(text, https).unwrap().base(), base, "{text}");
        }
        for text in ["", "ftp://a", "http://a/b", "joe:secret@a:1"] {
            let cause = Node::parse(text, false).unwrap_err().to_string();
            assert!(cause.ends_with(FORM), "{text}: {cause}");
        }
        let cause = Node::parse("a:1,b:1", false).unwrap_err().to_string();
        assert!(cause.contains("each node has a -node"), "{cause}");
    }
}
