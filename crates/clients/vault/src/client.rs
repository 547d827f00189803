//! The nodes of a Vault, and requests to one of them.

use std::sync::{Arc, Weak};
use std::time::Duration;

use client_http::{Connection, Node};
use nodes::{Attempt, Cause, CauseKind, Error, Failover, NodeError, address};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, Version};
use serde::de::DeserializeOwned;
use tracing::debug;

use crate::reply::complaint;
use crate::session::{INVALID, Session, Token};
use crate::{NAME, Options, Reply, escaped};

/// The timeout of the head of an answer.
const SILENCE: Duration = Duration::from_secs(10);

/// The nodes of a Vault, each with its connections, and the token.
pub struct Client {
    pub(crate) options: Options,
    /// For an address that cannot be parsed, the reason.
    members: Vec<Result<Connection, Cause>>,
    nodes: Failover,
    pub(crate) session: Session,
    /// This client, for the task that renews its token.
    pub(crate) me: Weak<Client>,
}

/// A request.
#[derive(Clone)]
pub struct Request {
    method: Method,
    /// The path behind `/v1/`, escaped, with its query.
    target: String,
    /// The body, in JSON; empty if there is none.
    body: Vec<u8>,
}

impl Request {
    /// Reads what is at a path, which is not escaped yet.
    pub fn get(path: impl AsRef<str>) -> Self {
        let target = escaped(path.as_ref().as_bytes()).to_string();
        Request { method: Method::GET, target, body: Vec::new() }
    }

    /// Writes to a path, which is not escaped yet. `body` is JSON.
    pub fn put(path: impl AsRef<str>, body: Vec<u8>) -> Self {
        Request { method: Method::PUT, body, ..Request::get(path) }
    }

    /// The same request with a query, such as `version=2`, which is escaped.
    #[must_use]
    pub fn with_query(mut self, query: &str) -> Self {
        if !query.is_empty() {
            self.target = format!("{}?{query}", self.target);
        }
        self
    }
}

/// What is said of a node that is another program.
const NO_VAULT: &str = "its answer is not that of a Vault (perhaps it is another program)";

/// Whether Vault has written this body of an answer. A proxy without a Vault behind it, or another
/// program, also finds nothing at a path, which does not mean that a secret was deleted.
fn is_of_vault(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Written {
        errors: Option<Vec<serde::de::IgnoredAny>>,
        request_id: Option<String>,
        data: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice(body).is_ok_and(|it: Written| {
        it.errors.is_some() || it.request_id.is_some() || it.data.is_some()
    })
}

/// The answer of a node.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    /// The address of the node.
    pub(crate) node: String,
    /// Whether the node speaks only TLS and got a plain connection.
    wants_tls: bool,
}

impl Answer {
    /// Reads the body; `None` if there is nothing at the path.
    pub(crate) fn reply<T: DeserializeOwned>(&self) -> Result<Option<T>, Error> {
        if !self.status.is_success() || self.body.is_empty() {
            return Ok(None);
        }
        let no_vault = |_| {
            let attempts = vec![Attempt { node: self.node.clone(), cause: Cause::new(NO_VAULT) }];
            Error::Unreachable { store: NAME, attempts }
        };
        serde_json::from_slice(&self.body).map(Some).map_err(no_vault)
    }
}

impl Client {
    /// Makes a client with these options. It connects to nothing and reads no file before the first
    /// request.
    pub fn new(options: Options) -> Arc<Self> {
        let member = |text: &String| {
            let node = Node::parse(text, options.https);
            let address = node.as_ref().map_or_else(|| address::shown(text), Node::to_string);
            (node.map(Connection::new).ok_or_else(|| not_an_address(text)), address)
        };
        let (members, addresses) = options.nodes.iter().map(member).unzip();
        let nodes = Failover::new(NAME, addresses).of_default(options.not_given);
        Arc::new_cyclic(|me| Client {
            session: Session::default(),
            me: me.clone(),
            options,
            members,
            nodes,
        })
    }

    /// Reads what is at a path; `None` if there is nothing.
    ///
    /// # Errors
    /// No node answers, or Vault refuses.
    pub async fn read(&self, request: &Request) -> Result<Option<Reply>, Error> {
        self.send(request).await?.reply()
    }

    /// The names below a path, of which those with more below them end with a slash; `None` if there is
    /// nothing, or nothing that can be listed.
    ///
    /// # Errors
    /// No node answers, or Vault refuses.
    pub async fn list(&self, path: &str) -> Result<Option<Vec<String>>, Error> {
        #[derive(serde::Deserialize)]
        struct Listed {
            keys: Vec<String>,
        }
        let request = Request::get(path).with_query("list=true");
        let reply: Option<Reply> = self.send(&request).await?.reply()?;
        let data = reply.as_ref().and_then(Reply::data).unwrap_or_default();
        Ok(serde_json::from_str(data).ok().map(|Listed { keys }| keys))
    }

    /// Writes JSON to a path. Returns what Vault answers.
    ///
    /// # Errors
    /// No node answers, or Vault refuses.
    pub async fn write(&self, path: &str, body: Vec<u8>) -> Result<Option<Reply>, Error> {
        self.read(&Request::put(path, body)).await
    }

    /// Renews a lease. Returns what Vault says of it now.
    ///
    /// # Errors
    /// No node answers, or Vault refuses.
    pub async fn renew(&self, lease: &str) -> Result<Option<Reply>, Error> {
        let body = serde_json::json!({ "lease_id": lease }).to_string();
        self.write("sys/leases/renew", body.into_bytes()).await
    }

    /// Sends a request with the token. If Vault does not accept the token any more, it is logged in
    /// again, once.
    pub(crate) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        // An engine can fail at one path, as one whose database is away.
        let is_about_path =
            |status, body: &[u8]| status == StatusCode::INTERNAL_SERVER_ERROR && is_of_vault(body);
        let token = self.token().await?;
        let header = token.as_ref().map(Token::header);
        let answer = self.exchange_where(request, header, is_about_path).await?;
        let answer = match token {
            Some(token) if answer.status == StatusCode::FORBIDDEN => {
                let text = complaint(&answer.body);
                match self.token_after_refusal(&token, &text).await? {
                    Some(token) => {
                        self.exchange_where(request, Some(token.header()), is_about_path).await?
                    }
                    None => answer,
                }
            }
            _ => answer,
        };
        match answer.status {
            // There is nothing, or nothing that can be done like this.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(answer),
            status if status.is_success() => Ok(answer),
            _ => Err(Self::refused(request, &answer)),
        }
    }

    /// The error for an answer that is a refusal.
    pub(crate) fn refused(request: &Request, answer: &Answer) -> Error {
        let (method, target) = (&request.method, &request.target);
        let path = target.split('?').next().unwrap_or_default();
        let said = said(answer.status, &answer.body);
        let reason = Cause::new(format!("{method} /v1/{path}: {said}"));
        let reason = match said.contains(INVALID) {
            true => reason.of_kind(CauseKind::Credentials),
            false => reason,
        };
        let advice = match () {
            () if answer.wants_tls => Some("give it as https://HOST:PORT"),
            () if said.contains(INVALID) => Some("it is wrong, or has ended"),
            () => None,
        };
        Error::Refused { store: NAME, node: answer.node.clone(), reason: reason.advised(advice) }
    }

    /// Sends a request to one node after the other until a node answers.
    pub(crate) async fn exchange(
        &self,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, Error> {
        self.exchange_where(request, token, |_, _| false).await
    }

    /// [`exchange`](Self::exchange) in which an answer counts as one, and not as a failure of its node, if
    /// `is_answer` says so of its status and body.
    async fn exchange_where(
        &self,
        request: &Request,
        token: Option<&HeaderValue>,
        is_answer: impl Fn(StatusCode, &[u8]) -> bool,
    ) -> Result<Answer, Error> {
        let ask = async |node: usize| {
            let answer = self.exchange_with(node, request, token).await?;
            let (status, is_late) = (answer.status, answer.status == StatusCode::TOO_MANY_REQUESTS);
            if is_answer(status, &answer.body) {
                return Ok(answer);
            }
            if status.is_server_error() || status.is_redirection() || is_late {
                let cause = Cause::new(said(status, &answer.body));
                let cause = match status {
                    StatusCode::TOO_MANY_REQUESTS => cause.of_kind(CauseKind::TooManyConnections),
                    StatusCode::SERVICE_UNAVAILABLE => {
                        cause.advised(Some("it answers when it is unsealed"))
                    }
                    _ if status.is_redirection() => cause
                        .advised(Some("a standby that forwards nothing: give all nodes by -node")),
                    _ => cause,
                };
                return Err(NodeError::Unreachable(cause));
            }
            let says_nothing_is_there =
                matches!(status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED);
            if says_nothing_is_there && !is_of_vault(&answer.body) {
                return Err(NodeError::Unreachable(Cause::new(NO_VAULT)));
            }
            Ok(answer)
        };
        self.nodes.ask(ask).await.map(|(_, answer)| answer)
    }

    async fn exchange_with(
        &self,
        number: usize,
        request: &Request,
        token: Option<&HeaderValue>,
    ) -> Result<Answer, NodeError> {
        let options = &self.options;
        let member = match &self.members[number] {
            Ok(member) => member,
            Err(cause) => return Err(NodeError::Unreachable(cause.clone())),
        };
        let build = |node: &Node| {
            let builder = client_http::builder(node.tls().then_some(&options.tls))?
                .connect_timeout(options.connecting)
                .gzip(!node.is_here());
            client_http::finish(builder, node, &options.proxies)
        };
        let client = member.client(&options.tls, build).map_err(NodeError::Final)?;
        let url = format!("{}/v1/{}", member.node().base(), request.target);
        let mut sent = client.request(request.method.clone(), url);
        sent = sent.header("x-vault-request", "true");
        if let Some(namespace) = &options.namespace {
            sent = sent.header("x-vault-namespace", namespace);
        }
        if let Some(token) = token {
            sent = sent.header("x-vault-token", token.clone());
        }
        if !request.body.is_empty() {
            sent = sent.header("content-type", "application/json").body(request.body.clone());
        }
        let cause = |error: &reqwest::Error| member.cause(error);
        let patience = SILENCE.max(options.connecting);
        let response = Connection::within(patience, sent.send(), cause).await;
        let response = response.map_err(NodeError::Unreachable)?;
        let status = response.status();
        // This is what a server that speaks only TLS answers to a plain connection.
        let wants_tls = !member.node().tls()
            && response.version() == Version::HTTP_10
            && status == StatusCode::BAD_REQUEST;
        let body = client_http::body(response, options.bounds, cause).await;
        let body = body.map_err(NodeError::Unreachable)?;
        debug!("vault: {} /v1/{}: {}", request.method, request.target, status.as_u16());
        Ok(Answer { status, body, node: self.nodes.address(number).to_owned(), wants_tls })
    }
}

/// The text of a status and of the body that came with it.
fn said(status: StatusCode, body: &[u8]) -> String {
    match complaint(body) {
        text if text.is_empty() => format!("status {}", status.as_u16()),
        text => format!("{text} ({})", status.as_u16()),
    }
}

/// Why nothing can be sent to the address `text`.
fn not_an_address(text: &str) -> Cause {
    let advice = text.contains(',').then_some(address::SEVERAL);
    let forms =
        "not an address of the form http://HOST:PORT, https://HOST:PORT, HOST:PORT or unix:///PATH";
    Cause::new(forms).advised(advice)
}
