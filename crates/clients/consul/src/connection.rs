//! The HTTP 1.1 connections to a node: one for each request that waits for its answer.

use std::error::Error as _;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use client_http::{chain, words};
use nodes::body::Bounds;
use nodes::{Cause, CauseKind, Error, NodeError};
use report::{Fingerprint, read_regular};
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Version};
use tokio::time::timeout;

use crate::node::Node;
use crate::{CROWDED, Options, Token};

/// The timeout of the head of an answer that the node can give at once.
const SILENCE: Duration = Duration::from_secs(10);

/// A client of one node.
pub(crate) struct NodeClient {
    node: Node,
    current: Mutex<Option<(Files, Client)>>,
}

/// The fingerprints of the certificate files when the client was made. They show when a file is
/// replaced.
type Files = Vec<Option<Fingerprint>>;

impl NodeClient {
    pub(crate) fn new(node: Node) -> Self {
        NodeClient { node, current: Mutex::new(None) }
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
        let client = self.client(options).map_err(NodeError::Final)?;
        let mut request = client.request(method, self.node.base() + target);
        if !body.is_empty() {
            request = request.body(body);
        }
        if let Some(token) = token(options).map_err(NodeError::Final)? {
            request = request.header("x-consul-token", token);
        }
        if let Some((name, password)) = &options.user {
            request = request.basic_auth(name, Some(password));
        }
        let patience = patience + SILENCE.max(self.connecting(options));
        let response = self.within(patience, request.send()).await?;
        let head = Head {
            status: response.status(),
            headers: response.headers().clone(),
            // This is what a server that speaks only TLS answers to a plain connection.
            wants_tls: !self.node.tls()
                && response.version() == Version::HTTP_10
                && response.status() == StatusCode::BAD_REQUEST,
        };
        Ok((head, self.body(response, options.bounds).await?))
    }

    async fn body(&self, response: Response, bounds: Bounds) -> Result<Vec<u8>, NodeError> {
        let body = client_http::body(response, bounds, |error| self.cause(error)).await;
        body.map_err(NodeError::Unreachable)
    }

    async fn within<T>(
        &self,
        time: Duration,
        step: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, NodeError> {
        match timeout(time, step).await {
            Ok(done) => done.map_err(|error| NodeError::Unreachable(self.cause(&error))),
            Err(_) => {
                let cause = format!("no answer within {} seconds", time.as_secs());
                Err(NodeError::Unreachable(Cause::new(cause)))
            }
        }
    }

    /// Returns the client in use. Makes a new client if a certificate file was replaced since.
    fn client(&self, options: &Options) -> Result<Client, Error> {
        let files = if self.node.tls() { files(options) } else { Files::new() };
        // A panic elsewhere cannot leave half a client: the value is replaced as a whole.
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        match &*current {
            Some((known, client)) if *known == files => Ok(client.clone()),
            _ => {
                let client = self.build(options)?;
                *current = Some((files, client.clone()));
                Ok(client)
            }
        }
    }

    /// The timeout of a new connection.
    fn connecting(&self, options: &Options) -> Duration {
        match self.node.tls() {
            true => options.connecting.saturating_add(options.transport.handshake),
            false => options.connecting,
        }
    }

    fn build(&self, options: &Options) -> Result<Client, Error> {
        let transport = &options.transport;
        let mut builder = client_http::builder(self.node.tls().then_some(&options.tls))?
            .connect_timeout(self.connecting(options))
            // On the loopback interface compression costs more time than it saves.
            .gzip(!self.node.is_here());
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
        if let Some(proxy) = self.proxy(options)? {
            builder = builder.proxy(proxy);
        }
        if let Node::Unix(path) = &self.node {
            builder = builder.unix_socket(path.as_path());
        }
        builder.build().map_err(|cause| Error::tls(Path::new("HTTP"), chain(&cause)))
    }

    /// The proxy for this node, if there is one.
    fn proxy(&self, options: &Options) -> Result<Option<reqwest::Proxy>, Error> {
        let Node::Tcp { host, port, .. } = &self.node else { return Ok(None) };
        client_http::proxy(&options.proxies, self.node.tls(), host, *port)
    }

    /// The reason why a request failed.
    fn cause(&self, error: &reqwest::Error) -> Cause {
        if is_too_many_connections(error) {
            let text = format!("it {CROWDED} (limits.http_max_conns_per_client)");
            return Cause::new(text).of_kind(CauseKind::TooManyConnections);
        }
        let cause = chain(error).advised(tls::advice(error));
        match self.node.tls() {
            true => cause.closed(tls::hung_up(error)).advised_if_closed(tls::CLOSED),
            false => cause,
        }
    }
}

fn files(options: &Options) -> Files {
    let tls = &options.tls;
    let files = [&tls.ca, &tls.certificate, &tls.key].into_iter().flatten();
    files.map(|path| Fingerprint::at(path)).collect()
}

/// The token as a header that reqwest keeps out of its debug output.
fn token(options: &Options) -> Result<Option<HeaderValue>, Error> {
    let text = match &options.token {
        None => return Ok(None),
        Some(Token::Text(text)) => text.clone(),
        Some(Token::File(path)) => {
            let text = read_regular(path)
                .and_then(|bytes| String::from_utf8(bytes).map_err(io::Error::other))
                .map_err(|cause| Error::file("open", path, cause))?;
            text.trim().to_owned()
        }
    };
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
