//! The nodes of a cluster, and a client for each that is asked.
//!
//! (The client's own balancing over several nodes sends every second request to a dead one.)

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use etcd_client::Client;
use tokio::time::timeout;
use tracing::warn;

use super::Options;
use super::connect;
use super::failure::Failure;
use super::node::Node;
use super::read::FirstPage;
use crate::error::{Attempt, hung_up};
use crate::failover::{Failover, Setback};
use crate::{Error, etcd};

/// How long a request may take. A server that is asked while it starts answers late.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

pub(super) struct Cluster {
    options: Options,
    members: Vec<Member>,
    failover: Failover,
    told_of_user: AtomicBool,
    pub(super) first_page: FirstPage,
}

/// A node that gave an answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answerer(usize);

struct Member {
    /// `None` if what was given is no address.
    node: Option<Node>,
    client: Mutex<Option<Client>>,
}

impl Cluster {
    pub(super) fn new(options: Options) -> Self {
        let tls = options.tls.ask_for_tls();
        let member = |text: &String| {
            let node = Node::parse(text, tls);
            let address = node.as_ref().map_or(text.clone(), Node::to_string);
            (Member { node, client: Mutex::new(None) }, address)
        };
        let (members, addresses) = options.nodes.iter().map(member).unzip();
        Cluster {
            members,
            options,
            failover: Failover::new(etcd::NAME, addresses),
            told_of_user: AtomicBool::new(false),
            first_page: FirstPage::default(),
        }
    }

    pub(super) fn options(&self) -> &Options {
        &self.options
    }

    /// Puts a question to one node after the other until one answers; says which did.
    ///
    /// # Errors
    ///
    /// No node answers, or one says no.
    pub(super) async fn ask<Q, A, T>(&self, question: Q) -> Result<(Answerer, T), Error>
    where
        Q: Fn(Client) -> A,
        A: Future<Output = Result<T, Failure>>,
    {
        let ask = async |index: usize| {
            let member = &self.members[index];
            self.ask_member(member, &question).await.map_err(|failure| match failure {
                Failure::Local(error) => Setback::Final(error),
                Failure::Refused(reason) | Failure::SignedOut(reason) => {
                    // Whoever tries again signs in again: a password may have been set right.
                    member.forget();
                    let node = self.failover.address(index);
                    Setback::Final(Error::refused(etcd::NAME, node, &reason))
                }
                Failure::Unreachable(cause) | Failure::OutOfHistory(cause) => {
                    // A connection may have been forgotten on the way. It would seem alive for some
                    // time, and whoever tries again would wait on it in vain.
                    member.forget();
                    Setback::Unreachable(member.told(cause))
                }
            })
        };
        let (node, answer) = self.failover.ask(ask).await?;
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

    /// The client of a member, signed in.
    async fn client(&self, member: &Member) -> Result<Client, Failure> {
        let Some(node) = &member.node else {
            return Err(Failure::Unreachable(
                "not an address of the form HOST:PORT, http://HOST:PORT or https://HOST:PORT"
                    .into(),
            ));
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
    pub(super) fn address(&self, node: Answerer) -> &str {
        self.failover.address(node.0)
    }

    /// Tells what ended a stream of a node. If that node is gone, and is the one that is asked, the
    /// next one is asked from now on.
    pub(super) fn ended(&self, answerer: Answerer, failure: Failure) -> Error {
        let node = self.address(answerer).to_owned();
        match failure {
            Failure::Local(error) => error,
            Failure::Refused(reason) | Failure::SignedOut(reason) => {
                Error::refused(etcd::NAME, &node, &reason)
            }
            Failure::Unreachable(cause) | Failure::OutOfHistory(cause) => {
                self.failover.leave(answerer.0);
                Error::Unreachable { backend: etcd::NAME, attempts: vec![Attempt { node, cause }] }
            }
        }
    }
}

impl Member {
    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Client>> {
        // What a panic left here is a whole client or none.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self) {
        *self.slot() = None;
    }

    /// A cause, with what is likely behind it.
    fn told(&self, cause: String) -> String {
        let tls = self.node.as_ref().is_some_and(|node| node.tls);
        if tls { hung_up(cause) } else { cause }
    }
}

/// Gives a request so much time and no more.
pub(super) async fn within<T, E>(request: impl Future<Output = Result<T, E>>) -> Result<T, Failure>
where
    Failure: From<E>,
{
    match timeout(DEADLINE, request).await {
        Ok(answer) => Ok(answer?),
        // In the words of confd, which people search for.
        Err(_) => Err(Failure::Unreachable(format!(
            "no answer within {} seconds (context deadline exceeded)",
            DEADLINE.as_secs()
        ))),
    }
}
