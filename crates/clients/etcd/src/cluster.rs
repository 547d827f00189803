//! The nodes of a cluster, with a client for each node that was asked.
//!
//! etcd's client could balance over several nodes by itself, but it would send every second request
//! to a dead node.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::Client;
use nodes::{Attempt, Cause, CauseKind, Error, Failover, NodeError, address};
use tokio::time::timeout;
use tracing::warn;

use crate::connect;
use crate::failure::Failure;
use crate::node::Node;
use crate::{NAME, Options};

/// The timeout of a request. A server that is starting answers late.
const DEADLINE: Duration = Duration::from_secs(5);

/// The nodes of a cluster, and a client for each that was asked.
pub struct Cluster {
    options: Options,
    members: Vec<Member>,
    failover: Failover,
    told_of_user: AtomicBool,
}

/// The node that answered a request.
#[derive(Debug, Clone, Copy)]
pub struct Answerer(usize);

struct Member {
    /// `None` for an address that cannot be parsed.
    node: Option<Node>,
    /// Whether the address has a comma.
    is_list: bool,
    client: Mutex<Option<Client>>,
    /// Whether the node has ever answered.
    has_answered: AtomicBool,
}

impl Cluster {
    /// Makes a cluster with these options. It connects to nothing and reads no file before the
    /// first request.
    pub fn new(options: Options) -> Self {
        let tls = options.https || options.tls.ask_for_tls();
        let member = |text: &String| {
            let node = Node::parse(text, tls);
            let address = node.as_ref().map_or_else(|| address::shown(text), Node::to_string);
            let (client, has_answered) = (Mutex::new(None), AtomicBool::new(false));
            let is_list = text.contains(',');
            (Member { node, is_list, client, has_answered }, address)
        };
        let (members, addresses) = options.nodes.iter().map(member).unzip();
        Cluster {
            members,
            failover: Failover::new(NAME, addresses)
                .of_default(options.nodes_are_default.then_some("-node")),
            options,
            told_of_user: AtomicBool::new(false),
        }
    }

    /// The options that the cluster was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Sends a request to one node after the other until a node answers. Returns the node with its
    /// answer.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn ask<Q, A, T>(&self, question: Q) -> Result<(Answerer, T), Error>
    where
        Q: Fn(Client) -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        let ask = async |index: usize| {
            let member = &self.members[index];
            self.ask_member(member, &question).await.map_err(|failure| match failure {
                Failure::Local(error) => NodeError::Final(error),
                Failure::Refused(reason)
                | Failure::SignedOut(reason)
                | Failure::WithoutUsers(reason) => {
                    // The next try signs in again, because an administrator may have corrected the
                    // password.
                    member.forget();
                    let node = self.failover.address(index);
                    NodeError::Final(self.refused(node, reason))
                }
                Failure::Unreachable(cause) | Failure::OutOfHistory(cause) => {
                    // The route to the node may have dropped the connection silently. A later try
                    // would wait on that connection without an answer, so it gets a new one.
                    member.forget();
                    NodeError::Unreachable(member.advised(cause))
                }
            })
        };
        let (node, answer) = self.failover.ask(ask).await?;
        self.members[node].has_answered.store(true, Ordering::Relaxed);
        Ok((Answerer(node), answer))
    }

    async fn ask_member<Q, A, T>(&self, member: &Member, question: &Q) -> Result<T, Failure>
    where
        Q: Fn(Client) -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        match question(self.client(member).await?).await {
            Err(Failure::SignedOut(_)) => {
                member.forget();
                question(self.client(member).await?).await
            }
            answer => answer,
        }
    }

    /// The client of a node, signed in.
    async fn client(&self, member: &Member) -> Result<Client, Failure> {
        let Some(node) = &member.node else {
            const FORMS: &str =
                "not an address of the form HOST:PORT, http://HOST:PORT or https://HOST:PORT";
            let advice = member.is_list.then_some(address::SEVERAL);
            return Err(Failure::Unreachable(Cause::new(FORMS).advised(advice)));
        };
        if let Some(client) = member.slot().clone() {
            return Ok(client);
        }
        let connected = within(connect::client(node, &self.options)).await?;
        if connected.needs_no_user && !self.told_of_user.swap(true, Ordering::Relaxed) {
            warn!("etcd at {node} has no users: the user name and password are not used");
        }
        *member.slot() = Some(connected.client.clone());
        Ok(connected.client)
    }

    /// The address of a node, for messages.
    pub fn address(&self, node: Answerer) -> &str {
        self.failover.address(node.0)
    }

    /// Records the failure that ended a stream of a node. If the node is the current one and did
    /// not refuse, the next node is asked from now on. Returns the error for the caller.
    pub fn ended(&self, answerer: Answerer, failure: Failure) -> Error {
        let node = self.address(answerer).to_owned();
        match failure {
            Failure::Local(error) => error,
            Failure::Refused(reason)
            | Failure::SignedOut(reason)
            | Failure::WithoutUsers(reason) => self.refused(&node, reason),
            Failure::Unreachable(cause) | Failure::OutOfHistory(cause) => {
                self.failover.leave(answerer.0);
                Error::Unreachable { store: NAME, attempts: vec![Attempt { node, cause }] }
            }
        }
    }

    fn refused(&self, node: &str, reason: Cause) -> Error {
        // A client that has signed in fails for another reason.
        let advice = self.options.user.is_none() && reason.kind() == CauseKind::Credentials;
        let advice =
            advice.then_some("it wants a user name and password, and basic authentication on");
        Error::Refused { store: NAME, node: node.to_owned(), reason: reason.advised(advice) }
    }
}

impl Member {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Client>> {
        // A panic elsewhere cannot leave half a client: the value is replaced as a whole.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.slot() = None;
    }

    /// Adds advice to the cause, if the node closed the connection.
    fn advised(&self, cause: Cause) -> Cause {
        match &self.node {
            Some(node) if node.tls => cause.advised_if_closed(tls::CLOSED),
            // A node that has answered is closing for another reason.
            Some(_) if !self.has_answered.load(Ordering::Relaxed) => {
                cause.advised_if_closed("perhaps the server wants https, or is not etcd")
            }
            _ => cause,
        }
    }
}

/// Ends a request after five seconds.
///
/// # Errors
///
/// The request failed, or took longer.
pub async fn within<T, E>(request: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    match timeout(DEADLINE, request).await {
        Ok(answer) => Ok(answer?),
        // These are Go confd's words, which people search for.
        Err(_) => Err(Failure::Unreachable(Cause::new(format!(
            "no answer within {} seconds (context deadline exceeded)",
            DEADLINE.as_secs()
        )))),
    }
}
