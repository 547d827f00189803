//! Answers requests at an address: few connections at a time, each for a limited time.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, error, info};

use crate::{
    Address, Site, answer,
    bind::{self, Listener, Stream},
};

/// The most connections at a time. A further one takes the place of the oldest that has sent no request,
/// and waits in the queue of the socket if there is none.
const CONNECTIONS: usize = 64;
/// The time that a client has to send its request.
const REQUEST: Duration = Duration::from_secs(10);
/// The time of a whole connection, so that a client that does not read its answer is dropped.
const CONNECTION: Duration = Duration::from_secs(30);
/// The same for a connection whose command can take long.
const COMMAND: Duration = Duration::from_secs(24 * 60 * 60);
/// The most bytes of the head of a request.
const HEAD: usize = 16 * 1024;
/// The most fields of the head of a request.
const FIELDS: usize = 64;
/// The pauses between two attempts to bind.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a connection could not be accepted, for example because there are no descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// What a server is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To show the state and metrics.
    Metrics,
    /// To take orders too.
    Control,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Purpose::Metrics => "metrics",
            Purpose::Control => "control",
        }
    }

    /// The error of a socket, as Go programs begin it.
    fn failed(self, error: &str) -> String {
        let (name, flag) = match self {
            Purpose::Metrics => ("Metrics", "-metrics-addr"),
            Purpose::Control => ("Control", "-control-socket"),
        };
        format!(
            "{name} server error: {error}; confd goes on without it and tries again: free the \
             address, or choose another by {flag} and send SIGHUP"
        )
    }

    fn limit(self) -> Duration {
        match self {
            Purpose::Metrics => CONNECTION,
            Purpose::Control => COMMAND,
        }
    }
}

/// A server. Dropping it closes its sockets and connections.
pub struct Server {
    address: Address,
    /// The task, which ends when the server is dropped.
    task: JoinSet<()>,
    /// Ends the accepting of connections.
    retired: oneshot::Sender<()>,
}

impl Server {
    /// Listens at `address` from now on. If the address cannot be bound, an error is logged, and it is tried
    /// again with growing pauses.
    ///
    /// Must be called on the runtime.
    pub fn start(purpose: Purpose, address: Address, site: Site) -> Self {
        let (mut task, (retired, retires)) = (JoinSet::new(), oneshot::channel());
        info!("Starting {} server on {address}", purpose.word());
        let bound = bind::bind(&address);
        let at = address.clone();
        task.spawn(async move {
            let mut retires = retires;
            let listeners = tokio::select! {
                listeners = bound_at_last(purpose, bound, &at) => listeners,
                _ = &mut retires => return,
            };
            serve(purpose, listeners, site, retires).await;
        });
        Server { address, task, retired }
    }

    /// Accepts no more connections, and closes the sockets soon. Requests that are there are answered first,
    /// so that a request can be the reason.
    pub fn retire(self) {
        let Server { mut task, retired, .. } = self;
        // A task that has ended has nothing to answer.
        let _ = retired.send(());
        task.detach_all();
    }

    /// Where it listens, or tries to.
    pub fn address(&self) -> &Address {
        &self.address
    }
}

async fn bound_at_last(
    purpose: Purpose,
    mut bound: Result<Vec<Listener>, String>,
    address: &Address,
) -> Vec<Listener> {
    let mut pause = FIRST_PAUSE;
    let mut last = String::new();
    loop {
        match bound {
            Ok(listeners) => {
                if !last.is_empty() {
                    info!("the {} server listens on {address}", purpose.word());
                }
                return listeners;
            }
            Err(error) if error == last => debug!("{}", purpose.failed(&error)),
            Err(error) => {
                error!("{}", purpose.failed(&error));
                last = error;
            }
        }
        sleep_until(Instant::now() + pause).await;
        pause = (2 * pause).min(LAST_PAUSE);
        bound = bind::bind(address);
    }
}

/// Answers at all sockets, until the server retires and all requests are answered.
async fn serve(
    purpose: Purpose,
    listeners: Vec<Listener>,
    site: Site,
    mut retires: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    // Whether each connection has sent its request, the oldest first.
    let mut open: VecDeque<(AbortHandle, Arc<AtomicBool>)> = VecDeque::new();
    loop {
        open.retain(|(connection, _)| !connection.is_finished());
        if connections.len() >= CONNECTIONS {
            let mut idle = open.iter().filter(|(_, is_asked)| !is_asked.load(Ordering::Relaxed));
            if let Some((connection, _)) = idle.next() {
                connection.abort();
            }
            tokio::select! {
                _ = connections.join_next() => continue,
                _ = &mut retires => break,
            }
        }
        tokio::select! {
            _ = &mut retires => break,
            accepted = next(&listeners) => match accepted {
                Ok(stream) => {
                    let is_asked = Arc::new(AtomicBool::new(false));
                    let (noted, site) = (Arc::clone(&is_asked), site.clone());
                    let connection = match stream {
                        Stream::Tcp(stream) => {
                            connections.spawn(converse(purpose, stream, site, noted))
                        }
                        Stream::Unix(stream) => {
                            connections.spawn(converse(purpose, stream, site, noted))
                        }
                    };
                    open.push_back((connection, is_asked));
                }
                Err(error) => {
                    debug!("cannot accept a connection: {}", report::errno_text(&error));
                    sleep_until(Instant::now() + PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listeners);
    let idle = open.iter().filter(|(_, is_asked)| !is_asked.load(Ordering::Relaxed));
    idle.for_each(|(connection, _)| connection.abort());
    while connections.join_next().await.is_some() {}
}

/// Waits for the next connection at one of the sockets, of which there are one or two.
async fn next(listeners: &[Listener]) -> io::Result<Stream> {
    match listeners {
        [one, two, ..] => tokio::select! {
            accepted = one.accept() => accepted,
            accepted = two.accept() => accepted,
        },
        [one] => one.accept().await,
        [] => std::future::pending().await,
    }
}

/// Reads one request, notes that it is there, and answers it. A client that has further requests connects again, so that an idle
/// client takes the place of no other.
async fn converse(
    purpose: Purpose,
    stream: impl AsyncRead + AsyncWrite + Unpin,
    site: Site,
    is_asked: Arc<AtomicBool>,
) {
    let (site, is_asked) = (&site, &is_asked);
    let answer = service_fn(async |request: Request<Incoming>| {
        is_asked.store(true, Ordering::Relaxed);
        Ok::<_, Infallible>(answer::to(site, &request).await)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST)
        .max_buf_size(HEAD)
        .max_headers(FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    match timeout(purpose.limit(), connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!("a client of the {} server was dropped: {error}", purpose.word()),
        Err(_) => debug!("a client of the {} server was dropped: its time is over", purpose.word()),
    }
}
