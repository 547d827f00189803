//! The HTTP 1.1 connections to a node: one for each request that waits for its answer.

use std::error::Error as _;
use std::time::Duration;

use client_http::{Connection, Node, words};
use nodes::body::Bounds;
use nodes::{Cause, CauseKind, Error, NodeError};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Version};

use crate::{CROWDED, Options};

/// The timeout of the head of an answer that the node can give at once.
const SILENCE: Duration = Duration::from_secs(10);

/// A client of one node.
pub(crate) struct NodeClient(Connection);

impl NodeClient {
    pub(crate) fn new(node: Node) -> Self {
        NodeClient(Connection::new(node))
    }

    /// Sends a request and returns the whole answer. The node has `patience` more time than usual
    /// to begin its answer.
    pub(crate) async fn send(
        &self,
        options: &Options,
        method: Method,
        target: &str,
        body: Vec<u8>,
        patience: Duration,
    ) -> Result<(Head, Vec<u8>), NodeError> {
        let node = self.0.node();
        let client = self.0.client(&options.tls, |node| build(node, options));
        let client = client.map_err(NodeError::Final)?;
        let mut request = client.request(method, node.base() + target);
        if !body.is_empty() {
            request = request.body(body);
        }
        if let Some(token) = token(options).map_err(NodeError::Final)? {
            request = request.header("x-consul-token", token);
        }
        if let Some((name, password)) = &options.user {
            request = request.basic_auth(name, Some(password));
        }
        let patience = patience + SILENCE.max(connecting(node, options));
        let response =
            Connection::within(patience, request.send(), |error| self.cause(error)).await;
        let response = response.map_err(NodeError::Unreachable)?;
        let head = Head {
            status: response.status(),
            headers: response.headers().clone(),
            // This is what a server that speaks only TLS answers to a plain connection.
            wants_tls: !node.tls()
                && response.version() == Version::HTTP_10
                && response.status() == StatusCode::BAD_REQUEST,
        };
        Ok((head, self.body(response, options.bounds).await?))
    }

    async fn body(&self, response: Response, bounds: Bounds) -> Result<Vec<u8>, NodeError> {
        let body = client_http::body(response, bounds, |error| self.cause(error)).await;
        body.map_err(NodeError::Unreachable)
    }

    /// The reason why a request failed.
    fn cause(&self, error: &reqwest::Error) -> Cause {
        if is_too_many_connections(error) {
            let text = format!("it {CROWDED} (limits.http_max_conns_per_client)");
            return Cause::new(text).of_kind(CauseKind::TooManyConnections);
        }
        self.0.cause(error)
    }
}

/// The timeout of a new connection.
fn connecting(node: &Node, options: &Options) -> Duration {
    match node.tls() {
        true => options.connecting.saturating_add(options.transport.handshake),
        false => options.connecting,
    }
}

fn build(node: &Node, options: &Options) -> Result<Client, Error> {
    let transport = &options.transport;
    let mut builder = client_http::builder(node.tls().then_some(&options.tls))?
        .connect_timeout(connecting(node, options))
        // On the loopback interface compression costs more time than it saves.
        .gzip(!node.is_here());
    if let Some(pause) = transport.keep_alive {
        let pause = Some(pause).filter(|pause| !pause.is_zero());
        builder = builder.tcp_keepalive(pause).tcp_keepalive_interval(pause);
    }
    if let Some(idle) = transport.idle {
        builder = builder.pool_idle_timeout(Some(idle).filter(|idle| !idle.is_zero()));
    }
    if let Some(most) = transport.most_idle {
        builder = builder.pool_max_idle_per_host(most);
    }
    client_http::finish(builder, node, &options.proxies)
}

/// The token as a header that reqwest keeps out of its debug output.
fn token(options: &Options) -> Result<Option<HeaderValue>, Error> {
    let Some(token) = &options.token else { return Ok(None) };
    let text = token.read()?;
    if text.is_empty() {
        return Ok(None);
    }
    let mut header = HeaderValue::from_str(&text).map_err(|_| Error::Token)?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// Whether Consul answered before it got a request. It does so when this address has too many
/// connections. It is the only error of hyper without a cause for which hyper has no function.
fn is_too_many_connections(error: &reqwest::Error) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            let is_another = error.is_user()
                || error.is_parse()
                || error.is_canceled()
                || error.is_closed()
                || error.is_incomplete_message()
                || error.is_body_write_aborted()
                || error.is_timeout();
            return !is_another && error.source().is_none();
        }
        next = cause.source();
    }
    false
}

/// The part of an answer before its body.
#[derive(Debug)]
pub struct Head {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// Whether the node speaks only TLS and got a plain connection.
    pub wants_tls: bool,
}

impl Head {
    /// The value of a header as text; `None` if it is missing or not text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a header as a number; `None` if it is missing or not a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
    }

    /// The node's explanation of an answer without a result.
    pub fn cause(&self, body: &[u8]) -> Cause {
        let said = said(self.status, body);
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            let text = format!("it {CROWDED}: {said}");
            return Cause::new(text).of_kind(CauseKind::TooManyConnections);
        }
        let advice = self.wants_tls.then_some("give it as https://HOST:PORT");
        Cause::new(said).advised(advice)
    }
}

/// The text of a status and of the body that came with it.
fn said(status: StatusCode, body: &[u8]) -> String {
    match words(body) {
        words if words.is_empty() => format!("{}", status.as_u16()),
        words => format!("{words} ({})", status.as_u16()),
    }
}
