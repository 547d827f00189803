//! HTTP 1.1 as every client of this program speaks it.
//!
//! [`Node`] is the address of a node. [`builder`] begins an HTTP client: names are looked up by [`names`],
//! TLS is that of [`tls`], no redirect is followed, and the environment is not read. [`Connection`] keeps
//! the client of a node until its certificate files are replaced. [`proxy`] is the proxy for a node, if
//! there is one. [`body`] reads an answer within [`Bounds`]. [`chain`] says why a request failed.

mod connection;
mod node;

pub use connection::Connection;
pub use node::Node;

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use names::Resolver;
use nodes::body::{Body, Bounds};
use nodes::proxy::{Protocol, Proxies};
use nodes::{Cause, Error};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, Response};
use tokio::task::yield_now;
use tokio::time::timeout;

/// The idle time after which TCP probes a connection, and again every [`AGAIN`]. A request that
/// waits for a change is idle for as long as nothing changes.
const KEEPALIVE: Duration = Duration::from_secs(15);
const AGAIN: Duration = Duration::from_secs(5);

/// The time without an answer to a probe after which a connection counts as dead.
const DEAD: Duration = Duration::from_secs(30);

/// Begins an HTTP client that uses TLS as `tls` says; `None` for one that does not use TLS.
///
/// # Errors
/// A file of `tls` cannot be used.
pub fn builder(tls: Option<&tls::Options>) -> Result<ClientBuilder, Error> {
    let tls = match tls {
        Some(tls) => tls.client_config(b"http/1.1")?,
        // Without a configuration, reqwest would load the certificates of the system.
        None => tls::Options::none()?,
    };
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Names)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(AGAIN)
        .tcp_user_timeout(DEAD)
        // Credentials are meant for the configured node, and not for the target of a redirect.
        .redirect(Policy::none())
        .user_agent(concat!("confd/", env!("CARGO_PKG_VERSION")))
        // Without this, reqwest would read the environment itself.
        .no_proxy())
}

/// Ends what [`builder`] has begun, for a client of `node`: with the proxy for it, or its socket.
///
/// # Errors
/// Those of [`proxy`], or the client cannot be made.
pub fn finish(mut builder: ClientBuilder, node: &Node, proxies: &Proxies) -> Result<Client, Error> {
    match node {
        Node::Unix(path) => builder = builder.unix_socket(path.as_path()),
        Node::Tcp { host, port, .. } => {
            if let Some(proxy) = proxy(proxies, node.tls(), host, *port)? {
                builder = builder.proxy(proxy);
            }
        }
    }
    builder.build().map_err(|cause| Error::tls(Path::new("HTTP"), chain(&cause)))
}

/// Looks up the names of nodes and proxies.
struct Names;

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The HTTP client sets the port.
            let found = Resolver::system().sockets(name.as_str(), 0).await?;
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// The proxy for the node at this host and port, or `None` if it is reached directly. `over_https` says
/// whether the node is connected to by TLS.
///
/// # Errors
/// The variable that names the proxy, or the address in it, cannot be used.
pub fn proxy(
    proxies: &Proxies,
    over_https: bool,
    host: &str,
    port: u16,
) -> Result<Option<reqwest::Proxy>, Error> {
    let Some(proxy) = proxies.of_node(over_https, host, port)? else { return Ok(None) };
    let scheme = match proxy.protocol {
        Protocol::Http => "http",
        Protocol::Https => "https",
        Protocol::Socks5 => "socks5h",
    };
    let made = reqwest::Proxy::all(format!("{scheme}://{}", proxy.authority))
        .map_err(|cause| Error::tls(Path::new(&proxy.authority), chain(&cause)))?;
    Ok(Some(match &proxy.user {
        Some((name, password)) => made.basic_auth(name, password),
        None => made,
    }))
}

/// The whole body of an answer. `cause` says why a part could not be read.
///
/// # Errors
/// The connection broke, or the body is larger or slower than `bounds` allow.
pub async fn body(
    mut response: Response,
    bounds: Bounds,
    cause: impl Fn(&reqwest::Error) -> Cause,
) -> Result<Vec<u8>, Cause> {
    let mut body = Body::begin(bounds);
    loop {
        match timeout(body.patience(), response.chunk()).await {
            Ok(Ok(Some(part))) => body.push(&part)?,
            Ok(Ok(None)) => return Ok(body.into_bytes()),
            Ok(Err(error)) => return Err(cause(&error)),
            Err(_) => return Err(body.too_slow()),
        }
        // Decompression never has to wait, and other tasks want to work too.
        yield_now().await;
    }
}

/// The text of all causes, because reqwest's own text says only that something failed.
pub fn chain(error: &reqwest::Error) -> Cause {
    let cause = Cause::chain("", error.source());
    if cause.is_empty() { Cause::new(error.to_string()) } else { cause }
}

/// The words of a message in a body, in one line. A longer body is a web page, and only its beginning
/// is returned.
pub fn words(body: &[u8]) -> String {
    const MOST: usize = 300;
    let words = String::from_utf8_lossy(&body[..body.len().min(MOST)]);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}
