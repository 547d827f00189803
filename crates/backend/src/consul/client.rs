//! How a node is talked to: HTTP 1.1, one connection a request that is being answered.

use std::error::Error as _;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use report::Fingerprint;
use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::time::timeout;

use super::node::Node;
use super::query::Head;
use super::{CROWDED, Options, Token};
use crate::error::{causes, hung_up};
use crate::failover::Setback;
use crate::{Error, tls};

/// How long making a connection may take, its TLS handshake included.
const CONNECTING: Duration = Duration::from_secs(3);

/// How long a node may be silent that is to answer now.
const SILENCE: Duration = Duration::from_secs(10);

/// A connection without traffic is asked for a sign of life after so long, and from then on every
/// [`AGAIN`]. A blocking query is silent for as long as nothing changes.
const KEEPALIVE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(5);

/// After how long without a sign of life a connection is dead.
const DEAD: Duration = Duration::from_secs(30);

/// A client of one node.
pub(super) struct NodeClient {
    node: Node,
    current: Mutex<Option<(Files, Client)>>,
}

/// The files of certificates when the client was made, to see when they are replaced.
type Files = Vec<Option<Fingerprint>>;

impl NodeClient {
    pub(super) fn new(node: Node) -> Self {
        NodeClient { node, current: Mutex::new(None) }
    }

    /// Sends a GET request and gives the whole answer. Until it begins it may take `patience`
    /// longer than an answer to be given now.
    pub(super) async fn get(
        &self,
        options: &Options,
        target: &str,
        patience: Duration,
    ) -> Result<(Head, Vec<u8>), Setback> {
        let client = self.client(options).map_err(Setback::Final)?;
        let mut request = client.get(self.node.base() + target);
        if let Some(token) = token(options).map_err(Setback::Final)? {
            request = request.header("x-consul-token", token);
        }
        if let Some((name, password)) = &options.user {
            request = request.basic_auth(name, Some(password));
        }
        let response = self.within(patience + SILENCE, request.send()).await?;
        let head = Head { status: response.status(), headers: response.headers().clone() };
        Ok((head, self.body(response).await?))
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Setback> {
        let mut body = Vec::new();
        while let Some(chunk) = self.within(SILENCE, response.chunk()).await? {
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    async fn within<T>(
        &self,
        time: Duration,
        step: impl Future<Output = reqwest::Result<T>>,
    ) -> Result<T, Setback> {
        match timeout(time, step).await {
            Ok(done) => done.map_err(|cause| Setback::Unreachable(self.told(&cause))),
            Err(_) => {
                Err(Setback::Unreachable(format!("no answer within {} seconds", time.as_secs())))
            }
        }
    }

    /// The client in use, made anew if a file of certificates was replaced since it was made.
    fn client(&self, options: &Options) -> Result<Client, Error> {
        let files = if self.node.tls() { files(options) } else { Files::new() };
        // What a panic left here is a whole client or none.
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

    fn build(&self, options: &Options) -> Result<Client, Error> {
        let tls = match self.node.tls() {
            true => options.tls.client_config(b"http/1.1")?,
            // Without one, the certificates of the system would be looked for.
            false => tls::Options::none()?,
        };
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .connect_timeout(CONNECTING)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .tcp_keepalive_interval(AGAIN)
            .tcp_user_timeout(DEAD)
            // A token is for the node that was named.
            .redirect(Policy::none())
            // On the way to another machine it saves more time than it takes.
            .gzip(!self.node.is_here())
            .user_agent(concat!("confd/", env!("CARGO_PKG_VERSION")));
        if self.node.is_here() {
            builder = builder.no_proxy();
        }
        if let Node::Unix(path) = &self.node {
            builder = builder.unix_socket(path.as_path());
        }
        builder.build().map_err(|cause| Error::tls(Path::new("HTTP"), chain(&cause)))
    }

    /// Why a request came to nothing.
    fn told(&self, cause: &reqwest::Error) -> String {
        let text = chain(cause);
        // Where there are too many connections, Consul answers before it is asked anything.
        if text.contains("unexpected message from connection") {
            return format!("it {CROWDED} (limits.http_max_conns_per_client)");
        }
        if self.node.tls() { hung_up(text) } else { text }
    }
}

fn files(options: &Options) -> Files {
    let tls = &options.tls;
    let files = [&tls.ca, &tls.certificate, &tls.key].into_iter().flatten();
    files.map(|path| Fingerprint::at(path)).collect()
}

/// The token as a header, which no log shows.
fn token(options: &Options) -> Result<Option<HeaderValue>, Error> {
    let text = match &options.token {
        None => return Ok(None),
        Some(Token::Text(text)) => text.clone(),
        Some(Token::File(path)) => {
            let text =
                fs::read_to_string(path).map_err(|cause| Error::file("open", path, cause))?;
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

/// What happened, in the words of the causes: reqwest's own say only that something did.
fn chain(cause: &reqwest::Error) -> String {
    let words = causes("", cause.source());
    if words.is_empty() { cause.to_string() } else { words }
}
