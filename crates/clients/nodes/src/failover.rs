//! Chooses the node that is asked.
//!
//! One node is asked as long as it answers. If it does not, each of the other nodes is asked once
//! before the request fails. The node that answers is asked from then on.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::debug;

use crate::{Attempt, Cause, Error, address};

/// The nodes of one store, by number.
#[derive(Debug)]
pub struct Failover {
    store: &'static str,
    /// The addresses of the nodes.
    nodes: Vec<String>,
    /// What the user has not given, if these are the default nodes.
    not_given: Option<&'static str>,
    /// The number of the current node.
    current: AtomicUsize,
}

/// Why a node gave no answer.
#[derive(Debug)]
pub enum NodeError {
    /// The node was not reached, or cannot answer now. Another node may answer.
    Unreachable(Cause),
    /// Every other node would fail in the same way.
    Final(Error),
}

impl Failover {
    /// The nodes of a store of this kind. The first node is asked first.
    pub fn new(store: &'static str, nodes: Vec<String>) -> Self {
        Failover { store, nodes, not_given: None, current: AtomicUsize::new(0) }
    }

    /// The same nodes. They are the default ones because the user has not given `not_given`, such as
    /// `-node`, and errors say so; `None` if the user has chosen them.
    #[must_use]
    pub fn of_default(mut self, not_given: Option<&'static str>) -> Self {
        self.not_given = not_given;
        self
    }

    /// The address of a node.
    pub fn address(&self, node: usize) -> &str {
        self.nodes.get(node).map_or("", String::as_str)
    }

    /// The number of the node that is asked first; `None` if there are no nodes.
    pub fn current(&self) -> Option<usize> {
        let current = self.current.load(Ordering::Relaxed);
        (current < self.nodes.len()).then_some(current)
    }

    /// Sends a request to one node after the other until a node answers. Returns the node's number
    /// with its answer.
    ///
    /// # Errors
    ///
    /// No node answers, or a node refuses.
    pub async fn ask<Q, A, T>(&self, question: Q) -> Result<(usize, T), Error>
    where
        Q: Fn(usize) -> A,
        A: Future<Output = Result<T, NodeError>>,
    {
        let first = self.current.load(Ordering::Relaxed);
        let mut attempts = Vec::new();
        for nth in 0..self.nodes.len() {
            let node = (first + nth) % self.nodes.len();
            match question(node).await {
                Ok(answer) => {
                    if nth > 0 {
                        debug!("{}: {} is asked from now on", self.store, self.address(node));
                    }
                    self.current.store(node, Ordering::Relaxed);
                    return Ok((node, answer));
                }
                Err(NodeError::Final(error)) => return Err(error),
                Err(NodeError::Unreachable(cause)) => {
                    debug!("{}: {} does not answer: {cause}", self.store, self.address(node));
                    let cause = cause.at_default(self.not_given);
                    attempts.push(Attempt { node: address::shown(self.address(node)), cause });
                }
            }
        }
        Err(Error::Unreachable { store: self.store, attempts })
    }

    /// Makes the node after `node` the current one, if `node` still is: another task may have
    /// changed it already.
    pub fn leave(&self, node: usize) {
        let next = (node + 1) % self.nodes.len().max(1);
        let relaxed = Ordering::Relaxed;
        let _ = self.current.compare_exchange(node, next, relaxed, relaxed);
    }
}
