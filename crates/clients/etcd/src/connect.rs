//! A connection to one node.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Channel, Client, ConnectOptions};
use hyper_util::rt::TokioIo;
use nodes::{Cause, Error};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;

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
    let channel = endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
        let (target, tls) = (Arc::clone(&target), Arc::clone(&tls));
        async move { dial(&target, &tls).await.map(TokioIo::new) }
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

async fn dial(node: &Node, tls: &tls::Options) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let stream = TcpStream::connect((node.host.as_str(), node.port)).await?;
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
