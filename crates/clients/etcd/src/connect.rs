//! A connection to one node.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use etcd_client::{Channel, Client, ConnectOptions};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::rt::TokioIo;
use nodes::proxy::{Protocol, Proxies, Proxy};
use nodes::{Cause, Error};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::codegen::http::Uri;
use tonic::codegen::http::header::{HeaderValue, InvalidHeaderValue};
use tonic::transport::Endpoint;
use tower::Service as _;

use crate::Options;
use crate::failure::Failure;
use crate::node::Node;

/// The timeout of a new connection, its TLS handshake included.
const CONNECTING: Duration = Duration::from_secs(3);

/// The idle time after which HTTP/2 pings a connection. By default a server closes connections that
/// ping more often than every 5 seconds.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// The timeout of the answer to a ping, after which the connection counts as dead.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5);

/// A client of one node.
pub(crate) struct Connected {
    pub(crate) client: Client,
    /// Whether the options have a user name and password, but the server has no users.
    pub(crate) needs_no_user: bool,
}

/// Makes a client of one node. It connects at once only if it has to sign in a user.
///
/// The transport connects again whenever it needs to, and each new connection reads the certificate
/// files again.
pub(crate) async fn client(node: &Node, options: &Options) -> Result<Connected, Failure> {
    if node.tls {
        // Problems with the certificate files are reported without asking a server.
        tls_config(&options.tls).map_err(Failure::Local)?;
    }
    // TLS is done below, so the transport always sees a plain connection.
    let endpoint = Endpoint::from_shared(format!("http://{}", node.authority()))
        .map_err(|cause| Failure::Unreachable(Cause::new(cause.to_string())))?
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(SIGN_OF_LIFE)
        .keep_alive_while_idle(true);
    let (target, tls) = (Arc::new(node.clone()), Arc::new(options.tls.clone()));
    let proxy = proxy(node, &options.proxies).map_err(Failure::Local)?.map(Arc::new);
    let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
        let (target, tls, proxy) = (Arc::clone(&target), Arc::clone(&tls), proxy.clone());
        async move { dial(&target, &tls, proxy.as_deref()).await.map(TokioIo::new) }
    }));
    let user = options.user.as_ref();
    let with = |user: Option<&(String, String)>| {
        let options = ConnectOptions::new().with_require_leader(true);
        match user {
            Some((name, password)) => options.with_user(name, password),
            None => options,
        }
    };
    let channel = Channel::Tonic(channel);
    let signed_in = Client::from_channel(channel.clone(), Some(with(user))).await;
    match signed_in.map_err(Failure::from) {
        Ok(client) => Ok(Connected { client, needs_no_user: false }),
        Err(Failure::WithoutUsers(_)) => {
            let client = Client::from_channel(channel, Some(with(None))).await?;
            Ok(Connected { client, needs_no_user: true })
        }
        Err(failure) => Err(failure),
    }
}

fn tls_config(options: &tls::Options) -> Result<Arc<rustls::ClientConfig>, Error> {
    options.client_config(b"h2").map(Arc::new)
}

/// A plain or encrypted connection to a node.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The proxy for a node, if there is one. As gRPC in Go, etcd always uses the proxy for https.
fn proxy(node: &Node, proxies: &Proxies) -> Result<Option<Proxy>, Error> {
    Ok(proxies.of_node(true, &node.host, node.port)?.cloned())
}

/// A TCP connection to a node, through the proxy if there is one.
async fn connect(node: &Node, proxy: Option<&Proxy>) -> io::Result<TcpStream> {
    let Some(proxy) = proxy else {
        return names::connect(&node.host, node.port).await;
    };
    let uri = |authority: &str| format!("http://{authority}").parse::<Uri>();
    let at = uri(&proxy.authority).map_err(io::Error::other)?;
    let node = uri(&node.authority()).map_err(io::Error::other)?;
    let to_proxy = tower::service_fn(|proxy: Uri| async move {
        let host = proxy.host().unwrap_or_default().trim_matches(['[', ']']);
        names::connect(host, proxy.port_u16().unwrap_or_default()).await.map(TokioIo::new)
    });
    let through = |error: &dyn std::fmt::Display| {
        io::Error::other(format!("through the proxy {}: {error}", proxy.authority))
    };
    let connected = match proxy.protocol {
        Protocol::Http => {
            let tunnel = Tunnel::new(at, to_proxy);
            let user = proxy.user.as_ref().map(|(name, password)| basic(name, password));
            let mut tunnel = match user.transpose().map_err(|error| through(&error))? {
                Some(user) => tunnel.with_auth(user),
                None => tunnel,
            };
            tunnel.call(node).await.map_err(|error| through(&error))
        }
        Protocol::Socks5 => {
            let socks = SocksV5::new(at, to_proxy).local_dns(false);
            let mut socks = match proxy.user.clone() {
                Some((name, password)) => socks.with_auth(name, password),
                None => socks,
            };
            socks.call(node).await.map_err(|error| through(&error))
        }
        Protocol::Https => Err(through(&"etcd is reached through proxies of http and socks5 only")),
    };
    connected.map(TokioIo::into_inner)
}

/// The value of a header with a user name and a password.
fn basic(name: &str, password: &str) -> Result<HeaderValue, InvalidHeaderValue> {
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}"));
    let mut value = HeaderValue::try_from(format!("Basic {encoded}"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn dial(
    node: &Node,
    tls: &tls::Options,
    proxy: Option<&Proxy>,
) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let stream = connect(node, proxy).await?;
        stream.set_nodelay(true)?;
        if !node.tls {
            return Ok(Box::new(stream) as Box<dyn Stream>);
        }
        let config = tls_config(tls).map_err(io::Error::other)?;
        let name = ServerName::try_from(node.host.clone()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    };
    timeout(CONNECTING, connecting).await.unwrap_or_else(|_| {
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("no connection within {} seconds", CONNECTING.as_secs()),
        ))
    })
}
